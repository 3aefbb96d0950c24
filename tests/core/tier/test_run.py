"""The experiment: every way on the same stream, judged page by page, with what it lost and who wins."""

import importlib
import re
import sys

import msgspec
import numpy as np
import pytest

from pagexchange.exits import EXIT_INTERRUPTED, EXIT_OK, EXIT_PLUGIN, EXIT_UNEXPECTED, EXIT_UNTRUSTED
from pagexchange.runs.result import to_json
from pagexchange.tier import answer, figures
from pagexchange.tier.result import Moved, Played, TierResult
from tests.core.command_line import stranger
from tests.core.tier.small import played, way

RAISES = """
from dataclasses import dataclass
import pagexchange

@dataclass(frozen=True)
class Raises:
    "Raises whenever it is asked."
    @pagexchange.hookimpl
    def pair_pages(self, arena):
        def pairing(view):
            raise RuntimeError("no pairs today")
        return pairing
"""


@pytest.fixture(scope="module")
def result():
    return played("tier.rounds=2")


def test_every_way_plays_the_same_accesses_and_keeps_every_page(result):
    assert [way.name for way in result.ways] == ["nothing", "migrate", "list-exchange", "copy-page"]
    assert {way.verdict for way in result.ways} == {"exact"}
    assert {turn.moved.accesses for way in result.ways for turn in way.rounds} == {12 * 3000}
    assert result.exit_code == EXIT_OK
    assert result.best == way(result, result.best).name
    assert result.rounds_done == 2


def test_in_the_first_tick_all_ways_hit_alike_and_later_those_that_move_hit_more(result):
    idle, *moving = result.ways
    for one in moving:
        assert one.over_time[0] == idle.over_time[0]
        assert one.hit_share > idle.hit_share + 0.1


def test_an_exchange_in_place_takes_no_frame_by_a_temporary_page_one_for_a_pair_and_a_migration_one_for_a_page(result):
    in_place, by_copy, migrates = (way(result, name) for name in ("list-exchange", "copy-page", "migrate"))
    assert migrates.moved.frames == migrates.moved.promoted + migrates.moved.demoted > 0
    assert (in_place.moved.frames, in_place.moved.below_low) == (0, 0)
    assert by_copy.moved.frames == by_copy.moved.done > 0
    assert in_place.moved.bytes == 2 * 4096 * in_place.moved.done
    assert in_place.moved.promoted == in_place.moved.demoted == in_place.moved.done


def test_blocks_of_1_kib_are_played_as_pages_are():
    """The same numbers of frames, so the same accesses hit: a quarter of the bytes goes to and fro."""
    small = played("arena.page_size=1024", "tier.fast=128 KiB", "tier.slow=384 KiB")
    for one, other in zip(small.ways, played().ways, strict=True):
        assert (one.verdict, one.hit_share) == ("exact", other.hit_share)
        assert 4 * one.moved.bytes == other.moved.bytes
    assert small.stream.page_size == 1024


def test_without_a_free_frame_only_an_exchange_in_place_moves_anything():
    result = played("tier.free=0")
    idle, migrates, in_place, by_copy = result.ways
    for stuck in (migrates, by_copy):
        assert stuck.moved.done == stuck.moved.promoted == stuck.moved.demoted == 0
        assert stuck.moved.refused == stuck.moved.asked > 0
        assert stuck.hit_share == idle.hit_share
    assert migrates.moved.stalls > 0
    assert in_place.moved.done > 0
    assert in_place.hit_share > idle.hit_share


def test_what_is_lost_is_slow_accesses_at_their_price_and_cpu_time(result):
    for one in result.ways:
        for turn in one.rounds:
            slow = turn.moved.accesses - turn.moved.hits
            assert turn.cost_ns == round(slow * 80.0 + turn.moved.cpu_ns)
    lost = sorted(turn.cost_ns / turn.moved.accesses for turn in result.ways[0].rounds)
    assert result.ways[0].cost.middle == pytest.approx(sum(lost) / 2, abs=1e-3)


def test_one_seed_plays_the_same_and_another_does_not(result):
    again, other = played("tier.rounds=2"), played("tier.rounds=2", "run.seed=2")

    def hits(result):
        return [turn.moved.hits for way in result.ways for turn in way.rounds]

    assert hits(again) == hits(result) != hits(other)
    assert again.stream.digest == result.stream.digest != other.stream.digest


def test_the_reader_met_whole_pages_alone(result):
    for one in result.ways:
        assert one.reads.reads > 0
        assert one.reads.wrong == 0
        assert one.reads.median_ns <= one.reads.p99_ns <= one.reads.worst_ns


def test_it_can_be_printed_and_read_again(result):
    assert msgspec.json.decode(to_json(result), type=TierResult) == result


