"""A run for people: one table, a note where there is something to say, one closing line.

This module says the words and chooses the columns; `layout` puts them on paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from pagexchange.arena.hugepages import of_all
from pagexchange.cli.layout import Layouts, Paragraph, count, nanoseconds, table
from pagexchange.cli.notes import notes
from pagexchange.cli.ranking import closing, ranked
from pagexchange.model.sizes import format_size
from pagexchange.model.words import counted
from pagexchange_native.engine.steps import COSTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from pagexchange.cli.layout import Words
    from pagexchange.runs.result import InputInfo, RunResult, StrategyResult

LEFT: Final = ("strategy", "verdict")
SPLIT: Final = {"map" if cost == "mapping" else cost: cost for cost in COSTS}
"""Head of a column -> the engine's cost: where the time of a pair went."""
SPLITS: Final[dict[str | None, str]] = {
    "real": "nodes as recorded", "drawn": "nodes drawn", "interleave": "nodes in turns", "halves": "nodes by halves",
}  # fmt: skip
"""How a snapshot's pages came to be on two nodes, in words."""


def blocks(result: RunResult, *, ascii_only: bool = False) -> list[RenderableType]:
    """The report of a run, top to bottom."""
    marks = ("ok", "NOT OK") if ascii_only else ("✓", "✗")
    out: list[RenderableType] = [_heading(result), Text(), _table(result, marks)]
    remarks = list(notes(result))
    if remarks:
        out += [Text(), *remarks]
    if result.input.free is not None:
        out += [Text(), *_pressure(result)]
    return [*out, Text(), *(Paragraph(*words) for words in closing(result)), _legend(result, marks)]


def _heading(result: RunResult) -> Paragraph:
    given = result.input
    threads = sorted({s.threads for s in result.strategies})
    worked = sorted({s.workers for s in result.strategies if s.workers})
    turns = [turn for s in result.strategies for turn in s.rounds]
    cpus = sorted({cpu for turn in turns for cpu in turn.cpus})
    again = sum(turn.attempt > 0 for turn in turns)
    parts = [
        f"{given.name}",
        f"{counted(given.pairs, 'pair')} of {_folios(given)}" + _asked(given.pairs, given.pairs_asked),
        f"flags as in {given.layout}" if given.layout else "",
        of_all(given.huge_bytes, given.arena_bytes) if given.huge else "",
        given.real_nodes,
        SPLITS.get(given.details.get("split"), ""),
        f"{_numbers(threads)} thread{'' if threads == [1] else 's'}" if threads else "",
        f"of which {_numbers(worked)} worked" if any(0 < s.workers < s.threads for s in result.strategies) else "",
        f"on CPU {_numbers(cpus)}" if cpus else "",
        ("checked, not timed", "1 round")[result.rounds] if result.rounds < 2 else f"{result.rounds} rounds",
        f"{result.rounds_done} of them done" if result.rounds_done < result.rounds else "",
        f"{counted(again, 'turn')} taken again" if again else "",
        f"seed {result.seed}",
    ]
    return Paragraph((f"pagexchange {result.pagexchange}", "bold"), "  " + ", ".join(p for p in parts if p))


def _numbers(several: list[int]) -> str:
    return "/".join(map(str, several))


def _asked(done: int, asked: int | None) -> str:
    return "" if asked is None or asked <= done else f" ({asked:,} were asked for)"


def _folios(given: InputInfo) -> str:
    """What a pair consists of: pages of one size, or folios from the smallest to the largest."""
    orders = [int(order) for order in given.orders] or [0]
    small, large = (format_size(given.page_size << order) for order in (min(orders), max(orders)))
    if max(orders) == 0:
        return f"{small} pages"
    return f"{large} folios" if small == large else f"folios, {small} to {large}"


def _table(result: RunResult, marks: tuple[str, str]) -> Layouts:
    """Who is how fast and lost what. Where the split of the time does not fit beside it, it stands below."""
    rows = [_row(result, s, marks) for s in ranked(result)]
    if not any(s.cost for s in result.strategies):  # nothing was timed
        return Layouts([table(rows, ("strategy", "verdict", "pairs", "frames"), left=LEFT)])
    done = {s.exchanged for s in result.strategies if s.exchanged}
    pairs = ("pairs",) if len(done) > 1 else ()  # one number is in the heading, less what is refused below
    speed, parts = ("strategy", "verdict", *pairs, f"{result.clock} ns", "ratio", "95 %"), (*SPLIT, "GB/s")
    # Below the first table a row of dashes would say nothing: who was not timed is seen above.
    timed = [row for row, s in zip(rows, ranked(result), strict=True) if s.cost]
    return Layouts(
        [table(rows, (*speed, *parts, "frames"), left=LEFT)],
        [table(rows, (*speed, "frames"), left=LEFT), table(timed, ("strategy", *parts), left=LEFT)],
    )


