"""A pairing with a budget for each second: pages by priority, cut where the budget ends, as quotas of DAMOS are."""

from pagexchange_native.tier.pairing import Pairing

class Quota(Pairing):
    """Pairs as many pages in a second as a budget allows: the hot ones of the slow node with those that are not."""

    def __init__(
        self, batch: int, bytes_per_second: float, ms_per_second: float, hot: float, by_heat: float, by_age: float
    ) -> None: ...
