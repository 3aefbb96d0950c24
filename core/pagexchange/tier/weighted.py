"""Draws from a distribution over many things, as many as there are accesses: two random numbers, two look-ups each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Alias:
    """Walker's alias method (1974), with Vose's table (1991): a draw costs the same however many things there are.

    Parameters
    ----------
    weights : float64[n]
        0 or more, with a sum above 0.
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        n = len(weights)
        scaled = (weights * (n / weights.sum())).tolist()
        other = list(range(n))
        small = [i for i, value in enumerate(scaled) if value < 1]
        large = [i for i, value in enumerate(scaled) if value >= 1]
        while small and large:
            low, high = small.pop(), large[-1]
            other[low] = high
            scaled[high] -= 1 - scaled[low]
            if scaled[high] < 1:
                small.append(large.pop())
        for i in (*small, *large):  # what rounding has left over is whole
            scaled[i] = 1.0
        self._keep = np.array(scaled, dtype=np.float32)
        self._other = np.array(other, dtype=np.uint32)

    def draw(self, count: int, random: np.random.Generator) -> NDArray[np.uint32]:
        """Return numbers of things, uint32[count]."""
        column = random.integers(0, len(self._keep), count, dtype=np.uint32)
        stays = random.random(count, dtype=np.float32) < self._keep[column]
        return np.where(stays, column, self._other[column])
