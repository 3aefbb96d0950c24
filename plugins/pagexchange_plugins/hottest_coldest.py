"""hottest-coldest: the hottest pages of the slow node trade places with the coldest of the fast one."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np

from pagexchange.hookspecs import ArenaFacts, Numbers, Pairing, TierView, hookimpl


@dataclass(frozen=True)
class HottestColdest:
    """Pair the hottest pages of the slow node with the coldest of the fast one, while it pays."""

    batch: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] = 512
    """Pairs of a step, at most."""
    hysteresis: Annotated[float, msgspec.Meta(ge=1.0, le=1e6)] = 2.0
    """How many times hotter than its partner a page must be."""
    rest: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 4
    """Steps that a page stays where it came to, or was refused to leave."""

    @hookimpl
    def pair_pages(self, arena: ArenaFacts) -> Pairing:
        """Serve any arena."""
        return self.pairs

    def pairs(self, view: TierView) -> Numbers:
        """Return the pairs of a step."""
        k = min(self.batch, view.limit)
        free = (view.order >= 0) & ((view.moved == 0) | (view.step - view.moved.astype(np.int64) > self.rest))
        hot = np.flatnonzero(free & (view.heat > 0))
        cold = np.flatnonzero(free)
        hot = hot[(hot >= view.slow.start) & (hot < view.slow.stop)]
        cold = cold[(cold >= view.fast.start) & (cold < view.fast.stop)]
        hot = hot[np.argsort(-view.heat[hot], kind="stable")][:k]
        cold = cold[np.argsort(view.heat[cold], kind="stable")][:k]
        waiting = {order: list(cold[view.order[cold] == order][::-1]) for order in range(10)}
        pairs = []
        for page in hot:
            partners = waiting[int(view.order[page])]
            if partners and view.heat[page] > self.hysteresis * view.heat[partners[-1]]:
                pairs.append((page, partners.pop()))
        return np.array(pairs, np.int64).reshape(-1, 2)
