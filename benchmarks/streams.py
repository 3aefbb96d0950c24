"""How many accesses of a stream a core handles: `python -m benchmarks.streams [MiB]`, CPU time of one thread.

Three rows for each stream: drawing the accesses, once for all ways; what each way does with them, from the
page's number over its frame to its heat and whether it hit the fast node; and both together, as for one way alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from pagexchange.host import read
from pagexchange.tier.run import stream_of
from pagexchange.tier.scene import Scene
from pagexchange.tier.stream import Pages

ROUNDS = 5


def _rate(accesses: int, work: Callable[[], None]) -> float:
    """Accesses per second of CPU time, the median of some rounds, after one that warms up."""
    rates = []
    for _ in range(ROUNDS + 1):
        began = time.thread_time_ns()
        work()
        rates.append(accesses / (time.thread_time_ns() - began) * 1e9)
    return float(np.median(rates[1:]))


def _rows(mib: int, *settings: str) -> Iterator[tuple[str, float]]:
    config = read.load(None, overrides=[f"tier.fast={mib // 4} MiB", f"tier.slow={mib - mib // 4} MiB", *settings])
    stream, size = stream_of(config)
    scene = Scene(config, size, 1)
    tier = scene.arena.tier()
    played = [pages.copy() for pages in stream.play(0)]
    accesses = sum(map(len, played))

    def touch(ticks: Iterator[Pages]) -> None:
        for pages in ticks:
            tier.touch(np.take(scene.where, pages))

    def draw() -> None:
        for _ in stream.play(0):
            pass

    yield "drawing, once for all ways", _rate(accesses, draw)
    yield "each way, drawn before", _rate(accesses, lambda: touch(iter(played)))
    yield "one way with the drawing", _rate(accesses, lambda: touch(stream.play(0)))
    scene.close()


def main() -> None:
    """Print the rows."""
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 128
    for source in ("record", "drawn"):
        for what, rate in _rows(mib, f"tier.source={source}"):
            print(f"{source:8}{what:28}{rate / 1e6:8.1f} million accesses per second of CPU time, {mib} MiB of pages")


if __name__ == "__main__":
    main()
