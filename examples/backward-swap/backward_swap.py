"""A data mover in Python: from the last piece to the first, a few at a time."""

from dataclasses import dataclass

import pagexchange


@dataclass(frozen=True)
class BackwardSwap:
    """Swap the pieces from the last to the first."""

    step: int = 8

    def __post_init__(self):
        if self.step < 1:
            raise ValueError(f"step is {self.step}; it must be at least 1")

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        """Return the mover: `pieces` are all frames, uint64[m, words]; `a` and `b` are numbers of rows."""

        def move(pieces, a, b):
            for end in range(len(a), 0, -self.step):
                x, y = a[max(0, end - self.step) : end], b[max(0, end - self.step) : end]
                pieces[x], pieces[y] = pieces[y], pieces[x]

        return move
