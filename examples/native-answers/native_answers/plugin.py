"""The hooks, in a plain Python file: pluggy skips functions that Cython compiled."""

from dataclasses import dataclass

import pagexchange


@dataclass(frozen=True)
class NativeAnswers:
    """Exchange the flags that the layout lets move; find each slot by a walk of its own."""

    @pagexchange.hookimpl
    def exchange_flags(self, arena):
        """Return the policy."""
        from native_answers.native import ByMask

        return ByMask(arena.layout.mask("swap"))

    @pagexchange.hookimpl
    def update_mapping(self, arena):
        """Return the updater."""
        from native_answers.native import FreshWalk

        return FreshWalk()
