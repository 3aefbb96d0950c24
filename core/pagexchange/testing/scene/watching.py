"""What has changed in an arena's bytes since the last look, and what was said before of bytes that are equal."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pagexchange.oracle.format import SLOT, Raw

T = TypeVar("T")

_libc = ctypes.CDLL(None)
_libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]

Ranges = Sequence[tuple[int, int]]
"""Of some bytes: the first one, and the one behind the last."""


def differ(one: NDArray[np.uint8], other: NDArray[np.uint8], ranges: Ranges) -> bool:
    """Whether any byte of the ranges is another one. Both lie in one piece, and are not shorter than the ranges."""
    a, b = one.ctypes.data, other.ctypes.data
    return any(_libc.memcmp(a + start, b + start, end - start) for start, end in ranges)


class Watch:
    """Says whether a child has changed what it shares, in the ranges that it can change. A megabyte costs two steps.

    Parameters
    ----------
    memory : uint8[n]
        Shared with the child.
    ranges
        What is looked at.
    """

    def __init__(self, memory: NDArray[np.uint8], ranges: Ranges) -> None:
        self.memory = memory
        self._last = memory.copy()
        self._ranges = ranges

    def changed(self) -> bool:
        """Whether anything differs from what the last call saw, or was there at the beginning."""
        changed = differ(self.memory, self._last, self._ranges)
        for start, end in self._ranges if changed else ():
            self._last[start:end] = self.memory[start:end]
        return changed


class Remembered(Generic[T]):
    """A function of an arena's bytes that is asked once about all that are equal in what it reads.

    Parameters
    ----------
    function
        Of memory of one size.
    ranges
        What it reads.
    """

    _MOST: Final = 32

    def __init__(self, function: Callable[[NDArray[np.uint8]], T], ranges: Ranges) -> None:
        self._function = function
        self._ranges = ranges
        self._known: list[tuple[NDArray[np.uint8], T]] = []  # what was asked for last stands first

    def __call__(self, memory: NDArray[np.uint8]) -> T:
        """Return what it says of these bytes. A copy is kept if it is asked."""
        for place, known in enumerate(self._known):
            if not differ(memory, known[0], self._ranges):
                self._known.insert(0, self._known.pop(place))
                return known[1]
        said = self._function(memory)
        self._known.insert(0, (memory.copy(), said))
        del self._known[self._MOST :]
        return said


def without_logs(raw: Raw) -> Ranges:
    """All but the logs, which mean nothing while no exchange is under way."""
    log, size = SLOT.fields["log"][1], SLOT["log"].itemsize  # type: ignore[index]
    ranges, start = [], 0
    for slot in range(len(raw.slots)):
        at = raw.offset["slots"] + slot * SLOT.itemsize + log
        ranges.append((start, at))
        start = at + size
    return [*ranges, (start, raw.offset["pieces"]), (raw.offset["mappings"], raw.header["total"].item())]
