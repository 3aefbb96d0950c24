"""What a caller may hand over as a list of pairs and as `out`; a clear error for the rest, and nothing touched."""

import dataclasses
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import pagexchange
from pagexchange.errors import ArenaError, ConfigError, PagexchangeError, UnknownStrategyError
from pagexchange_native.arena.region import BATCH
from tests.core.pages import EFAULT, EINVAL, Pages, differences, picture, resting, strategy

INTEGERS = [f"{order}{kind}{size}" for size in (1, 2, 4, 8) for kind in "iu" for order in ("<" if size == 1 else "<>")]


@contextmanager
def nothing_changes(pages: Pages) -> Iterator[None]:
    before = picture(pages.arena)
    yield
    assert differences(before, picture(pages.arena)) == []
    assert resting(pages.arena)


def contents(pages: Pages, pair: Any) -> list[int]:
    found: list[int] = pages.arena.frames[np.asarray(pair, dtype=np.int64), 0].tolist()
    return found


# ---- what is a list of pairs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS)
def test_every_integer_type_is_taken(pages: Pages, dtype: str) -> None:
    pair = pages.pair()
    want = contents(pages, pair[::-1])
    assert pages.arena.exchange(np.array([pair], dtype=dtype)).ok
    assert contents(pages, pair) == want


def spread(pairs: Any) -> Any:
    wide = np.full((2 * len(pairs), 6), -7, dtype=np.int64)
    wide[::2, 1::3] = pairs
    return wide[::2, 1::3]


@pytest.mark.parametrize(
    "shape",
    [
        np.asfortranarray,
        spread,
        lambda p: np.ascontiguousarray(p[::-1])[::-1],
        lambda p: np.ascontiguousarray(p[:, ::-1])[:, ::-1],
        lambda p: np.array(p, dtype=object),
        lambda p: p.tolist(),
        lambda p: [tuple(x) for x in p.tolist()],
        lambda p: tuple(map(tuple, p.tolist())),
        lambda p: [np.array(x) for x in p],
        lambda p: memoryview(np.ascontiguousarray(p)),
    ],
    ids=[
        "fortran", "strided", "reversed", "columns reversed", "object",
        "lists", "tuples", "all tuples", "rows", "buffer",
    ],
)  # fmt: skip
def test_every_form_of_a_list_is_taken(pages: Pages, shape: Callable[[Any], Any]) -> None:
    pairs = np.array([pages.pair() for _ in range(5)])
    want = contents(pages, pairs[:, ::-1])
    assert pages.arena.exchange(shape(pairs)).ok
    assert contents(pages, pairs) == want


def test_frames_are_taken_also_beside_numbers(pages: Pages) -> None:
    first, second = pages.pair(), pages.pair()
    frame = pages.arena.frame
    assert pages.arena.exchange([(frame(first[0]), frame(first[1])), (second[0], frame(second[1]))]).ok


def test_a_list_is_read_and_never_written(pages: Pages) -> None:
    pairs = np.array([pages.pair(), [-1, 3], pages.pair()])
    pairs.flags.writeable = False
    copy = pairs.copy()
    assert pages.arena.exchange(pairs).status.tolist() == [0, EFAULT, 0]
    assert (pairs == copy).all()


def test_a_list_may_lie_in_a_frame_that_it_exchanges(pages: Pages) -> None:
    """What was checked is what is used: the list is copied before any page moves under it."""
    pairs = np.array([pages.pair() for _ in range(4)])
    inside = pages.arena.frames[pairs[0, 0], : pairs.size].view(np.int64).reshape(pairs.shape)
    inside[:] = pairs
    assert pages.arena.exchange(inside).ok
    assert (pages.arena.frames[pairs[0, 1], : pairs.size] == pairs.ravel()).all()


@pytest.mark.parametrize("empty", [[], (), [[]], np.empty((0, 2), np.int32), np.empty(0, np.int64), np.empty((0, 2))])
def test_an_empty_list_is_a_list(pages: Pages, empty: Any) -> None:
    with nothing_changes(pages):
        result = pages.arena.exchange(empty, out=np.empty(0, np.int32))
    assert (result.ok, len(result.status)) == (True, 0)


