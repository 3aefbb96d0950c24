"""Numbers of frames and positions, as Python code gives them, checked and as the loops take them.

Whole numbers only: what is not one is refused, not rounded, and a bool is no number of a frame.
"""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, Final, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BOOLS: Final = (bool, np.bool_)
_AS_IT_IS: Final = (list, tuple, range, str, bytes, Mapping, set, frozenset)


def as_number(value: SupportsIndex, name: str) -> int:
    """Return one integer, of Python or of NumPy; TypeError names the parameter."""
    if isinstance(value, _BOOLS):
        raise TypeError(f"{name}: want an integer, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: want an integer, got {type(value).__name__} {value!r:.60}") from None


def as_pfns(values: ArrayLike | Iterable[SupportsIndex], name: str = "pfns") -> NDArray[np.int64]:
    """Return an integer, or integers of any shape, as int64[n]; what int64 cannot hold becomes -1: out of range."""
    array = _integers(values, name)
    if array.dtype == object:
        array = np.array([x if 0 <= x < 1 << 63 else -1 for x in array.flat], dtype=np.int64)
    return np.ascontiguousarray(array.reshape(-1)).astype(np.int64, copy=False)


def as_places(places: Any, pfns: Any, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:  # noqa: ANN401
    """Return positions and the frames that go there, as int64[n] each. `name`: of the positions, for an error."""
    at, frames = as_pfns(places, name), as_pfns(pfns)
    if len(at) != len(frames):
        raise ValueError(f"{len(at)} {name} for {len(frames)} frames")
    return at, frames


def given(values: Any, k: int) -> object:  # noqa: ANN401
    """Return element k of what `as_pfns` was given, as it was given: an error names that, not what became of it."""
    return np.asarray(values, dtype=object).reshape(-1)[k]


def as_words(values: ArrayLike | Iterable[SupportsIndex], name: str) -> NDArray[np.uint64]:
    """Return an integer, or an array of them, as uint64."""
    array = _integers(values, name)
    if array.size and (int(array.min()) < 0 or int(array.max()) >= 1 << 64):
        raise ValueError(f"{name}: {array.min()} to {array.max()}; want numbers from 0 to 2^64 - 1")
    return np.asarray(array, dtype=np.uint64)


def listed(values: Any) -> Any:  # noqa: ANN401 - whatever a caller gives
    """Return what NumPy does not take for a list, though it can be gone through, as a list; the rest as it is.

    NumPy makes an array of one object from a generator, or from the view of a dict. A dict is left alone, as it is not
    clear which half of it is meant, and so is a set, whose order nobody knows: what is returned stands in that order.
    """
    if isinstance(values, Iterable) and not isinstance(values, _AS_IT_IS) and not _is_array_like(values):
        return list(values)
    return values


def is_integer(value: object) -> bool:
    """Whether a value is a whole number, of Python or NumPy: no bool, and no duration, which NumPy counts as one."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64)


def _is_array_like(values: object) -> bool:
    if hasattr(values, "__array__"):
        return True
    try:
        memoryview(values)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _integers(values: object, name: str) -> NDArray[Any]:
    values = listed(values)
    try:
        array: NDArray[Any] = np.asarray(values)
    except ValueError as error:  # rows of several lengths
        raise ValueError(f"{name}: want integers: {error}") from None
    if array.size == 0:
        return array.astype(np.int64)
    kind = array.dtype
    if kind.kind == "f" and not isinstance(values, np.ndarray):
        # NumPy makes floats of a list with numbers on both sides of 2^63.
        array = np.asarray(values, dtype=object)
    if array.dtype.kind in "iu":
        return array
    if array.dtype == object and all(is_integer(value) for value in array.flat):
        return array
    raise TypeError(f"{name}: want integers, got {kind} {values!r:.60}")
