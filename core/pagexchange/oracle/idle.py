"""Frames that no page lies in: free, reserved, offline ones. Nobody may write there but a mover that took the frame.

Their contents are nobody's, so they are neither stamped nor kept: one word for each frame sums them up. A frame that
nobody touched since the arena was made has no memory yet, it is a hole in the arena's file. That it still is one says
that nobody wrote there, for the price of asking; to read it would take the memory.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pagexchange.oracle.capture import State
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import FREE, OFFLINE, RESERVED, TAIL, USED, Bools, HasMemory, Ints, Raw, Words, read
from pagexchange.oracle.holes import holes_of
from pagexchange.oracle.stamp import mix, over

AT_LEAST: Final = 4096
"""Frames that are summed up if there are so many; more, as many as there are frames with pages: a sample then."""
_NAMES: Final = {OFFLINE: "offline", FREE: "free", RESERVED: "reserved"}


@dataclass(frozen=True)
class Idle:
    """The frames without a page at one moment."""

    summed: Ints
    """Frames that had memory, ascending: all of them, or a sample."""
    sums: Words
    """A word for each of these, that every word of the frame goes into."""
    holes: Bools
    """Frames that had no memory, so that all of their words are 0; bool by pfn."""
    seed: int

    def __len__(self) -> int:
        return len(self.summed) + int(self.holes.sum())

    @classmethod
    def of(cls, arena: HasMemory, state: State, seed: int, threads: int = 1) -> "Idle":
        """Takes down all frames that no page lies in; many of those with memory become a sample, drawn by `seed`."""
        raw = read(arena)
        pages = np.isin(state.entries["state"], (USED, TAIL))
        holes = ~pages & holes_of(arena, raw)
        filled = np.flatnonzero(~pages & ~holes)
        most = max(AT_LEAST, int(pages.sum()))
        if len(filled) > most:
            filled = np.sort(np.random.default_rng(seed).choice(filled, most, replace=False))
        return cls(filled, _sums(raw, filled, seed, threads), holes, seed)

    def compare(
        self, arena: HasMemory, before: State, after: State, taken: int, findings: Collector, threads: int = 1
    ) -> int:
        """Says which of them were written to; returns how many bytes were read for it.

        A mover that takes frames writes there and need not clean up: of the free ones as many may differ as it has
        taken. Which ones these were nobody can know afterwards.
        """
        raw = read(arena)
        # What holds a page by now has a finding already, or a mover holds it by right.
        idle = ~np.isin(after.entries["state"], (USED, TAIL))
        still = idle[self.summed]
        kept = self.summed[still]
        differ = kept[_sums(raw, kept, self.seed, threads) != self.sums[still]]
        filled = np.flatnonzero(self.holes & idle & ~holes_of(arena, raw))
        written = np.concatenate([differ, filled[_any(raw, filled, threads)]])
        kinds = before.entries["state"][written]
        wrong = np.ones(len(written), bool)
        free = int((kinds == FREE).sum())
        if free <= taken:
            wrong[kinds == FREE] = False
        more = f": {free} were, and movers have taken {taken} meanwhile" if taken else ""
        findings.add_where(
            "contents", wrong, written, 0, kinds,
            lambda p, _, kind: (
                f"frame {p} is {_NAMES.get(kind, 'in use')} and was written to{more if kind == FREE else ''}"
            ),
        )  # fmt: skip
        nbytes: int = (len(kept) + len(filled)) * raw.frames.shape[1] * 8
        return nbytes


def _sums(raw: Raw, pfns: Ints, seed: int, threads: int) -> Words:
    """A word for each frame: its words, each times an odd number of its own. One changed word always shows."""
    words = np.uint64(2) * mix(np.arange(raw.frames.shape[1], dtype=np.uint64) + np.uint64(seed)) + np.uint64(1)
    sums = np.zeros(raw.nframes, np.uint64)

    def add(where: slice | Ints, part: Ints) -> None:
        sums[part] = np.einsum("ij,j->i", raw.frames[where], words)

    over(pfns, raw.frames.shape[1] * 8, threads, add)
    return sums[pfns]


def _any(raw: Raw, pfns: Ints, threads: int) -> Bools:
    """Which of the frames have a word that is not 0."""
    found = np.zeros(raw.nframes, bool)

    def look(where: slice | Ints, part: Ints) -> None:
        found[part] = raw.frames[where].any(axis=1)

    over(pfns, raw.frames.shape[1] * 8, threads, look)
    return found[pfns]