WRONG = {
    "float": ([[1.0, 65.0]], TypeError, "integers, got dtype float64"),
    "float with an integer's value": (np.array([[1, 65]], np.float32), TypeError, "integers, got dtype float32"),
    "bool": (np.array([[True, False]]), TypeError, "integers, got dtype bool"),
    "complex": ([[1j, 2]], TypeError, "integers, got dtype complex128"),
    "strings": ([["1", "65"]], TypeError, "integers, got dtype"),
    "text": ("1 65", TypeError, "integers, got dtype"),
    "bytes": (b"\x01\x41", TypeError, "integers, got dtype"),
    "objects": ([[1, None]], TypeError, "integers, got dtype object"),
    "floats as objects": (np.array([[1, 65.0]], object), TypeError, "integers, got dtype object"),
    "durations": (np.array([[1, 65]], "timedelta64[s]"), TypeError, "integers, got dtype timedelta64"),
    "dates": (np.array([[1, 65]], "datetime64[s]"), TypeError, "integers, got dtype datetime64"),
    "records": (np.zeros(1, [("a", "<i8"), ("b", "<i8")]), TypeError, "integers, got dtype"),
    "a set": ({1, 65}, TypeError, "integers, got dtype object"),
    "none": (None, TypeError, "integers, got dtype object"),
    "one number": (5, ValueError, r"shape \(n, 2\), got \(\)"),
    "flat": ([1, 65], ValueError, r"shape \(n, 2\), got \(2,\)"),
    "three columns": ([[1, 65, 2]], ValueError, r"shape \(n, 2\), got \(1, 3\)"),
    "one column": ([[1], [65]], ValueError, r"shape \(n, 2\), got \(2, 1\)"),
    "three dimensions": ([[[1, 65]]], ValueError, r"shape \(n, 2\), got \(1, 1, 2\)"),
    "no columns": (np.empty((5, 0), np.int64), ValueError, r"shape \(n, 2\), got \(5, 0\)"),
    "none of one column": (np.empty((0, 1), np.int64), ValueError, r"shape \(n, 2\), got \(0, 1\)"),
    "none of three columns": (np.empty((0, 3), np.int64), ValueError, r"shape \(n, 2\), got \(0, 3\)"),
    "ragged": ([[1, 65], [2]], ValueError, r"\(n, 2\) array of integers"),
}


