"""How hot each block of a tier is, when what lies in it came there: both follow the pages that move."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

HEAVIEST: Final = 2.0**32
"""Weight of an access from which all heat is divided by it: far from what float32 cannot hold."""
REFUSED: Final = np.uint32(1 << 31)
"""In `moved`: what lies there was refused to go, in the step that the other bits have."""


class Heat:
    """Heat and last move of blocks: 8 bytes each.

    Accesses of a later step weigh more, by 2^(1 / half_life), instead of all others less: so a step costs nothing for
    pages that nobody touches.
    """

    def __init__(self, blocks: int, half_life: float) -> None:
        self.values = np.zeros(blocks, np.float32)
        self.moved = np.zeros(blocks, np.uint32)
        self.weight = 1.0
        self.growth = 2.0 ** (1.0 / half_life)

    def touch(self, blocks: NDArray[np.int64], weights: float | NDArray[np.float64]) -> None:
        """Count accesses to blocks."""
        np.add.at(self.values, blocks, np.float32(self.weight) * np.asarray(weights, np.float32))

    def grow(self) -> None:
        """A step is over."""
        self.weight *= self.growth
        if self.weight > HEAVIEST:
            self.values /= np.float32(self.weight)
            self.weight = 1.0

    def exchange(self, a: NDArray[np.int64], b: NDArray[np.int64], step: int) -> None:
        """Let heat follow the pages of the blocks `a` and `b`, which have traded places in this step."""
        self.values[a], self.values[b] = self.values[b], self.values[a]
        self.moved[a] = self.moved[b] = step

    def refuse(self, blocks: NDArray[np.int64], step: int) -> None:
        """Note that blocks were refused in this step."""
        self.moved[blocks] = np.uint32(step) | REFUSED

    def recently(self, blocks: NDArray[np.int64], step: int, steps: float) -> int:
        """Return how many of the blocks hold what came there at most so many steps ago."""
        moved = self.moved[blocks]
        arrived = (moved != 0) & (moved < REFUSED)
        return int(np.count_nonzero(arrived & (step - moved.astype(np.int64) <= steps)))

    def accesses(self) -> NDArray[np.float32]:
        """Return the heat in accesses of this step: float32 by block."""
        return self.values / np.float32(self.weight)

    def steps(self) -> NDArray[np.uint32]:
        """Return the step of the last move or refusal: uint32 by block."""
        return self.moved & ~REFUSED
