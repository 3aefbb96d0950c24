"""Who a page is: its place in a file, its virtual address with the gaps closed, a stand-in for its frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.snapshot import kpageflags
from pagexchange.pages.snapshot.proc.frames import Frames
from pagexchange.pages.snapshot.snapshot import FILE


def identities(
    pfn: NDArray[np.uint64], flags: NDArray[np.uint64], row: NDArray[np.intp], file: NDArray[np.int32],
    index: NDArray[np.uint64], valid: NDArray[np.bool_],
) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.bool_]]:  # fmt: skip
    """File and index of each frame; and which mappings agree with them.

    A page of a folio that nobody maps has its place from the one that somebody does: a folio is one piece of a file.
    """
    out_file = np.full(len(pfn), -1, dtype=np.int32)
    out_index = np.zeros(len(pfn), dtype=np.uint64)
    use = np.flatnonzero(valid & (file >= 0))
    rows, at = np.unique(row[use], return_index=True)
    out_file[rows], out_index[rows] = file[use[at]], index[use[at]]
    valid = valid.copy()
    valid[use] &= (out_file[row[use]] == file[use]) & (out_index[row[use]] == index[use])
    first = kpageflags.folios(pfn, flags)
    place = np.arange(len(pfn)) - first
    base = out_index[rows].astype(np.int64) - place[rows]
    heads, at = np.unique(first[rows], return_index=True)
    folio_file, folio_base = np.full(len(pfn), -1, dtype=np.int32), np.zeros(len(pfn), dtype=np.int64)
    good = base[at] >= 0
    folio_file[heads[good]], folio_base[heads[good]] = out_file[rows][at[good]], base[at[good]]
    fill = (out_file < 0) & (folio_file[first] >= 0) & ((flags & kpageflags.ANON) == 0)
    out_file[fill] = folio_file[first[fill]]
    out_index[fill] = (folio_base[first] + place)[fill].astype(np.uint64)
    return out_file, out_index, valid


def close_gaps(vpn: NDArray[np.uint64], areas: list[tuple[int, int]]) -> NDArray[np.uint64]:
    """The same pages with the address space's gaps closed, alike for all processes (see `Snapshot.map_vpn`)."""
    starts: list[int] = []
    moved: list[int] = []
    at, last = 512, -1
    for start, end in sorted(areas):
        if start > last:
            at += 1 + (start - at - 1) % 512
            starts.append(start)
            moved.append(at - start)
        elif end <= last:
            continue
        at += end - max(start, last) if start <= last else end - start
        last = end
    if not starts:
        return vpn
    which = np.searchsorted(np.array(starts, dtype=np.uint64), vpn, side="right") - 1
    return (vpn.astype(np.int64) + np.array(moved, dtype=np.int64)[which]).astype(np.uint64)


def made_up(
    file: NDArray[np.int32], index: NDArray[np.uint64], bits: NDArray[np.uint8]
) -> tuple[Frames, NDArray[np.uint64]]:
    """Frames for mappings without frame numbers: one per place in a file, one per anonymous page."""
    own = (file < 0).astype(np.int64) * np.arange(1, len(file) + 1)
    _, number = np.unique(np.stack([file.astype(np.int64), index.astype(np.int64), own]), axis=1, return_inverse=True)
    number = number.ravel()
    n = int(number.max()) + 1 if len(number) else 0
    flags = np.full(n, kpageflags.mask("UPTODATE", "LRU", "MMAP"), dtype=np.uint64)
    flags[number[(bits & FILE) == 0]] |= kpageflags.mask("ANON", "SWAPBACKED")
    count = np.bincount(number, minlength=n).astype(np.uint32)
    return (np.arange(n, dtype=np.uint64), flags, count), number.astype(np.uint64)
