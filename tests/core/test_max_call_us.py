"""A call that may take so long takes no longer, does what it reaches, and says of each other pair that it was not."""

import errno
import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pagexchange
from pagexchange.arena.bounded import bounded
from pagexchange.arena.pace import FIRST, GROWTH, Pace

LEFT = -errno.ETIME


class Mover:
    """A slow mover and the clock that it makes go on: ns for each pair, by its place in the list."""

    def __init__(self, costs):
        self.costs, self.now, self.done, self.slices = iter(costs), 0, 0, []

    def exchange(self, pairs, status):
        self.now += sum(itertools.islice(self.costs, len(pairs)))
        self.slices.append(len(pairs))
        status[:] = 0
        return Result()

    def clock(self):
        return self.now


class Result:
    _numbers = (0, (1, 2, 3, 4, 5), 6, 7, 8, 0, 1, (9,), ())


FRAMES: Any = SimpleNamespace(nframes=1 << 20)
"""What is asked of an arena."""


def pairs_of(n):
    return np.arange(2 * n, dtype=np.int64).reshape(n, 2)


def call(mover, n, max_ns, pace=None, pairs=None, sequential=False):
    pairs = pairs_of(n) if pairs is None else pairs
    status = np.zeros(len(pairs), np.int32)
    start = mover.now
    numbers = bounded(
        pairs,
        status,
        mover.exchange,
        FRAMES,
        max_ns,
        pace or Pace(),
        sequential=sequential,
        began=start,
        clock=mover.clock,
    )
    return status, numbers, mover.now - start


def test_a_call_of_an_even_mover_stays_within_its_time_and_uses_most_of_it() -> None:
    mover = Mover(itertools.repeat(1000))
    status, numbers, took = call(mover, 100_000, 20_000_000)
    assert 0.95 * 20_000_000 < took <= 20_000_000
    assert numbers[0] == took
    done = np.count_nonzero(status == 0)
    assert (status[:done] == 0).all()
    assert (status[done:] == LEFT).all()
    assert done == took // 1000


@pytest.mark.parametrize("slower", [2, 10, 50])
def test_a_mover_that_becomes_slower_from_slice_to_slice_is_followed(slower) -> None:
    costs = (1000 * (1 + (slower - 1) * place / 20_000) for place in itertools.count())
    status, _, took = call(Mover(costs), 100_000, 10_000_000)
    assert took <= 10_000_000
    assert (status == LEFT).any()


def test_what_a_call_has_learned_the_next_one_knows() -> None:
    pace = Pace()
    call(Mover(itertools.repeat(5000)), 1000, 1_000_000, pace)
    expected = 1 + int((FIRST * 1_000_000 - max(pace.slice_ns, pace.pair_ns)) / pace.pair_ns)
    mover = Mover(itertools.repeat(5000))
    _, _, took = call(mover, 1000, 1_000_000, pace)
    assert took <= 1_000_000
    assert mover.slices[0] == expected > GROWTH


def test_pages_that_lie_in_memory_and_not_in_cache_as_those_of_the_last_call_do_not_make_it_late() -> None:
    pace = Pace()
    call(Mover(itertools.repeat(150)), 10_000, 1_000_000, pace)
    _, _, took = call(Mover(itertools.repeat(1000)), 10_000, 1_000_000, pace)
    assert took <= 1_000_000


def test_what_a_slice_costs_without_pairs_is_told_from_what_pairs_cost() -> None:
    """A call of 20 us is not given up after its first pair because that took 3 us."""

    class Overhead(Mover):
        def exchange(self, pairs, status):
            self.now += 3000
            return super().exchange(pairs, status)

    pace, done = Pace(), []
    for _ in range(10):
        status, _, took = call(Overhead(itertools.repeat(200)), 100, 20_000, pace)
        assert took <= 20_000
        done.append(np.count_nonzero(status == 0))
    assert done[-1] > 12  # six slices of one pair would take as long


def test_the_first_call_begins_with_one_pair_and_trusts_little() -> None:
    mover = Mover(itertools.repeat(10))
    call(mover, 10_000, 1_000_000)
    assert mover.slices[:3] == [1, GROWTH, GROWTH * GROWTH]


def test_one_pair_is_done_however_long_it_takes_so_that_calls_come_to_an_end() -> None:
    pace, mover = Pace(), Mover(itertools.repeat(10_000_000))
    pairs = pairs_of(3)
    for left in (3, 2, 1):
        status, _, _ = call(mover, 0, 1000, pace, pairs[-left:])
        assert status.tolist() == [0] + [LEFT] * (left - 1)


