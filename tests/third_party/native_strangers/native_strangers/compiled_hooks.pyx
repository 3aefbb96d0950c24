# cython: language_level=3
"""Hooks that Cython compiled: pluggy 1.7 does not see them."""

import pagexchange


class CompiledHooks:
    """Swap."""

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        """Return the mover."""
        def move(pieces, a, b):
            pieces[a], pieces[b] = pieces[b], pieces[a]
        return move
