"""Turns a snapshot's frames into folios that an arena can hold: whole, aligned, each page at one place.

A folio stays one where its frames are all there, a power of two of them, and each process that maps it maps all of it
at an aligned address. Otherwise it becomes base pages, as Linux splits a folio of which only a part is wanted.

The arrays below are of two kinds, and the code relies on it: *by row* of the snapshot, where what is true of a folio
stands at the row of its first frame, and *by folio*, numbered from 0 in ascending frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.snapshot.proc import kpageflags
from pagexchange.pages.snapshot.proc.mappings import WRITABLE
from pagexchange.pages.snapshot.snapshot import Snapshot

MAX_ORDER: Final = 9
"""Larger folios (hugetlb pages of 1 GiB) become several of this order."""
ANON: Final = 1
FILE: Final = 2
SHMEM: Final = 3

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass
class Folios:
    """The folios of a snapshot (n of them) and the mappings of whole folios (m)."""

    row: Ints
    """int64[n]: the snapshot's row of the first frame."""
    order: NDArray[np.uint8]
    """uint8[n]."""
    kind: NDArray[np.uint8]
    """uint8[n]: ANON, FILE or SHMEM."""
    file: Ints
    """int64[n]: number of the file; -1 anonymous or not known."""
    index: Ints
    """int64[n]: position in the file, a multiple of the folio's size."""
    map_space: Ints
    """int64[m]: number of the address space."""
    map_vpn: Ints
    """int64[m]: virtual page number, a multiple of the folio's size."""
    map_folio: Ints
    """int64[m]: number of the folio."""
    map_write: Bools
    """bool[m]: whether the VMA may be written."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many had to be changed, by reason."""

    @property
    def size(self) -> Ints:
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
    whole = _complete(snapshot, page, first, length)
    broken = int(((length > 1) & ~whole).sum())
    whole &= ~_scattered(snapshot, first, place, length)
    partly = whole & (length > 1) & _partly_mapped(snapshot, first, place, length)
    whole &= ~partly
    # Every page of a folio that is not whole becomes a head of its own.
    head = page & ((place == 0) | ~whole[first])
    row = np.flatnonzero(head)
    result = _numbered(snapshot, row, np.where(whole[row], length[row], 1))
    result.counts = {"broken_folios": broken, "split_folios": int(partly.sum()), **result.counts}
    _one_address(result)
    return result


def _any_row(first: Ints, marked: Bools) -> Bools:
    """bool, by row: whether a folio has a row that is marked."""
    any_row: Bools = np.bincount(first[marked], minlength=len(first)) > 0
    return any_row


def _complete(snapshot: Snapshot, page: Bools, first: Ints, length: Ints) -> Bools:
    """bool, by row: folios of a power of two of frames, naturally aligned, all of them pages."""
    # length is 0 at rows that begin no folio; x & (x - 1) == 0 holds for 0, too
    complete: Bools = (length > 0) & (length & (length - 1) == 0)
    complete &= snapshot.pfn % np.maximum(length, 1).astype(np.uint64) == 0
    return complete & ~_any_row(first, ~page)


def _scattered(snapshot: Snapshot, first: Ints, place: Ints, length: Ints) -> Bools:
    """bool, by row: folios that are not one run of positions of one file, from a multiple of their size on."""
    # The position that the folio's first page would have, computed from each page: equal for all in one run.
    base = snapshot.index.astype(np.int64) - place
    in_file = snapshot.file >= 0
    odd = (snapshot.file != snapshot.file[first]) | (in_file & (base != base[first]))
    odd |= in_file & (base % np.maximum(length[first], 1) != 0)
    return _any_row(first, odd)


