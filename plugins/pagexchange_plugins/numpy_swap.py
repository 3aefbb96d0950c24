"""numpy-swap: a data mover in ten lines of Python, the example to copy."""

from dataclasses import dataclass

from pagexchange.hookspecs import ArenaFacts, DataMover, Numbers, Words, hookimpl


@dataclass(frozen=True)
class NumpySwap:
    """Exchange rows of a NumPy array with fancy indexing."""

    @hookimpl
    def exchange_data(self, arena: ArenaFacts) -> DataMover:
        """Serve any arena: a folio is a run of pieces, of 4 KiB or a smaller frame."""
        return exchange


def exchange(pieces: Words, a: Numbers, b: Numbers) -> None:
    """Exchange rows `a` with rows `b`: indexing with an array copies, so nothing is overwritten too early."""
    pieces[a], pieces[b] = pieces[b], pieces[a]
