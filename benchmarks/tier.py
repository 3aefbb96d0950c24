"""What a tier costs besides its exchanges: the loop's share of a step, and an access that is counted.

An arena of 1 GiB, a quarter of it fast, all of it folios of a file; accesses are Zipf's, with the exponent 0.8, of
folios in random places that are drawn anew now and then, so that each step has 512 pairs to exchange.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.arena.result import ExchangeResult
from pagexchange.arena.strategy import Strategy
from pagexchange.arena.strategy import strategy as bind
from pagexchange.arena.tier import Tier

PAIRS = 512
FRAMES = 1 << 18
TOUCH_NS = 100
"""That an access may take: 10 million a second on a core."""
_ACCESSES = 200_000
_ANEW = 16
"""Steps after which other pages are the hot ones; of larger folios, of which there are fewer, one."""
_HALF_LIFE = 8.0
"""In steps; of larger folios one, or the fast node fills with what was hot."""


class TimedStrategy:
    """A strategy that notes the CPU time of its exchanges."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy, self.ns = strategy, 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a strategy has
        return getattr(self.strategy, name)

    def exchange(self, *pairs: object, **options: Any) -> ExchangeResult:  # noqa: ANN401 - as a strategy's
        """Exchange, and note the time."""
        start = time.thread_time_ns()
        result = self.strategy.exchange(*pairs, **options)
        self.ns = time.thread_time_ns() - start
        return result


class Scene:
    """The arena, and accesses that are never the same."""

    def __init__(self, seed: int, order: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.folios, self.order = FRAMES >> order, order
        fast = self.folios // 4
        self.arena = Arena.create(nodes=[("fast", fast << order), ("slow", self.folios - fast << order)])
        self.mapping = self.arena.new_mapping()
        nodes = {"fast": fast, "slow": self.folios - fast}
        frames = np.concatenate([self.arena.alloc(node, n, order=order) for node, n in nodes.items()])
        self.arena.frames[:, 0] = 1  # memory that was never written to is none
        self.arena.cache_add(self.mapping, np.arange(self.folios) << order, frames)
        shares = np.cumsum(np.arange(1, self.folios + 1) ** -0.8)
        self.shares, self.drawn = shares / shares[-1], 0
        self.places = self.rng.permutation(self.folios)

    def accesses(self) -> NDArray[np.int64]:
        """Return the frames of the next accesses."""
        self.drawn += 1
        if self.drawn % (1 if self.order else _ANEW) == 0:
            self.places = self.rng.permutation(self.folios)
        folios = self.places[np.searchsorted(self.shares, self.rng.random(_ACCESSES))]
        return self.arena.cache_load(self.mapping, folios << self.order)


def tier(rounds: int, seed: int, order: int = 0) -> dict[str, tuple[list[float], list[float]]]:
    """Return by row's key what was measured and what it is against, in CPU ns by round; `order`: of the folios."""
    scene = Scene(seed, order)
    timed = TimedStrategy(bind("list-exchange", scene.arena))
    loop = Tier(scene.arena, timed, half_life=1.0 if order else _HALF_LIFE)  # type: ignore[arg-type]  # it is one but for its type
    found: dict[str, tuple[list[float], list[float]]] = {"tier-loop": ([], []), "tier-touch": ([], [])}
    while len(found["tier-loop"][0]) < rounds:
        frames = scene.accesses()
        start = time.thread_time_ns()
        loop.touch(frames)
        touched = time.thread_time_ns()
        step = loop.step(pairs=PAIRS)
        whole = time.thread_time_ns() - touched
        if step.done < PAIRS:
            raise RuntimeError(f"{step.done} of {PAIRS} pairs were exchanged; the accesses are to ask for all")
        if loop.counts["steps"] == 1:
            continue  # warms up
        for key, (above, below) in {
            "tier-loop": (whole - timed.ns, timed.ns),
            "tier-touch": ((touched - start) / len(frames), TOUCH_NS),
        }.items():
            found[key][0].append(above)
            found[key][1].append(below)
    return found
