"""The arguments of a call - frames, flags, pairs, statuses, threads - checked and as the engine takes them."""

from collections.abc import Sequence
from typing import Any, NoReturn, TypeGuard

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.frame import Frame
from pagexchange.model.layout import Layout
from pagexchange_native.arena.region import Region
from pagexchange_native.engine.exchange import MAX_THREADS
from pagexchange_native.integers import as_number, is_integer, listed


def as_frames(frames: Any, arena: Region) -> Any:  # noqa: ANN401 - numbers in any form that NumPy takes
    """Return Frames, one or several, as their numbers; numbers as they are. ValueError: a frame of another arena."""
    frames = [frames] if isinstance(frames, Frame) else listed(frames)
    if not isinstance(frames, Sequence) or not any(isinstance(frame, Frame) for frame in frames):
        return frames
    for frame in frames:
        if isinstance(frame, Frame) and frame.arena is not arena:
            raise ValueError(f"{frame!r} is a frame of another arena")
    return [_number(frame) for frame in frames]


def as_mask(flags: Any, layout: Layout) -> Any:  # noqa: ANN401 - as above
    """Return the name of a flag, or several names, as the bits that they stand for; numbers as they are.

    UnknownFlagError says which names the layout has.
    """
    if isinstance(flags, str):
        return layout.word(flags)
    if isinstance(flags, np.ndarray) and flags.dtype.kind in "UT":
        flags = flags.reshape(-1).tolist()
    elif not isinstance(flags, np.ndarray):
        flags = list(flags) if isinstance(flags, set | frozenset) else listed(flags)
    if isinstance(flags, Sequence) and not isinstance(flags, bytes) and all(isinstance(x, str) for x in flags):
        return layout.word(*flags)  # without a name no bit, which changes nothing
    return flags


def as_pages(pfns: object, arena: Region) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Return frames in any form, one or several, as int64[n], and which of them are frames of another arena.

    A number that int64 cannot hold becomes -1: out of range, a status as for any other wrong frame.
    """
    foreign = None
    pfns = [pfns] if isinstance(pfns, Frame) else listed(pfns)
    if _members(pfns) and any(isinstance(x, Frame) for x in _members(pfns)):
        foreign = np.array([isinstance(x, Frame) and x.arena is not arena for x in _members(pfns)])
        pfns = [-1 if f else _number(x) for x, f in zip(_members(pfns), foreign, strict=True)]
    numbers = np.asarray(pfns)
    if numbers.ndim > 1:
        raise ValueError(f"pfns: want shape (n,), got {numbers.shape}")
    return _as_int64(numbers.reshape(-1), "pfns", "an array"), foreign


def as_pairs(pairs: object, arena: Region) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Return pairs in any form as int64[n, 2], and which of them name frames of another arena.

    A number that int64 cannot hold becomes -1: out of range, a status as for any other wrong frame.
    """
    # Frames are rare, and looking for them costs a look at each pair: an array is taken as it is.
    foreign = None
    pairs = listed(pairs)  # such as zip(slow, fast)
    if _with_frames(pairs):
        foreign = np.array([any(isinstance(x, Frame) and x.arena is not arena for x in _members(p)) for p in pairs])
        pairs = [[-1 if f else _number(x) for x in _members(p)] for p, f in zip(pairs, foreign, strict=True)]
    try:
        array: NDArray[Any] = np.asarray(pairs)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"pairs: want an (n, 2) array of integers: {error}") from None
    if array.shape in ((0,), (1, 0), (0, 2)):
        array = np.empty((0, 2), dtype=np.int64)
    numbers = _as_int64(array, "pairs", "an (n, 2) array")
    if numbers.ndim != 2 or numbers.shape[1] != 2:
        raise ValueError(f"pairs: want shape (n, 2), got {numbers.shape}")
    return numbers, foreign


def _as_int64(array: NDArray[Any], what: str, form: str) -> NDArray[np.int64]:
    """Return numbers as int64, -1 for one that it cannot hold. TypeError: they are no integers."""
    if array.dtype == object and all(is_integer(x) for x in array.ravel()):
        array = np.vectorize(lambda x: int(x) if -(1 << 63) <= x < 1 << 63 else -1, otypes=[np.int64])(array)
    if not array.size:
        array = array.astype(np.int64)  # of nothing NumPy makes floats
    if array.dtype.kind not in "iu":  # a duration is an np.integer to NumPy
        raise TypeError(f"{what}: want {form} of integers, got dtype {array.dtype}")
    # What uint64 holds beyond int64 would wrap to some frame that exists; the largest of all wraps to -1.
    if array.dtype.kind == "u" and array.dtype.itemsize == 8:
        array = np.where(array > np.uint64(np.iinfo(np.int64).max), np.uint64(np.iinfo(np.uint64).max), array)
    return array.astype(np.int64, order="C", casting="unsafe", copy=False)


def _with_frames(pairs: object) -> TypeGuard[Sequence[object]]:
    if not isinstance(pairs, Sequence) or isinstance(pairs, memoryview):
        return False
    return any(isinstance(x, Frame) for pair in pairs for x in _members(pair))


def _members(pair: object) -> Sequence[object]:
    return pair if isinstance(pair, Sequence) else ()


def _number(value: object) -> object:
    return value.pfn if isinstance(value, Frame) else value


def refuse_out(out: object, n: int) -> NoReturn:
    """Say why statuses of n pairs cannot go to `out`."""
    if not isinstance(out, np.ndarray) or out.dtype != np.int32 or out.shape != (n,):
        raise ValueError(f"out: want an int32[{n}] array, got {out!r:.80}")
    if not (out.flags.writeable and out.flags.c_contiguous and out.flags.aligned):
        raise ValueError("out: want a writable, contiguous array, aligned as its items")
    raise ValueError("out: lies in the arena; statuses cannot lie where pages and their entries do")


def as_threads(threads: int | None) -> int | None:
    """Return a number of threads that the engine can take; None leaves it to the strategy."""
    if threads is None:
        return None
    number = as_number(threads, "threads")
    if not 1 <= number <= MAX_THREADS:
        raise ValueError(f"threads {number}: want 1 to {MAX_THREADS}")
    return number


def as_microseconds(given: object) -> float:
    """Return the time that a call may take, above 0; TypeError and ValueError say what would be right."""
    if isinstance(given, bool) or not isinstance(given, int | float | np.number):
        raise TypeError(f"max_call_us: want a number of microseconds, got {type(given).__name__}")
    if not 0 < given < float("inf"):
        raise ValueError(f"max_call_us {given}: want microseconds above 0")
    return float(given)
