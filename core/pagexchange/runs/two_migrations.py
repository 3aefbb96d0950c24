"""How a migrating strategy exchanges pairs: each page by a migration of its own, to the node of the other one."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pagexchange.oracle import Migration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pagexchange.arena.migration import MigrationResult
    from pagexchange.arena.strategy import Strategy

    Frames = NDArray[np.int64]

BATCH: Final = 512
"""Frames that go one way before as many come back, as Linux batches them (NR_MAX_BATCHED_MIGRATION): more than that
need not be free on either node."""
_NODES: Final = 16


@dataclass(frozen=True)
class Part:
    """Pairs of a list that are moved together: all first pages to the second ones' node, then these to the other."""

    rows: Frames
    """In the list."""
    pages: tuple[Frames, Frames]
    """Where they lie, the first ones and the second ones."""
    nodes: tuple[int, int]
    """Where they lie, too; each goes to the other one."""


class Halves(NamedTuple):
    """The results for a part: of its first pages, then of the second ones of those pairs whose first one has moved."""

    there: MigrationResult
    back: MigrationResult


@dataclass(frozen=True)
class Traded:
    """What became of a list."""

    status: NDArray[np.int32]
    """Of each pair: 0 where both pages have moved, else of the page that was refused first."""
    calls: list[Migration]
    """For the oracle, in the order in which they were made."""


class TwoMigrations:
    """Exchanges pairs by a migrating strategy, two calls for each part of a list; only `move` is worth a clock.

    A pair whose first page is refused keeps both where they are; if its second one is refused, the first has moved.
    Lists name pages by the frames in which an exchange would have left them: where these are by now is known here.
    """

    def __init__(self, strategy: Strategy) -> None:
        arena = strategy.arena
        self._strategy, self._order = strategy, arena.entries["order"]
        self._starts = np.array([node["start"] for node in arena.nodes])
        self._now = np.arange(arena.nframes)

    def parts(self, pairs: Frames) -> list[Part]:
        """Cut a list, int64[n, 2] of pfns, by nodes and into batches; what is no pair of two nodes is in none."""
        known = self._known(pairs)
        where = self._now[np.where(known[:, None], pairs, 0)]
        node = np.searchsorted(self._starts, where, "right") - 1
        way = np.where(known & (node[:, 0] != node[:, 1]), node[:, 0] * _NODES + node[:, 1], -1)
        size = np.left_shift(1, self._order[where[:, 0]].astype(np.int64))
        parts: list[Part] = []
        for one in np.unique(way[way >= 0]).tolist():
            rows = np.flatnonzero(way == one)
            batch = (np.cumsum(size[rows]) - 1) // BATCH
            for some in np.split(rows, np.flatnonzero(np.diff(batch)) + 1):
                first, second = (np.ascontiguousarray(side) for side in where[some].T)
                parts.append(Part(some, (first, second), divmod(one, _NODES)))
        return parts

    def move(self, parts: Sequence[Part], threads: int | None = None) -> list[Halves]:
        """Migrate both ways, part by part."""
        migrate = self._strategy.migrate
        halves: list[Halves] = []
        for part in parts:
            there = migrate(part.pages[0], part.nodes[1], threads=threads)
            second = part.pages[1] if there else part.pages[1][there.status == 0]
            halves.append(Halves(there, migrate(second, part.nodes[0], threads=threads)))
        return halves

    def settle(self, pairs: Frames, parts: Sequence[Part], halves: Sequence[Halves]) -> Traded:
        """Take down where the pages are now; return what became of the pairs."""
        known = self._known(pairs)
        status = np.where(known, -errno.EINVAL, -errno.EFAULT).astype(np.int32)  # of those in no part
        calls: list[Migration] = []
        for part, (there, back) in zip(parts, halves, strict=True):
            went = there.status == 0
            status[part.rows] = there.status
            status[part.rows[went]] = back.status
            first, second = pairs[part.rows[went]].T
            both = back.status == 0
            # Where both have moved, the frames that the list names have traded their pages.
            self._now[first] = np.where(both, back.placed, there.placed[went])
            self._now[second[both]] = there.placed[went][both]
            calls += [
                Migration(part.pages[0], there.status, there.placed, part.nodes[1]),
                Migration(part.pages[1][went], back.status, back.placed, part.nodes[0]),
            ]
        return Traded(status, calls)

    def _known(self, pairs: Frames) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = ((pairs >= 0) & (pairs < len(self._now))).all(axis=1)
        return known
