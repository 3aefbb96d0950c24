"""The drawn stream: a hot set that moves now and then, and a scan through everything that is hot to nobody."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

import numpy as np

from pagexchange.samples.schema import Input
from pagexchange.tier.stream import Stream, drawn_of
from pagexchange.tier.weighted import Alias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagexchange.model.config import TierConfig
    from pagexchange.tier.stream import Pages

TICK_MS: Final = 10.0
"""Where nobody says otherwise."""
NAME: Final = "a drawn hot set that moves"


class MovingHotSet(Stream):
    """Pages have ranks, drawn by seed and round. The page of rank k gets 1/k^zipf of the accesses, and after each phase
    the ranks move on: what was hottest becomes coldest, and as many cold pages follow from behind. A share of the
    accesses goes through all pages in turn.

    Parameters
    ----------
    pages
        How many.
    """

    def __init__(self, config: TierConfig, pages: int, seed: int) -> None:
        self.pages, self.ticks = pages, config.ticks
        self.tick_ns = 1e6 * (TICK_MS if config.tick_ms is None else config.tick_ms)
        self.accesses, self.weight = drawn_of(config.rate, self.tick_ns, config.accesses)
        self._config, self._seed = config, seed
        self._ranks = Alias(np.arange(1, pages + 1, dtype=np.float64) ** -config.zipf)
        decides = [config.zipf, config.phase, config.shift, config.scan, self.tick_ns, pages, seed]
        digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()
        self.given = Input(name=NAME, kind="drawn", digest=digest)
        phase = config.phase * self.tick_ns / 1e9
        self.notes = (
            f"the page of rank k gets 1/k^{config.zipf:g} of the accesses; every {phase:g} s {config.shift:.0%} of the "
            f"pages fall from the first ranks to the last; {config.scan:.0%} of the accesses scan all pages",
        )

    def play(self, round: int) -> Iterator[Pages]:  # noqa: D102 - as the base says
        random = np.random.default_rng([self._seed, round])
        by_rank = random.permutation(self.pages).astype(np.uint32)
        scanning = int(self.accesses * self._config.scan)
        step = round_up(self.pages * self._config.shift)
        at = 0
        for tick in range(self.ticks):
            ranks = self._ranks.draw(self.accesses - scanning, random)
            hot = np.roll(by_rank, -step * (tick // self._config.phase))[ranks]
            scan = (np.arange(at, at + scanning) % self.pages).astype(np.uint32)
            at = (at + scanning) % self.pages
            yield np.concatenate([hot, scan])


def round_up(value: float) -> int:
    """The least whole number that is not below a value."""
    return -int(-value // 1)
