"""Puts a planned population into an arena: caches, page tables, private data and flags, in bulk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.model import config
from pagexchange.model.equality import same_fields
from pagexchange.model.layout import Layout
from pagexchange.pages.folios import ANON, FILE, SHMEM
from pagexchange.pages.within import within

KINDS: Final[Mapping[str, int]] = {**dict(zip(config.KINDS, (ANON, FILE, SHMEM), strict=True))}
"""What a page can be, and its number in `Population.kind`."""
_FRAMES_OWN: Final = ("locked", "waiters", "head", "private")
"""Flags that the arena sets itself: `private` with its reference, the others with the frame."""
_PRIVATE: Final = 0x1000
"""Private word of the folio in row 0; the others count up from it, so that no two are equal."""


@dataclass(frozen=True, slots=True)
class Split:
    """How the pages of a snapshot were put on the two nodes."""

    how: str
    """real, drawn, interleave or halves."""
    sentence: str
    """The same for a reader, with the reason."""
    nowhere: int = 0
    """Folios that were on none of the real nodes."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Population:
    """What was put where: one row per folio."""

    pfns: NDArray[np.int64]
    """int64[n]: first frame."""
    node: NDArray[np.uint8]
    """uint8[n]: number of the node."""
    kind: NDArray[np.uint8]
    """uint8[n]: see `KINDS`."""
    order: NDArray[np.uint8]
    """uint8[n]."""
    hot: NDArray[np.uint8]
    """uint8[n]: 0 cold to 7 hot."""
    mappings: list[int] = field(default_factory=list)
    """Numbers of the mappings made."""
    spaces: list[int] = field(default_factory=list)
    """Numbers of the address spaces made."""
    counts: dict[str, int] = field(default_factory=dict)
    """What is in the arena and what had to be left out or changed, by name."""
    notes: list[str] = field(default_factory=list)
    """The same for a reader."""
    split: Split | None = None
    """Of a snapshot: how its pages came to be on the two nodes."""

    def __len__(self) -> int:
        return len(self.pfns)

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, Population) else NotImplemented

    def __repr__(self) -> str:
        made = f"{len(self.mappings)} mappings, {len(self.spaces)} spaces"
        return f"<Population {len(self)} folios, {self.pages} pages, {made}>"

    @property
    def pages(self) -> int:
        """Base pages of all folios together."""
        return int(np.left_shift(1, self.order.astype(np.int64)).sum())


@dataclass
class Plan:
    """Folios (n rows) and mappings of whole folios (m rows) to be. Files and spaces are numbered from 0."""

    kind: NDArray[np.uint8]
    """uint8[n]: see `KINDS`."""
    file: NDArray[np.int64]
    """int64[n]: -1 for anonymous pages."""
    index: NDArray[np.int64]
    """int64[n]: position in the file, in base pages."""
    words: NDArray[np.uint64]
    """uint64[n]: flags words; what belongs to the frame and `private` is not taken from here."""
    private: NDArray[np.bool_]
    """bool[n]: pages of files with private data."""
    hot: NDArray[np.uint8]
    """uint8[n]: 0 cold to 7 hot."""
    map_space: NDArray[np.int64]
    """int64[m]."""
    map_vpn: NDArray[np.int64]
    """int64[m]: virtual page number, a multiple of the folio's size."""
    map_folio: NDArray[np.int64]
    """int64[m]: row of the folio."""
    map_write: NDArray[np.bool_]
    """bool[m]: whether the page may be written through this mapping."""


