"""The table for people: what a reader must see in five seconds, in a pipe and on a terminal."""

import re
from typing import Any

import msgspec
import pytest

from pagexchange.cli import run_table
from pagexchange.cli.layout import nanoseconds, render
from pagexchange.cli.ranking import ranked
from pagexchange.measure.pressure import Pressure
from pagexchange.runs.result import Lost, Meanwhile, PlugIn, RunResult, StrategyResult
from tests.core.fake_runs import costs, seven, strategy, timed


def text(result: RunResult, width: int = 100, **kwargs: Any) -> str:
    return render(run_table.blocks(result, **kwargs), width)


def row(printed: str, name: str) -> list[str]:
    return next(line for line in printed.splitlines() if line.startswith(name + " ")).split()


def under_pressure(result: RunResult) -> RunResult:
    return msgspec.structs.replace(result, input=msgspec.structs.replace(result.input, free=0))


def test_the_winner_is_the_fastest_that_loses_nothing() -> None:
    fast_loser = strategy("rfc-2019", 100.0, expected="loses", verdict="loses")
    printed = text(seven(strategies=[fast_loser, *seven().strategies[1:]]))
    assert "list-exchange wins: 540 ns per pair, 1.41x faster than word-swap (1.41 to 1.41); it allocates" in printed
    assert row(printed, "list-exchange")[3:6] == ["540", "1.00x", "-"]
    assert row(printed, "rfc-2019")[4:6] == ["0.18x", "0.18-0.18"]
    assert printed.index("list-exchange") < printed.index("rfc-2019")


def test_two_strategies_within_the_noise_are_called_level_in_the_table_and_below() -> None:
    printed = text(seven(strategies=[strategy("a", 500.0), strategy("b", 505.0), strategy("c", 700.0)]))
    assert "a and b are level (1.01x apart): 500 ns per pair; a allocates nothing." in printed
    assert row(printed, "b")[4:6] == ["level", "1.01-1.01"]
    assert row(printed, "c")[4:6] == ["1.40x", "1.40-1.40"]


def test_a_faster_median_is_no_win_when_a_round_disagrees() -> None:
    a, b = strategy("a", 500.0), strategy("b", 700.0)
    a = msgspec.structs.replace(a, rounds=[timed(0, 12_100, 900.0), *a.rounds[1:]])
    printed = text(seven(strategies=[a, b]))
    assert "a and b are level (1.39x apart)" in printed
    assert row(printed, "b")[4] == "level"
    assert float(row(printed, "b")[5].partition("-")[0]) < 1


def test_all_that_are_level_with_the_fastest_are_named() -> None:
    printed = text(seven(strategies=[strategy(name, 500.0 + n) for n, name in enumerate("abc")]))
    assert "a, b and c are level (at most 1.00x apart)" in printed


def test_one_round_has_a_ratio_and_no_interval() -> None:
    alone = [strategy(name, ns, rounds=[timed(0, 12_100, ns)]) for name, ns in (("a", 500.0), ("b", 700.0))]
    printed = text(seven(strategies=alone, rounds=1))
    assert "a is ahead in the one round: 500 ns per pair, 1.40x faster than b" in printed
    assert "One round has no interval." in printed
    assert row(printed, "b")[4:6] == ["1.40x", "-"]


def test_the_clock_of_the_ratios_is_in_the_head() -> None:
    slow = strategy("slow", 500.0, rounds=[timed(n, 100, 500.0, wall_ns=200_000) for n in range(3)])
    both = [slow, strategy("quick", 600.0)]
    cpu, wall = (text(seven(strategies=both, clock=clock)) for clock in ("cpu", "wall"))
    assert "cpu ns" in cpu
    assert "cpu ns: CPU time per exchanged pair" in " ".join(cpu.split())
    assert row(cpu, "slow")[3:5] == ["500", "1.00x"]
    assert "wall ns" in wall
    assert row(wall, "slow")[3:5] == ["2,000", "3.33x"]


