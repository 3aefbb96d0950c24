"""The hook, in a plain Python file: pluggy skips functions that Cython compiled."""

from dataclasses import dataclass

import pagexchange


@dataclass(frozen=True)
class LookAhead:
    """Exchange a list in place, fetching the pair that comes `distance` pairs later."""

    distance: int = 2

    def __post_init__(self):
        if not 1 <= self.distance <= 64:
            raise ValueError(f"distance is {self.distance}; it must be 1 to 64 pairs")

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        """Return the mover; the compiled module is imported only when a strategy names the plug-in."""
        from look_ahead.native import LookAheadMover

        return LookAheadMover(self.distance)
