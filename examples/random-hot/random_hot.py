"""A pairing in Python: hot pages of the slow node against cold ones of the fast node, as chance has it."""

from dataclasses import dataclass

import numpy as np

import pagexchange


@dataclass(frozen=True)
class RandomHot:
    """Pair any page of the slow node that is hot with any of the fast node that is not."""

    hot: float = 2.0

    @pagexchange.hookimpl
    def pair_pages(self, arena):
        """Return the pairing: of heat, order and node of each block it makes pairs (slow, fast), int64[n, 2]."""

        def pairing(view):
            rng = np.random.default_rng(view.step)  # equal views, equal pairs
            hot = np.flatnonzero((view.heat >= self.hot) & (view.order == 0))
            cold = np.flatnonzero((view.heat < self.hot) & (view.order == 0))
            slow = rng.permutation(hot[(hot >= view.slow.start) & (hot < view.slow.stop)])
            fast = rng.permutation(cold[(cold >= view.fast.start) & (cold < view.fast.stop)])
            n = min(len(slow), len(fast), view.limit, 512)
            return np.stack([slow[:n], fast[:n]], axis=1)

        return pairing
