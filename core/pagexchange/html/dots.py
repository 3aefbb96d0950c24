"""Every sample as a dot: a row for each cell, CPU time above, time that passed below, beside their figures."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from pagexchange.html.elements import Element, element, extend, number
from pagexchange.html.scale import LogScale, around
from pagexchange.html.tables import figures, grouped, verdict
from pagexchange.html.words import NOTHING, figure, interval, tick
from pagexchange.samples.statistics import relation

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts, Measured
    from pagexchange.html.words import Point
    from pagexchange.samples.schema import Clock, Sample
    from pagexchange.samples.statistics import Interval

WIDTH: Final = 360
"""Pixels, of a drawing in a row; the style sheet has the same, and the height."""
LANE: Final = 13
"""Height of the dots of one clock: the first round is at its top, the last at its bottom."""
HEIGHT: Final = 2 * LANE + 12
CLOCKS: Final[tuple[tuple[Clock, int], ...]] = (("cpu", 4), ("wall", LANE + 8))
"""Each with the top of its lane."""
CROWD: Final = 300
"""Samples of a row, from which on a dot is drawn to a whole pixel."""
FAR: Final = 3.0
"""A sample that was pushed aside may be a thousand times as slow: on that axis all others would be one dot."""
CROSS: Final = 2.6
"""Half the width of the mark of a sample that was pushed aside."""


def cost(sample: Sample, clock: Clock) -> float:
    """Nanoseconds per pair, 0 where there is none."""
    ns = sample.cpu_ns if clock == "cpu" else sample.wall_ns
    return ns / sample.exchanged if sample.exchanged else 0.0


def scale(cells: list[Measured]) -> LogScale:
    """The axis of some cells: all samples fit on it, but for those pushed aside that lie `FAR` beyond all others."""
    every = [(cost(sample, clock), sample.aside) for one in cells for sample in one.samples for clock, _ in CLOCKS]
    clean = [value for value, aside in every if value > 0 and not aside]
    most = FAR * max(clean) if clean else inf
    return around((value for value, _ in every if 0 < value <= most), 8, WIDTH - 8)


def heights(samples: list[Sample]) -> dict[int, float]:
    """Where the samples of each round stand in a lane."""
    rounds = sorted({sample.round for sample in samples})
    return {round: LANE * (n + 0.5) / len(rounds) for n, round in enumerate(rounds)}


def cross(x: float, y: float) -> str:
    """Draw the mark of a sample that was pushed aside."""
    wide = number(2 * CROSS)
    return f"M{number(x - CROSS)} {number(y - CROSS)}l{wide} {wide}m-{wide} 0l{wide}-{wide}"


def arrow(y: float) -> str:
    """Draw the mark of one that lies beyond the axis."""
    return f"M{number(WIDTH - 6)} {number(y - CROSS)}l4 {number(CROSS)}l-4 {number(CROSS)}"


def aside_mark(x: float, y: float) -> str:
    """Draw the one or the other."""
    return cross(x, y) if x <= WIDTH - 4 else arrow(y)


def strip(one: Measured, across: LogScale, grid: str) -> Element:
    """Draw the samples of a cell: dots, crosses for those that were pushed aside, medians with their intervals."""
    place = heights(one.samples)
    # So many dots lie on each other: those in one place are drawn once.
    pen = number if len(one.samples) <= CROWD else _coarse
    drawn = element(
        "svg", element("title", f"samples of {one.name}"), element("use", href=f"#{grid}"), role="img", class_="strip",
        data_cell=one.planned.id,
    )  # fmt: skip
    for clock, top in CLOCKS:
        extend(drawn, [*_median(one.cpu if clock == "cpu" else one.wall, across, clock, top)])
        places = [
            (across(value), top + place[sample.round], sample.aside)
            for sample in one.samples
            if (value := cost(sample, clock)) > 0
        ]
        dots = "".join(dict.fromkeys(f"M{pen(x)} {pen(y)}h0" for x, y, aside in places if not aside))
        crosses = "".join(dict.fromkeys(aside_mark(x, y) for x, y, aside in places if aside))
        if dots:
            drawn.append(element("path", d=dots, class_=f"dots {clock}"))
        if crosses:
            drawn.append(element("path", d=crosses, class_=f"aside {clock}"))
    return drawn


def axis(across: LogScale, grid: str) -> Element:
    """Draw the axis that stands above the rows; its lines, which go on in them, have an id."""
    lines = "".join(f"M{number(across(value))} 0v{HEIGHT}" for value in across.ticks(9))
    drawn = element(
        "svg", element("title", "Axis: nanoseconds per pair, by the logarithm"),
        element("defs", element("path", d=lines, id=grid, class_="grid")),
        element("use", href=f"#{grid}", y=30), width=WIDTH, height=34, role="img", class_="mid",
        data_low=f"{across.low!r}", data_high=f"{across.high!r}",
    )  # fmt: skip
    drawn.append(element("text", "nanoseconds per pair, log scale", x=WIDTH / 2, y=11))
    return extend(drawn, (element("text", tick(value), x=across(value), y=26) for value in across.ticks(9)))


def table(facts: Facts, host: str, point: Point) -> Element | None:
    """The samples and the figures of a point on a host."""
    cells = [one for one in facts.at(host, point) if one.samples or one.cell is not None]
    if not any(cost(sample, "wall") for one in cells for sample in one.samples):
        return None
    across = scale(cells)
    grid = f"g{facts.hosts.index(host)}-{facts.points.index(point)}"
    reference = facts.reference(host, point)
    heads = [
        element("th", "", scope="col"),
        element("th", axis(across, grid), scope="col", class_="picture"),
        element("th", "CPU", element("small", "ns per pair"), scope="col"),
        element("th", "wall", element("small", "ns per pair"), scope="col"),
        element("th", "ratio", element("small", f"to {reference.name}" if reference else ""), scope="col"),
        element("th", "aside", element("small", "samples"), scope="col"),
        element("th", "verdict", element("small", "of the oracle"), scope="col", class_="words"),
    ]
    body = grouped(cells, len(heads), lambda one: _row(facts, one, strip(one, across, grid), reference))
    return figures(element("table", element("thead", element("tr", *heads)), *body, class_="rows", data_host=host))


def _row(facts: Facts, one: Measured, drawn: Element, reference: Measured | None) -> Element:
    return element(
        "tr",
        element("th", one.name, scope="row"),
        element("td", drawn, class_="picture"),
        _timed(one.cpu, one.planned.clock == "cpu"),
        _timed(one.wall, one.planned.clock == "wall"),
        _ratio(facts.ratio(one), one is reference),
        _aside(one),
        element("td", verdict(one), class_="words"),
    )


def _timed(value: Interval | None, leads: bool) -> Element:
    if value is None:
        return element("td", NOTHING)
    told = element("small", interval(value)) if value.known else None
    return element("td", element("b" if leads else "span", figure(value.middle)), told)


def _ratio(value: Interval | None, itself: bool) -> Element:
    if itself:
        return element("td", "1", element("small", "reference"))
    if value is None:
        return element("td", NOTHING)
    how = "level" if relation(value) == "level" else interval(value) if value.known else "one sample"
    return element("td", f"{value.middle:.2f}x", element("small", how))


def _aside(one: Measured) -> Element:
    aside = sum(sample.aside for sample in one.samples)
    words = f"{aside} of {len(one.samples)}" if aside else "none" if one.samples else NOTHING
    untrusted = None if one.trusted else element("small", "do not trust", class_="bad")
    return element("td", words, untrusted)


def _median(value: Interval | None, across: LogScale, clock: str, top: int) -> list[Element]:
    if value is None:
        return []
    drawn = []
    if value.known:
        low, high = across(max(value.low, across.low)), across(min(value.high, across.high))
        d = f"M{number(low)} {number(top + LANE / 2)}h{number(max(high - low, 1.0))}"
        drawn.append(element("path", d=d, class_=f"interval {clock}"))
    x = number(across(value.middle))
    drawn.append(element("path", d=f"M{x} {top - 1}v{LANE + 2}", class_=f"median {clock}"))
    return drawn


def _coarse(value: float) -> str:
    return str(round(value))
