"""Who won at a point, in a sentence: only as far as the intervals let it be said."""

from __future__ import annotations

from pagexchange.bench.summary import Figure, PointFigures, side_by_side
from pagexchange.samples.statistics import level, ratio

SOUND = ("exact", "unchecked", "")
"""Verdicts of strategies that can win: what loses a flag is fast at the wrong thing."""


def contestants(point: PointFigures) -> list[Figure]:
    """Strategies that lose nothing and were timed, the cheapest first."""
    able = [
        figure
        for figure in point.figures
        if figure.planned.kind == "strategy" and figure.cost and figure.cell and figure.cell.verdict in SOUND
    ]
    return sorted(able, key=lambda figure: figure.cost.middle if figure.cost else 0.0)


def apart(one: Figure, other: Figure) -> bool:
    """Whether two cells differ by more than luck and more than the least effect."""
    return not level(ratio(*side_by_side(one.costs, other.costs)))


def leaders(point: PointFigures) -> list[Figure]:
    """The cheapest strategy and those that are level with it; empty if none can be trusted."""
    able = [figure for figure in contestants(point) if figure.clean]
    return able[:1] + [figure for figure in able[1:] if not apart(figure, able[0])]


def winner_words(point: PointFigures) -> str:
    """The sentence; empty where no strategy was timed."""
    first = leaders(point)
    if not first:
        return "No strategy has figures that can be trusted here." if contestants(point) else ""
    best = first[0]
    assert best.cost
    said = f"{best.name} wins" if len(first) == 1 else f"{', '.join(f.name for f in first)} are level"
    words = f"{said}: {best.cost.middle:,.0f} ns per pair"
    if best.ratio and best.ratio.known:
        words += f", {best.ratio.middle:.2f} of the reference ({best.ratio.low:.2f}-{best.ratio.high:.2f})"
    second = next((figure for figure in contestants(point) if figure not in first and figure.clean), None)
    if second and second.cost and len(first) == 1:
        words += f"; {second.name} takes {second.cost.middle / best.cost.middle:.2f} times as long"
    return f"{words}."
