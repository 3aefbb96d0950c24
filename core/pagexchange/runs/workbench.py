"""An arena, the pairs to exchange in it, and the way back: every timed call starts from the same state.

Going back does not use an exchange, so that a strategy that loses something is undone as well as one that does not:
the contents of the pairs that were exchanged are swapped by NumPy, and what an exchange may write elsewhere is put back
from a copy. Pages that were migrated are brought back from where they are, the last ones first; with all entries and
the allocator's lists from a copy their old frames hold them again, and the others are free. Where even the contents are
wrong, the arena is built anew.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.oracle import Migration
from pagexchange.oracle.format import NODE, SLOT
from pagexchange.pages.within import within
from pagexchange.runs.result import InputInfo

_LOG: Final = logging.getLogger(__name__)
_WHOLE: Final = ("mappings", "spaces", "xanodes", "tables")
"""Parts of the arena that are put back as a whole: which words of them an exchange writes is its own affair."""
_CHUNK_BYTES: Final = 8 << 20
_STATISTICS: Final = ("asked", "got", "below_low", "below_min")
_LISTS: Final = ["free", "list"]
"""Of a node, what the allocator has: its entries have the links."""


@dataclass(frozen=True)
class Made:
    """What a run works on, freshly made."""

    arena: Arena
    lists: Sequence[NDArray[np.int64]]
    """Lists of pairs, int64[n, 2] of pfns; each is exchanged as a whole before the next."""
    info: InputInfo


@dataclass(frozen=True)
class _Saved:
    """How the arena was: two views, and copies of what an exchange may write."""

    words: NDArray[np.uint64]
    """The page entries as words, a view."""
    frames: NDArray[np.uint64]
    """A view."""
    entries: NDArray[np.uint64]
    """Those of the frames that the pairs name, later frames of folios included."""
    parts: list[NDArray[np.uint8]]
    counters: NDArray[np.int64]


@dataclass(frozen=True)
class _Allocator:
    """How frames were handed out, and all that lay in them: copies."""

    entries: NDArray[np.uint64]
    """All of them."""
    nodes: NDArray[Any]
    """The columns of `_LISTS`."""


class Workbench:
    """Arena and pairs of one run.

    Parameters
    ----------
    make
        Builds the arena, the lists of pairs and the description; called again by `rebuild`, and must then give the
        same.
    """

    arena: Arena

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._saved: _Saved | None = None
        self.generation = 0
        """Counts the arenas made; a strategy built for one arena is built again for the next."""
        self._build()

    def _build(self) -> None:
        started = time.perf_counter()
        made = self._make()
        self.arena, self.info = made.arena, made.info
        _LOG.info("made the arena: %r, %.3f s", self.arena, time.perf_counter() - started)
        self.lists = [np.asarray(pairs, dtype=np.int64).reshape(-1, 2) for pairs in made.lists]
        self.pairs: NDArray[np.int64] = np.concatenate([np.zeros((0, 2), dtype=np.int64), *self.lists])
        self.generation += 1
        self._allocator: _Allocator | None = None
        self._save()

    def remember(self) -> None:
        """Take down where every page lies: before the first call in this arena that moves pages to other frames."""
        if self._allocator is None:
            assert self._saved is not None, "closed"
            self._allocator = _Allocator(self._saved.words.copy(), self._nodes().copy())

    def rebuild(self) -> None:
        """Throw the arena away and make it again, from the same input and seed."""
        self.close()  # before the next one is made: there may not be memory for both
        self._build()

    def _save(self) -> None:
        entries = self.arena.entries
        # All frames that the pairs name, those of folios from the head to the last tail.
        known = (self.pairs >= 0) & (self.pairs < len(entries))  # a list may hold bad pairs on purpose
        order = np.where(known, entries["order"][np.where(known, self.pairs, 0)], 0).astype(np.int64)
        heads = self.pairs[known]
        sizes = np.left_shift(1, order[known])
        touched = np.repeat(heads, sizes) + within(sizes)
        self._touched = touched[touched < len(entries)]
        self.orders = order[:, 0]
        """int64[n]: order of each pair's first folio."""
        # Only these: a right exchange writes no other entry, and after a wrong one the arena is made anew.
        words = entries.view(np.uint64).reshape(len(entries), -1)
        parts = [self._part(name) for name in _WHOLE]
        self._saved = _Saved(
            words=words,
            frames=self.arena.frames,
            entries=words[self._touched].copy(),
            parts=[part.copy() for part in parts],
            counters=self._counters().copy(),
        )

    def _part(self, name: str) -> NDArray[np.uint8]:
        start, count, size = self.arena.geometry()[name]
        return self.arena.memory[start : start + count * size]

    def _counters(self) -> NDArray[np.int64]:
        """What each slot has added to the nodes' counters, as a view; free lists and statistics are not rewound."""
        counters: NDArray[np.int64] = self._part("slots").view(SLOT)["counter"]
        return counters

    def _nodes(self) -> NDArray[Any]:
        """The free lists of the nodes, as a view."""
        nodes: NDArray[Any] = self._part("nodes").view(NODE)[_LISTS]
        return nodes

    def names(self, pfn: int) -> bool:
        """Whether a pair names this frame, or the folio that it is part of."""
        return bool(np.isin(pfn, self._touched))

    def rewind(self, status: NDArray[np.int32], calls: Sequence[Migration] = ()) -> None:
        """Undo an exchange whose contents are known to be right.

        Parameters
        ----------
        status : int32[n]
            Of that exchange, one per pair: 0 where the two pages changed places.
        calls
            Instead, what pages were migrated by whom; `remember` was called before them.
        """
        saved = self._saved
        assert saved is not None, "closed"
        if calls:
            assert self._allocator is not None, "remembered"
            _bring_back(saved.frames, calls, self.arena.entries["order"].copy())
            saved.words[:] = self._allocator.entries
            self._nodes()[:] = self._allocator.nodes
        else:
            self._swap_back(saved.frames, status)
        saved.words[self._touched] = saved.entries
        for name, part in zip(_WHOLE, saved.parts, strict=True):
            np.copyto(self._part(name), part)
        self._counters()[:] = saved.counters

    def _swap_back(self, frames: NDArray[np.uint64], status: NDArray[np.int32]) -> None:
        end = len(self.pairs)
        # Backwards: a page that two lists moved has to take the second step back first.
        for pairs in reversed(self.lists):
            start = end - len(pairs)
            done, orders = status[start:end] == 0, self.orders[start:end]
            for order in np.unique(orders[done]):
                _swap_contents(frames, pairs[done & (orders == order)], 1 << int(order))
            end = start

    def statistics(self) -> dict[str, int]:
        """Sums over the nodes of what the allocator counted so far: asked, got, below_low, below_min."""
        return {name: sum(int(node[name]) for node in self.arena.nodes) for name in _STATISTICS}

    def close(self) -> None:
        """Give the arena back: now if nobody looks at it any more, else with the last view of it."""
        self._saved = self._allocator = None
        with suppress(BufferError):
            self.arena.close()


