"""two-pass: the state-migration helper called twice through a scratch word, the author's idea."""

from dataclasses import dataclass

from pagexchange.hookspecs import ArenaFacts, FlagPolicy, hookimpl
from pagexchange_native.policies import flag_policy


@dataclass(frozen=True)
class TwoPass:
    """Migrate the flags to a scratch word and back with today's helper."""

    @hookimpl
    def exchange_flags(self, arena: ArenaFacts) -> FlagPolicy:
        """Look the helper's flags up in the arena's layout."""
        return flag_policy.TwoPass(arena.layout.masks(), arena.layout.mask("swap"))
