"""list-exchange: the whole list in one call, so that later pairs are fetched while one moves."""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from pagexchange.hookspecs import ArenaFacts, DataMover, hookimpl
from pagexchange_native.movers import list_exchange


@dataclass(frozen=True)
class ListExchange:
    """Exchange a whole list in place, later pairs prefetched, shared over threads."""

    isa: Literal["auto", "scalar", "sse2", "avx2", "avx512", "neon"] = "auto"
    """Instruction set; `auto` takes the widest of this CPU."""
    prefetch: bool = True
    """Fetch later pairs while one moves: pages two ahead, of the next folio the first 4 KiB."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1
    """How many workers may share a list, or one large folio."""

    @hookimpl
    def exchange_data(self, arena: ArenaFacts) -> DataMover:
        """Decline, by NotImplementedError, if this CPU does not have the instruction set."""
        return list_exchange.ListExchange(isa=self.isa, prefetch=self.prefetch, threads=self.threads)
