"""Turns a snapshot's frames into folios that an arena can hold: whole, aligned, each page at one place.

A folio stays one where its frames are all there, a power of two of them, and whoever maps it maps all of it at an
aligned address. Otherwise it becomes base pages, as Linux splits a folio of which only a part is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.snapshot import kpageflags
from pagexchange.pages.snapshot.snapshot import WRITABLE, Snapshot

MAX_ORDER: Final = 9
"""Larger folios (hugetlb pages of 1 GiB) become several of this order."""
ANON: Final = 1
FILE: Final = 2
SHMEM: Final = 3


@dataclass
class Folios:
    """The folios of a snapshot (n of them) and the mappings of whole folios (m)."""

    row: NDArray[np.int64]
    """int64[n]: the snapshot's row of the first frame."""
    order: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    """ANON, FILE or SHMEM."""
    file: NDArray[np.int64]
    """int64[n]: number of the file; -1 anonymous or not known."""
    index: NDArray[np.int64]
    """int64[n]: position in the file, a multiple of the folio's size."""
    map_space: NDArray[np.int64]
    map_vpn: NDArray[np.int64]
    map_folio: NDArray[np.int64]
    map_write: NDArray[np.bool_]
    counts: dict[str, int] = field(default_factory=dict)
    """How many had to be changed, by reason."""

    @property
    def size(self) -> NDArray[np.int64]:
        """int64[n]: base pages of each folio."""
        return np.left_shift(np.int64(1), self.order.astype(np.int64))


def folios(snapshot: Snapshot) -> Folios:
    """The folios of all rows that are pages."""
    page = snapshot.is_page()
    rows = np.arange(len(snapshot))
    first = kpageflags.folios(snapshot.pfn, snapshot.flags)
    first += (rows - first) >> MAX_ORDER << MAX_ORDER
    length = np.bincount(first, minlength=len(rows))
    place = rows - first
    whole = (length > 0) & (length & (length - 1) == 0)
    whole &= snapshot.pfn % np.maximum(length, 1).astype(np.uint64) == 0
    whole &= np.bincount(first[~page], minlength=len(rows)) == 0
    broken = int(((length > 1) & ~whole).sum())
    # one file, one run of positions that begins at a multiple of the size
    base = snapshot.index.astype(np.int64) - place
    is_odd = (snapshot.file != snapshot.file[first]) | ((snapshot.file >= 0) & (base != base[first]))
    is_odd |= (snapshot.file >= 0) & (base % np.maximum(length[first], 1) != 0)
    whole &= np.bincount(first[is_odd], minlength=len(rows)) == 0
    # all of it mapped at an aligned place, or nothing
    frame = snapshot.map_frame.astype(np.int64)
    space, vpn = snapshot.map_space.astype(np.int64), snapshot.map_vpn.astype(np.int64)
    start = vpn - place[frame]
    partly = _partly_mapped(first[frame], space, start, length)
    split_by_mapping = whole & (length > 1) & (np.bincount(partly, minlength=len(rows)) > 0)
    whole &= ~split_by_mapping
    head = page & ((place == 0) | ~whole[first])
    row = np.flatnonzero(head)
    size = np.where(whole[row], length[row], 1)
    order = np.log2(size).round().astype(np.uint8)
    anon = (snapshot.flags[row] & kpageflags.ANON) != 0
    backed = (snapshot.flags[row] & kpageflags.SWAPBACKED) != 0
    kind = np.where(anon, ANON, np.where(backed, SHMEM, FILE)).astype(np.uint8)
    file = np.where(anon, -1, snapshot.file[row]).astype(np.int64)
    index = np.where(file >= 0, snapshot.index[row], 0).astype(np.int64)
    clash = _clashes(file, index, size)
    file[clash], index[clash] = -1, 0
    number = np.full(len(rows), -1, dtype=np.int64)
    number[row] = np.arange(len(row))
    use = number[frame] >= 0
    found = Folios(
        row=row, order=order, kind=kind, file=file, index=index, map_space=space[use], map_vpn=vpn[use],
        map_folio=number[frame[use]], map_write=(snapshot.map_bits[use] & WRITABLE) != 0,
        counts={"broken_folios": broken, "split_folios": int(split_by_mapping.sum()), "clashes": len(clash)},
    )  # fmt: skip
    _one_address(found)
    return found


def _partly_mapped(
    first: NDArray[np.int64], space: NDArray[np.int64], start: NDArray[np.int64], length: NDArray[np.int64]
) -> NDArray[np.int64]:
    """First rows of folios that somebody maps in part, or at a place that is not a multiple of their size."""
    by = np.lexsort((start, space, first))
    first, space, start = first[by], space[by], start[by]
    new = np.ones(len(first), dtype=bool)
    new[1:] = (first[1:] != first[:-1]) | (space[1:] != space[:-1]) | (start[1:] != start[:-1])
    at = np.flatnonzero(new)
    often = np.diff(np.append(at, len(first)))
    partly: NDArray[np.bool_] = (often != length[first[at]]) | (start[at] % np.maximum(length[first[at]], 1) != 0)
    return first[at][partly]


def _clashes(file: NDArray[np.int64], index: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Folios that would lie over another one of their file: the later one goes."""
    left = np.flatnonzero(file >= 0)
    left = left[np.lexsort((-size[left], index[left], file[left]))]
    gone: list[NDArray[np.int64]] = []
    while True:  # at most as often as a folio has pages
        same = file[left[1:]] == file[left[:-1]]
        over = np.flatnonzero(same & (index[left[1:]] < (index + size)[left[:-1]])) + 1
        if not len(over):
            return np.concatenate(gone) if gone else np.zeros(0, dtype=np.int64)
        gone.append(left[over])
        left = np.delete(left, over)


def _one_address(folios: Folios) -> None:
    """Keep one mapping per place, and of an anonymous page only those at its first address: it has one index."""
    by = np.lexsort((folios.map_space, folios.map_folio))
    first_of = np.full(len(folios.row), -1, dtype=np.int64)
    first_of[folios.map_folio[by][::-1]] = folios.map_vpn[by][::-1]
    keep = (folios.kind[folios.map_folio] != ANON) | (folios.map_vpn == first_of[folios.map_folio])
    by = np.lexsort((folios.map_vpn, folios.map_space))
    space, vpn = folios.map_space[by], folios.map_vpn[by]
    keep[by[1:][(space[1:] == space[:-1]) & (vpn[1:] == vpn[:-1])]] = False
    folios.counts["other_addresses"] = int((~keep).sum())
    for name in ("map_space", "map_vpn", "map_folio", "map_write"):
        setattr(folios, name, getattr(folios, name)[keep])
