"""Where in a process's address space pages are, found out without a look at what is reserved only.

A sanitizer's shadow, a runtime's heap and a guard reserve terabytes. Their words in pagemap are zeros, 2 GiB of them
for each TiB; Linux's page tables hold nothing there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np

# struct pm_scan_arg of include/uapi/linux/fs.h, since Linux 6.7: size, flags, start, end, walk_end, vec, vec_len,
# max_pages, category_inverted, category_mask, category_anyof_mask, return_mask
_ARGUMENT: Final = struct.Struct("=12Q")
_SCAN: Final = 3 << 30 | _ARGUMENT.size << 16 | ord("f") << 8 | 16
_PRESENT: Final = 1 << 3
_REGIONS: Final = 1 << 12
"""Stretches that one call returns at most."""
_NO_SCAN: Final = frozenset({errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EFAULT})
_NEAR: Final = 512
"""Pages that are read with their neighbours rather than passed over: another read costs more."""
_WORD: Final = 8


def stretches(fd: int, first: int, end: int) -> Iterator[tuple[int, int]] | None:
    """Stretches (first page, page after the last) of pages first to end that hold all which are there, ascending.

    None where neither Linux (before 6.7) nor the file system of a saved pagemap can tell.

    Parameters
    ----------
    fd : int
        An open pagemap.
    """
    # the first one now, so that a refusal is seen here
    for search in (_by_scan, _by_holes):
        found = search(fd, first, end)
        try:
            ahead = next(found, None)
        except OSError as error:
            if error.errno not in _NO_SCAN:
                raise
            continue
        return found if ahead is None else _with(ahead, found)
    return None


def _with(ahead: tuple[int, int], rest: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    yield ahead
    yield from rest


def _by_scan(fd: int, first: int, end: int) -> Iterator[tuple[int, int]]:
    """By Linux's walk over the page tables, which passes over what has none."""
    page = os.sysconf("SC_PAGE_SIZE")  # this machine's: another machine's pagemap takes no ioctl
    regions = np.zeros((_REGIONS, 3), dtype=np.uint64)
    at = first * page
    while at < end * page:
        argument = bytearray(
            _ARGUMENT.pack(
                _ARGUMENT.size, 0, at, end * page, 0, regions.ctypes.data, _REGIONS, 0, 0, _PRESENT, 0, _PRESENT
            )
        )
        found = fcntl.ioctl(fd, _SCAN, argument)
        if not found:
            return
        low, high = (regions[:found, :2] // np.uint64(page)).T
        cut = np.flatnonzero(low[1:] > high[:-1] + np.uint64(_NEAR))
        yield from zip(low[np.append([0], cut + 1)].tolist(), high[np.append(cut, -1)].tolist(), strict=True)
        # Where the walk stopped, or the end of the last region: Linux 6.18 may give the former too low.
        at = max(_ARGUMENT.unpack(argument)[4], int(regions[found - 1, 1]))


def _by_holes(fd: int, first: int, end: int) -> Iterator[tuple[int, int]]:
    """By the holes of a sparse file, as a saved pagemap is one. What is no such file, as in /proc, gives EINVAL."""
    at = first * _WORD
    while at < end * _WORD:
        try:
            low = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        at = os.lseek(fd, low, os.SEEK_HOLE)
        if low < end * _WORD:
            yield max(low // _WORD, first), min(-(-at // _WORD), end)
