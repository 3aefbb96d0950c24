"""null: moves nothing, so that a benchmark can subtract what the host itself costs."""

from dataclasses import dataclass

from pagexchange.errors import PluginError
from pagexchange.hookspecs import ArenaFacts, DataMover, hookimpl
from pagexchange_native.movers.mover import NullMover


@dataclass(frozen=True)
class Null:
    """Move nothing: what everything but the data step costs. For benchmarks only."""

    @hookimpl
    def exchange_data(self, arena: ArenaFacts) -> DataMover:
        """Refuse an arena that is not being benchmarked: its pages would be lost."""
        if not getattr(arena, "benchmarking", False):
            raise PluginError(
                "moves no data, so it serves only a benchmark of the engine (arena.benchmarking)", plugin="null"
            )
        return NullMover()
