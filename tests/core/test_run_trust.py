"""A run on a busy machine: turns that were pushed aside are taken again, and what stays so is said."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pagexchange.exits import EXIT_CODES, EXIT_UNEXPECTED, EXIT_UNTRUSTED
from pagexchange.measure import clocks, trust
from pagexchange.measure.affinity import Pinning
from pagexchange.runs import in_turns
from pagexchange.runs.figures import clock_of
from pagexchange.samples import turns
from tests.core.command_line import SMALL, pagexchange
from tests.core.fake_engine import FakeStrategy, fake, make, race

MS = 1_000_000
CPU = MS
"""What each turn of these tests costs, by the process's clock."""

Walls = Callable[[str, int], int]


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Callable[[Walls], None]:
    """Lets the clocks say for each call what a function of the strategy's name and its call says; CPU time is 1 ms.

    The checked call is number 1, the first round 2.
    """
    monkeypatch.setenv(trust.VARIABLE, str(trust.ASIDE))

    def tell(walls: Walls) -> None:
        last: list[FakeStrategy] = []
        exchange = FakeStrategy.exchange

        def noted(self: FakeStrategy, pairs: Any) -> Any:
            last[:] = [self]
            result = exchange(self, pairs)
            result.ns["total"] = walls(self.spec.name, self.calls)
            return result

        def since(_: clocks.Reading) -> clocks.Reading:
            return clocks.Reading(walls(last[0].spec.name, last[0].calls), CPU, CPU)

        monkeypatch.setattr(FakeStrategy, "exchange", noted)
        monkeypatch.setattr(clocks, "since", since)

    return tell


def by_name(result: Any) -> dict[str, Any]:
    return {one.name: one for one in result.strategies}


