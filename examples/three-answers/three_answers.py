"""A flag policy and a mapping updater in Python, and a wrapper around data movers."""

from dataclasses import dataclass, field

import numpy as np

import pagexchange
from pagexchange_native.plugin import NativeObject
from pagexchange_native.xarray.array import XArray


@dataclass(frozen=True)
class ByLayout:
    """Exchange the flags that the layout lets move; find slots mapping by mapping."""

    @pagexchange.hookimpl
    def exchange_flags(self, arena):
        """Return the policy: `a` and `b` are the words of the two frames, uint64[n]; so are those that it returns."""
        swap = np.uint64(arena.layout.mask("swap"))

        def policy(a, b):
            return a & ~swap | b & swap, b & ~swap | a & swap

        return policy

    @pagexchange.hookimpl
    def update_mapping(self, arena):
        """Return the updater: `pages` has the fields mapping, index and pfn; it returns byte offsets and entries."""

        def find(pages, arena):
            offset = np.zeros(len(pages), dtype=np.uint64)
            for mapping in np.unique(pages["mapping"]):
                rows = pages["mapping"] == mapping
                offset[rows] = XArray(arena, int(mapping)).words(pages["index"][rows])
            found = arena.memory.view(np.uint64)[offset // 8]
            found[offset == 0] = 0  # there is no such page
            return offset, found

        return find


@dataclass(frozen=True)
class LargestBatch:
    """Say how many pieces of at most 4 KiB a mover in Python got at once, at most."""

    seen: list = field(default_factory=lambda: [0], init=False)

    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        """Pass on what the plug-in answers, or a function around it."""
        answer = yield
        if answer is None or isinstance(answer, NativeObject):
            return answer  # it declined, or is called without Python

        def move(pieces, a, b):
            self.seen[0] = max(self.seen[0], len(a))
            answer(pieces, a, b)

        return move

    @pagexchange.hookimpl
    def strategy_report(self):
        """Return what is to stand in the report."""
        return {"largest batch": self.seen[0]}
