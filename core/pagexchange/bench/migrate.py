"""The peer that exchange is for: two one-way migrations through free frames, as Linux moves a page up and one down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.bench.contents import refuse_wrong
from pagexchange.bench.scenes import SET, Pairs, Scene
from pagexchange.bench.turn import Turn, WrongError
from pagexchange.oracle import check as unsound
from pagexchange.oracle.stamp import stamp
from pagexchange_native.bench import time_loop
from pagexchange_native.pages import cache, space

Frames = NDArray[np.int64]

BATCH: Final = 512
"""Base pages that are migrated at one time, as Linux has it (NR_MAX_BATCHED_MIGRATION)."""
_ANON: Final = 1


class MigrationCell:
    """Two one-way migrations for each pair, by the arena's own calls: first all of the list's fast pages to the slow
    node, then its slow pages to the fast one, into the frames that became free.

    What it does for each page: `alloc` a frame on the other node; copy the contents (memcpy, a list in one native
    call); read its mapping, index and flags; `unmap_all` or `remove_all`, which free the old frame; `map` or
    `cache_add` at the same place; set the flags. Each of these is one native call for all pages of a list that belong
    together, and pays for what the arena promises: the page's lock, the structure lock, an undo record. What it does
    not do, and Linux does: leave a migration entry for readers, check references, flush other CPUs' TLBs. So a reader
    in between finds nothing, and a death in between loses a page.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene, self._arena = scene, scene.arena
        self._entries = scene.arena.entries
        self._flags = np.uint64(scene.arena.layout.word(*(name for name in SET if name in scene.arena.layout)))
        self._now = np.arange(scene.arena.nframes)
        """Frame of a list -> where its page is by now: pages leave the frames that the lists name."""
        self._most = max(1, BATCH >> scene.setting.order)

    def turn(self, lists: Sequence[Pairs]) -> Turn:
        """Both ways for each list."""
        call_ns: list[int] = []
        cpu_ns = 0
        for pairs in lists:
            fast, slow = self._now[pairs].T
            start, cpu = time.perf_counter_ns(), time.thread_time_ns()
            placed = self._both(fast, slow)
            cpu_ns += time.thread_time_ns() - cpu
            call_ns.append(time.perf_counter_ns() - start)
            self._now[pairs] = placed
        pairs_done = sum(map(len, lists))
        return Turn(
            calls=len(lists), pairs=pairs_done, exchanged=pairs_done, wall_ns=sum(call_ns), cpu_ns=cpu_ns,
            call_ns=call_ns,
        )  # fmt: skip

    def check(self, pairs: Pairs) -> dict[str, Any]:
        """Contents, place by place, and the whole arena's rules."""
        arena, within = self._arena, np.arange(1 << self._scene.setting.order)
        stamps = stamp(arena, seed=1)
        fast, slow = self._now[pairs].T
        placed = self._both(fast, slow)
        self._now[pairs] = placed
        source = np.arange(arena.nframes)
        for old, new in ((slow, placed[:, 0]), (fast, placed[:, 1])):
            source[(new[:, None] + within).ravel()] = (old[:, None] + within).ravel()
        pages = np.flatnonzero(np.isin(arena.entries["state"], (2, 3)))
        elsewhere = np.full(arena.nframes, arena.nframes - 1)  # a free frame's stamp: none
        elsewhere[pages] = source[pages]
        refuse_wrong(self._scene, stamps, elsewhere)
        broken = unsound(arena)
        if broken:
            raise WrongError(f"the arena is not sound after it: {broken[0].sentence}")
        return {"frames": 2 * len(pairs) << self._scene.setting.order}

    def _both(self, fast: Frames, slow: Frames) -> Pairs:
        """Return int64[n, 2]: where the pages of the slow node are now, on the fast one, and those of the fast one."""
        placed = np.empty((len(fast), 2), np.int64)
        for start in range(0, len(fast), self._most):
            part = slice(start, start + self._most)
            placed[part, 1] = self._move(fast[part], "slow")
            placed[part, 0] = self._move(slow[part], "fast")
        return placed

    def _move(self, old: Frames, node: str) -> Frames:
        arena, order = self._arena, self._scene.setting.order
        new: Frames = arena.alloc(node, len(old), order)
        time_loop("memcpy-one", arena.frames, np.column_stack([new, old]), order=order)
        entries = self._entries[old]
        mapping, index = entries["mapping"], entries["index"].astype(np.int64)
        flags = entries["flags"] & self._flags
        for place in set(mapping.tolist()):
            here = mapping == place
            number, indexes, frames = (place >> 2) - 1, index[here], new[here]
            if place & 3 == _ANON:
                space.unmap_all(arena, number, indexes)
                arena.map(number, indexes, frames)
            else:
                cache.remove_all(arena, number, indexes)
                arena.cache_add(number, indexes, frames)
        arena.set_flags(new, flags)
        return new