def test_a_turn_that_was_pushed_aside_is_taken_again_and_both_are_kept(busy: Callable[[Walls], None]) -> None:
    busy(lambda name, call: 5 * CPU if (name, call) == ("a", 3) else CPU)
    result = race(make(), [fake("a"), fake("b")], rounds=3)
    a, b = result.strategies
    assert [(r.round, r.attempt, r.aside) for r in a.rounds] == [
        (0, 0, False), (1, 0, True), (2, 0, False), (1, 1, False)
    ]  # fmt: skip
    assert [r.attempt for r in b.rounds] == [0, 0, 0]
    assert [r.wall_ns // MS for r in turns.counted(a.rounds)] == [1, 1, 1]
    assert a.trusted
    assert a.off_cpu == 0
    assert result.exit_code == 0
    assert result.rounds_done == 3
    started = [r.started_ns for r in a.rounds]
    assert started == sorted(started)
    assert started[0] > 0


def test_what_stays_pushed_aside_cannot_be_trusted_and_has_an_exit_code(busy: Callable[[Walls], None]) -> None:
    busy(lambda name, _: 4 * CPU if name == "a" else CPU)
    result = race(make(), [fake("a"), fake("b")], rounds=2)
    one = by_name(result)
    assert len(one["a"].rounds) == 2 * (1 + in_turns.ATTEMPTS)
    assert (one["a"].trusted, one["a"].off_cpu) == (False, 0.75)
    assert (one["b"].trusted, one["b"].off_cpu) == (True, 0.0)
    assert result.exit_code == EXIT_UNTRUSTED == 6
    assert "cannot be trusted" in EXIT_CODES[6]


def test_a_few_turns_that_stay_pushed_aside_are_left_out(busy: Callable[[Walls], None]) -> None:
    # Round 0 and what is taken again, calls from 5 on.
    busy(lambda _, call: 10 * CPU if call == 2 or call > 4 else CPU)
    (one,) = race(make(), [fake("a")], rounds=3).strategies
    assert [r.round for r in turns.counted(one.rounds)] == [1, 2]
    assert one.trusted
    assert one.cost is not None
    assert one.cost.middle == CPU / 40


def test_an_unexpected_verdict_goes_before_times_that_cannot_be_trusted(busy: Callable[[Walls], None]) -> None:
    busy(lambda *_: 4 * CPU)
    result = race(make(), [fake("a", expected="refused")], rounds=1)
    assert result.strategies[0].trusted is False
    assert result.exit_code == EXIT_UNEXPECTED


def test_turns_are_taken_again_within_a_budget(busy: Callable[[Walls], None], monkeypatch: pytest.MonkeyPatch) -> None:
    busy(lambda *_: 4 * CPU)
    monkeypatch.setattr(in_turns, "AGAIN", (0.0, 0.0))
    (one,) = race(make(), [fake("a")], rounds=3).strategies
    assert [r.attempt for r in one.rounds] == [0, 0, 0]


def test_with_a_limit_of_1_nothing_is_pushed_aside(
    busy: Callable[[Walls], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(lambda *_: 100 * CPU)
    monkeypatch.setenv(trust.VARIABLE, "1")
    result = race(make(), [fake("a")], rounds=2)
    assert [r.aside for r in result.strategies[0].rounds] == [False, False]
    assert result.exit_code == 0


def test_ratios_are_of_cpu_time_where_all_work_on_one_thread_and_else_of_wall_time(
    busy: Callable[[Walls], None],
) -> None:
    busy(lambda name, _: CPU + (CPU // 10 if name == "b" else 0))  # 9 % off the CPU
    alone = race(make(), [fake("a"), fake("b")], rounds=3)
    assert alone.clock == "cpu"
    assert by_name(alone)["b"].ratio.middle == 1.0
    several = race(make(), [fake("a", threads=2), fake("b")], rounds=3)
    assert several.clock == "wall"
    assert (several.reference, by_name(several)["b"].ratio.middle, by_name(several)["b"].level) == ("a", 1.1, False)
    assert [clock_of(threads) for threads in ([], [1, 1], [1, 2])] == ["cpu", "cpu", "wall"]


def test_of_several_threads_each_is_asked_for_its_own_time(
    busy: Callable[[Walls], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(lambda *_: 4 * CPU)  # by the process's clocks it would have been pushed aside
    exchange = FakeStrategy.exchange

    def shared(self: FakeStrategy, pairs: Any) -> Any:
        result = exchange(self, pairs)
        result.workers, result.thread_ns = 2, ((2 * CPU, 2 * CPU), (CPU, CPU - MS // 10))
        return result

    monkeypatch.setattr(FakeStrategy, "exchange", shared)
    (one,) = race(make(lists=2), [fake("a", threads=2)], rounds=1).strategies
    assert [r.threads for r in one.rounds] == [[(4 * CPU, 4 * CPU), (2 * CPU, 2 * CPU - MS // 5)]]
    assert one.off_cpu == pytest.approx(1 / 30, abs=1e-4)
    assert one.trusted


def test_who_waited_by_its_mode_was_not_pushed_aside(
    busy: Callable[[Walls], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(lambda *_: 4 * CPU)
    exchange = FakeStrategy.exchange

    def waits(self: FakeStrategy, pairs: Any) -> Any:
        result = exchange(self, pairs)
        result.retries = 7
        return result

    monkeypatch.setattr(FakeStrategy, "exchange", waits)
    patient = fake("a")
    object.__setattr__(patient.spec, "mode", "sync")
    result = race(make(), [patient, fake("b")], rounds=1)
    assert {one.name: one.trusted for one in result.strategies} == {"a": True, "b": False}


def test_the_machine_is_looked_at_before_during_and_after() -> None:
    machine = race(make(4), [fake("a")], rounds=1).machine
    for pressure in (machine.before, machine.during, machine.after):
        assert pressure.load is None or len(pressure.load) == 3


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """A machine of eight CPUs of which this thread may use four; what it was pinned to, one after the other."""
    set_to: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2, 3, 6}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cpus: set_to.append(set(cpus)), raising=False)
    return set_to


def idle(root: Any, **ticks: int) -> None:
    (root / "proc").mkdir(exist_ok=True)
    lines = [f"{cpu} 5 0 5 {spare} 1 0 0 0 0 0" for cpu, spare in ticks.items()]
    (root / "proc/stat").write_text("\n".join(["cpu  9 9 9 9", *lines, "intr 1", ""]))


def test_a_thread_is_pinned_to_the_calmest_cpus_that_it_may_use(eight: list[set[int]], tmp_path: Any) -> None:
    idle(tmp_path, cpu0=0, cpu1=900, cpu2=100, cpu3=100, cpu6=50)
    pinning = Pinning(tmp_path)
    idle(tmp_path, cpu0=999, cpu1=900, cpu2=180, cpu3=140, cpu6=150)  # since then: 999 (not ours), 0, 80, 40, 100
    pinning.choose()
    assert [pinning.to(n) for n in (1, 2, 2, 4, 9)] == [[6], [2, 6], [2, 6], [1, 2, 3, 6], [1, 2, 3, 6]]
    assert eight == [{6}, {2, 6}, {1, 2, 3, 6}], "no call where nothing changes"
    pinning.to(1)
    pinning.release()
    assert eight[-1] == {1, 2, 3, 6}


def test_where_nothing_says_who_is_calm_the_first_cpus_are_taken(eight: list[set[int]], tmp_path: Any) -> None:
    pinning = Pinning(tmp_path)
    pinning.choose()
    assert pinning.to(2) == [1, 2]


def test_who_may_not_be_pinned_is_not(monkeypatch: pytest.MonkeyPatch, eight: list[set[int]], tmp_path: Any) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    pinning = Pinning(tmp_path)
    assert (pinning.to(1), pinning.to(1)) == ([], [])
    pinning.release()
    assert eight == []


def test_a_run_leaves_its_thread_where_it_could_run_before() -> None:
    before = os.sched_getaffinity(0)
    result = race(make(4), [fake("a"), fake("b", threads=2)], rounds=2)
    assert os.sched_getaffinity(0) == before
    for one, threads in zip(result.strategies, (1, 2), strict=True):
        assert [len(r.cpus) for r in one.rounds] == [min(threads, len(before))] * 2
        assert set().union(*(r.cpus for r in one.rounds)) <= before


BURN = "import sys\nsys.stdout.write('.')\nsys.stdout.flush()\nwhile True: pass"


def test_under_load_the_marks_the_table_and_the_exit_code_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """All CPUs are taken. What Linux makes of that is its own affair: only that all that is said agrees."""
    monkeypatch.setenv(trust.VARIABLE, str(trust.ASIDE))
    burners = [
        subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE)
        for _ in range(2 * multiprocessing.cpu_count())
    ]
    try:
        for burner in burners:
            assert burner.stdout is not None
            assert burner.stdout.read(1) == b"."
        ran = pagexchange("run", *SMALL, "--rounds=3", "--strategy=word-swap", "--strategy=copy-page", "--json")
    finally:
        for burner in burners:
            burner.kill()
            burner.communicate()
    result = json.loads(ran.out)
    assert result["clock"] == "cpu"
    for one in result["strategies"]:
        for turn in one["rounds"]:
            share = 1 - turn["cpu_ns"] / turn["wall_ns"]
            assert turn["aside"] == (share > trust.ASIDE)
            assert turn["aside"] or not turn["attempt"] or turn["round"] in {
                again["round"] for again in one["rounds"] if again["aside"] and again["attempt"] < turn["attempt"]
            }  # fmt: skip
        assert one["cost"]["low"] <= one["cost"]["middle"] <= one["cost"]["high"]
    untrusted = [one["name"] for one in result["strategies"] if not one["trusted"]]
    assert ran.code == (6 if untrusted else 0)
    costs = {one["name"]: one["cost"]["middle"] for one in result["strategies"]}
    assert result["reference"] == min(costs, key=lambda name: costs[name])
