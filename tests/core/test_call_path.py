"""What a call keeps for the next one, and what it does not look at in each, changes no answer."""

import copy
import errno
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pagexchange
from pagexchange import Arena, ExchangeResult
from pagexchange.errors import ArenaFullError
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.engine.outcome import Outcome, begin, restore, run
from pagexchange_native.engine.python_objects import PythonMover
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord
from tests.core.pages import LONG

FRAMES = 2048  # of a node: the bitmap has 65 words
LENGTHS = [2, 3, 16, 17, 32, 33, 300]
"""Compared pair by pair up to 16; noted in a bitmap that is cleared word by word up to 32, else as a whole."""
EINVAL, EAGAIN = -errno.EINVAL, -errno.EAGAIN

Pairs = NDArray[np.int64]


@pytest.fixture(scope="module")
def arena() -> Arena:
    return Arena.create([("fast", FRAMES), ("slow", FRAMES)], workers=4)


@pytest.fixture(scope="module")
def all_pairs(arena: Arena) -> Pairs:
    rng = np.random.default_rng(3)
    sides = [rng.permutation(arena.alloc(node, FRAMES - 64)) for node in ("fast", "slow")]
    return np.column_stack(sides)


def engine(arena: Arena, mover: Any = None, **options: Any) -> Exchanger:
    return Exchanger(arena, MaskedWord(0), [mover or WordSwap()], XArrayCursor(), **options)