@pytest.mark.parametrize(("pairs", "error", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_list_of_pairs_is_an_error(pages: Pages, pairs: Any, error: type[Exception], says: str) -> None:
    pages.pair()
    pages.pair()
    out = np.full(1, 77, np.int32)
    with nothing_changes(pages), pytest.raises(error, match=f"pairs: want .*{says}"):
        pages.arena.exchange(pairs, out=out)
    assert out[0] == 77


NUMBERS: list[Any] = [
    np.array([-1], np.int8), np.array([-128], np.int8), np.array([255], np.uint8), np.array([65535], np.uint16),
    np.array([1 << 32], np.uint64), np.array([(1 << 32) + 1], np.int64), np.array([-(1 << 63)], np.int64),
    np.array([(1 << 63) - 1], np.int64), np.array([1 << 63], np.uint64), np.array([(1 << 64) - 1], np.uint64),
    np.array([(1 << 64) + 1], object), np.array([-(1 << 70)], object), np.array([128], np.int64),
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda x: f"{x.dtype} {x[0]}")
def test_a_number_that_is_no_frame_is_a_status(pages: Pages, number: Any) -> None:
    """None of them wraps around to a frame that exists."""
    pair = pages.pair(("raw", "raw"))
    other = np.array([pair[1]]).astype(number.dtype)
    with nothing_changes(pages):
        for left, right in ((number, other), (other, number), (number, number)):
            assert pages.arena.exchange(np.stack([left, right], axis=1)).status.tolist() == [EFAULT]
    assert pages.arena.exchange([pair]).ok


def test_numbers_too_large_for_any_type_are_statuses_too(pages: Pages) -> None:
    pair = pages.pair()
    pairs = [[1 << 100, 1], pair, [-(1 << 100), 2], [1 << 63, 3]]
    assert pages.arena.exchange(pairs).status.tolist() == [EFAULT, 0, EFAULT, EFAULT]


# ---- out -----------------------------------------------------------------------------------------------------------


def test_statuses_go_to_out_and_nowhere_else(pages: Pages) -> None:
    pairs = [pages.pair(), [5, 5], pages.pair()]
    around = np.full(9, 77, np.int32)
    result = pages.arena.exchange(pairs, out=around[3:6])
    assert around.tolist() == [77, 77, 77, 0, EINVAL, 0, 77, 77, 77]
    assert result.status.base is around


def test_out_may_lie_over_the_list(pages: Pages) -> None:
    pairs = np.array([pages.pair() for _ in range(3)])
    memory = pairs.copy()
    assert pages.arena.exchange(memory, out=memory.view(np.int32).ravel()[:3]).status.tolist() == [0, 0, 0]
    assert (memory.ravel()[2:] == pairs.ravel()[2:]).all()


def read_only() -> Any:
    out = np.zeros(2, np.int32)
    out.flags.writeable = False
    return out


OUT: dict[str, tuple[Any, str]] = {
    "int64": (np.zeros(2, np.int64), r"want an int32\[2\] array"),
    "uint32": (np.zeros(2, np.uint32), r"want an int32\[2\] array"),
    "other byte order": (np.zeros(2, ">i4"), r"want an int32\[2\] array"),
    "too short": (np.zeros(1, np.int32), r"want an int32\[2\] array"),
    "too long": (np.zeros(3, np.int32), r"want an int32\[2\] array"),
    "a column": (np.zeros((2, 1), np.int32), r"want an int32\[2\] array"),
    "a list": ([0, 0], r"want an int32\[2\] array"),
    "a buffer": (bytearray(8), r"want an int32\[2\] array"),
    "read-only": (read_only(), "want a writable, contiguous array"),
    "every other": (np.zeros(4, np.int32)[::2], "want a writable, contiguous array"),
    "backwards": (np.zeros(2, np.int32)[::-1], "want a writable, contiguous array"),
}


@pytest.mark.parametrize(("out", "says"), OUT.values(), ids=OUT)
def test_an_out_that_does_not_fit_is_an_error(pages: Pages, out: Any, says: str) -> None:
    pairs = [pages.pair(), pages.pair()]
    copy = bytes(np.ascontiguousarray(out))
    with nothing_changes(pages), pytest.raises(ValueError, match=f"out: {says}"):
        pages.arena.exchange(pairs, out=out)
    assert bytes(np.ascontiguousarray(out)) == copy


@pytest.mark.parametrize("where", ["a frame", "the entries"])
def test_an_out_inside_the_arena_is_an_error(pages: Pages, where: str) -> None:
    """The statuses would be exchanged with the page that they lie in, or be page entries."""
    pair = pages.pair()
    inside = (
        pages.arena.frames[pair[0]]
        if where == "a frame"
        else pages.arena.memory[pages.arena.geometry()["entries"][0] :]
    )
    with nothing_changes(pages), pytest.raises(ValueError, match="out: lies in the arena"):
        pages.arena.exchange([pair], out=inside[:8].view(np.int32)[:1])


# ---- batches -------------------------------------------------------------------------------------------------------


def test_without_split_a_list_longer_than_a_batch_is_an_error() -> None:
    pages = Pages(frames=BATCH + 8)
    left, right = pages.arena.alloc(0, BATCH + 1), pages.arena.alloc(1, BATCH + 1)
    pairs = np.stack([left, right], axis=1)
    with nothing_changes(pages), pytest.raises(OSError, match=f"{BATCH + 1} pairs .* at most {BATCH}") as caught:
        pages.arena.exchange(pairs, split=False)
    assert caught.value.errno == errno.E2BIG
    assert pages.arena.exchange(pairs[:BATCH], split=False).ok
    assert pages.arena.exchange(pairs).exchanged == BATCH + 1


# ---- the other arguments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, -1, 65, 1 << 31, 1 << 40, -(1 << 40)])
@pytest.mark.parametrize("n", [0, 1])
def test_a_number_of_threads_that_cannot_be_is_an_error(pages: Pages, threads: int, n: int) -> None:
    pairs = [pages.pair()][:n]
    with nothing_changes(pages), pytest.raises(ValueError, match=f"threads {threads}: want 1 to 64"):
        pages.arena.exchange(pairs, threads=threads)


def test_more_threads_than_the_arena_has_workers_is_fewer_threads(pages: Pages) -> None:
    pairs = [pages.pair() for _ in range(20)]
    result = pages.arena.exchange(pairs, threads=20)
    assert (result.ok, result.workers) == (True, pages.arena.workers)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"mode": "fast"}, ValueError, "mode 'fast': choose one of async, sync-light, sync"),
        ({"order": "random"}, ValueError, "order 'random': choose 'independent' or 'sequential'"),
        ({"strategy": "wrd-swap"}, UnknownStrategyError, "unknown strategy 'wrd-swap'; did you mean 'word-swap'?"),
        ({"strategy": ""}, UnknownStrategyError, "unknown strategy ''"),
        ({"strategy": 7}, TypeError, "strategy: want a name, a BuiltStrategy or a Strategy, got int"),
        ({"strategy": None}, TypeError, "strategy: want a name, a BuiltStrategy or a Strategy, got NoneType"),
        ({"threads": "two"}, TypeError, "threads: want an integer, got str 'two'"),
        ({"threads": 1.5}, TypeError, "threads: want an integer, got float 1.5"),
    ],
)
def test_an_argument_that_cannot_be_is_an_error(
    pages: Pages, wrong: dict[str, Any], error: type[Exception], says: str
) -> None:
    pair = pages.pair()
    with nothing_changes(pages), pytest.raises(error) as caught:
        pages.arena.exchange([pair], **wrong)
    assert says in str(caught.value)


