"""What a tier costs besides its exchanges: the loop's share of a step, and an access that is counted.

An arena of 1 GiB, a quarter of it fast, all of it pages of a file; accesses are Zipf's, with the exponent 0.8, of pages
in random places that are drawn anew now and then, so that each step has 512 pairs to exchange.
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
_FAST = FRAMES // 4
_ACCESSES = 200_000
_ANEW = 16
"""Steps after which other pages are the hot ones."""


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

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.arena = Arena.create(nodes=[("fast", _FAST), ("slow", FRAMES - _FAST)])
        self.mapping = self.arena.new_mapping()
        frames = np.concatenate([self.arena.alloc("fast", _FAST), self.arena.alloc("slow", FRAMES - _FAST)])
        self.arena.frames[:, 0] = 1  # memory that was never written to is none
        self.arena.cache_add(self.mapping, np.arange(FRAMES), frames)
        shares = np.cumsum(np.arange(1, FRAMES + 1) ** -0.8)
        self.shares, self.drawn = shares / shares[-1], 0
        self.order = self.rng.permutation(FRAMES)

    def accesses(self) -> NDArray[np.int64]:
        """Return the frames of the next accesses."""
        self.drawn += 1
        if self.drawn % _ANEW == 0:
            self.order = self.rng.permutation(FRAMES)
        pages = self.order[np.searchsorted(self.shares, self.rng.random(_ACCESSES))]
        return self.arena.cache_load(self.mapping, pages)


def tier(rounds: int, seed: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return by row's key what was measured and what it is against, in CPU ns by round."""
    scene = Scene(seed)
    timed = TimedStrategy(bind("list-exchange", scene.arena))
    loop = Tier(scene.arena, timed)  # type: ignore[arg-type]  # it is one but for its type
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
