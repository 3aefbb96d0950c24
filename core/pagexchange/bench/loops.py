"""Bare loops of the native code over the same pairs: limits that no exchange can pass, and peers without an engine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pagexchange.bench.contents import check_exchanged
from pagexchange.bench.scenes import Pairs, Scene
from pagexchange.bench.turn import Turn
from pagexchange_native.bench import time_loop


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop, and whether it fetches the next pair ahead."""

    name: str
    """As `pagexchange_native.bench` has it."""
    ahead: bool = False
    exchanges: bool = True
    """Leaves the pages' contents exchanged; else it only reads, or overwrites them."""


LOOPS: Final[dict[str, Loop]] = {
    "rfc-loop": Loop("rfc"),
    "read-both": Loop("read", exchanges=False),
    "read-both-ahead": Loop("read", ahead=True, exchanges=False),
    "memcpy": Loop("memcpy", exchanges=False),
    "memcpy-one-folio": Loop("memcpy-one", exchanges=False),
    "temporary-page": Loop("copy3"),
    "in-place": Loop("bare"),
    "in-place-ahead": Loop("bare", ahead=True),
    "two-at-once-ahead": Loop("bare-two", ahead=True),
    "logged-ahead": Loop("undo", ahead=True),
}
"""By the name of their cells."""


class LoopCell:
    """A loop on a scene. Its lists are one list to it: no call lies between them, whatever the batch."""

    def __init__(self, scene: Scene, loop: Loop, threads: int) -> None:
        self._scene, self._loop, self._threads = scene, loop, threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def turn(self, lists: Sequence[Pairs]) -> Turn:
        """All pairs, shared out among the threads."""
        pairs = np.concatenate(lists)
        if self._pool is None:
            cpu, wall = self._run(pairs)
            times = [(wall, cpu)]
        else:
            meet = threading.Barrier(self._threads)

            def share(part: Pairs) -> tuple[int, int]:
                meet.wait()
                cpu, wall = self._run(part)
                return wall, cpu

            # As an engine's threads have it: a part of each list for each of them.
            shares = [np.ascontiguousarray(np.concatenate(part)) for part in _dealt(lists, self._threads)]
            times = list(self._pool.map(share, shares))
        return Turn(
            calls=1, pairs=len(pairs), exchanged=len(pairs), wall_ns=max(wall for wall, _ in times),
            cpu_ns=sum(cpu for _, cpu in times), threads=times,
        )  # fmt: skip

    def _run(self, pairs: Pairs) -> tuple[int, int]:
        loop = self._loop
        return time_loop(
            loop.name, self._scene.arena.frames, pairs, prefetch=loop.ahead, order=self._scene.setting.order
        )

    def check(self, pairs: Pairs) -> dict[str, Any]:
        """Contents, where the loop exchanges them."""
        if self._loop.exchanges:
            check_exchanged(self._scene, pairs, lambda: self._run(pairs))
        return {}


def _dealt(lists: Sequence[Pairs], threads: int) -> list[list[Pairs]]:
    """Part of each list for each thread."""
    parts: list[list[Pairs]] = [[] for _ in range(threads)]
    for pairs in lists:
        for number, part in enumerate(np.array_split(pairs, threads)):
            parts[number].append(part)
    return parts