def test_a_page_that_is_not_where_the_moves_say_is_that_ways_fault(monkeypatch):
    from pagexchange.arena.tier import Tier
    from pagexchange_native.tier.step import MADE, TierStep

    true = Tier.step

    def forgets(self, **given):
        did = true(self, **given)
        made = {name: getattr(did, name) for name in MADE}
        return TierStep(did.moves[: len(did.moves) // 2 - 1], **made)

    monkeypatch.setattr(Tier, "step", forgets)
    result = played(names=["list-exchange"])
    assert way(result, "list-exchange").verdict == "wrong"
    assert "wrong contents" in way(result, "list-exchange").reason
    assert way(result, "nothing").verdict == "exact"
    assert result.exit_code == EXIT_UNEXPECTED
    assert result.best == "nothing"


def test_a_policy_that_raises_fails_its_ways_and_no_other(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    stranger(tmp_path, RAISES, raises="stranger_plugins:Raises")
    result = played('tier.policies=["raises"]')
    assert [way.verdict for way in result.ways] == ["exact", "failed", "failed", "failed"]
    assert "no pairs today" in result.ways[1].reason
    assert result.exit_code == EXIT_PLUGIN


def test_several_policies_play_each_with_each_way():
    result = played('tier.policies=["hottest-coldest", "quota"]', names=["list-exchange"])
    assert [way.name for way in result.ways] == ["nothing", "list-exchange/hottest-coldest", "list-exchange/quota"]
    assert [way.policy for way in result.ways[1:]] == ["hottest-coldest", "quota"]


def test_ctrl_c_leaves_what_was_played():
    def stop(done, total, what):
        if done == 15:  # in the second round
            raise KeyboardInterrupt

    result = played("tier.rounds=3", progress=stop)
    assert (result.interrupted, result.rounds_done, result.exit_code) == (True, 1, EXIT_INTERRUPTED)
    assert {way.verdict for way in result.ways} == {"exact"}


# ---- figures and the answer, of made-up rounds ----------------------------------------------------------------------


def turn(round, hits, cpu_ns=0, aside=False):
    moved = Moved(accesses=1000, hits=hits, wall_ns=cpu_ns, cpu_ns=cpu_ns)
    return Played(round=round, position=0, aside=aside, moved=moved, cost_ns=round_ns(moved))


def round_ns(moved):
    return round(figures.cost_ns(moved, 80.0, 1.0))


def test_a_round_that_was_pushed_aside_does_not_count_where_most_were_not():
    rounds = [turn(0, 500), turn(1, 500), turn(2, 0, aside=True)]
    assert figures.costs(rounds, 1.0) == {0: 40.0, 1: 40.0}


def costs(*values):
    return dict(enumerate(values))


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (
            {"nothing": costs(50, 51, 50), "a": costs(20, 20.1, 20)},
            r"a wins at 80 ns for a slow access: it loses 0\.40",
        ),
        ({"nothing": costs(50, 51, 50), "a": costs(90, 91, 90)}, r"Nothing is best .* a 1\.80 .* times as much"),
        ({"nothing": costs(50, 51, 50), "a": costs(50, 50, 51)}, "No way is ahead of doing nothing"),
        ({"nothing": costs(50, 51, 50), "a": costs(20, 20.1, 20), "b": costs(20, 20, 20.1)}, "(a|b) is level with it"),
        ({"nothing": costs(50), "a": costs(20)}, r"a wins .* 60% less\. One round has no interval\."),
    ],
)
def test_the_answer_says_who_wins_and_level_where_intervals_meet(lost, said):
    (sentence,) = answer.sentences(lost, 80.0)
    assert re.search(said, sentence), sentence


ENDS = """
from dataclasses import dataclass
import pagexchange

@dataclass(frozen=True)
class Ends:
    "Counts runs that have begun and ended."
    @pagexchange.hookimpl
    def run_started(self):
        told.append("began")
    @pagexchange.hookimpl
    def run_finished(self):
        told.append("ended")
    @pagexchange.hookimpl
    def strategy_report(self):
        return {"told": list(told)}
    @pagexchange.hookimpl(wrapper=True)
    def pair_pages(self, arena):
        inner = yield
        def pairing(view):
            if view.step == stop:
                raise end
            return inner(view)
        return pairing

told, stop, end = [], 0, None
"""


@pytest.fixture
def ends(tmp_path, monkeypatch):
    """The module of a plug-in that is told of the end of a run, and ends one at step `stop` by raising `end`."""
    stranger(tmp_path, ENDS, "ends", ends="ends_plugins:Ends")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("ends_plugins")
    sys.modules.pop("ends_plugins", None)


WATCHED = ("tier.rounds=2", 'strategy.list-exchange.wrap=["ends"]', 'tier.ways=["list-exchange"]')


def test_observers_are_told_of_the_end_of_each_round_and_the_report_is_of_the_first(ends):
    result = played(*WATCHED)
    assert ends.told == ["began", "ended"] * 3  # two timed ones, and that beside a reader
    assert way(result, "list-exchange").report == {"told": ["began", "ended"]}


@pytest.mark.parametrize("end", [RuntimeError("no pairs today"), KeyboardInterrupt()])
def test_observers_are_told_of_the_end_of_a_round_that_fails_or_is_interrupted(ends, end):
    ends.stop, ends.end = 3, end
    result = played(*WATCHED)
    assert ends.told == ["began", "ended"]
    assert result.exit_code == (EXIT_INTERRUPTED if isinstance(end, KeyboardInterrupt) else EXIT_PLUGIN)


def test_of_one_way_alone_there_is_no_answer():
    assert answer.sentences({"nothing": costs(50, 50)}, 80.0) == []


def test_most_rounds_pushed_aside_is_exit_code_6(result):
    doubted = msgspec.structs.replace(result.ways[1], trusted=False)
    assert msgspec.structs.replace(result, ways=[doubted]).exit_code == EXIT_UNTRUSTED


def test_a_picture_has_few_points_and_they_are_means():
    assert figures.thinned([1.0, 2, 3, 4, 5], 2) == [1.5, 4.0]
    assert len(figures.thinned(list(np.arange(1000.0)))) == figures.POINTS
    assert figures.thinned([]) == []