def pushed(name: str, ns: float, share: float) -> StrategyResult:
    """A strategy that was off its CPU for a share of each round, although each was taken again."""
    rounds = [
        timed(n, 100, ns, wall_ns=round(100 * ns / (1 - share)), aside=True, attempt=attempt)
        for n in range(3)
        for attempt in range(2)
    ]
    return strategy(name, ns, rounds=rounds)


def test_what_cannot_be_trusted_is_marked_and_said_with_what_the_machine_did() -> None:
    during = Pressure(some_cpu=0.98, steal=0.03, load=[4.06, 2.0, 1.0])
    several = [strategy("a", 500.0), pushed("b", 700.0, 0.5), pushed("c", 800.0, 0.715)]
    printed = text(seven(strategies=several, machine=Meanwhile(during=during)))
    assert [row(printed, name)[3] for name in "abc"] == ["500", "700!", "800!"]
    assert "6 turns taken again" in printed
    lines = " ".join(printed.split())
    assert "Not to be trusted, marked !: b, c. Others had the CPU for 50 % to 72 % of the time of most rounds." in lines
    assert "Meanwhile somebody waited for a CPU 98 % of the time, the hypervisor took 3 %, load 4.1. Run again" in lines
    assert "Not to be trusted" not in text(seven())
    alone = " ".join(text(seven(strategies=several[1:2])).split())
    assert "marked !: all. Others had the CPU for 50 % of the time of most rounds." in alone
    assert "Meanwhile the machine says nothing. Run again" in alone


def test_where_starting_threads_took_the_time_it_is_said() -> None:
    note = "its 2 threads took longer to start and end than to exchange: too few pairs for them"
    few, many = (
        strategy("a", 500.0, workers=2, ns_per_pair=msgspec.structs.replace(costs(500.0), total=total))
        for total in (501.0, 499.0)
    )
    assert f"a      {note}" in text(seven(strategies=[few]))
    assert note not in text(seven(strategies=[many]))
    assert note not in text(seven(strategies=[msgspec.structs.replace(few, workers=1)]))


def test_each_warning_stands_on_lines_of_its_own() -> None:
    printed = text(seven(warnings=["One thing.", "Another."])).splitlines()
    assert [printed.count(line) for line in ("One thing.", "Another.")] == [1, 1]


def test_what_was_lost_is_named() -> None:
    assert "rfc-2019       loses flags: workingset (312 pages), dropbehind (14 pages)" in text(seven())


def test_what_is_broken_is_named_and_is_not_as_expected() -> None:
    bad = strategy(
        "bad", 90.0, verdict="wrong", lost=[Lost(kind="contents", name="", count=1, example="frame 7 holds page 9")]
    )
    result = seven(strategies=[bad, strategy("good", 100.0)], as_expected=False)
    printed = text(result)
    assert "breaks contents (1 page), first: frame 7 holds page 9" in printed
    assert "expected: exact" in printed
    assert "NOT as expected: bad." in printed
    assert "good takes 100 ns per pair" in printed


def test_refusals_that_all_share_are_said_once() -> None:
    printed = text(seven())
    assert printed.count("EBUSY") == 1
    assert "188 pairs are refused by all that exchange, untouched: 120 EBUSY (pinned" in printed
    assert "whole-word     refuses every pair, untouched: 12,288 EBADMSG" in printed


@pytest.mark.parametrize(
    ("orders", "said"),
    [({"0": 5}, "4 KiB pages"), ({"9": 1}, "2 MiB folios"), ({"0": 1, "4": 2}, "folios, 4 KiB to 64 KiB")],
)
def test_the_heading_says_how_large_the_folios_are(orders: dict[str, int], said: str) -> None:
    result = seven()
    heading = " ".join(
        text(msgspec.structs.replace(result, input=msgspec.structs.replace(result.input, orders=orders))).split()
    )
    assert f"12,288 pairs of {said}, flags as in" in heading


