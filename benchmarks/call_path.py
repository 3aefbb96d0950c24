"""What one call in Python costs with few pairs: int64 arrays, drawn anew for each call from 1 MiB of pages."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import pagexchange
from benchmarks.cells import LIST, RFC
from benchmarks.rounds import Sample
from pagexchange.bench.scenes import Pairs, Scene
from pagexchange_native.bench import time_loop

CALLS = 128
"""Calls of one sample."""


def calls_of(scene: Scene, pairs: int) -> dict[str, Sample]:
    """Return both ways to call, in ns per call, and the loop of 2019 on such lists, in ns per pair."""
    arena = scene.arena
    strategy = pagexchange.strategy(LIST, arena)
    ways: dict[str, Callable[[Pairs], pagexchange.ExchangeResult]] = {
        "strategy.exchange": strategy.exchange,
        "arena.exchange": lambda numbers: arena.exchange(numbers, strategy),
    }

    def lists() -> list[Pairs]:
        return [scene.draw_one(pairs) for _ in range(CALLS)]

    def loop() -> float:
        return time_loop("rfc", arena.frames, np.concatenate(lists()))[0] / (CALLS * pairs)

    def timed(call: Callable[[Pairs], pagexchange.ExchangeResult]) -> Sample:
        def sample() -> float:
            drawn = lists()
            start = time.thread_time_ns()
            results = [call(numbers) for numbers in drawn]
            spent = time.thread_time_ns() - start
            for result in results:  # a refused pair costs less than one that is exchanged
                result.raise_for_status()
            return spent / CALLS

        return sample

    return {RFC: loop} | {name: timed(call) for name, call in ways.items()}
