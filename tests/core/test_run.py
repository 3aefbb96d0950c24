"""The main job: verdicts, the same start for every call, medians, and what happens when something goes wrong."""

import errno
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.host.read import load
from pagexchange.oracle import Stamps, stamp
from pagexchange.oracle.format import NODE
from pagexchange.runs.inputs import workbench
from pagexchange.runs.result import PlugIn, from_json, to_json
from pagexchange.runs.tally import errno_names
from pagexchange.runs.verdict import Stamping
from pagexchange.runs.workbench import Made, Workbench
from pagexchange_native.arena.region import STATES
from pagexchange_native.engine.steps import COSTS
from tests.core.fake_engine import LAYOUT, fake, make, race


def by_name(result: Any) -> dict[str, Any]:
    return {one.name: one for one in result.strategies}


def test_every_strategy_gets_its_verdict() -> None:
    lost = LAYOUT.flag("workingset").mask
    result = race(
        make(),
        [
            fake("good"),
            fake("forgetful", loses=lost, expected="loses"),
            fake("shy", refuses=errno.EPERM, expected="refused"),
        ],
        rounds=3,
    )
    one = by_name(result)
    assert [(s.name, s.verdict, s.as_expected) for s in result.strategies] == [
        ("good", "exact", True), ("forgetful", "loses", True), ("shy", "refused", True)
    ]  # fmt: skip
    assert result.as_expected
    assert result.exit_code == 0
    assert one["forgetful"].lost[0].name == "workingset"
    assert one["forgetful"].lost[0].count == 40
    assert one["shy"].refused == {"EPERM": 40}
    assert one["shy"].ns_per_pair is None
    assert one["good"].exchanged == 40
    assert len(one["good"].rounds) == 3
    assert not one["shy"].rounds
    assert not result.warnings


def test_a_loss_that_nobody_expected_fails_the_run() -> None:
    result = race(make(), [fake("forgetful", loses=LAYOUT.flag("referenced").mask)], rounds=1)
    assert result.exit_code == 1


def test_a_strategy_that_loses_leaves_nothing_to_the_next() -> None:
    bench = make()
    frames, entries = bench.arena.frames.copy(), bench.arena.entries.copy()
    race(bench, [fake("forgetful", loses=LAYOUT.mask("swap"))] * 3, rounds=3)
    assert np.array_equal(frames, bench.arena.frames)
    assert np.array_equal(entries, bench.arena.entries)


def test_wrong_contents_are_found_and_the_arena_is_made_anew() -> None:
    def spoil(arena: Arena, pairs: Any, _: int) -> None:
        arena.frames[pairs[3, 0], 5] += np.uint64(1)

    bench = make()
    before = bench.arena.frames.copy()
    result = race(bench, [fake("good"), fake("bad", after=spoil)], rounds=2)
    one = by_name(result)
    assert one["bad"].verdict == "wrong"
    assert one["bad"].lost[0].kind == "contents"
    assert not one["bad"].rounds
    assert one["good"].verdict == "exact"
    assert np.array_equal(before, bench.arena.frames)


def test_damage_in_a_timed_round_is_noticed() -> None:
    def spoil_later(arena: Arena, pairs: Any, call: int) -> None:
        if call == 3:
            arena.frames[pairs[0, 0], 0] += np.uint64(1)

    result = race(make(), [fake("late", after=spoil_later), fake("good")], rounds=3)
    assert "after the timed rounds the arena is not as it was" in result.warnings[0]
    assert result.exit_code == 1


def test_verify_all_says_which_strategy_it_was() -> None:
    def spoil_later(arena: Arena, pairs: Any, call: int) -> None:
        if call == 3:
            arena.frames[pairs[0, 0], 0] += np.uint64(1)

    both = [fake("late", after=spoil_later), fake("good")]
    result = race(make(), both, rounds=3, verify_all=True)
    assert {s.name: s.verdict for s in result.strategies} == {"late": "wrong", "good": "exact"}
    assert all(r.verified for s in result.strategies for r in s.rounds)