@pytest.mark.parametrize(
    ("huge", "came", "said"),
    [
        ("thp", 1 << 27, "huge pages: 128 MiB of 256 MiB"),
        ("thp", 0, "huge pages: none of 256 MiB"),
        ("hugetlb", None, "huge pages: not known how much of 256 MiB"),
        ("", 0, ""),
    ],
)
def test_the_heading_says_how_much_of_the_arena_is_in_huge_pages(huge: str, came: int | None, said: str) -> None:
    result = seven()
    backed = msgspec.structs.replace(result.input, huge=huge, huge_bytes=came)
    heading = " ".join(text(msgspec.structs.replace(result, input=backed)).split("strategy")[0].split())
    assert said in heading
    assert ("huge" in heading) is bool(huge)


def test_two_strategies_may_share_refusals_and_one_has_only_its_own() -> None:
    both = [
        strategy("a", 500.0, refused={"EBUSY": 2_000}),
        strategy("b", 700.0, refused={"EBUSY": 2_000, "EAGAIN": 1}),
    ]
    lines = text(seven(strategies=both)).splitlines()
    assert any(line.startswith("every one  2,000 pairs are refused by all, untouched: 2,000 EBUSY (") for line in lines)
    assert next(line for line in lines if "refuses" in line).startswith(
        "b          refuses 1 pair, untouched: 1 EAGAIN ("
    )
    alone = text(seven(strategies=both[:1]))
    assert "every one" not in alone
    assert "a      refuses 2,000 pairs, untouched: 2,000 EBUSY (" in alone


def test_that_flags_were_drawn_is_said_where_flags_were_lost() -> None:
    result = seven()
    note = "drawn by the seed, because nobody shows them: workingset on 7 pages"
    given = msgspec.structs.replace(result.input, details={"notes": ["another", note]})
    assert f"flags          {note}" in text(msgspec.structs.replace(result, input=given))
    assert "another" not in text(msgspec.structs.replace(result, input=given))
    assert note not in text(msgspec.structs.replace(result, input=given, strategies=result.strategies[1:]))
    assert "flags   " not in text(result).partition("How to read")[0].partition("loses")[2]
    live = msgspec.structs.replace(given, kind="live")
    printed = text(msgspec.structs.replace(result, input=live))
    assert "input          another" in printed
    assert printed.count("drawn by the seed") == 1


def test_what_a_plug_in_reports_is_told_on_a_line() -> None:
    told = {
        "trace": ["one", "two"],
        "timing": {"data": {"calls": 3, "items": 6157, "none": 0}, "flags": {"calls": 1}},
        "flat": {"calls": 1_000, "none": 0},
        "number": 12_345,
        "truth": True,
        "word": "fine",
    }
    printed = " ".join(text(seven(strategies=[strategy("a", 500.0, report=told)]), 200).split())
    for said in (
        "trace: 2 lines, which --json has", "timing: data: calls 3, items 6,157; flags: calls 1", "flat: calls 1,000",
        "number: 12,345", "truth: True", "word: fine",
    ):  # fmt: skip
        assert said in printed


def test_in_place_is_shown_as_nothing_allocated() -> None:
    printed = text(seven())
    assert row(printed, "word-swap")[-1] == "nothing"
    assert row(printed, "copy-page")[-1] == "12,100"


def test_a_strategy_of_which_there_is_nothing_to_say_has_no_note() -> None:
    notes = text(seven()).partition("whole-word     refuses")[2]
    assert notes
    assert not any(line.split() in ([one.name] for one in seven().strategies) for line in text(seven()).splitlines())