def _swap_contents(frames: NDArray[np.uint64], pairs: NDArray[np.int64], size: int) -> None:
    """Swap folios of `size` frames, a few MiB at a time."""
    # In parts, because `held` is a copy: of a long list it would be half as much memory as the pages.
    rows = max(1, _CHUNK_BYTES // (frames.shape[1] * 8 * size))
    offsets = np.arange(size)
    for start in range(0, len(pairs), rows):
        a, b = ((pairs[start : start + rows, side, None] + offsets).ravel() for side in (0, 1))
        held = frames[a]
        frames[a] = frames[b]
        frames[b] = held


def _bring_back(frames: NDArray[np.uint64], calls: Sequence[Migration], order: NDArray[np.uint8]) -> None:
    """Copy migrated folios back to the frames that they have left, the last ones first, a few MiB at a time.

    `order`: of the folio in each frame, as it is now; a copy, which is changed.
    """
    rows = max(1, _CHUNK_BYTES // (frames.shape[1] * 8))
    for call in reversed(calls):
        pfns, placed = np.asarray(call.pfns, np.int64), np.asarray(call.placed, np.int64)
        pfns, placed = pfns[placed != pfns], placed[placed != pfns]
        order[pfns] = order[placed]
        sizes = np.left_shift(1, order[placed].astype(np.int64))
        old, new = (np.repeat(side, sizes) + within(sizes) for side in (pfns, placed))
        # In any order: they came to another node than they left, so that no frame is among both.
        for start in range(0, len(old), rows):
            part = slice(start, start + rows)
            frames[old[part]] = frames[new[part]]
