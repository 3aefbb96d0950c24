"""Puts a planned population into an arena: caches, page tables, private data and flags, in bulk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.pages.folios import ANON, FILE, SHMEM

KINDS: Final[Mapping[str, int]] = {"anon": ANON, "file": FILE, "shmem": SHMEM}
"""What a page can be, and its number in `Population.kind`."""
_FRAMES_OWN: Final = ("locked", "waiters", "head", "private")


@dataclass(frozen=True, slots=True)
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

    def __len__(self) -> int:
        return len(self.pfns)

    @property
    def pages(self) -> int:
        """Base pages of all folios together."""
        return int(np.left_shift(1, self.order.astype(np.int64)).sum())


@dataclass
class Plan:
    """Folios (n) and mappings (m) to be. Files and spaces are numbered from 0."""

    kind: NDArray[np.uint8]
    file: NDArray[np.int64]
    """-1 for anonymous pages."""
    index: NDArray[np.int64]
    words: NDArray[np.uint64]
    """Flags words; what belongs to the frame and `private` is not taken from here."""
    private: NDArray[np.bool_]
    hot: NDArray[np.uint8]
    map_space: NDArray[np.int64]
    map_vpn: NDArray[np.int64]
    map_folio: NDArray[np.int64]
    map_write: NDArray[np.bool_]


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
    """
    mappings: list[int] = []
    by = np.lexsort((plan.index, plan.file))
    by = by[plan.file[by] >= 0]
    for rows in _groups(by, plan.file):
        shmem = bool(plan.kind[rows[0]] == SHMEM)
        mapping = arena.new_mapping(f"{'shmem' if shmem else 'file'}-{len(mappings)}", shmem=shmem)
        arena.cache_add(mapping, plan.index[rows], pfns[rows])
        mappings.append(mapping)
    spaces: list[int] = []
    by = np.lexsort((plan.map_vpn, plan.map_space))
    for rows in _groups(by, plan.map_space):
        space = arena.new_space(f"space-{len(spaces)}")
        spaces.append(space)
        for write in (True, False):
            some = rows[plan.map_write[rows] == write]
            arena.map(space, plan.map_vpn[some], pfns[plan.map_folio[some]], write=write)
    layout = arena.layout
    private = np.flatnonzero(plan.private & (plan.file >= 0)) if "private" in layout else np.zeros(0, np.int64)
    arena.set_private(pfns[private], private.astype(np.uint64) + np.uint64(0x1000))
    own = 0
    for flag in _FRAMES_OWN:
        own |= layout.flag(flag).mask if flag in layout else 0
    for number in layout.fields:
        own |= number.mask if number.policy == "stay" else 0
    theirs = np.uint64(~own & (1 << 64) - 1)
    have = arena.flags[pfns] & theirs
    want = plan.words & theirs
    arena.set_flags(pfns, want & ~have)
    arena.clear_flags(pfns, have & ~want)
    return mappings, spaces


def page_tables(plan: Plan, order: NDArray[np.uint8]) -> int:
    """Page tables that the mappings need; `order` is uint8[n], of the folios."""
    return len(_distinct(*_touched(plan, order))[0])


def xa_nodes(plan: Plan, order: NDArray[np.uint8]) -> int:
    """XArray nodes that the files and the address spaces need, at most."""
    filed = plan.file >= 0
    return _nodes(plan.file[filed], plan.index[filed]) + _nodes(*_touched(plan, order))


def _touched(plan: Plan, order: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Space and number of each page table that the mappings touch, with repetitions: a table is 64 pages."""
    tables = -(-np.left_shift(np.int64(1), order.astype(np.int64))[plan.map_folio] // 64)
    first = np.repeat(plan.map_vpn >> 6, tables)
    step = np.arange(len(first)) - np.repeat(np.cumsum(tables) - tables, tables)
    return np.repeat(plan.map_space, tables), first + step


def _nodes(array: NDArray[np.int64], position: NDArray[np.int64]) -> int:
    """Nodes, at most, for entries at these positions of these arrays: one for every 64 neighbours, level by level."""
    total = 0
    while len(array):
        array, position = _distinct(array, position >> 6)
        total += len(array)
        if not position.any():
            break
    return total


def _distinct(a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The different pairs of values, in order."""
    by = np.lexsort((b, a))
    a, b = a[by], b[by]
    new = np.ones(len(a), dtype=bool)
    new[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    return a[new], b[new]


def count_kinds(kind: NDArray[np.uint8]) -> dict[str, int]:
    """How many folios are of each kind, by name."""
    return {name: int((kind == number).sum()) for name, number in KINDS.items()}


def _groups(by: NDArray[np.int64], key: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows in the order `by`, cut where their key changes."""
    if not len(by):
        return []
    return np.split(by, np.flatnonzero(np.diff(key[by])) + 1)