def test_a_chain_says_which_mover_exchanged_how_many() -> None:
    chain = strategy("fall-back", 900.0, moved={"temp-page": 100, "word-swap": 12_000})
    printed = text(seven(strategies=[chain]))
    assert "of its movers temp-page exchanges 100, word-swap exchanges 12,000 for want of a frame" in printed
    alone = strategy("alone", 900.0, moved={"temp-page": 100})
    assert "of its movers" not in text(seven(strategies=[alone]))


def test_pressure_has_its_own_table() -> None:
    printed = text(under_pressure(seven()))
    assert "Under pressure  no free frame left per node" in printed
    assert "frames asked" in printed
    assert "Under pressure" not in text(seven())


@pytest.mark.parametrize(
    ("asked", "said"),
    [(1, "at most 1 free frame left"), (8, "at most 8 free frames left"), (0, "  no free frame left")],
)
def test_the_table_of_pressure_says_where_a_node_had_fewer_free_frames_than_were_to_be_left(
    asked: int, said: str
) -> None:
    result = seven()
    nodes = [{"name": "fast", "frames": 9, "free": 0}, {"name": "slow", "frames": 9, "free": asked}]
    short = msgspec.structs.replace(result, input=msgspec.structs.replace(result.input, free=asked, nodes=nodes))
    assert f"{said} per node (fast 0, slow {asked})" in text(short)


def test_a_strategy_that_was_not_measured_has_no_row_under_pressure() -> None:
    away = [strategy("word-swap", None, verdict="not run"), strategy("two-pass", None, verdict="failed")]
    printed = text(under_pressure(seven(strategies=[strategy("list-exchange", 500.0), *away])))
    table = printed[printed.index("Under pressure") : printed.index("exchanged and ENOMEM")].splitlines()
    assert [line.split()[0] for line in table[2:]] == ["strategy", "list-exchange"]


def test_in_a_pipe_there_is_neither_colour_nor_box() -> None:
    assert re.search(r"[\x1b│─━┃╭]", text(under_pressure(seven()))) is None
    assert text(seven(), ascii_only=True).isascii()


def test_an_empty_or_interrupted_run_is_reported() -> None:
    nothing = strategy("word-swap", None, verdict="not run", exchanged=0)
    printed = text(seven(strategies=[nothing], interrupted=True, as_expected=False))
    assert "Interrupted" in printed
    assert "Not run: word-swap." in printed
    assert "NOT as expected" not in printed
    assert row(printed, "word-swap")[1:3] == ["not", "run"]
    text(seven(strategies=[]))


def test_counts_are_written_in_full_below_a_million() -> None:
    many = [
        strategy("a", 500.0, exchanged=999_999),
        strategy("b", 600.0, exchanged=1_000_000, frames_allocated=2_345_678),
    ]
    printed = text(seven(strategies=many))
    assert row(printed, "a")[3] == "999,999"
    assert (row(printed, "b")[3:5], row(printed, "b")[-2:]) == (["1.00", "M"], ["2.35", "M"])


def test_strategies_stand_by_verdict_and_then_by_speed() -> None:
    verdicts = ["not run", "failed", "refused", "starved", "wrong", "loses", "unchecked", "exact"]
    rows = [strategy(verdict.replace(" ", "-"), 100.0 + at, verdict=verdict) for at, verdict in enumerate(verdicts)]
    result = seven(strategies=[*rows, strategy("slow", 900.0)])
    assert [one.verdict for one in ranked(result)] == ["exact", *verdicts[::-1]]
    assert [one.name for one in ranked(result)][:2] == ["exact", "slow"]


