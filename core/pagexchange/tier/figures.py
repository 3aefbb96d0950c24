"""What rounds say: the time that each way loses per access, and its ratio to nothing, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pagexchange.measure import trust
from pagexchange.model.config import NOTHING
from pagexchange.runs.result import Figure
from pagexchange.samples import statistics, turns
from pagexchange.tier.result import WayResult

if TYPE_CHECKING:
    from pagexchange.samples.statistics import Interval
    from pagexchange.tier.result import Moved, Played, Verdict
    from pagexchange.tier.stream import Stream
    from pagexchange.tier.tally import Tally

Costs = Mapping[int, float]
"""Round -> nanoseconds lost per access."""
POINTS = 160
"""Of a picture over time, at most."""


def cost_ns(moved: Moved, slow_ns: float, weight: float) -> float:
    """Return the time that a round lost: what slow accesses took longer, and the CPU time of choosing and moving.

    Parameters
    ----------
    slow_ns
        What one access to the slow node takes longer.
    weight
        Accesses that each drawn one stands for.
    """
    return (moved.accesses - moved.hits) * weight * slow_ns + moved.cpu_ns


def costs(rounds: Sequence[Played], weight: float) -> dict[int, float]:
    """Return nanoseconds lost per access, by round; of the rounds that count."""
    found = {played.round: played.cost_ns / (played.moved.accesses * weight) for played in turns.counted(rounds)}
    return {number: cost for number, cost in found.items() if cost > 0}  # a ratio to nothing lost is none


def results(tallies: Sequence[Tally], stream: Stream) -> tuple[list[WayResult], str]:
    """Return what each way did, and the name of the best: the least cost of those that lost no page."""
    lost = {tally.way.name: costs(tally.rounds, stream.weight) for tally in tallies}
    base = lost.get(NOTHING, {})
    made = [_result(tally, stream, lost[tally.way.name], base) for tally in tallies]
    fit = [way for way in made if way.verdict == "exact" and way.cost is not None]
    best = min(fit, key=lambda way: way.cost.middle if way.cost else 0.0, default=None)
    return made, "" if best is None else best.name


def _result(tally: Tally, stream: Stream, lost: Costs, base: Costs) -> WayResult:
    way, rounds = tally.way, turns.counted(tally.rounds)
    cost = statistics.median(lost) if lost else None
    ratio = statistics.ratio(*shared(lost, base)) if lost and base and way.name != NOTHING else None
    middle = _median_round(rounds)
    played_ns = stream.ticks * stream.tick_ns
    won = None
    if cost is not None and base and way.name != NOTHING:
        won = (float(np.median(list(base.values()))) - cost.middle) * stream.accesses * stream.weight / stream.tick_ns
    final = turns.final(tally.rounds)
    return WayResult(
        name=way.name,
        way=way.way,
        policy=next((plugin.name for plugin in tally.plugins if plugin.question == "pairing"), way.policy),
        summary=way.spec.summary if way.spec is not None else "every page stays where it is",
        verdict=_verdict(tally),
        reason=tally.failed or tally.wrong,
        plugins=tally.plugins,
        report=tally.report,
        moved=None if middle is None else middle.moved,
        hit_share=_share([played.moved.hits / max(played.moved.accesses, 1) for played in rounds]),
        over_time=[round(share, 4) for share in thinned(tally.over_time)],
        bytes_per_s=None if middle is None else round(middle.moved.bytes / stream.seconds, 1),
        cpu_share=_share([played.cpu_ns / played_ns for played in rounds]),
        reads=tally.reads,
        cost=None if cost is None else figure(cost, 4),
        ratio=None if ratio is None else figure(ratio, 4),
        level=statistics.level(ratio) if ratio is not None and ratio.known else None,
        won_share=None if won is None else round(won, 6),
        off_cpu=round(trust.off_cpu([(played.wall_ns, played.cpu_ns) for played in final]), 4) if final else None,
        trusted=trust.clean([played.aside for played in final]) if final else None,
        rounds=tally.rounds,
    )


def shared(one: Costs, other: Costs) -> tuple[Costs, Costs]:
    """Return both by the rounds that both have, if there is one: what was played side by side is compared so."""
    both = sorted(one.keys() & other.keys())
    return ({n: one[n] for n in both}, {n: other[n] for n in both}) if both else (one, other)


def thinned(values: Sequence[float], most: int = POINTS) -> list[float]:
    """Return at most so many values: each the mean of equally many ticks, or one more."""
    count = min(len(values), most)
    edges = [len(values) * n // count for n in range(count + 1)] if count else []
    return [float(np.mean(values[start:end])) for start, end in pairwise(edges)]


def figure(interval: Interval, digits: int) -> Figure:
    """Return an interval as a result has it."""
    if not interval.known:
        return Figure(middle=round(interval.middle, digits))
    middle, low, high = (round(value, digits) for value in interval)
    return Figure(middle=middle, low=low, high=high)


def _verdict(tally: Tally) -> Verdict:
    if tally.failed:
        return "failed"
    if tally.wrong:
        return "wrong"
    return "exact" if tally.rounds else "not run"


def _median_round(rounds: Sequence[Played]) -> Played | None:
    return sorted(rounds, key=lambda played: played.cost_ns)[len(rounds) // 2] if rounds else None


def _share(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 6) if values else None
