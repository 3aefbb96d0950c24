"""folio-copy: copy folios to free frames, as migration does."""

from dataclasses import dataclass
from typing import Literal

from pagexchange.hookspecs import ArenaFacts, DataCopier, hookimpl
from pagexchange_native.movers import folio_copy


@dataclass(frozen=True)
class FolioCopy:
    """Copy to a free frame, 8 to 64 bytes at a time."""

    isa: Literal["auto", "scalar", "sse2", "avx2", "avx512", "neon"] = "auto"
    """Instruction set; `auto` takes the widest of this CPU."""

    @hookimpl
    def copy_data(self, arena: ArenaFacts) -> DataCopier:
        """Decline, by NotImplementedError, if this CPU does not have the instruction set."""
        return folio_copy.FolioCopy(isa=self.isa)
