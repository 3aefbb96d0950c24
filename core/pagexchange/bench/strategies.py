"""A strategy as a user calls it: bound once, called for each list, with everything on, judged by the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.result import CallResult, ExchangeResult
from pagexchange.arena.strategy import Strategy
from pagexchange.bench.scenes import Pairs, Scene
from pagexchange.bench.turn import Turn, timed
from pagexchange.oracle import Oracle
from pagexchange.oracle import Verdict as Comparison
from pagexchange.runs.contenders import isa_of, plugins
from pagexchange.runs.tally import errno_names
from pagexchange.runs.verdict import verdict_of
from pagexchange_native.engine.steps import COSTS


class StrategyCell:
    """A strategy on a scene."""

    def __init__(self, scene: Scene, strategy: Strategy, threads: int) -> None:
        self._scene, self._strategy, self._threads = scene, strategy, threads

    def turn(self, lists: Sequence[Pairs]) -> Turn:
        """One call for each list."""
        statuses = [np.empty(len(pairs), np.int32) for pairs in lists]
        results: list[ExchangeResult] = []
        places = iter(statuses)
        exchange, threads, keep = self._strategy.exchange, self._threads, results.append
        call_ns, cpu_ns = timed(
            lambda pairs: keep(exchange(pairs, threads=threads, out=next(places))), lists, threads == 1
        )
        return Turn(
            calls=len(lists),
            pairs=sum(map(len, lists)),
            exchanged=sum(int(np.count_nonzero(status == 0)) for status in statuses),
            wall_ns=sum(call_ns),
            cpu_ns=cpu_ns,
            threads=threads_of(results),
            parts=parts_of(results),
            call_ns=call_ns,
        )

    def check(self, pairs: Pairs) -> dict[str, Any]:
        """One call on stamped pages, and everything compared by the oracle."""
        oracle = Oracle.before(self._scene.arena, seed=1)
        result = self._strategy.exchange(pairs, threads=self._threads)
        comparison = oracle.after(pairs, result.status, taken=result.frames_got)
        return checked(self._strategy, result.status, comparison, [result])


def checked(
    strategy: Strategy, status: NDArray[np.int32], comparison: Comparison, results: Sequence[CallResult]
) -> dict[str, Any]:
    """What became of the pairs of a checked list, and who serves: fields of `samples.schema.Cell`."""
    verdict = verdict_of(comparison, status)
    serving = plugins(strategy.built)
    wrong = [finding.sentence for finding in comparison.findings[:3]] if verdict == "wrong" else []
    return {
        "verdict": verdict,
        "lost": dict(comparison.lost),
        "refused": errno_names(status),
        "frames": sum(result.frames_got for result in results),
        "isa": isa_of(serving) or "",
        "details": {
            "expected": strategy.built.spec.expect,
            "plugins": msgspec.to_builtins(serving),
            "workers": min(result.workers for result in results),
            **({"wrong": wrong} if wrong else {}),
        },
    }


def parts_of(results: Sequence[CallResult]) -> dict[str, float]:
    """Cost split, of all calls."""
    parts: Counter[str] = Counter()
    for result in results:
        parts.update({name: ns for name, ns in result.ns.items() if name != "total"})
    return {name: float(parts[name]) for name in COSTS}


def threads_of(results: Sequence[CallResult]) -> list[tuple[int, int]]:
    """(wall, cpu) of each thread over all calls that several shared; empty where the caller's did all."""
    times = [result.thread_ns for result in results]
    return [
        (sum(wall for wall, _ in of_one), sum(cpu for _, cpu in of_one))
        for of_one in zip_longest(*times, fillvalue=(0, 0))
    ]
