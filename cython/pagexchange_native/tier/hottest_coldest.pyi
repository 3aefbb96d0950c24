"""The default pairing: the hottest pages of the slow node against the coldest of the fast one."""

from pagexchange_native.tier.pairing import Pairing

class HottestColdest(Pairing):
    """Pairs the hottest pages of the slow node with the coldest of the fast one, while these are so much hotter."""

    def __init__(self, batch: int, hysteresis: float, rest: int) -> None: ...
