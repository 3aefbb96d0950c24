"""The pages of a measurement: an arena of two nodes full of them, and lists of pairs across the nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena import hugepages, lying
from pagexchange.arena.arena import Arena
from pagexchange.arena.given_nodes import NodeTable
from pagexchange.bench.axes import PAGES
from pagexchange.model.config import Backing, Population, Sorting
from pagexchange.model.layout import Layout
from pagexchange.model.sizes import format_size
from pagexchange_native.arena.places import as_place, border

Pairs: TypeAlias = NDArray[np.int64]

SPARE: Final = 512
"""Free frames of each node: what a mover with a temporary page, and a migration, take from; 2^9 at least."""
HUGE: Final = {"base": "", "thp": "thp", "hugetlb": "hugetlb"}
SET: Final = ("dirty", "active", "referenced", "workingset")
"""Flags that pages have at random where a list of what was lost should say something."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What decides the arena."""

    pages: Population
    size: int
    """Bytes of pages in pairs."""
    order: int = 0
    backing: Backing = "thp"
    """What comes of huge pages says `Scene.huge_bytes`."""
    page_size: int = 4096

    def __str__(self) -> str:
        folio = format_size(self.page_size << self.order)
        lies = f"pages of {format_size(self.page_size)}" if self.backing == "base" else "huge pages asked for"
        return f"{format_size(self.size)}, {PAGES[self.pages]}, pairs of {folio}, {lies}"

    @property
    def folios(self) -> int:
        """Of each node: pairs of the whole set."""
        return self.size // 2 // (self.page_size << self.order)


class Stage:
    """Folios by number on two sides, and lists of pairs across them.

    Parameters
    ----------
    seed
        Decides the lists: the same in all processes that are compared.
    """

    sides: list[Pairs]
    """int64[n] of each side: numbers of the folios, as `lists` names them."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting = setting
        self.rng = np.random.default_rng(seed)

    def details(self) -> dict[str, Any]:
        """Return what there is to say of the pages, for the folder."""
        raise NotImplementedError

    def draw_one(self, pairs: int, part: slice = slice(None)) -> Pairs:
        """Return one list of so many pairs, from a part of both nodes' folios."""
        fast, slow = (self.rng.permutation(side[part])[:pairs] for side in self.sides)
        return np.column_stack([fast, slow])

    def lists(self, batch: int, calls: int, sorting: Sorting, rng: np.random.Generator) -> list[Pairs]:
        """Return so many lists of `batch` pairs, drawn anew: a branch predictor learns a short list that comes again.

        Each folio comes once before one comes again, as far as whole lists go.
        """
        each = max(1, len(self.sides[0]) // batch)  # lists of one order of all folios
        lists: list[Pairs] = []
        while len(lists) < calls:
            order = [rng.permutation(len(side))[: each * batch].reshape(each, batch) for side in self.sides]
            if sorting == "sorted":
                order = [np.sort(positions, axis=1) for positions in order]
            pairs = np.stack([side[where] for side, where in zip(self.sides, order, strict=True)], axis=2)
            lists += [np.ascontiguousarray(one) for one in pairs[: calls - len(lists)]]
        return lists


class Scene(Stage):
    """An arena of two equal nodes full of pages.

    Parameters
    ----------
    seed
        Decides which pages are files', too.
    flags
        Let pages have flags at random.
    places
        Where the frames of the two nodes lie, as of `Arena.create`.
    """

    def __init__(
        self,
        setting: Setting,
        seed: int,
        *,
        layout: Layout | str = "linux-6.18",
        flags: bool = False,
        places: tuple[NodeTable, NodeTable] = ({}, {}),
    ) -> None:
        super().__init__(setting, seed)
        frames = (setting.folios << setting.order) + SPARE
        whole = border(list(map(as_place, places)), setting.page_size, huge=bool(HUGE[setting.backing]))
        frames = -(-frames * setting.page_size // whole) * whole // setting.page_size
        self.arena = Arena.create(
            nodes={name: {"frames": frames, **place} for name, place in zip(("fast", "slow"), places, strict=True)},
            page_size=setting.page_size,
            layout=layout,
            watermarks=(0, 0, 0),
            huge=HUGE[setting.backing],  # type: ignore[arg-type]
        )
        self.sides = [self._fill(node, number, setting.folios, flags) for number, node in enumerate(("fast", "slow"))]
        self.arena.frames[:] = 1  # every page is there before anything is timed
        self.huge_bytes = hugepages.mapped(self.arena)

    def details(self) -> dict[str, Any]:
        """Bytes of frames and arena, huge pages that came, where the frames lie."""
        arena = self.arena
        lay = lying.lie(arena)
        found: dict[str, Any] = {"page_size": arena.page_size, "arena_bytes": arena.total_bytes}
        if arena.huge:
            found["huge_bytes"] = hugepages.mapped(arena)
        if where := lying.words(lay):
            found["real_nodes"] = where
            found["remarks"] = lying.remarks(lay)
        return found

    def _fill(self, node: str, number: int, folios: int, flags: bool) -> Pairs:
        arena, kind = self.arena, self.setting.pages
        pfns = arena.alloc(node, folios, self.setting.order)
        share = {"anon": 0, "file": folios, "half": folios // 2}[kind]
        file = self.rng.permutation(folios) < share
        where = np.arange(number * folios, (number + 1) * folios, dtype=np.int64) << self.setting.order
        if file.any():
            arena.cache_add(arena.new_mapping(f"file of {node}"), where[file], pfns[file])
        if not file.all():
            arena.map(arena.new_space(f"space of {node}"), where[~file], pfns[~file])
        if flags:
            for name in SET:
                if name in arena.layout:
                    arena.set_flags(pfns[self.rng.random(folios) < 0.25], name)
        return pfns
