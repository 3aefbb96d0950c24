"""A list in which every reason to refuse a pair stands between pairs that can be exchanged."""

import errno
from typing import Final

import numpy as np

from pagexchange.model.statuses import EHWPOISON
from pagexchange.testing.scene.cells import Cell
from pagexchange.testing.scene.scene import FAST, SLOW, Pairs, Pfns, Scene

# Which of the two a busy page gets is free: a lock and a reference look alike where both are taken at once.
_BUSY: Final = {-errno.EBUSY, -errno.EAGAIN}


class Refusals:
    """The scene, its list, and for each pair the statuses that it may have; an empty set for 0."""

    def __init__(self) -> None:
        self.scene = scene = Scene(Cell(left="file", pairs=12))
        arena, good = scene.arena, scene.pairs
        rows: list[tuple[int, int]] = []
        self.want: list[set[int]] = []
        fresh = iter(good.tolist())

        def add(a: int, b: int, codes: set[int]) -> None:
            rows.append((a, b))
            self.want.append(codes)

        def spoilt(codes: set[int]) -> int:
            a, b = next(fresh)
            add(a, b, codes)
            return int(a)

        def clean() -> tuple[int, int]:
            a, b = next(fresh)
            add(a, b, set())
            return a, b

        # Pairs that can be exchanged stand before, between and behind: a refusal may not stop or spoil its neighbours.
        clean()
        lone = [scene.page("anon", SLOW) for _ in range(6)]
        add(-1, lone[0], {-errno.EFAULT})
        add(arena.nframes, lone[1], {-errno.EFAULT})
        add(lone[2], lone[2], {-errno.EINVAL})
        a, b = clean()
        add(b, a, {-errno.EINVAL})
        free = int(arena.alloc(FAST, 1, 0)[0])
        large = scene.page("anon", SLOW, order=2)
        reserved = scene.page("raw", FAST)
        unmovable = int(arena.alloc(FAST, 1, 0)[0])
        arena.cache_add(arena.new_mapping("unmovable", aops="unmovable"), 7, unmovable)
        add(lone[3], large, {-errno.EINVAL})
        add(lone[4], large + 1, {-errno.EINVAL})
        add(*self._folios_with_a_broken_tail(), {-EHWPOISON})
        arena.reserve_frames(reserved)
        add(lone[5], reserved, {-errno.EBUSY})
        clean()
        arena.pin(spoilt(_BUSY))
        arena.lock(spoilt({-errno.EAGAIN}))
        arena.get(spoilt(_BUSY))
        arena.set_flags(spoilt(_BUSY), arena.layout.flag("writeback").mask)
        arena.set_flags(spoilt({-EHWPOISON}), arena.layout.flag("hwpoison").mask)
        clean()
        add(scene.page("anon", SLOW), unmovable, {-errno.EOPNOTSUPP})
        alone = scene.page("anon", SLOW)
        # Only now is the last page made: stamps need pages in use, and the free frame must be free in the end.
        scene.stamp()
        arena.free(free)
        add(alone, free, {-errno.ENOENT})
        clean()
        self.pairs: Pairs = np.array(rows, dtype=np.int64)

    def _folios_with_a_broken_tail(self) -> tuple[int, int]:
        """Two large folios, of which one later frame has a memory error."""
        a, b = (self.scene.page("anon", node, order=2) for node in (SLOW, FAST))
        self.scene.arena.set_flags(b + 3, self.scene.arena.layout.flag("hwpoison").mask)
        return a, b


class PageRefusals:
    """The same for a migration to the fast node: a scene, pages, and for each the statuses that it may have.

    `no_frame`: all pages could be migrated, and the node has no free frame.
    """

    def __init__(self, *, no_frame: bool) -> None:
        self.scene = scene = Scene(Cell(left="file", pairs=8))
        self.node = FAST
        arena, rows = scene.arena, list[tuple[int, set[int]]]()
        fresh = iter(scene.pairs[:, 0].tolist())
        good = set[int]()
        if no_frame:
            scene.use_up()
            scene.stamp()
            rows = [(pfn, {-errno.ENOMEM}) for pfn in fresh]
        else:
            there, large = int(scene.pairs[0, 1]), scene.page("anon", SLOW, order=2)
            broken = scene.page("anon", SLOW, order=2)
            reserved, unmovable, free = (scene.page("raw", SLOW) for _ in range(3))
            arena.set_flags(broken + 3, arena.layout.flag("hwpoison").mask)
            arena.cache_add(arena.new_mapping("unmovable", aops="unmovable"), 7, unmovable)
            arena.reserve_frames(reserved)
            pinned, locked, got, written, poisoned, twice, last, first = fresh
            # Pages that can be migrated stand before, between and behind: a refusal may not stop or spoil the others.
            rows += [(first, good), (-1, {-errno.EFAULT}), (arena.nframes, {-errno.EFAULT}), (large, good)]
            rows += [(large + 1, {-errno.EINVAL}), (broken, {-EHWPOISON}), (reserved, {-errno.EBUSY}), (there, good)]
            rows += [(pinned, _BUSY), (locked, {-errno.EAGAIN}), (got, _BUSY), (written, _BUSY), (twice, good)]
            rows += [(poisoned, {-EHWPOISON}), (unmovable, {-errno.EOPNOTSUPP}), (twice, {-errno.EINVAL})]
            rows += [(free, {-errno.ENOENT}), (last, good)]
            arena.pin(pinned)
            arena.lock(locked)
            arena.get(got)
            arena.set_flags(written, arena.layout.flag("writeback").mask)
            arena.set_flags(poisoned, arena.layout.flag("hwpoison").mask)
            # Only now: stamps need pages in use, and the free frame must be free in the end.
            scene.stamp()
            arena.free(free)
        self.pfns: Pfns = np.array([pfn for pfn, _ in rows], dtype=np.int64)
        self.want = [codes for _, codes in rows]
