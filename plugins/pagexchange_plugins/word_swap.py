"""word-swap: exchange two folios in place, pair by pair."""

from dataclasses import dataclass
from typing import Literal

from pagexchange.hookspecs import ArenaFacts, DataMover, hookimpl
from pagexchange_native.movers import word_swap


@dataclass(frozen=True)
class WordSwap:
    """Exchange in place, 8 to 64 bytes at a time; allocates nothing."""

    isa: Literal["auto", "scalar", "sse2", "avx2", "avx512", "neon"] = "auto"
    """Instruction set; `auto` takes the widest of this CPU."""

    @hookimpl
    def exchange_data(self, arena: ArenaFacts) -> DataMover:
        """Decline, by NotImplementedError, if this CPU does not have the instruction set."""
        return word_swap.WordSwap(isa=self.isa)
