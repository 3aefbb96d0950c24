"""What the rounds of a run say: the cost of each strategy and its ratio to the best, each with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pagexchange.measure import trust
from pagexchange.runs.result import Figure
from pagexchange.samples import statistics, turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pagexchange.runs.result import Round, StrategyResult
    from pagexchange.samples.schema import Clock
    from pagexchange.samples.statistics import Interval


def clock_of(threads: Iterable[int]) -> Clock:
    """Return the clock that all strategies of a run are compared by, given how many threads each may work on.

    CPU time is what a strategy costs, whoever else is there; but two threads that halve the wall time cost no less.
    """
    return "cpu" if all(n == 1 for n in threads) else "wall"


def with_figures(results: Sequence[StrategyResult], clock: Clock) -> tuple[list[StrategyResult], str]:
    """Return the results with what their rounds say, and the name of that which ratios are to; empty: there is none."""
    costs = [turns.costs(turns.counted(result.rounds), clock) for result in results]
    medians = [statistics.median(cost) if cost else None for cost in costs]
    fit = [n for n, result in enumerate(results) if result.verdict == "exact" and costs[n]]
    best = min(fit, key=lambda n: medians[n] or (0.0,), default=None)
    made = []
    for n, (result, cost, middle) in enumerate(zip(results, costs, medians, strict=True)):
        ratio = statistics.ratio(cost, costs[best]) if best is not None and cost else None
        made.append(
            msgspec.structs.replace(
                result,
                cost=None if middle is None else _figure(middle, 2),
                ratio=None if ratio is None else _figure(ratio, 4),
                level=statistics.level(ratio) if ratio is not None and n != best and ratio.known else None,
                off_cpu=_off_cpu(result.rounds),
                trusted=trust.clean([turn.aside for turn in turns.final(result.rounds)]) if result.rounds else None,
            )
        )
    return made, "" if best is None else results[best].name


def _off_cpu(rounds: Sequence[Round]) -> float | None:
    times = [time for turn in turns.final(rounds) for time in turn.threads or [(turn.wall_ns, turn.cpu_ns)]]
    return round(trust.off_cpu(times), 4) if times else None


def _figure(interval: Interval, digits: int) -> Figure:
    if not interval.known:
        return Figure(middle=round(interval.middle, digits))
    middle, low, high = (round(value, digits) for value in interval)
    return Figure(middle=middle, low=low, high=high)
