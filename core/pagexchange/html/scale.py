"""From a value to a place in a picture: by the logarithm where ratios are what counts, in proportion for shares."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log, log10
from typing import Final, NamedTuple, Protocol

STEPS: Final = (
    (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2, 2.2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9),
    (1, 1.5, 2, 3, 4, 5, 7),
    (1, 2, 5),
)
"""Ticks of a decade: the first that are not too many; if all are, decades."""
SHARES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Between two ticks of a scale of shares: the first with which there are not too many."""


class Scale(Protocol):
    """From a value to its place."""

    def __call__(self, value: float) -> float: ...  # noqa: D102
    def ticks(self, most: int = 8) -> list[float]: ...  # noqa: D102


class ShareScale(NamedTuple):
    """Shares from 0 to `high` lie from `start` to `end`."""

    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a share."""
        return self.start + (self.end - self.start) * value / self.high

    def ticks(self, most: int = 8) -> list[float]:
        """Shares for lines and labels, in order, not more than `most`."""
        step = next((step for step in SHARES if self.high / step <= most - 1), 1.0)
        return [n * step for n in range(int(self.high / step + 1e-9) + 1)]


class LogScale(NamedTuple):
    """Values from `low` to `high` lie from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return self.start + (self.end - self.start) * log(value / self.low) / log(self.high / self.low)

    def ticks(self, most: int = 8) -> list[float]:
        """Values for lines and labels, in order, not more than `most`."""
        decades = [10.0**power for power in range(floor(log10(self.low)), ceil(log10(self.high)) + 1)]
        found: list[float] = []
        for steps in (*STEPS, (1,)):
            found = [step * decade for decade in decades for step in steps if self.low <= step * decade <= self.high]
            if len(found) <= most:
                return found
        return found[:: -(-len(found) // most)]


def around(values: Iterable[float], start: float, end: float, *, least: float = 1.5, margin: float = 0.06) -> LogScale:
    """Return a scale that holds all values, above 0, with a margin, and spans at least a factor of `least`."""
    low, high = min(values := list(values), default=1.0), max(values, default=1.0)
    widen = max((least / (high / low)) ** 0.5, (high / low) ** margin, 1.02)
    return LogScale(low / widen, high * widen, start, end)
