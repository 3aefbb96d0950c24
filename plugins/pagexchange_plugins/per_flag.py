"""per-flag: a fixed list of flags, moved one by one, as the proposal of 2019 did."""

from dataclasses import dataclass

from pagexchange.hookspecs import ArenaFacts, FlagPolicy, hookimpl
from pagexchange_native.policies import flag_policy


@dataclass(frozen=True)
class PerFlag:
    """Move the flags that the proposal of 2019 listed, one by one; loses what it did not list."""

    @hookimpl
    def exchange_flags(self, arena: ArenaFacts) -> FlagPolicy:
        """Look the listed flags up in the arena's layout."""
        return flag_policy.PerFlag(arena.layout.masks())
