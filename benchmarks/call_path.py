"""What one call in Python costs when it exchanges few pairs, as bare loops of 2019 on pairs in cache.

    python -m benchmarks.call_path

`strategy.exchange(pairs)` and `arena.exchange(pairs, strategy)` with int64 arrays of one and of 16 pairs, drawn anew
for each call from 1 MiB of pages. A ratio is a median over rounds in which both are timed, in CPU time of the thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import pagexchange
from benchmarks.ratios import Ratio, ratio
from benchmarks.scenes import Pairs, Scene, Setting
from pagexchange_native.bench import time_loop

FEW: dict[int, int] = {1: 8, 16: 16}
"""Pairs in a call, and the loops over a pair that it is held against."""
CALLS = 128
"""Of each kind in a round."""


def _cpu(call: Callable[[Pairs], object], lists: list[Pairs]) -> float:
    start = time.thread_time_ns()
    for pairs in lists:
        call(pairs)
    return (time.thread_time_ns() - start) / len(lists)


def ratios(rounds: int = 41, seed: int = 1) -> dict[str, Ratio]:
    """Time both calls and the loop in turns; return the ratio of each row.

    Raises
    ------
    PagexchangeError
        A pair was refused.
    """
    scene = Scene(Setting("half", 1 << 20), seed)
    arena = scene.arena
    frames, strategy = arena.frames, pagexchange.strategy("list-exchange", arena)
    calls: dict[str, Callable[[Pairs], object]] = {
        "strategy.exchange": strategy.exchange,
        "arena.exchange": lambda pairs: arena.exchange(pairs, strategy),
    }
    found = {}
    for n, loops in FEW.items():
        above: dict[str, list[float]] = {name: [] for name in calls}
        below = []
        for turn in range(rounds + 1):
            lists = [scene.draw_one(n) for _ in range(CALLS)]
            loop = time_loop("rfc", frames, np.concatenate(lists))[0] / (CALLS * n)
            spent = {name: _cpu(call, lists) for name, call in calls.items()}
            for pairs in lists:  # a refused pair costs less than one that is exchanged
                strategy.exchange(pairs).raise_for_status()
            if turn:  # the first round warms up
                below.append(loop)
                for name, ns in spent.items():
                    above[name].append(ns)
        for name in calls:
            what = f"{name}, {n} pair{'s' * (n > 1)} / {loops} RFC loops in cache"
            found[what] = ratio(above[name], below, loops)
    return found


def rows() -> list[tuple[str, float]]:
    """Return name and ratio of each row."""
    return [(name, found.value) for name, found in ratios().items()]


if __name__ == "__main__":
    for name, found in ratios().items():
        print(f"{found.value:.2f}  ({found.low:.2f} - {found.high:.2f})  {name}")
