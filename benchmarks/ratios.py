"""The arithmetic: a ratio taken round by round, its 95 % interval, and what that says about a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

Verdict: TypeAlias = Literal["within", "unclear", "beyond"]
DRAWS = 2000
LEAST = 3
"""Rounds below which an interval would claim to know more than was seen."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the rounds' ratios, and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def verdict(self, limit: float) -> Verdict:
        """Say where the whole interval lies; "unclear" when the limit is inside it."""
        if self.low > limit:
            return "beyond"
        return "within" if self.high <= limit else "unclear"


def spread(samples: Sequence[float], seed: int = 1) -> Ratio:
    """Return the median of samples with its interval.

    Raises
    ------
    ValueError
        Fewer than `LEAST` samples.
    """
    values = np.asarray(samples, dtype=np.float64)
    if len(values) < LEAST:
        raise ValueError(f"{len(values)} rounds: an interval takes at least {LEAST}")
    drawn = np.median(np.random.default_rng(seed).choice(values, (DRAWS, len(values))), axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Ratio(float(np.median(values)), float(low), float(high))


def ratio(above: Sequence[float], below: Sequence[float], times: float = 1.0, seed: int = 1) -> Ratio:
    """Divide the samples of one cell by `times` the samples of another, each by that of the same round.

    What slows down a whole round, a neighbour or the clock, then hits both and cancels out.
    """
    if len(above) != len(below):
        raise ValueError(f"{len(above)} rounds against {len(below)}: cells of one run have the same number")
    return spread((np.asarray(above, np.float64) / (times * np.asarray(below, np.float64))).tolist(), seed)
