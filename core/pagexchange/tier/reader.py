"""A reader beside the steps: it reads what the stream accesses, on another CPU, and says how long a read took."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from pagexchange.tier.result import Reads
from pagexchange_native.reader import Reader, edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pagexchange.tier.scene import Scene
    from pagexchange.tier.stream import Pages

MOST: Final = 1 << 14
"""Pages that it reads over and over; they are changed from tick to tick."""


class Beside:
    """A thread that reads pages of a scene while it is told to. It holds the arena open until it is closed."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._pages = np.zeros(1, dtype=np.int64)
        self._vpns = np.zeros(MOST, dtype=np.int64)
        self._bases = np.repeat(scene.words(self._pages), MOST)
        self._native: Reader | None = Reader(scene.arena, scene.space, self._vpns, self._bases, scene.pattern)
        self._thread = threading.Thread(target=self._native.run, name="pagexchange-reader", daemon=True)
        self._thread.start()

    def reads(self, pages: Pages) -> None:
        """Give it other pages, while it rests."""
        if not len(pages):
            return
        some = pages[:: max(len(pages) // MOST, 1)].astype(np.int64)
        self._vpns[:] = np.resize(some, MOST)
        self._bases[:] = self._scene.words(self._vpns)

    def begin(self) -> None:
        """Let it read."""
        assert self._native is not None, "closed"
        self._native.begin()

    def pause(self) -> None:
        """Let it rest; when this returns it does."""
        assert self._native is not None, "closed"
        self._native.pause()

    def close(self) -> Reads:
        """End it, and say what it met."""
        assert self._native is not None, "closed"
        self._native.end()
        self._thread.join()
        found = summary(self._native.counts, self._native.facts)
        self._native = None  # or the arena could not be closed
        del self._thread
        return found


def summary(counts: NDArray[np.uint64], facts: dict[str, int]) -> Reads:
    """Return what a reader met.

    Parameters
    ----------
    counts : uint64[buckets]
        Reads by how long they took.
    facts
        As `Reader.facts`.
    """
    reads = facts["reads"]
    if not reads:
        return Reads(reads=0, waits=facts["waits"], wrong=facts["missing"])
    upper = np.append(edges()[1:], np.inf)
    summed = np.cumsum(counts)
    median, p99 = (min(float(upper[np.searchsorted(summed, reads * share)]), facts["longest"]) for share in (0.5, 0.99))
    return Reads(
        reads=reads, median_ns=round(median, 1), p99_ns=round(p99, 1), worst_ns=facts["longest"],
        waits=facts["waits"], wrong=facts["wrong"] + facts["missing"],
    )  # fmt: skip
