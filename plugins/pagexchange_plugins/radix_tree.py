"""radix-tree: a walk from the top for every page, as in the proposal of 2019."""

from dataclasses import dataclass

from pagexchange.hookspecs import ArenaFacts, MappingUpdater, hookimpl
from pagexchange_native.policies import find_slot


@dataclass(frozen=True)
class RadixTree:
    """Find slots with a fresh walk from the top of the tree for each page."""

    @hookimpl
    def update_mapping(self, arena: ArenaFacts) -> MappingUpdater:
        """Serve any arena."""
        return find_slot.RadixTree()
