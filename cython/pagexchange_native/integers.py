"""Numbers from Python as arrays of the type that native code reads; what is no integer is refused, not rounded."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_pfns(values: ArrayLike, name: str = "pfns") -> NDArray[np.int64]:
    """Return an integer, or integers of any shape, as int64[n]; what int64 cannot hold becomes -1: out of range."""
    array = _integers(values, name)
    if array.dtype == object:
        array = np.array([x if 0 <= x < 1 << 63 else -1 for x in array.flat], dtype=np.int64)
    return np.ascontiguousarray(array.reshape(-1)).astype(np.int64, copy=False)


def as_places(places: ArrayLike, pfns: ArrayLike, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return positions and the frames that go there, as int64[n] each. `name`: of the positions, for an error."""
    at, frames = as_pfns(places, name), as_pfns(pfns)
    if len(at) != len(frames):
        raise ValueError(f"{len(at)} {name} for {len(frames)} frames")
    return at, frames


def as_words(values: ArrayLike, name: str) -> NDArray[np.uint64]:
    """Return an integer, or an array of them, as uint64."""
    array = _integers(values, name)
    if array.size and (int(array.min()) < 0 or int(array.max()) >= 1 << 64):
        raise ValueError(f"{name}: {array.min()} to {array.max()}; want numbers from 0 to 2^64 - 1")
    return np.asarray(array, dtype=np.uint64)


def _integers(values: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind == "f" and not isinstance(values, np.ndarray):
        # NumPy makes floats of a list with numbers on both sides of 2^63.
        array = np.asarray(values, dtype=object)
    if array.dtype.kind in "iu" or (array.dtype == object and all(_is_int(value) for value in array.flat)):
        return array
    raise TypeError(f"{name}: want integers, got {array.dtype} {values!r:.60}")


def _is_int(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