def _partly_mapped(snapshot: Snapshot, first: Ints, place: Ints, length: Ints) -> Bools:
    """bool, by row: folios of which some process maps a part, or that it maps at a place that is not aligned."""
    frame = snapshot.map_frame.astype(np.int64)
    folio, space = first[frame], snapshot.map_space.astype(np.int64)
    # The address that the folio's first page would have. Mappings of one folio with one start are one mapping of it,
    # whole if there are as many as the folio has pages.
    start = snapshot.map_vpn.astype(np.int64) - place[frame]
    order = np.lexsort((start, space, folio))
    folio, space, start = folio[order], space[order], start[order]
    new = np.ones(len(folio), dtype=bool)
    new[1:] = (folio[1:] != folio[:-1]) | (space[1:] != space[:-1]) | (start[1:] != start[:-1])
    group = np.flatnonzero(new)
    pages = np.diff(np.append(group, len(folio)))
    size = length[folio[group]]
    part = (pages != size) | (start[group] % np.maximum(size, 1) != 0)
    partly: Bools = np.bincount(folio[group][part], minlength=len(length)) > 0
    return partly


def _numbered(snapshot: Snapshot, row: Ints, size: Ints) -> Folios:
    """Folios that begin at these rows and have so many base pages, with kinds, places and mappings."""
    anon = (snapshot.flags[row] & kpageflags.ANON) != 0
    backed = (snapshot.flags[row] & kpageflags.SWAPBACKED) != 0
    file = np.where(anon, -1, snapshot.file[row]).astype(np.int64)
    index = np.where(file >= 0, snapshot.index[row], 0).astype(np.int64)
    clash = _clashes(file, index, size)
    file[clash], index[clash] = -1, 0
    # Only the mapping of a folio's first frame is kept: it stands for the whole folio.
    number = np.full(len(snapshot), -1, dtype=np.int64)
    number[row] = np.arange(len(row))
    folio = number[snapshot.map_frame]
    use = folio >= 0
    return Folios(
        row=row, order=np.log2(size).round().astype(np.uint8),
        kind=np.where(anon, ANON, np.where(backed, SHMEM, FILE)).astype(np.uint8), file=file, index=index,
        map_space=snapshot.map_space[use].astype(np.int64), map_vpn=snapshot.map_vpn[use].astype(np.int64),
        map_folio=folio[use], map_write=(snapshot.map_bits[use] & WRITABLE) != 0, counts={"clashes": len(clash)},
    )  # fmt: skip


def _clashes(file: Ints, index: Ints, size: Ints) -> Ints:
    """Folios that would lie over another one of their file: the later one goes.

    A recording is no instant: a position may have been given to another frame between two reads.
    """
    left = np.flatnonzero(file >= 0)
    left = left[np.lexsort((-size[left], index[left], file[left]))]
    gone: list[Ints] = []
    # A large folio can lie over many neighbours, but only its direct neighbour is compared with it: round by round,
    # at most as often as a folio has pages.
    while True:
        same = file[left[1:]] == file[left[:-1]]
        over = np.flatnonzero(same & (index[left[1:]] < (index + size)[left[:-1]])) + 1
        if not len(over):
            return np.concatenate(gone) if gone else np.zeros(0, dtype=np.int64)
        gone.append(left[over])
        left = np.delete(left, over)


def _one_address(folios: Folios) -> None:
    """Keep one mapping per place, and of an anonymous page only those at its first address: it has one index."""
    order = np.lexsort((folios.map_space, folios.map_folio))
    first_vpn = np.full(len(folios.row), -1, dtype=np.int64)
    # Assigned backwards: of several values for one folio the last assignment stays, that of the lowest space.
    first_vpn[folios.map_folio[order][::-1]] = folios.map_vpn[order][::-1]
    keep = (folios.kind[folios.map_folio] != ANON) | (folios.map_vpn == first_vpn[folios.map_folio])
    # Two folios at one address of one space: a frame was replaced while the page tables were read.
    order = np.lexsort((folios.map_vpn, folios.map_space))
    space, vpn = folios.map_space[order], folios.map_vpn[order]
    keep[order[1:][(space[1:] == space[:-1]) & (vpn[1:] == vpn[:-1])]] = False
    folios.counts["other_addresses"] = int((~keep).sum())
    for name in ("map_space", "map_vpn", "map_folio", "map_write"):
        setattr(folios, name, getattr(folios, name)[keep])
