"""Cells in turns: in each round every cell runs as often as the others, in an order drawn by the seed."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping

FEWEST = 5
"""Rounds that are run however long they take."""
Sample = Callable[[], float]
"""Runs once on a list of its own; returns nanoseconds per pair."""


def interleave(
    cells: Mapping[str, Sample], rounds: int, repeats: int, seed: str, seconds: float = float("inf")
) -> dict[str, list[float]]:
    """Return ns per pair of each cell, one for each round: the median of that round's repeats.

    A round before the first warms up and is not counted. After so many seconds no round is begun, but for the fewest.
    """
    shuffle = random.Random(seed)
    end = time.monotonic() + seconds
    medians: dict[str, list[float]] = {name: [] for name in cells}
    for turn in range(rounds + 1):
        if turn > FEWEST and time.monotonic() > end:
            break
        turns = list(cells) * (repeats if turn else 1)
        shuffle.shuffle(turns)
        seen: dict[str, list[float]] = {name: [] for name in cells}
        for name in turns:
            seen[name].append(cells[name]())
        if turn:
            for name, samples in seen.items():
                medians[name].append(statistics.median(samples))
    return medians
