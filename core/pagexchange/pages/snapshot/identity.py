"""Who a page is: its place in a file, its virtual address with the gaps closed, a stand-in for its frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.snapshot.proc import kpageflags
from pagexchange.pages.snapshot.proc.frames import Frames
from pagexchange.pages.snapshot.proc.mappings import FILE


def identities(
    pfn: NDArray[np.uint64], flags: NDArray[np.uint64], row: NDArray[np.intp], file: NDArray[np.int32],
    index: NDArray[np.uint64], valid: NDArray[np.bool_],
) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.bool_]]:  # fmt: skip
    """File and index of each frame; and which mappings agree with them.

    An unmapped page of a folio has its place from a mapped one: a folio is one piece of a file.

    Parameters
    ----------
    pfn, flags : uint64[n]
        Of the frames, ascending.
    row : intp[m]
        Of the mappings: which frame they lead to.
    file, index : int32[m], uint64[m]
        What the process's map says lies there; file -1 for anonymous pages.
    valid : bool[m]
        Which mappings are to be believed.

    Returns
    -------
    int32[n], uint64[n], bool[m]
    """
    out_file = np.full(len(pfn), -1, dtype=np.int32)
    out_index = np.zeros(len(pfn), dtype=np.uint64)
    # Of several mappings of a frame the first decides, and those that say otherwise are invalid: the frame changed
    # hands while the page tables were read.
    use = np.flatnonzero(valid & (file >= 0))
    rows, earliest = np.unique(row[use], return_index=True)
    out_file[rows], out_index[rows] = file[use[earliest]], index[use[earliest]]
    valid = valid.copy()
    valid[use] &= (out_file[row[use]] == file[use]) & (out_index[row[use]] == index[use])
    # For each folio: the file of its first mapped page, and the position that the folio's first page has by it.
    first = kpageflags.folios(pfn, flags)
    place = np.arange(len(pfn)) - first
    base = out_index[rows].astype(np.int64) - place[rows]
    heads, earliest = np.unique(first[rows], return_index=True)
    folio_file, folio_base = np.full(len(pfn), -1, dtype=np.int32), np.zeros(len(pfn), dtype=np.int64)
    good = base[earliest] >= 0  # below 0 it would begin before its file: no folio, but frames that were given away
    folio_file[heads[good]], folio_base[heads[good]] = out_file[rows][earliest[good]], base[earliest[good]]
    fill = (out_file < 0) & (folio_file[first] >= 0) & ((flags & kpageflags.ANON) == 0)
    out_file[fill] = folio_file[first[fill]]
    out_index[fill] = (folio_base[first] + place)[fill].astype(np.uint64)
    return out_file, out_index, valid


def close_gaps(vpn: NDArray[np.uint64], areas: list[tuple[int, int]]) -> NDArray[np.uint64]:
    """The same pages with the address space's gaps closed, alike for all processes (see `Snapshot.map_vpn`).

    Parameters
    ----------
    vpn : uint64[m]
    areas : list of (first, last + 1)
        Of all processes together, in any order; they may overlap.

    Returns
    -------
    uint64[m]
    """
    # The union of all areas is cut into stretches. Each moves down as a whole, to the next place that lies as its old
    # one does within 512 pages: so what was aligned stays aligned, and what forked processes share stays at one place.
    starts: list[int] = []
    moved: list[int] = []
    place, last = 512, -1
    for start, end in sorted(areas):
        if start > last:
            place += 1 + (start - place - 1) % 512
            starts.append(start)
            moved.append(place - start)
        elif end <= last:
            continue
        place += end - max(start, last) if start <= last else end - start
        last = end
    if not starts:
        return vpn
    stretch = np.searchsorted(np.array(starts, dtype=np.uint64), vpn, side="right") - 1
    return (vpn.astype(np.int64) + np.array(moved, dtype=np.int64)[stretch]).astype(np.uint64)


def made_up(
    file: NDArray[np.int32], index: NDArray[np.uint64], bits: NDArray[np.uint8]
) -> tuple[Frames, NDArray[np.uint64]]:
    """Frames for mappings without frame numbers: one per place in a file, one per anonymous page."""
    # The third column tells anonymous pages apart, which have neither file nor index.
    own = (file < 0).astype(np.int64) * np.arange(1, len(file) + 1)
    _, number = np.unique(np.stack([file.astype(np.int64), index.astype(np.int64), own]), axis=1, return_inverse=True)
    number = number.ravel()  # NumPy 2.0 gives it a second axis
    n = int(number.max()) + 1 if len(number) else 0
    flags = np.full(n, kpageflags.mask("UPTODATE", "LRU", "MMAP"), dtype=np.uint64)
    flags[number[(bits & FILE) == 0]] |= kpageflags.mask("ANON", "SWAPBACKED")
    count = np.bincount(number, minlength=n).astype(np.uint32)
    return (np.arange(n, dtype=np.uint64), flags, count), number.astype(np.uint64)
