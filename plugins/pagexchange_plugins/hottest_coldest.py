"""hottest-coldest: the hottest pages of the slow node trade places with the coldest of the fast one."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from pagexchange.hookspecs import ArenaFacts, Pairing, hookimpl
from pagexchange_native.tier import hottest_coldest


@dataclass(frozen=True)
class HottestColdest:
    """Pair the hottest pages of the slow node with the coldest of the fast one, while they are so much hotter."""

    batch: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] = 512
    """Pairs of a step, at most."""
    hysteresis: Annotated[float, msgspec.Meta(ge=1.0, le=1e6)] = 2.0
    """How many times hotter than its partner a page must be."""
    rest: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 4
    """Steps that a page stays where it came to, or was refused to leave."""

    @hookimpl
    def pair_pages(self, arena: ArenaFacts) -> Pairing:
        """Serve any arena."""
        return hottest_coldest.HottestColdest(self.batch, self.hysteresis, self.rest)
