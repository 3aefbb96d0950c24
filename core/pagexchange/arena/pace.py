"""How many pairs fit into the time that a call has left: what `max_call_us` sizes its slices by."""

from __future__ import annotations

from typing import Final

FIRST: Final = 0.125
"""Of a call's time its first slice is given so much: its pages may lie elsewhere than those of the last call."""
MARGIN: Final = 0.4
"""Of the time left a later slice is given so much: a mover that becomes twice as slow still ends in time."""
GROWTH: Final = 3
"""A slice has at most so many times the pairs of the one before: what is known of few pairs is not trusted for many."""
FORGET: Final = 0.5
"""Of what the slowest pairs cost, after a slice that was faster. A slower one counts at once."""


class Pace:
    """What a slice costs, and what each further pair of it, as seen so far: kept by a strategy from call to call."""

    def __init__(self) -> None:
        self.slice_ns = 0.0
        """Of the fastest slice that was seen, however few pairs it had; 0: none was."""
        self.pair_ns = 0.0
        """Of each pair of a slice but the first; 0: not known yet."""
        self._before = 0
        """Pairs of the slice before; 0: this is the call's first."""

    def begin(self) -> None:
        """Begin a call."""
        self._before = 0

    def fits(self, left_ns: float, pairs: int) -> int:
        """Return how many of so many pairs the next slice may have; 0 or less: not one."""
        if not self.slice_ns:
            return min(1, pairs)
        share, most = (MARGIN, GROWTH * self._before) if self._before else (FIRST, pairs)
        room = left_ns * share - max(self.slice_ns, self.pair_ns)
        return 0 if room < 0 else min(1 + int(room / (self.pair_ns or self.slice_ns)), most, pairs)

    def took(self, ns: float, pairs: int) -> None:
        """Learn from a slice."""
        self.slice_ns = min(self.slice_ns or ns, ns)
        # Of one pair it is not known what is the slice's part: all of it is the most that a pair can take.
        least, most = (ns - self.slice_ns) / max(1, pairs - 1), ns / pairs if pairs == 1 else 0.0
        if least > self.pair_ns:
            self.pair_ns = least
        else:
            self.pair_ns = min(self.pair_ns, max(least, most, FORGET * self.pair_ns))
        self._before = pairs