def test_a_flag_that_is_lost_in_a_timed_round_only_is_a_loss_too() -> None:
    def forget_later(arena: Arena, pairs: Any, call: int) -> None:
        if call == 3:
            arena.entries["flags"][pairs[:5, 0]] &= ~np.uint64(LAYOUT.flag("referenced").mask)

    late, from_the_start = fake("late", after=forget_later), fake("old", loses=LAYOUT.flag("workingset").mask)
    result = by_name(race(make(), [late, from_the_start], rounds=3, verify_all=True))
    assert result["late"].verdict == "loses"
    assert [(one.kind, one.name, one.count) for one in result["late"].lost] == [("flag", "referenced", 5)]
    assert result["old"].verdict == "loses"
    assert [(one.kind, one.name) for one in result["old"].lost] == [("flag", "workingset")]


def test_an_arena_that_cannot_be_read_any_more_is_wrong() -> None:
    def spoil(arena: Arena, _: Any, __: int) -> None:
        arena.memory[0] ^= 1

    result = race(make(), [fake("bad", after=spoil), fake("good")], Stamping(), rounds=1)
    bad = by_name(result)["bad"]
    assert (bad.verdict, by_name(result)["good"].verdict) == ("wrong", "exact")
    (lost,) = bad.lost
    assert (lost.kind, lost.name, lost.count) == ("arena", "", 1)
    assert lost.example.startswith("the arena cannot be read any more: arena header: magic is ")


def test_starving_is_told_from_refusing() -> None:
    starving = [fake("copy", refuses=errno.ENOMEM)]
    assert race(make(), starving, rounds=1).exit_code == 1
    under_pressure = race(make(free=0), starving, rounds=1)
    assert under_pressure.strategies[0].verdict == "starved"
    assert under_pressure.exit_code == 0


def test_frames_taken_are_counted() -> None:
    result = by_name(race(make(), [fake("in-place"), fake("copy", takes=7)], rounds=2))
    assert (result["in-place"].frames_asked, result["in-place"].frames_allocated) == (0, 0)
    assert (result["copy"].frames_asked, result["copy"].frames_allocated) == (7, 7)


def test_pairs_refused_for_their_own_reason_do_not_spoil_the_verdict() -> None:
    result = race(make(locked=5), [fake("good")], rounds=2).strategies[0]
    assert (result.verdict, result.exchanged, result.refused) == ("exact", 39, {"EAGAIN": 1})


def test_a_plug_in_that_fails_stops_only_its_strategy() -> None:
    result = race(make(), [fake("bad", fails="no such instruction"), fake("good")], rounds=1)
    one = by_name(result)
    assert one["bad"].verdict == "failed"
    assert "plug-in 'bad': no such instruction" in one["bad"].reason
    assert one["good"].verdict == "exact"
    assert result.exit_code == 4


def test_an_interrupted_run_keeps_what_it_has() -> None:
    def stop(_: Arena, __: Any, call: int) -> None:
        if call == 3:
            raise KeyboardInterrupt

    result = race(make(), [fake("a", after=stop)], rounds=5)
    assert result.interrupted
    assert result.exit_code == 130
    assert result.strategies[0].verdict == "exact"
    assert len(result.strategies[0].rounds) == 1


def test_the_order_is_shuffled_by_the_seed_alone() -> None:
    def orders(seed: int) -> list[list[int]]:
        names = [fake(name) for name in "abcdef"]
        return [[r.position for r in s.rounds] for s in race(make(4), names, rounds=6, seed=seed).strategies]

    assert race(make(4), [fake("a")], rounds=0).seed == 0
    assert orders(1) == orders(1)
    assert orders(1) != orders(2)
    assert all(sorted(column) == list(range(6)) for column in zip(*orders(1), strict=True))