def _row(result: RunResult, s: StrategyResult, marks: tuple[str, str]) -> dict[str, Words]:
    good, bad = marks
    mark = "?" if s.as_expected is None else "" if s.verdict == "unchecked" else good if s.as_expected else bad
    style = (
        "bad"
        if s.as_expected is False
        else "warn"
        if s.as_expected is None
        else "good"
        if s.verdict == "exact"
        else "warn"
    )
    bold = "bold" if s.name == result.reference else ""
    parts, cost, ratio = s.ns_per_pair, s.cost, s.ratio
    frames = count(s.frames_allocated) if s.frames_allocated else ("nothing" if s.exchanged else "-")
    doubt = "!" if s.trusted is False else ""
    speed = s.gb_per_s * parts.total / cost.middle if s.gb_per_s and parts and cost else None  # by the run's clock
    return {
        "strategy": (s.name, bold),
        "verdict": (f"{s.verdict} {mark}".rstrip(), style),
        "pairs": count(s.exchanged),
        f"{result.clock} ns": (nanoseconds(cost.middle) + doubt if cost else "-", "bad" if doubt else bold),
        "ratio": ("-" if ratio is None else "level" if s.level else f"{ratio.middle:.2f}x", bold),
        "95 %": (_interval(s, result.reference), "dim"),
        **{head: (nanoseconds(getattr(parts, name)) if parts else "-", "dim") for head, name in SPLIT.items()},
        "GB/s": (f"{speed:.1f}" if speed else "-", "dim"),
        "frames": (frames, "warn" if s.frames_allocated else ""),
    }


def _interval(s: StrategyResult, reference: str) -> str:
    """From where to where the ratio may lie; the reference's own is 1."""
    if s.ratio is None or s.ratio.low is None or s.ratio.high is None or s.name == reference:
        return "-"
    return f"{s.ratio.low:.2f}-{s.ratio.high:.2f}"


def _pressure(result: RunResult) -> Iterator[RenderableType]:
    """The second table: what being short of free frames does to each strategy."""
    nodes = ", ".join(f"{node['name']} {node['free']:,}" for node in result.input.nodes)
    asked = result.input.free or 0
    left = "no free frame" if asked == 0 else "1 free frame" if asked == 1 else f"{count(asked)} free frames"
    if any(int(node["free"]) < asked for node in result.input.nodes):
        left = f"at most {left}"  # the pages of the input took more than would leave so many
    yield Paragraph(("Under pressure", "bold"), f"  {left} left per node" + (f" ({nodes})" if nodes else ""))
    yield Text()
    rows = [_pressed(s) for s in ranked(result) if s.verdict not in ("failed", "not run")]
    heads = ("strategy", "exchanged", "frames asked", "frames got", "below low", "below min", "ENOMEM")
    yield Layouts([table(rows, heads, left=LEFT)], [table(rows, heads, left=LEFT, tall=True)])
    units = "exchanged and ENOMEM count pairs; below low and below min count requests for a folio's frames."
    yield Paragraph((units, "dim"))


def _pressed(s: StrategyResult) -> dict[str, Words]:
    short = "warn" if s.frames_asked > s.frames_allocated else ""
    return {
        "strategy": s.name,
        "exchanged": count(s.exchanged),
        "frames asked": (count(s.frames_asked), "warn" if s.frames_asked else ""),
        "frames got": (count(s.frames_allocated), short),
        "below low": (count(s.below_low), "warn" if s.below_low else ""),
        "below min": (count(s.below_min), "warn" if s.below_min else ""),
        "ENOMEM": (count(s.refused.get("ENOMEM", 0)), short),
    }


def _legend(result: RunResult, marks: tuple[str, str]) -> Paragraph:
    good, bad = marks
    clock = "CPU time" if result.clock == "cpu" else "wall time"
    times = (
        f"{result.clock} ns: {clock} per exchanged pair, parts from lock to finish by the wall clock, medians of the "
        "rounds; ratio to the fastest that loses nothing (lower is better) and its 95 % interval, level: no lead; "
    )
    if not any(s.cost for s in result.strategies):
        times = ""
    return Paragraph(
        (
            f"How to read: {times}frames allocated; {good} as expected, {bad} not"
            + (", ? not shown by these pages." if any(s.as_expected is None for s in result.strategies) else "."),
            "dim",
        )
    )
