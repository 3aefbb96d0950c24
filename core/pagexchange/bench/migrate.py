"""A strategy that migrates, beside those that exchange: each pair by two migrations through free frames."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pagexchange.arena.migration import MigrationResult
from pagexchange.arena.strategy import Strategy
from pagexchange.bench.scenes import Pairs, Scene
from pagexchange.bench.strategies import checked, parts_of, threads_of
from pagexchange.bench.turn import Turn
from pagexchange.oracle import Oracle
from pagexchange.runs.two_migrations import TwoMigrations


class MigratingCell:
    """A migrating strategy on a scene: its pages leave the frames that the lists name.

    The clocks run while both migrations of a list do, and stand still while it is looked up where its pages are by now.
    """

    def __init__(self, scene: Scene, strategy: Strategy, threads: int) -> None:
        self._scene, self._strategy, self._threads = scene, strategy, threads
        self._way = TwoMigrations(strategy)

    def turn(self, lists: Sequence[Pairs]) -> Turn:
        """Both ways for each list."""
        results: list[MigrationResult] = []
        call_ns: list[int] = []
        cpu_ns = exchanged = 0
        cpu = time.thread_time_ns if self._threads == 1 else time.process_time_ns
        for pairs in lists:
            parts = self._way.parts(pairs)
            spent, start = cpu(), time.perf_counter_ns()
            halves = self._way.move(parts, self._threads)
            call_ns.append(time.perf_counter_ns() - start)
            cpu_ns += cpu() - spent
            results += [result for half in halves for result in half]
            exchanged += int(np.count_nonzero(self._way.settle(pairs, parts, halves).status == 0))
        return Turn(
            calls=len(lists),
            pairs=sum(map(len, lists)),
            exchanged=exchanged,
            wall_ns=sum(call_ns),
            cpu_ns=cpu_ns,
            threads=threads_of(results),
            parts=parts_of(results),
            call_ns=call_ns,
        )

    def check(self, pairs: Pairs) -> dict[str, Any]:
        """One list on stamped pages, and everything compared by the oracle."""
        oracle = Oracle.before(self._scene.arena, seed=1)
        parts = self._way.parts(pairs)
        halves = self._way.move(parts, self._threads)
        traded = self._way.settle(pairs, parts, halves)
        results = [result for half in halves for result in half]
        comparison = oracle.after_migrations(traded.calls, taken=sum(result.frames_got for result in results))
        return checked(self._strategy, traded.status, comparison, results)