@pytest.mark.parametrize("timeout", [-1, 3601, float("nan")])
def test_a_timeout_that_cannot_be_is_an_error(pages: Pages, timeout: float) -> None:
    with pytest.raises(ValueError, match="want 0 to 3600 seconds"):
        pagexchange.strategy("word-swap", pages.arena, timeout=timeout)


def test_a_strategy_file_that_is_not_there_is_an_error(pages: Pages) -> None:
    with pytest.raises((ConfigError, OSError), match=r"nowhere\.toml"):
        pagexchange.strategy("word-swap", pages.arena, file="nowhere.toml")


def test_a_strategy_is_asked_for_by_the_names_of_its_arguments(pages: Pages) -> None:
    assert pagexchange.strategy(name="word-swap", arena=pages.arena, file=None, mode="sync", timeout=2.0).timeout == 2.0
    with pytest.raises(TypeError):
        pagexchange.strategy("word-swap", pages.arena, "my.toml")  # type: ignore[call-arg]


def test_a_strategy_of_another_arena_is_an_error(pages: Pages) -> None:
    strange = Pages()
    bound = pagexchange.strategy("word-swap", strange.arena)
    pair = pages.pair()
    with nothing_changes(pages), nothing_changes(strange), pytest.raises(ValueError, match="bound to another arena"):
        pages.arena.exchange([pair], bound)


def test_a_built_strategy_is_bound_by_the_call(pages: Pages) -> None:
    pair = pages.pair()
    pages.flag(pair[0], "writeback")
    built = strategy(pages.arena).built
    built = dataclasses.replace(built, spec=dataclasses.replace(built.spec, timeout=0.0))
    assert pages.arena.exchange([pair], built).refused == {"EBUSY": 1}
    assert pages.arena.exchange([pair], built, mode="sync").refused == {"ETIMEDOUT": 1}
    before = contents(pages, other := pages.pair())
    assert pages.arena.exchange([other], built).ok
    assert contents(pages, other) == before[::-1]


def test_a_bound_strategy_introduces_itself_with_its_arena(pages: Pages) -> None:
    bound = strategy(pages.arena, "word-swap")
    assert repr(bound) == f"<Strategy 'word-swap' on {pages.arena!r}>"


def test_a_bound_strategy_keeps_its_timeout_in_another_mode(pages: Pages) -> None:
    pair = pages.pair()
    pages.flag(pair[0], "writeback")
    bound = strategy(pages.arena, timeout=0)
    assert pages.arena.exchange([pair], bound, mode="sync").refused == {"ETIMEDOUT": 1}
    assert pages.arena.exchange([pair], bound).refused == {"EBUSY": 1}


@pytest.mark.parametrize("pairs", [[], [[1, 65]]])
def test_a_closed_arena_is_an_error(pairs: Any) -> None:
    pages = Pages()
    bound = strategy(pages.arena)
    pages.arena.close()
    with pytest.raises(ArenaError, match="closed"):
        bound.exchange(pairs)
    with pytest.raises(ArenaError, match="closed"):
        pages.arena.exchange(pairs)


def test_raise_for_status_names_the_pairs(pages: Pages) -> None:
    result = pages.arena.exchange([pages.pair(), [3, 3], [-1, 4]])
    with pytest.raises(PagexchangeError, match=r"pair 1 \(pfn 3 <-> 3\): EINVAL.*\n.*pair 2 \(pfn -1 <-> 4\): EFAULT"):
        result.raise_for_status()
    assert (result.failed.tolist(), result.exchanged, result.ok) == ([1, 2], 1, False)
    assert len(result.messages(1)) == 1
    pages.arena.exchange([pages.pair()]).raise_for_status()