def place(arena: Arena, plan: Plan, pfns: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Make the pages of a plan in frames that the caller has allocated; the caller's reference goes to the page.

    Every page must be in a file or mapped, or it keeps that reference. Nothing else may use the arena meanwhile.

    Parameters
    ----------
    pfns : int64[n]
        Where each folio goes: the first frame of a folio of its order.

    Returns
    -------
    list of int, list of int
        Numbers of the mappings and of the spaces that were made.

    Raises
    ------
    ArenaFullError
        Too few mappings, spaces, XArray nodes or page tables; what was made so far stays in the arena.
    """
    # Files before mappings: a page that is mapped while it is in no file becomes an anonymous one.
    mappings = _make_files(arena, plan, pfns)
    spaces = _make_spaces(arena, plan, pfns)
    # Private data needs a page that is in its file already, and sets the flag itself.
    private = np.flatnonzero(plan.private & (plan.file >= 0)) if "private" in arena.layout else np.zeros(0, np.int64)
    if len(private):  # a layout without the flag has no pages with private data, and cannot be asked for them
        arena.set_private(pfns[private], private.astype(np.uint64) + np.uint64(_PRIVATE))
    # Flags come last, because the steps above set some of their own. Two calls, set and clear, touch no other bit.
    pages_own = np.uint64(~_frames_own(arena.layout) & (1 << 64) - 1)
    have = arena.flags[pfns] & pages_own
    want = plan.words & pages_own
    arena.set_flags(pfns, want & ~have)
    arena.clear_flags(pfns, have & ~want)
    return mappings, spaces


def _make_files(arena: Arena, plan: Plan, pfns: NDArray[np.int64]) -> list[int]:
    """Make a mapping for each file of the plan and add its pages; numbers of the mappings."""
    mappings: list[int] = []
    # One call for each file, in the order of positions: neighbours share an XArray node, which stays in the cache.
    rows = np.lexsort((plan.index, plan.file))
    rows = rows[plan.file[rows] >= 0]
    for pages in _groups(rows, plan.file):
        shmem = bool(plan.kind[pages[0]] == SHMEM)
        mapping = arena.new_mapping(f"{'shmem' if shmem else 'file'}-{len(mappings)}", shmem=shmem)
        arena.cache_add(mapping, plan.index[pages], pfns[pages])
        mappings.append(mapping)
    return mappings


def _make_spaces(arena: Arena, plan: Plan, pfns: NDArray[np.int64]) -> list[int]:
    """Make each address space of the plan and map its pages; numbers of the spaces."""
    spaces: list[int] = []
    rows = np.lexsort((plan.map_vpn, plan.map_space))
    for maps in _groups(rows, plan.map_space):
        space = arena.new_space(f"space-{len(spaces)}")
        spaces.append(space)
        for write in (True, False):
            same = maps[plan.map_write[maps] == write]
            arena.map(space, plan.map_vpn[same], pfns[plan.map_folio[same]], write=write)
    return spaces


def _frames_own(layout: Layout) -> int:
    """The mask of all bits that a plan has no say in: what stays with the frame, and what the arena sets itself."""
    own = 0
    for flag in _FRAMES_OWN:
        own |= layout.flag(flag).mask if flag in layout else 0
    for number in layout.fields:
        own |= number.mask if number.policy == "stay" else 0
    return own


def page_tables(plan: Plan, order: NDArray[np.uint8]) -> int:
    """Page tables that the mappings need; `order` is uint8[n], of the folios."""
    return len(_distinct(*_touched(plan, order))[0])


def xa_nodes(plan: Plan, order: NDArray[np.uint8]) -> int:
    """XArray nodes that the files and the address spaces need, at most."""
    filed = plan.file >= 0
    return _nodes(plan.file[filed], plan.index[filed]) + _nodes(*_touched(plan, order))


def _touched(plan: Plan, order: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Space and number of each page table that the mappings touch, with repetitions: a table is 64 pages."""
    # A folio is aligned, so one of up to 64 pages touches one table, and a larger one fills each that it touches.
    tables = -(-np.left_shift(np.int64(1), order.astype(np.int64))[plan.map_folio] // 64)
    return np.repeat(plan.map_space, tables), np.repeat(plan.map_vpn >> 6, tables) + within(tables)


def _nodes(array: NDArray[np.int64], position: NDArray[np.int64]) -> int:
    """Nodes, at most, for entries at these positions of these arrays: one for every 64 neighbours, level by level."""
    total = 0
    while len(array):
        array, position = _distinct(array, position >> 6)
        total += len(array)
        if not position.any():  # every array has come down to its top node
            break
    return total


def _distinct(a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The different pairs of values, in order."""
    # np.unique(axis=0) says the same; it sorts rows as opaque bytes and takes several times as long.
    order = np.lexsort((b, a))
    a, b = a[order], b[order]
    new = np.ones(len(a), dtype=bool)
    new[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    return a[new], b[new]


def count_kinds(kind: NDArray[np.uint8]) -> dict[str, int]:
    """How many folios are of each kind, by name."""
    return {name: int((kind == number).sum()) for name, number in KINDS.items()}


def _groups(rows: NDArray[np.int64], key: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """These rows, in their order, cut where their key changes; no group is empty."""
    if not len(rows):  # np.split would give one empty group
        return []
    return np.split(rows, np.flatnonzero(np.diff(key[rows])) + 1)