def test_progress_is_told_before_each_call_and_ends_full() -> None:
    calls: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, what: str) -> None:
        calls.append((done, total, what))

    race(make(4), [fake("a"), fake("b")], rounds=2, progress=progress)
    assert [done for done, _, _ in calls] == [0, 1, 2, 3, 4, 5, 6]
    assert calls[-1][:2] == (6, 6)


def test_progress_knows_the_number_of_calls_once_the_rounds_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, what: str) -> None:
        calls.append((done, total, what.partition(":")[0]))

    monkeypatch.setattr("pagexchange.runs.in_turns.BUDGET", 0.0)
    several = [fake("a"), fake("b"), fake("shy", refuses=errno.EPERM)]
    race(make(4), several, progress=progress)
    assert [total for _, total, what in calls if what.startswith("checking")] == [48] * 3
    assert [(done, total, what) for done, total, what in calls if not what.startswith("checking")] == [
        (4, 12, "round 1 of 3"), (5, 12, "round 1 of 3"), (7, 12, "round 2 of 3"), (8, 12, "round 2 of 3"),
        (10, 12, "round 3 of 3"), (11, 12, "round 3 of 3"), (12, 12, ""),
    ]  # fmt: skip


def test_the_number_of_rounds_follows_the_time_that_a_call_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert race(make(4), [fake("quick")]).rounds == 15
    monkeypatch.setattr("pagexchange.runs.in_turns.BUDGET", 0.0)
    assert race(make(4), [fake("slow")]).rounds == 3


def test_costs_are_medians_part_by_part_and_speed_counts_both_pages() -> None:
    one = race(make(), [fake("a")], rounds=3).strategies[0]
    assert one.ns_per_pair is not None
    assert one.gb_per_s is not None
    totals = sorted(r.ns.total / r.exchanged for r in one.rounds)
    assert one.ns_per_pair.total == pytest.approx(totals[1], abs=0.01)
    for part in COSTS:
        ns = sorted(getattr(r.ns, part) / r.exchanged for r in one.rounds)
        assert getattr(one.ns_per_pair, part) == pytest.approx(ns[1], abs=0.01)
    assert one.gb_per_s == pytest.approx(8192 / one.ns_per_pair.total, abs=0.001)
    assert one.ns_per_pair_low == pytest.approx(totals[0], abs=0.01)


def test_the_chosen_instruction_set_is_kept() -> None:
    one = race(make(4), [fake("word-swap", describes={"isa": "avx2"})], rounds=1).strategies[0]
    mover = PlugIn(question="data", name="word-swap", distribution="fakes", version="1.0", details={"isa": "avx2"})
    assert one.isa == "avx2"
    assert one.plugins[-1] == mover
    assert [plugin.question for plugin in one.plugins] == ["flags", "mapping", "data"]


def test_statuses_are_named() -> None:
    status = np.array([0, -errno.EBUSY, -errno.EBUSY, -errno.EAGAIN, -9999], dtype=np.int32)
    assert errno_names(status) == {"EBUSY": 2, "EAGAIN": 1, "9999": 1}


def test_the_reason_of_a_refusal_names_what_the_policy_touched() -> None:
    shy = fake("whole-word", refuses=errno.EBADMSG, touched=("node", "zone"), expected="refused")
    assert "would move node, zone" in race(make(4), [shy], rounds=1).strategies[0].reason


def test_without_an_oracle_nothing_is_called_exact() -> None:
    result = race(make(4), [fake("a")], compare=False, rounds=1)
    assert result.strategies[0].verdict == "unchecked"
    assert len(result.strategies[0].rounds) == 1


@pytest.mark.parametrize("call", [1, 3])
def test_a_plug_in_that_fails_during_a_call_leaves_a_new_arena(call: int) -> None:
    bench = make()
    before = bench.arena.frames.copy()
    result = race(bench, [fake("bad", fails_in_call=call), fake("good")], rounds=3)
    assert {s.name: s.verdict for s in result.strategies} == {"bad": "failed", "good": "exact"}
    assert bench.generation == 2
    assert np.array_equal(before, bench.arena.frames)


