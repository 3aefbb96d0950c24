"""masked-word: exchange all bits whose policy is `swap` at once."""

from dataclasses import dataclass

from pagexchange.hookspecs import ArenaFacts, FlagPolicy, hookimpl
from pagexchange_native.policies import flag_policy


@dataclass(frozen=True)
class MaskedWord:
    """Exchange every bit by the policy that the layout declares for it."""

    @hookimpl
    def exchange_flags(self, arena: ArenaFacts) -> FlagPolicy:
        """Take the mask from the arena's layout."""
        return flag_policy.MaskedWord(arena.layout.mask("swap"))
