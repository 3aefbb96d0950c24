"""xarray: find slots with a cursor that is kept from page to page."""

from dataclasses import dataclass

from pagexchange.hookspecs import ArenaFacts, MappingUpdater, hookimpl
from pagexchange_native.policies.find_slot import XArrayCursor


@dataclass(frozen=True)
class XArray:
    """Find slots with an XArray cursor, kept from page to page: cheap on a sorted list."""

    @hookimpl
    def update_mapping(self, arena: ArenaFacts) -> MappingUpdater:
        """Serve any arena."""
        return XArrayCursor()