def test_a_frame_of_an_earlier_slice_is_refused_as_in_one_call() -> None:
    pairs = np.array([[0, 1], [2, 3], [1, 4], [4, 5], [-1, 7], [6, 6], [6, 7]], np.int64)
    status, _, _ = call(Mover(itertools.repeat(10)), 0, 1_000_000, pairs=pairs)
    assert status.tolist() == [0, 0, -errno.EINVAL, -errno.EINVAL, 0, 0, 0]  # what is no pair is the engine's to say
    status, _, _ = call(Mover(itertools.repeat(10)), 0, 1_000_000, pairs=pairs, sequential=True)
    assert status.tolist() == [0] * 7


def test_the_slices_are_added_up() -> None:
    mover = Mover(itertools.repeat(10))
    _, numbers, _ = call(mover, 100, 1_000_000)
    n = len(mover.slices)
    assert numbers[1:] == ((n, 2 * n, 3 * n, 4 * n, 5 * n), 6 * n, 7 * n, 8 * n, 0, 1, (9 * n,), ())


@pytest.fixture
def arena():
    with pagexchange.Arena.create(nodes={"fast": "1 MiB", "slow": "1 MiB"}) as arena:
        yield arena


@pytest.mark.parametrize("name", ["list-exchange", "numpy"])
def test_with_time_enough_a_call_says_what_it_says_without_a_limit(arena, name) -> None:
    fast, slow = arena.alloc("fast", 100), arena.alloc("slow", 100)
    arena.frames[fast] = fast[:, None]
    pairs = np.column_stack([fast, slow])
    pairs[50] = pairs[3]
    pairs[51] = -1
    out = np.ones(100, np.int32)
    result = arena.exchange(pairs, name, max_call_us=60e6, out=out)
    assert result.status is out
    assert result.refused == {"EINVAL": 1, "EFAULT": 1}
    assert result.exchanged == sum(result.moved.values()) == 98
    assert (arena.frames[slow[:50]] == fast[:50, None]).all()
    assert sum(result.ns.values()) > 0


def test_what_was_not_reached_is_as_it_was_and_says_so(arena) -> None:
    fast, slow = arena.alloc("fast", 100), arena.alloc("slow", 100)
    arena.frames[fast] = fast[:, None]
    pairs = np.column_stack([fast, slow])
    strategy = pagexchange.strategy("list-exchange", arena)
    result = strategy.exchange(pairs, max_call_us=0.001)
    assert result.status.tolist() == [0] + [LEFT] * 99
    assert not result
    assert (arena.frames[fast[1:]] == fast[1:, None]).all()
    assert "ETIME: not reached before the call's time was over" in result.messages(1)[0]
    while not result.ok:
        pairs = pairs[result.status != 0]
        result = strategy.exchange(pairs, max_call_us=0.001)
    assert (arena.frames[slow] == fast[:, None]).all()


def test_the_file_says_it_too(arena, tmp_path) -> None:
    file = tmp_path / "strategies.toml"
    chain = 'flags = "masked-word"\ndata = "word-swap"\nmapping = "xarray"\n'
    file.write_text(f"schema = 1\n[strategy.short]\n{chain}max_call_us = 1.0\n")
    pairs = np.column_stack([arena.alloc("fast", 250), arena.alloc("slow", 250)])
    strategy = pagexchange.strategy("short", arena, file=file)
    assert strategy.exchange(pairs).refused.keys() == {"ETIME"}
    assert strategy.exchange(pairs, max_call_us=60e6)


def test_few_pairs_are_left_to_one_thread(arena, tmp_path) -> None:
    file = tmp_path / "strategies.toml"
    chain = 'flags = "masked-word"\ndata = "word-swap"\nmapping = "xarray"\n'
    file.write_text(f"schema = 1\n[strategy.two]\n{chain}threads = 2\nthreads_from = 100\n")
    pairs = np.column_stack([arena.alloc("fast", 100), arena.alloc("slow", 100)])
    strategy = pagexchange.strategy("two", arena, file=file)
    assert strategy.exchange(pairs[:99]).workers == 1
    assert strategy.exchange(pairs).workers == 2
    assert strategy.exchange(pairs[:99], threads=2).workers == 2


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (-1, ValueError), (float("nan"), ValueError),
                                              (True, TypeError), ("1", TypeError)])  # fmt: skip
def test_no_time_is_no_limit(arena, wrong, error) -> None:
    with pytest.raises(error, match="max_call_us"):
        arena.exchange([(0, 1)], max_call_us=wrong)


def test_one_batch_cannot_be_cut(arena) -> None:
    with pytest.raises(ValueError, match="split=False"):
        arena.exchange([(0, 1)], max_call_us=10, split=False)


def test_a_list_without_pairs_has_nothing_to_cut() -> None:
    with pagexchange.Arena.create(nodes=[("fast", 4), ("slow", 4)]) as arena:
        result = arena.exchange([], max_call_us=1.0)
        assert result.ok
        assert len(result.status) == 0