def test_a_strategy_is_finished_once_and_may_report() -> None:
    one = fake("a")
    result = race(make(4), [one], rounds=2).strategies[0]
    assert one.finished == 1
    assert result.report == {"calls": 3}


def test_the_real_oracle_agrees_and_stamps_once() -> None:
    lost = LAYOUT.flag("workingset").mask

    def spoil(arena: Arena, pairs: Any, _: int) -> None:
        arena.frames[pairs[3, 0], 5] += np.uint64(1)

    bench = make()
    several = [fake("good"), fake("forgetful", loses=lost), fake("shy", refuses=errno.EPERM)]
    result = race(bench, several, Stamping(), rounds=2, verify_all=True)
    assert [s.verdict for s in result.strategies] == ["exact", "loses", "refused"]
    assert [(x.kind, x.name, x.count) for x in result.strategies[1].lost] == [("flag", "workingset", 40)]
    assert not result.warnings
    result = race(bench, [fake("bad", after=spoil), fake("good")], Stamping(), rounds=1)
    assert [s.verdict for s in result.strategies] == ["wrong", "exact"]
    assert result.strategies[0].lost[0].kind == "contents"
    assert "frame" in result.strategies[0].lost[0].example


def test_contents_that_all_look_alike_are_stamped_so_that_a_mover_that_moves_nothing_is_seen() -> None:
    def move_back(arena: Arena, pairs: Any, _: int) -> None:
        a, b = pairs.T
        arena.frames[a], arena.frames[b] = arena.frames[b], arena.frames[a]

    bench = make(4)
    bench.arena.frames[:] = 0
    result = race(bench, [fake("lazy", after=move_back), fake("good")], Stamping(), rounds=0)
    assert [s.verdict for s in result.strategies] == ["wrong", "exact"]


def test_several_lists_are_exchanged_one_after_the_other_and_undone_backwards() -> None:
    bench = make(lists=3)
    lost = LAYOUT.flag("workingset").mask
    result = race(bench, [fake("good"), fake("forgetful", loses=lost)], Stamping(), rounds=2)
    assert [s.verdict for s in result.strategies] == ["exact", "loses"]
    assert result.strategies[0].pairs == result.strategies[0].exchanged == 120
    assert not result.warnings


def test_a_mover_that_writes_into_a_free_frame_is_wrong_and_blamed() -> None:
    def stray(arena: Arena, pairs: Any, _: int) -> None:
        idle = np.flatnonzero(arena.entries["state"] == STATES["free"])
        arena.frames[idle[3], 100] += np.uint64(1)

    one = by_name(race(make(), [fake("good"), fake("stray", after=stray)], rounds=1))
    assert (one["good"].verdict, one["stray"].verdict) == ("exact", "wrong")
    assert "is free and was written to" in one["stray"].lost[0].example
    assert "wrote into frames that no pair names" in one["stray"].reason


def test_a_mover_that_counts_frames_that_it_did_not_take_is_wrong() -> None:
    def count_more(arena: Arena, _: Any, __: int) -> None:
        arena.memory[arena.geometry()["nodes"][0] :][: NODE.itemsize].view(NODE)["got"] += 1

    (one,) = race(make(), [fake("counts", after=count_more)], rounds=0).strategies
    assert (one.verdict, [lost.kind for lost in one.lost]) == ("wrong", ["counter"])


