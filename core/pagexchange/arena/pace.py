"""How many pairs fit into the time that a call has left: what `max_call_us` sizes its slices by."""

from __future__ import annotations

from typing import Final

MARGIN: Final = 0.5
"""Of the time left a slice is given so much: a mover that becomes twice as slow still ends in time."""
GROWTH: Final = 2
"""A slice has at most so many times the pairs of the one before: what is known of few pairs is not trusted for many."""
FORGET: Final = 0.75
"""Of what the slowest pairs cost, after a slice that was faster. A slower one counts at once."""


class Pace:
    """What a pair costs, as seen so far: kept by a strategy from call to call."""

    def __init__(self) -> None:
        self.pair_ns = 0.0
        """0: not known yet."""
        self._most = 1

    def begin(self) -> None:
        """Begin a call: its first slice starts small again, since its pages may lie elsewhere."""
        self._most = GROWTH if self.pair_ns else 1

    def fits(self, left_ns: float, pairs: int) -> int:
        """Return how many of so many pairs the next slice may have; 0: not one."""
        if not self.pair_ns:
            return min(1, pairs)
        return min(int(left_ns * MARGIN / self.pair_ns), self._most, pairs)

    def took(self, ns: float, pairs: int) -> None:
        """Learn from a slice."""
        self.pair_ns = max(ns / pairs, FORGET * self.pair_ns)
        self._most = max(self._most, GROWTH * pairs)
