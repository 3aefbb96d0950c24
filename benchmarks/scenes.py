"""The arenas that are measured: what kind of pages, how many bytes of them, in folios of which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena import hugepages
from pagexchange.arena.arena import Arena
from pagexchange.model.sizes import format_size

Kind: TypeAlias = Literal["anon", "file", "half"]
Pairs: TypeAlias = NDArray[np.int64]
KINDS: dict[Kind, str] = {
    "anon": "anonymous pages",
    "file": "file pages",
    "half": "half file, half anonymous",
}
PAGE = 4096
SAMPLE_PAIRS = 1 << 17
"""Base pages that are exchanged for each sample at most: all of 1 GiB. Of a larger arena that many are drawn."""
SAMPLE_BYTES = 64 << 20
"""Bytes of pairs in a sample at least: a small set is exchanged again and again, in another order each time."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What decides the arena of a table."""

    kind: Kind
    size: int
    """Bytes of pages in pairs."""
    order: int = 0
    huge: bool = True
    """Ask for huge pages; the table says how many came."""

    def __str__(self) -> str:
        folio = format_size(PAGE << self.order)
        pages = "huge pages asked for" if self.huge else f"pages of {format_size(PAGE)}"
        return f"{format_size(self.size)}, {KINDS[self.kind]}, pairs of {folio}, {pages}"


class Scene:
    """An arena of two equal nodes full of pages, and lists of pairs across them in random order."""

    def __init__(self, setting: Setting, seed: int, share: int = 1) -> None:
        self.setting = setting
        frames = setting.size // PAGE
        folios = frames // 2 >> setting.order
        spare = 512
        self.arena = Arena.create(
            nodes=[("fast", frames // 2 + spare), ("slow", frames // 2 + spare)],
            watermarks=(0, 0, 0),
            huge="thp" if setting.huge else "",
        )
        self.rng = np.random.default_rng(seed)
        self.sides = [self._fill(node, number, folios) for number, node in enumerate(("fast", "slow"))]
        self.arena.frames[:] = 1  # every page is there before anything is timed
        self.huge_bytes = hugepages.mapped(self.arena)
        cap = (SAMPLE_PAIRS >> setting.order) // share
        self.pairs = min(folios, cap)
        """Pairs of one list: all of a set in cache, a share of one in DRAM."""
        self.lists = max(1, SAMPLE_BYTES // (self.pairs * 2 * PAGE << setting.order))
        """Lists of one sample."""

    def _fill(self, node: str, number: int, folios: int) -> Pairs:
        arena, kind = self.arena, self.setting.kind
        pfns = arena.alloc(node, folios, self.setting.order)
        share = {"anon": 0, "file": folios, "half": folios // 2}[kind]
        file = self.rng.permutation(folios) < share
        where = np.arange(number * folios, (number + 1) * folios, dtype=np.int64) << self.setting.order
        if file.any():
            arena.cache_add(arena.new_mapping(f"file of {node}"), where[file], pfns[file])
        if not file.all():
            arena.map(arena.new_space(f"space of {node}"), where[~file], pfns[~file])
        return pfns

    def draw(self) -> list[Pairs]:
        """Return the lists of one sample, drawn anew: a branch predictor learns a short list that comes again."""
        return [self.draw_one(self.pairs) for _ in range(self.lists)]

    def draw_one(self, pairs: int, part: slice = slice(None)) -> Pairs:
        """Return one list of so many pairs, from a part of both nodes' folios."""
        fast, slow = (self.rng.permutation(side[part])[:pairs] for side in self.sides)
        return np.column_stack([fast, slow])
