"""streaming-copy: copy folios to free frames past the caches."""

from dataclasses import dataclass
from typing import Literal

from pagexchange.hookspecs import ArenaFacts, DataCopier, hookimpl
from pagexchange_native.movers import streaming_copy


@dataclass(frozen=True)
class StreamingCopy:
    """Copy to a free frame with stores that go past the caches."""

    isa: Literal["auto", "sse2", "avx2", "avx512"] = "auto"
    """Instruction set; `auto` takes the widest of this CPU."""

    @hookimpl
    def copy_data(self, arena: ArenaFacts) -> DataCopier:
        """Decline, by NotImplementedError, if this CPU does not have the instruction set, or no such stores."""
        return streaming_copy.StreamingCopy(isa=self.isa)