def swap(pieces: NDArray[np.uint64], a: Pairs, b: Pairs) -> None:
    kept = pieces[a].copy()
    pieces[a], pieces[b] = pieces[b], kept


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize(("first", "again"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_second_use_of_a_frame_is_refused_in_lists_of_every_length(
    arena: Arena, all_pairs: Pairs, n: int, first: int, again: int
) -> None:
    bound = pagexchange.strategy("list-exchange", arena)
    pairs = all_pairs[:n].copy()
    pairs[n - 1, again] = pairs[0, first]
    for _ in range(3):
        assert bound.exchange(pairs).status.tolist() == [0] * (n - 1) + [EINVAL]


@pytest.mark.parametrize("n", LENGTHS)
def test_a_call_knows_nothing_of_the_frames_of_an_earlier_one(arena: Arena, all_pairs: Pairs, n: int) -> None:
    bound = pagexchange.strategy("list-exchange", arena)
    for shift in (0, 1, 0):
        pairs = np.column_stack([all_pairs[:n, 0], np.roll(all_pairs[:n, 1], shift)])
        assert bound.exchange(pairs).ok
        assert bound.exchange(pairs, order="sequential").ok
    wrong = np.concatenate([pairs, [[-1, pairs[0, 0]], [1 << 40, 5], [pairs[0, 0], pairs[0, 0]]]])
    assert bound.exchange(wrong).exchanged == n
    assert bound.exchange(pairs).ok


@pytest.mark.parametrize("n", [17, 300])
def test_calls_at_the_same_time_do_not_see_each_others_frames(arena: Arena, all_pairs: Pairs, n: int) -> None:
    """Locked is the true reason: the second one must not take the frames of the first for its own."""
    inside, go_on = threading.Event(), threading.Event()

    def wait(pieces: NDArray[np.uint64], a: Pairs, b: Pairs) -> None:
        inside.set()
        assert go_on.wait(60)
        swap(pieces, a, b)

    exchanger, pairs = engine(arena, PythonMover(wait)), all_pairs[:n].copy()
    mine, theirs = np.zeros(n, np.int32), np.zeros(n, np.int32)
    thread = threading.Thread(target=lambda: exchanger.exchange(pairs, theirs))
    thread.start()
    assert inside.wait(60)
    try:
        exchanger.exchange(pairs[:LONG], mine[:LONG])  # what the first one's batch has locked
    finally:
        go_on.set()
        thread.join()
    assert mine[:LONG].tolist() == [EAGAIN] * min(n, LONG)
    for _ in range(2):
        exchanger.exchange(pairs, mine)
        assert not mine.any()
    assert not theirs.any()


@pytest.mark.parametrize("n", [17, 300])
@pytest.mark.parametrize("order", [False, True])
def test_a_call_that_raises_leaves_nothing_to_the_next(arena: Arena, all_pairs: Pairs, n: int, order: bool) -> None:
    failing = [True]

    def fail(pieces: NDArray[np.uint64], a: Pairs, b: Pairs) -> None:
        if failing:
            failing.clear()
            raise KeyError("planted")
        swap(pieces, a, b)

    exchanger, status = engine(arena, PythonMover(fail)), np.zeros(n, np.int32)
    with pytest.raises(KeyError, match="planted"):
        exchanger.exchange(all_pairs[:n].copy(), status, sequential=order)
    exchanger.exchange(all_pairs[:n].copy(), status)
    assert not status.any()


def test_a_call_that_found_no_worker_leaves_nothing_to_the_next() -> None:
    arena = Arena.create([("fast", FRAMES), ("slow", FRAMES)], workers=1)
    pairs = np.column_stack([arena.alloc("fast", 20), arena.alloc("slow", 20)])
    inside, go_on = threading.Event(), threading.Event()

    def wait(pieces: NDArray[np.uint64], a: Pairs, b: Pairs) -> None:
        inside.set()
        assert go_on.wait(60)
        swap(pieces, a, b)

    waiting = engine(arena, PythonMover(wait))
    holder = threading.Thread(target=lambda: waiting.exchange(pairs[:1], np.zeros(1, np.int32)))
    exchanger, status = engine(arena, timeout=0.0), np.zeros(20, np.int32)
    holder.start()
    assert inside.wait(60)
    try:
        with pytest.raises(ArenaFullError):
            exchanger.exchange(pairs, status)
    finally:
        go_on.set()
        holder.join()
    exchanger.exchange(pairs, status)
    assert not status.any()


def test_a_list_that_changes_during_a_call_is_the_one_that_was_given(arena: Arena, all_pairs: Pairs) -> None:
    n = 20
    pairs, others = all_pairs[:n].copy(), all_pairs[n : 2 * n]
    given = pairs.copy()

    def change(pieces: NDArray[np.uint64], a: Pairs, b: Pairs) -> None:
        pairs[:] = others
        swap(pieces, a, b)

    exchanger, status = engine(arena, PythonMover(change)), np.zeros(n, np.int32)
    for _ in range(2):  # its frames are no longer noted
        pairs[:] = given
        exchanger.exchange(pairs, status)
        assert not status.any()


def test_a_result_keeps_the_list_that_was_given(arena: Arena, all_pairs: Pairs) -> None:
    pairs = np.array([[5, 5], all_pairs[0]])
    result = arena.exchange(pairs)
    pairs[:] = 77
    assert result._pairs.tolist() == [[5, 5], all_pairs[0].tolist()]
    assert "pfn 5 <-> 5" in result.messages()[0]


def test_a_result_is_made_by_a_call_and_cannot_be_changed(arena: Arena, all_pairs: Pairs) -> None:
    with pytest.raises(TypeError, match=r"made by Arena\.exchange"):
        ExchangeResult()
    result = arena.exchange(all_pairs[:2])
    for name in ("status", "ns", "workers", "frames_asked", "frames_got", "moved", "retries", "touched", "ok", "new"):
        with pytest.raises(AttributeError):
            setattr(result, name, 5)
    assert result.status is result.status
    result.ns.clear()
    result.moved.clear()
    assert list(result.ns) == ["total", "lock", "flags", "data", "mapping", "finish"]
    assert result.moved == {"list-exchange": 2}


PUBLIC = ("ns", "workers", "frames_asked", "frames_got", "moved", "retries", "touched", "exchanged", "refused")


@pytest.mark.parametrize("given", [False, True], ids=["own statuses", "out"])
@pytest.mark.parametrize("name", ["list-exchange", "copy-page", "rfc-2019"])
def test_copies_of_a_result_say_the_same_in_every_word(arena: Arena, all_pairs: Pairs, name: str, given: bool) -> None:
    pairs = np.concatenate([all_pairs[:5], [[1, 1]]])
    result = arena.exchange(pairs, name, threads=2, out=np.empty(6, np.int32) if given else None)
    assert result.workers == 2
    for other in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert [getattr(other, word) for word in PUBLIC] == [getattr(result, word) for word in PUBLIC]
        assert other.status.tolist() == [0] * 5 + [EINVAL]
        assert (other._pairs == pairs).all()


def test_statuses_do_not_go_where_they_are_not_aligned(arena: Arena, all_pairs: Pairs) -> None:
    out = np.frombuffer(bytearray(9), np.uint8)[1:].view(np.int32)
    with pytest.raises(ValueError, match="out: want a writable, contiguous array, aligned"):
        arena.exchange(all_pairs[:2], out=out)


def test_each_of_several_threads_says_its_wall_and_its_cpu_time(arena: Arena, all_pairs: Pairs) -> None:
    strategy = pagexchange.strategy("word-swap", arena)
    result = strategy.exchange(all_pairs, threads=3)
    assert len(result.thread_ns) == result.workers == 3
    for wall, cpu in result.thread_ns:
        assert 0 < wall <= result.ns["total"]
        assert cpu > 0
    for again in (pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result)):
        assert again.thread_ns == result.thread_ns


@pytest.mark.parametrize(("n", "threads"), [(300, 1), (2, 3), (0, 3)])
def test_a_single_thread_is_the_callers_who_has_clocks(arena: Arena, all_pairs: Pairs, n: int, threads: int) -> None:
    result = pagexchange.strategy("word-swap", arena).exchange(all_pairs[:n], threads=threads)
    assert result.workers <= 1
    assert result.thread_ns == []
    assert pickle.loads(pickle.dumps(result)) == result


def test_an_outcome_is_of_its_class_and_of_what_fits_together(arena: Arena, all_pairs: Pairs) -> None:
    pairs: Any = all_pairs[:2].copy()
    wrong: Any = int
    with pytest.raises(TypeError, match="want a subclass of Outcome, got int"):
        begin(wrong, None, pairs)
    with pytest.raises(ValueError, match="want an outcome that `begin` made"):
        run(Outcome.__new__(Outcome), engine(arena))
    made = begin(Outcome, None, pairs)
    assert made is not None
    numbers: Any = made._numbers
    status = np.zeros(2, np.int32)
    wrong_ones: list[Any] = [
        (pairs[:1], status, numbers),
        (pairs.astype(np.int32), status, numbers),
        (pairs, status, (*numbers[:7], (1,) * 9, ())),
        (pairs, status, (0, (1, 2), *numbers[2:])),
        (pairs, status, (*numbers[:6], 3, numbers[7], ((1, 1), (1, 1)))),
        (pairs, status, numbers[:7]),
    ]
    for given in wrong_ones:
        with pytest.raises(ValueError):
            restore(Outcome, None, *given)
