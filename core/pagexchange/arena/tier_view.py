"""What a pairing is shown of a tier."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.heat import Heat
from pagexchange_native.arena.region import STATES


@dataclasses.dataclass(frozen=True)
class TierView:
    """A `hookspecs.TierView`. Arrays are made when they are asked for: a pairing that needs none of them costs none."""

    arena: LaidOutRegion = dataclasses.field(repr=False)
    counters: Heat = dataclasses.field(repr=False)
    run: int
    fast: range
    slow: range
    free_fast: int
    step: int
    limit: int
    seconds: float
    ns_per_pair: float

    @property
    def block_bytes(self) -> int:
        """Bytes of a block of order 0."""
        return self.arena.page_size * self.run

    @cached_property
    def heat(self) -> NDArray[np.float32]:
        """Accesses to each block, older ones counted for less."""
        return _read_only(self.counters.accesses())

    @cached_property
    def moved(self) -> NDArray[np.uint32]:
        """Step of the last move or refusal by block."""
        return _read_only(self.counters.steps())

    @cached_property
    def order(self) -> NDArray[np.int8]:
        """Order of the folio that lies in a block, or -1."""
        entries = self.arena.entries[:: self.run]
        movable = entries["state"] == STATES["used"]
        return _read_only(np.where(movable, entries["order"].astype(np.int8), np.int8(-1)))


def _read_only(values: NDArray[np.generic]) -> NDArray:  # type: ignore[type-arg]
    values.flags.writeable = False
    return values
