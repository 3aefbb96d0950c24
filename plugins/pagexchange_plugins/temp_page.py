"""temp-page: take a frame and copy three times, as the review asked for."""

from dataclasses import dataclass
from typing import Literal

from pagexchange.hookspecs import ArenaFacts, DataMover, hookimpl
from pagexchange_native.movers import temp_page


@dataclass(frozen=True)
class TempPage:
    """Exchange through a temporary folio and three copies; needs a free frame."""

    source: Literal["local", "per-worker"] = "local"
    """A folio for each pair, or one per worker that is kept through a batch."""

    @hookimpl
    def exchange_data(self, arena: ArenaFacts) -> DataMover:
        """Serve any arena; pairs for which there is no frame are refused with -ENOMEM, one by one."""
        return temp_page.TempPage(source=self.source)