def spoil_at(bench: Any, moment: str) -> Any:
    """A progress callback that writes into a frame at this moment, as a thread that outlives its call would."""

    def tell(_done: int, _total: int, what: str) -> None:
        if what == moment:
            bench.arena.frames[bench.pairs[0, 0], 7] += np.uint64(1)

    return tell


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_what_is_written_between_two_calls_is_put_to_who_ran_last(names: tuple[str, str]) -> None:
    bench, order = make(), []
    race(make(), [fake(name) for name in names], rounds=0, seed=3, progress=lambda *told: order.append(told[2]))
    earlier, later = (text.removeprefix("checking ") for text in order[:2])
    result = race(bench, [fake(n) for n in names], rounds=2, seed=3, progress=spoil_at(bench, f"checking {later}"))
    one = by_name(result)
    assert (one[earlier].verdict, one[later].verdict) == ("wrong", "exact")
    assert " wrote after its call was over, as far as can be told: frame " in one[earlier].reason
    assert len(one[later].rounds) == 2
    assert result.exit_code == 1


def test_with_a_look_after_each_call_what_is_written_between_two_rounds_has_a_name() -> None:
    bench = make()
    both = [fake("a"), fake("b")]
    turns: list[str] = []
    spoil = spoil_at(bench, "round 2 of 3: b")

    def tell(done: int, total: int, what: str) -> None:
        turns.append(what)
        spoil(done, total, what)

    one = by_name(race(bench, both, rounds=3, verify_all=True, progress=tell))
    before = turns[turns.index("round 2 of 3: b") - 1].rpartition(" ")[2]
    other = {"a": "b", "b": "a"}[before]
    assert one[before].verdict == "wrong"
    assert one[other].verdict == ("exact" if other != before else "wrong")


def test_of_one_strategy_alone_it_is_known_who_has_spoilt_the_rounds() -> None:
    def spoil_later(arena: Arena, pairs: Any, call: int) -> None:
        if call == 3:
            arena.frames[pairs[0, 0], 0] += np.uint64(1)

    (one,) = race(make(), [fake("late", after=spoil_later)], rounds=3).strategies
    assert one.verdict == "wrong"
    assert " wrote after its call was over" in one.reason


def unsound() -> Workbench:
    """A workbench whose pages are wrong from the start: a count that nothing explains."""
    good = make()

    def build() -> Made:
        bench = make()
        bench.arena.entries["refs"][bench.pairs[0, 0]] += 1
        return Made(bench.arena, bench.lists, good.info)

    return Workbench(build)


def test_an_arena_that_is_wrong_before_the_first_exchange_is_said_to_be_and_nobody_is_blamed() -> None:
    calls = [fake("good"), fake("other", fails="cannot be built")]
    result = race(unsound(), calls, rounds=2)
    assert [s.verdict for s in result.strategies] == ["not run", "not run"]
    assert [one.calls for one in calls] == [0, 0]
    assert (result.exit_code, result.as_expected) == (5, False)
    assert [(lost.kind, lost.count) for lost in result.unsound] == [("references", 1)]
    assert "No strategy is to blame" in result.warnings[0]
    assert from_json(to_json(result)).unsound == result.unsound


def test_numpy_that_computes_wrongly_is_no_strategys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(None, overrides=["workload.source=synthetic", "workload.pairs=50", "arena.nodes.fast=4 MiB",
                                   "arena.nodes.slow=4 MiB"])  # fmt: skip
    bench = workbench(config)
    real = np.argsort
    monkeypatch.setattr(np, "argsort", lambda *values, **options: real(*values, **options)[::-1])
    result = race(bench, [fake("good")], Stamping(), rounds=1)
    assert result.exit_code == 5
    assert {lost.kind for lost in result.unsound} == {"rmap"}


def test_contents_that_cannot_be_read_back_are_no_strategys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(*given: Any, **options: Any) -> Stamps:
        stamps = stamp(*given, **options)
        given[0].frames[np.flatnonzero(stamps.ids >= 0)[0], 3] ^= np.uint64(1)
        return stamps

    monkeypatch.setattr("pagexchange.oracle.stamp", forgetful)
    result = race(make(), [fake("good")], Stamping(), rounds=1)
    assert (result.exit_code, [lost.kind for lost in result.unsound]) == (5, ["contents"])
