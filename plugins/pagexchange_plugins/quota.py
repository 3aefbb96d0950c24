"""quota: as many pages in a second as a budget allows, by priority, as schemes of DAMON have it."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from pagexchange.hookspecs import ArenaFacts, Pairing, hookimpl
from pagexchange_native.tier import quota

Limit = Annotated[float, msgspec.Meta(ge=0.0, le=1e15)]
Weight = Annotated[float, msgspec.Meta(ge=0.0, le=1e6)]


@dataclass(frozen=True)
class Quota:
    """Pair as many pages in a second as a budget allows, by frequency and age, as quotas of DAMON's schemes do."""

    bytes_per_second: Limit = 256.0 * (1 << 20)
    """Bytes that may move in a second, of both pages of a pair; 0: any number."""
    ms_per_second: Limit = 0.0
    """Milliseconds that moving may take in a second, as long as a pair has taken so far; 0: any number."""
    batch: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] = 4096
    """Pairs of a step, at most."""
    hot: Annotated[float, msgspec.Meta(ge=0.0, le=1e12)] = 1.0
    """Accesses, older ones counted for less, from which on a page is hot."""
    by_heat: Weight = 3.0
    """Weight of the heat in a page's priority."""
    by_age: Weight = 1.0
    """Weight of the steps for which it has been in its frame."""

    def __post_init__(self) -> None:
        if not self.by_heat + self.by_age > 0.0:
            raise ValueError("by_heat and by_age are both 0; one of them must count")

    @hookimpl
    def pair_pages(self, arena: ArenaFacts) -> Pairing:
        """Serve any arena."""
        return quota.Quota(self.batch, self.bytes_per_second, self.ms_per_second, self.hot, self.by_heat, self.by_age)
