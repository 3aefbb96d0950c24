"""Cells in turns, in one process, for so many rounds or seconds; the order is that of `pagexchange.bench.rounds`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from pagexchange.bench.rounds import turns

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
    end = time.monotonic() + seconds
    medians: dict[str, list[float]] = {name: [] for name in cells}
    for turn, order in zip(range(rounds + 1), turns(cells, seed, repeats), strict=False):
        if turn > FEWEST and time.monotonic() > end:
            break
        seen: dict[str, list[float]] = {name: [] for name in cells}
        for name in order:
            seen[name].append(cells[name]())
        if turn:
            for name, samples in seen.items():
                medians[name].append(statistics.median(samples))
    return medians
