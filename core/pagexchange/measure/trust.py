"""Whether a sample can be trusted: it cannot if others had its CPU for much of the time.

A turn that was pushed aside is taken again while a budget lasts, and both are kept. What is left over is said: it has
no clean samples to make a median of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Final

VARIABLE: Final = "PAGEXCHANGE_OFF_CPU"
"""Another limit than `ASIDE`, 0 to 1; with 1 nothing is ever pushed aside."""
ASIDE: Final = 0.2
"""Off the CPU for more than this share of its time, a sample was pushed aside."""


def off_cpu(threads: Iterable[tuple[int, int]]) -> float:
    """Return the share of time, 0 to 1, in which threads that had work had no CPU.

    Parameters
    ----------
    threads
        (wall, CPU) of each, nanoseconds: from its own start to its end, so that one which starts late has not waited.
        Of threads that are not told apart: ((wall x threads, CPU of all),).
    """
    walls, cpus = zip(*threads, strict=True) if (threads := list(threads)) else ((), ())
    wall = sum(walls)
    # The two clocks do not tick together: of a short call the CPU's may be ahead.
    return min(max(1 - sum(cpus) / wall, 0.0), 1.0) if wall > 0 else 0.0


def limit() -> float:
    """Return the share above which a sample was pushed aside, as the environment says; else it is `ASIDE`."""
    try:
        share = float(os.environ.get(VARIABLE, ""))
    except ValueError:
        return ASIDE
    return share if 0 <= share <= 1 else ASIDE


def pushed_aside(threads: Iterable[tuple[int, int]], above: float = ASIDE) -> bool:
    """Whether a sample was; arguments as of `off_cpu`, and the `limit`."""
    return off_cpu(threads) > above


class Budget:
    """Time that turns which were pushed aside may cost once more."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self.seconds, self._clock, self._spent = seconds, clock, 0.0

    @property
    def left(self) -> float:
        """Seconds."""
        return max(self.seconds - self._spent, 0.0)

    def spend(self, turn: Callable[[], object], expected: float = 0.0) -> bool:
        """Do a turn, if what it is expected to cost is left; say whether it was done."""
        if self.left <= 0 or expected > self.left:
            return False
        start = self._clock()
        try:
            turn()
        finally:
            self._spent += self._clock() - start
        return True


def clean(aside: Sequence[bool]) -> bool:
    """Whether a cell's samples can be trusted, one mark for each turn: most of them were not pushed aside.

    Then the others can be left out, and the rest has a median. A cell without a sample claims nothing.
    """
    return 2 * sum(aside) < len(aside) or not aside