HEADS = [
    "strategy",
    "verdict",
    "pairs",
    "cpu",
    "ns",
    "ratio",
    "95",
    "%",
    "lock",
    "flags",
    "data",
    "map",
    "finish",
    "GB/s",
    "frames",
]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_report_fits_its_width_and_no_column_is_lost(width: int) -> None:
    million = strategy("list-exchange", 540.4, pairs=1_000_000, exchanged=1_000_000)
    result = under_pressure(seven(strategies=[million, *seven().strategies[:5]]))
    printed = text(result, width)
    assert max(map(len, printed.splitlines())) <= max(width, 70)  # the first table needs 70
    heads = [line.split() for line in printed.splitlines() if line.startswith("strategy ")]
    if width >= 120:
        assert heads[0] == HEADS
        assert heads[1] == [
            "strategy",
            "exchanged",
            *["frames", "asked", "frames", "got", "below", "low", "below", "min"],
            "ENOMEM",
        ]
    else:
        assert heads[0] == [*HEADS[:8], "frames"]
        assert heads[1] == ["strategy", *HEADS[8:14]]
    assert ("frames asked" in printed) == (width >= 80)
    assert text(result, 200).split() == text(result, 120).split()


def test_the_split_of_the_time_below_a_narrow_table_has_the_strategies_that_were_timed() -> None:
    wide, narrow = text(seven(), 120), text(seven(), 80)
    split = narrow[narrow.index("lock") :].partition("\n\n")[0].splitlines()[1:]
    assert [line.split()[0] for line in split] == [one.name for one in ranked(seven()) if one.ns_per_pair]
    for line in split:
        name, *cells = line.split()
        assert row(wide, name)[6:12] == cells


def test_a_verdict_shows_whether_it_is_good_bearable_or_not_as_expected() -> None:
    several = [
        strategy("exact", 500.0),
        strategy("loses", 600.0, expected="loses", verdict="loses"),
        strategy("wrong", 700.0, verdict="wrong"),
        strategy("refused", None, expected="refused", verdict="refused", refused={"EPERM": 12_288}),
    ]
    coloured = render(run_table.blocks(seven(strategies=several)), 120, "standard")
    for shown in (
        "\x1b[32mexact ✓\x1b[0m",
        "\x1b[33mloses ✓\x1b[0m",
        "\x1b[1;31mwrong ✗\x1b[0m",
        "\x1b[33mrefused ✓\x1b[0m",
    ):
        assert shown in coloured


def test_a_terminal_shows_the_same_words_in_colour() -> None:
    coloured = render(run_table.blocks(seven()), 100, "standard")
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).split() == text(seven()).split()


@pytest.mark.parametrize(
    ("ns", "said"), [(0.0, "0"), (0.4, "0.4"), (9.94, "9.9"), (9.95, "10"), (10.4, "10"), (1234.5, "1,234")]
)
def test_nanoseconds_have_a_decimal_below_ten(ns: float, said: str) -> None:
    assert nanoseconds(ns) == said


def test_what_a_strange_name_holds_is_shown_and_does_nothing() -> None:
    name = "[bold]red[/bold] \x1b[31m:smile:\x9b2J\u202e"
    shown = "[bold]red[/bold] \\x1b[31m:smile:\\x9b2J\\u202e"
    for colour in (None, "standard"):
        strange = strategy(
            name, 500.0, summary=name, verdict="failed", reason=f"two\nlines\tof {name}", report={name: name}
        )
        printed = render(run_table.blocks(seven(strategies=[strange], warnings=[name])), 300, colour)
        assert printed.count(shown) >= 5
        assert f"two lines of {shown}" in printed
        assert not re.search(r"\x1b(?!\[[0-9;]*m)|[\x9b\u202e]", printed)
        assert ("\x1b" in printed) == (colour is not None)


def test_a_pair_that_migrates_and_is_refused_is_not_said_to_be_untouched():
    copier = PlugIn(question="copy", name="folio-copy", distribution="pagexchange")
    moved = strategy("migrate", 900.0, refused={"ENOMEM": 4}, plugins=[copier])
    said = " ".join(text(seven(strategies=[moved, strategy("word-swap", 761.9, refused={"EBUSY": 3})])).split())
    assert "migrate refuses 4 pairs: 4 ENOMEM" in said
    assert "word-swap refuses 3 pairs, untouched: 3 EBUSY" in said
