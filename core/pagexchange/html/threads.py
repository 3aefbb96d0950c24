"""What more threads bring: pairs a second, as a multiple of what the fewest threads do, beside the ideal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from pagexchange.html.elements import Element, element
from pagexchange.html.facts import compared
from pagexchange.html.lines import Base, Series, chart
from pagexchange.html.tables import PICTURES, figures, multiples, spread
from pagexchange.html.words import NOTHING, point_words
from pagexchange.samples.statistics import Interval

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts, Measured
    from pagexchange.html.words import Point

AXIS: Final = "threads"

Lines: TypeAlias = "dict[str, list[Interval | None]]"


def views(facts: Facts, host: str) -> list[Element]:
    """A picture for each way in which the other axes stand, and a table of all."""
    if AXIS not in facts.varying:
        return []
    groups: dict[Point, tuple[list[Point], Lines]] = {}
    for rest, points in facts.along(AXIS).items():
        ordered = sorted(points, key=lambda point: _threads(point))
        lines = {name: gains for name in facts.names if any(gains := speedups(facts, host, ordered, name))}
        if len(ordered) < 2 or not lines:
            continue
        groups[rest] = ordered, lines
    pictures = [_picture(facts, rest, *groups[rest]) for rest in spread(list(groups), PICTURES)]
    return [*multiples(pictures, len(groups)), *([_table(groups)] if groups else [])]


def speedups(facts: Facts, host: str, points: list[Point], name: str) -> list[Interval | None]:
    """How many times as many pairs a second a cell exchanges at each point as at the first, by wall time."""
    first = facts.one(host, points[0], name)
    return [_speedup(first, facts.one(host, point, name)) for point in points]


def _speedup(first: Measured | None, other: Measured | None) -> Interval | None:
    if first is None or other is None:
        return None
    gain = compared(first.costs("wall"), other.costs("wall"))
    return Interval(1.0, 1.0, 1.0) if first is other and gain is not None else gain


def _picture(facts: Facts, rest: Point, points: list[Point], lines: Lines) -> Element:
    counts = [_threads(point) for point in points]
    series = [
        Series(
            name,
            facts.names.index(name),
            [gain.middle if gain else None for gain in gains],
            [gain.low if gain and gain.known else None for gain in gains],
            [gain.high if gain and gain.known else None for gain in gains],
            dashed=facts.kind(name) != "strategy",
        )
        for name, gains in lines.items()
    ]
    svg = chart(
        series,
        title=f"Speed-up by threads{', ' + point_words(rest) if rest else ''}",
        places=[f"{count:g}" for count in counts],
        across="threads",
        up=f"speed, {counts[0]:g} thread{'' if counts[0] == 1 else 's'} = 1, log scale",
        label=lambda value: f"{value:g}x",
        base=Base("ideal", [count / counts[0] for count in counts]),
    )
    return element("figure", element("figcaption", point_words(rest)) if rest else None, figures(svg))


def _table(groups: dict[Point, tuple[list[Point], Lines]]) -> Element:
    counts = sorted({_threads(point) for points, _ in groups.values() for point in points})
    names = list(dict.fromkeys(name for _, lines in groups.values() for name in lines))
    heads = [element("th", "", scope="col"), element("th", "threads", scope="col")]
    bodies = []
    for rest, (points, lines) in groups.items():
        at = {_threads(point): n for n, point in enumerate(points)}
        rows = [
            element(
                "tr",
                element("th", point_words(rest) if n == 0 else "", scope="row"),
                element("th", f"{count:g}", scope="row"),
                *(_gain(lines.get(name), at.get(count)) for name in names),
            )
            for n, count in enumerate(count for count in counts if at.get(count, 0))
        ]
        bodies.append(element("tbody", *rows))
    heads += [element("th", name, scope="col", class_="name") for name in names]
    return figures(element("table", element("thead", element("tr", *heads)), *bodies))


def _gain(gains: list[Interval | None] | None, place: int | None) -> Element:
    gain = gains[place] if gains is not None and place is not None else None
    return element("td", f"{gain.middle:.2f}x" if gain else NOTHING)


def _threads(point: Point) -> float:
    value = dict(point)[AXIS]
    return float(value) if isinstance(value, int | float) else 0.0
