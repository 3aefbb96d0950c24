"""Which areas show the same file: the page cache decides, because what /proc/PID/maps calls a file is not always one.

maps has a device and an inode. Usually they are the file. They are not where file systems are stacked or share inodes:

* Two containers map one library of a common lower layer, each through an overlayfs of its own. From Linux 6.8 on maps
  shows two devices and perhaps two inodes; the pages are those of one file, and each is mapped twice.
* Two subvolumes of one btrfs show one device, and their inodes count from the same number: two files look like one.
* A name says nothing at all: it is what one mount namespace sees today.

A page of a file lies in one frame, and a frame holds one page of one file. So the frame numbers of page tables tell:

* Areas of two files with **one frame at one position** show one file, if they share more frames so than they have
  positions that lie in different frames. A frame that was given away between two reads looks the same; therefore it is
  evidence only if Linux counts as many mappings of it as were read (of a large folio Linux may count less, by design).
* Areas of one file with **different frames at one position** in different processes, and no frame in common, show two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.snapshot.proc import kpageflags

Ints = NDArray[np.int64]


def numbers(
    space: Ints, file: Ints, index: Ints, row: Ints, flags: NDArray[np.uint64], count: NDArray[np.uint32], nfiles: int
) -> tuple[Ints, Ints]:
    """Number the files anew, so that one number is one file.

    Parameters
    ----------
    space, file, index : int64[m]
        Of the mappings of files: the process, the file as maps has it, and the position in it.
    row : int64[m]
        Which frame each leads to.
    flags, count : uint64[n], uint32[n]
        Of the frames: the words of /proc/kpageflags and /proc/kpagecount.
    nfiles : int
        How many files maps has.

    Returns
    -------
    int64[m]
        The new number of each mapping's file.
    int64[k]
        Of each new number, in ascending order, the first of the old numbers that it stands for.
    """
    apart = _apart(space, file, index, row, nfiles)
    # what was one file to maps and is two gets numbers from nfiles on; `of` remembers the file that it was
    of = np.arange(nfiles)
    if len(apart):
        file, of = _split(space, file, index, row, apart, nfiles)
    group = _Groups(len(of))
    for one, other in _shared(file, index, row, flags, count):
        group.join(one, other)
    first = group.first()
    known, number = np.unique(first, return_inverse=True)
    return number[file], of[known]


class _Groups:
    """Numbers that belong together."""

    def __init__(self, n: int) -> None:
        self._up = list(range(n))

    def _top(self, number: int) -> int:
        while self._up[number] != number:
            self._up[number] = self._up[self._up[number]]
            number = self._up[number]
        return number

    def join(self, one: int, other: int) -> None:
        """Put the groups of two numbers together."""
        low, high = sorted((self._top(one), self._top(other)))
        self._up[high] = low

    def first(self) -> Ints:
        """int64[n]: the lowest number of each one's group."""
        return np.array([self._top(number) for number in range(len(self._up))], dtype=np.int64)


def _apart(space: Ints, file: Ints, index: Ints, row: Ints, nfiles: int) -> Ints:
    """Files of which two processes have different frames at one position."""
    order = np.lexsort((row, index, file))
    f, i, r, s = file[order], index[order], row[order], space[order]
    differ = (f[1:] == f[:-1]) & (i[1:] == i[:-1]) & (r[1:] != r[:-1]) & (s[1:] != s[:-1])
    return np.unique(f[1:][differ])


def _split(space: Ints, file: Ints, index: Ints, row: Ints, apart: Ints, nfiles: int) -> tuple[Ints, Ints]:
    """Number the processes' views of these files that have no frame in common; and the file that each number was."""
    file, of = file.copy(), list(range(nfiles))
    order = np.argsort(file, kind="stable")
    bounds = np.searchsorted(file[order], np.stack([apart, apart + 1]))
    for number, begin, end in zip(apart.tolist(), *bounds.tolist(), strict=True):
        mine = order[begin:end]
        spaces, view = np.unique(space[mine], return_inverse=True)
        group = _Groups(len(spaces))
        by_frame = np.lexsort((view, index[mine], row[mine]))
        r, i, v = row[mine][by_frame], index[mine][by_frame], view[by_frame]
        common = (r[1:] == r[:-1]) & (i[1:] == i[:-1]) & (v[1:] != v[:-1])
        for one, other in np.unique(np.stack([v[:-1][common], v[1:][common]], axis=1), axis=0).tolist():
            group.join(one, other)
        _, part = np.unique(group.first()[view], return_inverse=True)
        new = np.concatenate([[number], len(of) + np.arange(int(part.max()))])
        of += [number] * int(part.max())
        file[mine] = new[part]
    return file, np.array(of, dtype=np.int64)


def _shared(
    file: Ints, index: Ints, row: Ints, flags: NDArray[np.uint64], count: NDArray[np.uint32]
) -> list[tuple[int, int]]:
    """Pairs of files that share more frames, at one position, than they have positions in different frames."""
    large = (flags & (kpageflags.HEAD | kpageflags.TAIL)) != 0
    believed = large | (count >= np.bincount(row, minlength=len(count)))
    use = np.flatnonzero(believed[row])
    order = use[np.lexsort((file[use], index[use], row[use]))]
    f, i, r = file[order], index[order], row[order]
    common = (r[1:] == r[:-1]) & (i[1:] == i[:-1]) & (f[1:] != f[:-1])
    pairs, often = np.unique(np.stack([f[:-1][common], f[1:][common]], axis=1), axis=0, return_counts=True)
    if not len(pairs):
        return []
    # the pages of the files that are in question, each once
    order = np.lexsort((row, index, file))
    order = order[np.isin(file[order], pairs)]
    f, i, r = file[order], index[order], row[order]
    result: list[tuple[int, int]] = []
    for (one, other), together in zip(pairs.tolist(), often.tolist(), strict=True):
        a, b = (slice(*np.searchsorted(f, [number, number + 1])) for number in (one, other))
        _, at_a, at_b = np.intersect1d(i[a], i[b], return_indices=True)
        if together > int((r[a][at_a] != r[b][at_b]).sum()):
            result.append((one, other))
    return result
