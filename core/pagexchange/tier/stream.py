"""A stream of accesses to pages, tick by tick: drawn or from a file, the same for all ways, never held as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagexchange.samples.schema import Input

Pages = NDArray[np.uint32]

LEAST_PAGES: Final = 2
"""One on each node."""


class Stream(ABC):
    """Accesses by tick.

    Attributes
    ----------
    pages : int
        How many there are; an access names one of them, 0 to pages - 1.
    ticks : int
    tick_ns : float
        Nanoseconds of the stream from one tick to the next.
    accesses : int
        Of a tick, as they are drawn.
    weight : float
        Accesses that each of them stands for: above 1 where there would be more than are drawn.
    given : Input
        What it is, for people and for the id of a cell.
    notes : tuple[str, ...]
        What there is to say of it, in sentences.
    """

    pages: int
    ticks: int
    tick_ns: float
    accesses: int
    weight: float
    given: Input
    notes: tuple[str, ...]

    @abstractmethod
    def play(self, round: int) -> Iterator[Pages]:
        """Yield the accesses of each tick, uint32[accesses], drawn by the seed and the round; valid until the next."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.ticks * self.tick_ns / 1e9


def drawn_of(rate: float, tick_ns: float, most: int) -> tuple[int, float]:
    """Return how many accesses of a tick are drawn, and how many each of them stands for.

    Parameters
    ----------
    rate
        Accesses per second.
    most
        Of a tick that are drawn.
    """
    real = max(rate * tick_ns / 1e9, 1.0)
    drawn = min(int(real), most)
    return drawn, real / drawn
