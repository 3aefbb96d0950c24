"""The map of ratios: a row for each point, a column for each cell, a line where a ratio passes 1 for good."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Final, NamedTuple

from pagexchange.html.elements import Element, element
from pagexchange.html.tables import KINDS, figures
from pagexchange.html.words import NOTHING, Point, axis_name, figure, interval, value_of
from pagexchange.samples.statistics import relation

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts, Measured
    from pagexchange.samples.statistics import Interval

SHADES: Final = 4
"""Of each colour; the deepest is for a ratio of 2 or more, or of a half or less."""


class Crossing(NamedTuple):
    """Where the ratio of a cell passes 1, by more than luck, from one point to a later one on the same axis."""

    name: str
    host: str
    before: Point
    after: Point
    faster: bool
    """Whether it is the faster one from there on."""


def crossings(facts: Facts, host: str) -> list[Crossing]:
    """Return every passing of 1 along the axis. Points that are level, or not measured, lie between the two."""
    found = []
    for name in facts.names:
        for points in facts.along(facts.axis).values():
            last: tuple[Point, str] | None = None
            for point in points:
                ratio = _ratio(facts, host, point, name)
                side = relation(ratio) if ratio is not None else "unclear"
                if side not in ("above", "below"):
                    continue
                if last is not None and last[1] != side:
                    found.append(Crossing(name, host, last[0], point, side == "below"))
                last = (point, side)
    return found


def table(facts: Facts, host: str) -> Element | None:
    """The map of a host; None where there is one point, or nothing to compare."""
    names = _columns(facts, host)
    if len(facts.points) < 2 or not names:
        return None
    passed = {(c.name, c.after): c.faster for c in crossings(facts, host)}
    heads = [
        *(element("th", axis_name(axis), scope="col", class_="words") for axis in facts.free),
        *(element("th", *_breakable(name), scope="col", class_=f"name {facts.kind(name)}") for name in names),
        element("th", "reference", element("small", "ns per pair"), scope="col"),
    ]
    rows, before = [], None
    for point in facts.points:
        rest = facts.rest(point, facts.axis)
        rows.append(_row(facts, host, point, names, passed, begins=before is not None and rest != before))
        before = rest
    return figures(
        element(
            "table",
            element("thead", element("tr", *heads)),
            element("tbody", *rows),
            class_="map",
        )
    )


def _columns(facts: Facts, host: str) -> list[str]:
    """Names that have a ratio somewhere, by kind."""
    kinds = list(KINDS)
    names = [
        name
        for name in facts.names
        if any(_ratio(facts, host, point, name) is not None for point in facts.points)
        or any(_is_reference(facts, host, point, name) for point in facts.points)
    ]
    return sorted(names, key=lambda name: kinds.index(facts.kind(name)))


def _row(
    facts: Facts, host: str, point: Point, names: list[str], passed: dict[tuple[str, Point], bool], *, begins: bool
) -> Element:
    values = dict(point)
    reference = facts.reference(host, point)
    base = reference.value if reference is not None else None
    return element(
        "tr",
        *(
            element("th", value_of(axis, values[axis]) if axis in values else "", scope="row", class_="words")
            for axis in facts.free
        ),
        *(_cell(facts, host, point, name, passed.get((name, point))) for name in names),
        element("td", NOTHING if base is None else figure(base.middle), class_="dim"),
        class_="begins" if begins else None,
    )


def _cell(facts: Facts, host: str, point: Point, name: str, passes: bool | None) -> Element:
    one = facts.one(host, point, name)
    line = {None: "", True: " passes faster", False: " passes slower"}[passes]
    if one is not None and _is_reference(facts, host, point, name):
        return element("td", "1", class_="itself" + line, title="the reference")
    ratio = facts.ratio(one) if one is not None else None
    if one is None or ratio is None:
        failed = one is not None and one.cell is not None and bool(one.cell.error or one.cell.exit)
        if failed:
            return element("td", element("a", "failed", href="#failed"), class_="bad")
        return element("td", NOTHING, class_="dim", title=_why_none(one))
    mark = "" if one.trusted else "!"
    return element(
        "td",
        f"{ratio.middle:.2f}{mark}",
        class_=shade(ratio) + line,
        title=interval(ratio) if ratio.known else None,
    )


def shade(ratio: Interval) -> str:
    """The colour of a ratio: faster, slower, and how much; level has none."""
    side = relation(ratio)
    if side in ("level", "unclear"):
        return "level"
    depth = min(SHADES, 1 + int(abs(log2(ratio.middle)) * SHADES))
    return f"{'f' if side == 'below' else 's'}{depth}"


def _why_none(one: Measured | None) -> str:
    return "not measured" if one is None or not one.samples else "nothing to compare it with"


def _ratio(facts: Facts, host: str, point: Point, name: str) -> Interval | None:
    one = facts.one(host, point, name)
    return facts.ratio(one) if one is not None else None


def _is_reference(facts: Facts, host: str, point: Point, name: str) -> bool:
    reference = facts.reference(host, point)
    return reference is not None and reference.name == name and bool(reference.samples)


def _breakable(name: str) -> list[Element | str]:
    """A name that may go on in the next line after a hyphen."""
    parts: list[Element | str] = []
    for n, part in enumerate(name.split("-")):
        parts += ["-", element("wbr")] if n else []
        parts.append(part)
    return parts
