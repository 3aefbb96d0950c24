"""The pages of a measurement: an arena of two nodes full of them, and lists of pairs across the nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena import hugepages
from pagexchange.arena.arena import Arena
from pagexchange.bench.axes import PAGES
from pagexchange.model.config import Backing, Population, Sorting
from pagexchange.model.layout import Layout
from pagexchange.model.sizes import format_size

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


class Scene:
    """An arena of two equal nodes full of pages, and lists of pairs across them.

    Parameters
    ----------
    seed
        Decides which pages are files' and the lists: the same in all processes that are compared.
    flags
        Let pages have flags at random.
    """

    def __init__(
        self, setting: Setting, seed: int, *, layout: Layout | str = "linux-6.18", flags: bool = False
    ) -> None:
        self.setting = setting
        frames = setting.folios << setting.order
        self.arena = Arena.create(
            nodes=[("fast", frames + SPARE), ("slow", frames + SPARE)],
            page_size=setting.page_size,
            layout=layout,
            watermarks=(0, 0, 0),
            huge=HUGE[setting.backing],  # type: ignore[arg-type]
        )
        self.rng = np.random.default_rng(seed)
        self.sides = [self._fill(node, number, setting.folios, flags) for number, node in enumerate(("fast", "slow"))]
        self.arena.frames[:] = 1  # every page is there before anything is timed
        self.huge_bytes = hugepages.mapped(self.arena)

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
