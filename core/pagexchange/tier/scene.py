"""The pages of a way in an arena of its own: real ones, in files and address spaces, and where each of them lies now.

All ways begin with the same: made anew for each round, from the same numbers. Which page lies where afterwards is what
the moves say; `check` holds the arena to it, page by page and word by word.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.errors import ArenaError
from pagexchange.model.words import counted
from pagexchange.oracle import Stamps, check, stamp
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.stamp import base_of, pattern_of, verify_stamps
from pagexchange.tier.result import NodeInfo

if TYPE_CHECKING:
    from pagexchange.model.config import Config

STAMPS: Final = 12
"""Seed of the stamps."""
FLAGS: Final = ("uptodate", "lru")
"""Of every page, where the layout has them."""
_STATISTICS: Final = ("asked", "got", "below_low", "below_min")


class Room(NamedTuple):
    """How large the nodes are, and how full."""

    fast: int
    """Frames."""
    slow: int
    free_fast: int
    """Of them free at the start."""
    free_slow: int

    @property
    def pages(self) -> int:
        """In both together."""
        return self.fast + self.slow - self.free_fast - self.free_slow


def room(config: Config, pages: int | None = None) -> Room:
    """Return how large the nodes are, and how full.

    Parameters
    ----------
    pages
        No more than these: the nodes shrink in proportion.

    Raises
    ------
    ArenaError
        There is no page on one of the nodes.
    """
    page_size = int(config.arena.page_size)
    fast, slow = int(config.tier.fast) // page_size, int(config.tier.slow) // page_size
    found = _filled(config, fast, slow)
    if pages is not None and pages < found.pages:
        # How many frames stay free depends on how many there are: so as many are added as are missing, a few times.
        share, both = fast / (fast + slow), pages
        while (found := _filled(config, max(round(both * share), 2), max(both - round(both * share), 2))).pages < pages:
            both += pages - found.pages
    if found.fast <= found.free_fast or found.slow <= found.free_slow:
        raise ArenaError(
            f"[tier]: {found.free_fast:,} of {counted(found.fast, 'frame')} of the fast node, and {found.free_slow:,} "
            f"of {counted(found.slow, 'frame')} of the slow one are to be free: no page is left on one of them"
        )
    return found


def _filled(config: Config, fast: int, slow: int) -> Room:
    if config.tier.free is not None:
        return Room(fast, slow, config.tier.free, config.tier.free)
    marks = config.arena.watermarks
    high = marks[2] if marks is not None else _high(fast)
    return Room(fast, slow, min(high, fast // 2), slow // 16)


def _high(frames: int) -> int:
    """The high watermark that a node of so many frames gets."""
    return max(frames // 1024 * 3 // 2, 1)


class Scene:
    """An arena full of pages.

    Attributes
    ----------
    arena : Arena
    space : int
        Address space that maps page i at virtual page i.
    where : uint32[pages]
        The frame that each page lies in.
    fast_end : int
        The first frame that is not on the fast node.
    nodes : list[NodeInfo]
        As they were at the start.
    """

    def __init__(self, config: Config, size: Room, seed: int) -> None:
        names = tuple(config.arena.nodes)
        frames_of = dict(zip(names, (size.fast, size.slow), strict=True))
        self.arena = arena = Arena.create(
            nodes={name: place | {"frames": frames_of[name]} for name, place in config.placed().items()},
            page_size=int(config.arena.page_size),
            layout=config.layout,
            huge="" if config.arena.huge == "no" else config.arena.huge,
            workers=config.arena.workers,
            watermarks=config.arena.watermarks,
        )
        self.fast_end = size.fast
        random = np.random.default_rng(seed)
        frames = np.concatenate(
            [arena.alloc(names[0], size.fast - size.free_fast), arena.alloc(names[1], size.slow - size.free_slow)]
        )
        self.where = random.permutation(frames).astype(np.uint32)
        self._holds = np.full(arena.nframes, -1, dtype=np.int64)
        """The page in each frame."""
        self._holds[self.where] = np.arange(len(frames))
        self._start = self.where.astype(np.int64)
        self.space, self._file, self._of_file = self._populate(config, random)
        self.nodes = [
            NodeInfo(**{key: node[key] for key in ("name", "frames", "free", "min", "low", "high")})
            for node in arena.nodes
        ]
        stamp(arena, seed=STAMPS)
        self._before = self._statistics()

    def _populate(self, config: Config, random: np.random.Generator) -> tuple[int, int, NDArray[np.int64]]:
        """Give every page its place in an address space, and those of a file theirs in the page cache, too."""
        arena, frames = self.arena, self._start
        kinds = config.workload.kinds
        of_file = 1 - kinds.get("anon", 0.0) / sum(kinds.values())
        draws = random.random(len(frames))
        pages = np.flatnonzero(draws < of_file)
        file, space, sharer = arena.new_mapping("file"), arena.new_space(), arena.new_space()
        if len(pages):
            arena.cache_add(file, pages, frames[pages])
        numbers = np.arange(len(frames))
        arena.map(space, numbers, frames)
        # The first ones: which page is hot, and where it lies, does not go by its number, and page tables stay full.
        shared = numbers[: int(len(frames) * config.workload.shared)]
        if len(shared):
            arena.map(sharer, shared, frames[shared], write=False)
        arena.set_flags(frames, [name for name in FLAGS if name in config.layout])
        return space, file, pages

    def moved(self, moves: NDArray[np.int64]) -> None:
        """Take note of pages that moved.

        Parameters
        ----------
        moves : int64[n, 2]
            Old and new frame of each; a frame that one page leaves may be another's new one.
        """
        old, new = moves[:, 0], moves[:, 1]
        pages = self._holds[old]
        self._holds[old] = -1
        self._holds[new] = pages
        self.where[pages] = new

    def words(self, pages: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The word that all words of these pages carry: word w is it ^ `pattern[w]`."""
        return base_of(self._start[pages], STAMPS)

    @property
    def pattern(self) -> NDArray[np.uint64]:
        """uint64[page_size / 8]."""
        return pattern_of(self.arena.page_size // 8, STAMPS)

    def check(self) -> str:
        """What is not as the moves say: contents, identities, or a rule of any arena. Empty: all is."""
        arena = self.arena
        ids = np.full(arena.nframes, -1, dtype=np.int64)
        ids[self.where] = self._start
        findings = Collector(1)
        verify_stamps(arena, Stamps(STAMPS, ids), findings)
        if findings.total:
            return f"{counted(findings.total, 'page')} with wrong contents: {findings.kept[0].sentence}"
        mapped = arena.translate(self.space, np.arange(len(self.where)))
        cached = arena.cache_load(self._file, self._of_file)
        for what, pages, found in ("virtual page", np.arange(len(mapped)), mapped), ("index", self._of_file, cached):
            bad = np.flatnonzero(found != self.where[pages])
            if len(bad):
                page = pages[bad[0]]
                return f"{what} {page} leads to frame {found[bad[0]]}, and its page was moved to {self.where[page]}"
        broken = check(arena)
        return f"the arena is not sound: {broken[0].sentence}" if broken else ""

    def statistics(self) -> dict[str, int]:
        """What the allocator counted since the start, over both nodes: asked, got, below_low, below_min."""
        now = self._statistics()
        return {name: now[name] - self._before[name] for name in _STATISTICS}

    def _statistics(self) -> dict[str, int]:
        return {name: sum(int(node[name]) for node in self.arena.nodes) for name in _STATISTICS}

    def close(self) -> None:
        """Give the arena back: now if nobody looks at it any more, else with the last view of it."""
        with suppress(BufferError):
            self.arena.close()
