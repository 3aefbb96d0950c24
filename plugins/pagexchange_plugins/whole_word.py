"""whole-word: exchange the two flags words as they are, the first idea of the review."""

from dataclasses import dataclass

from pagexchange.hookspecs import ArenaFacts, FlagPolicy, hookimpl
from pagexchange_native.policies import flag_policy


@dataclass(frozen=True)
class WholeWord:
    """Exchange the whole words, node and zone included; the engine must refuse that."""

    @hookimpl
    def exchange_flags(self, arena: ArenaFacts) -> FlagPolicy:
        """Serve any layout."""
        return flag_policy.WholeWord()
