"""Flags that no snapshot has, drawn by a seed: without any such page no run could show that a strategy forgets them."""

from typing import Final

import numpy as np

from pagexchange.arena.arena import Arena
from pagexchange.pages.placement import Population

UNSEEN: Final = {"workingset": 16, "dropbehind": 64}
"""Flags of Linux that /proc/kpageflags does not show -> one page in how many gets it: a guess."""
_STREAM: Final = 0x75
"""Keeps these draws apart: one more of them changes nothing that is drawn elsewhere from the same seed."""


def draw_unseen(arena: Arena, population: Population, seed: int) -> str:
    """Set the flags of `UNSEEN` that the arena's layout has, on some pages; return a note that says so, or nothing."""
    random = np.random.default_rng([seed, _STREAM])
    notes = []
    for name, share in UNSEEN.items():
        # A flag that stays with the frame, or forbids the exchange, says nothing about what a strategy forgets.
        if name in arena.layout and arena.layout.flag(name).policy == "swap":
            pfns = population.pfns[random.integers(share, size=len(population)) == 0]
            arena.set_flags(pfns, arena.layout.flag(name).mask)
            notes.append(f"{name} on {len(pfns):,} pages")
    return f"drawn by the seed, because /proc/kpageflags does not show them: {', '.join(notes)}" if notes else ""
