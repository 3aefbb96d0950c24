"""Ratios along an axis as lines, with the line where they pass 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagexchange.html.elements import Element, element
from pagexchange.html.lines import Base, Series, chart
from pagexchange.html.tables import PICTURES, figures, multiples, some
from pagexchange.html.words import axis_name, point_words, value_of

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts
    from pagexchange.html.words import Point
    from pagexchange.samples.statistics import Interval


def pictures(facts: Facts, host: str) -> list[Element]:
    """A picture for each way in which the other axes stand, if there are at least three points along the axis."""
    reference = facts.manifest.reference
    if not reference:
        return []
    drawn = []
    groups = {rest: points for rest, points in facts.along(facts.axis).items() if len(points) > 2}
    for rest, points in some(groups, PICTURES):
        series = [line for n, name in enumerate(facts.names) if (line := _series(facts, host, points, name, n))]
        if not series:
            continue
        where = f", {point_words(rest)}" if rest else ""
        svg = chart(
            series,
            title=f"Ratio to {reference} by {axis_name(facts.axis)}{where}",
            places=[value_of(facts.axis, dict(point)[facts.axis]) for point in points],
            across=axis_name(facts.axis),
            up=f"ratio to {reference}, log scale",
            label=lambda value: f"{value:g}x",
            base=Base(f"{reference} = 1", [1.0] * len(points)),
        )
        drawn.append(element("figure", element("figcaption", point_words(rest) or "below 1 is faster"), figures(svg)))
    return multiples(drawn, len(groups))


def _series(facts: Facts, host: str, points: list[Point], name: str, number: int) -> Series | None:
    ratios: list[Interval | None] = []
    for point in points:
        one = facts.one(host, point, name)
        ratios.append(None if one is None else facts.ratio(one))
    if all(ratio is None for ratio in ratios):
        return None
    known = [ratio if ratio is not None and ratio.known else None for ratio in ratios]
    return Series(
        name,
        number,
        [ratio.middle if ratio is not None else None for ratio in ratios],
        [ratio.low if ratio is not None else None for ratio in known],
        [ratio.high if ratio is not None else None for ratio in known],
        dashed=facts.kind(name) != "strategy",
    )
