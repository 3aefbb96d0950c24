"""What tables of cells have in common: groups by kind, a verdict in words, room to scroll on a narrow screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from pagexchange.html.elements import Element, element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pagexchange.html.facts import Measured
    from pagexchange.html.words import Point
    from pagexchange.samples.schema import Kind

T = TypeVar("T")
PICTURES: Final = 6
"""Of one sort, at most: more than that nobody compares."""
KINDS: Final[dict[Kind, str]] = {
    "strategy": "strategies",
    "peer": "peers: other ways to exchange the same pages, without the engine",
    "limit": "limits: what no exchange can be faster than",
}
GOOD: Final = ("exact",)
BAD: Final = ("wrong", "failed")


def by_value(cells: Iterable[Measured]) -> list[Measured]:
    """Cells by kind, and in a kind by their median; those without one last."""
    kinds = list(KINDS)
    return sorted(cells, key=lambda one: (kinds.index(one.planned.kind), one.value is None, one.value or ()))


def grouped(cells: Iterable[Measured], columns: int, row: Callable[[Measured], Element]) -> list[Element]:
    """Return the rows of cells, in a body for each kind; with its name above it where there are several."""
    there = by_value(cells)
    kinds: list[Kind] = list(dict.fromkeys(one.planned.kind for one in there))
    bodies = []
    for kind in kinds:
        head = element("tr", element("th", KINDS[kind], colspan=columns, scope="rowgroup", class_="group"))
        rows = [row(one) for one in there if one.planned.kind == kind]
        bodies.append(element("tbody", head if len(kinds) > 1 else None, *rows))
    return bodies


def some(groups: Mapping[Point, list[Point]], most: int) -> list[tuple[Point, list[Point]]]:
    """Return at most so many of several groups of points, evenly spread."""
    return spread(list(groups.items()), most)


def spread(several: Sequence[T], most: int) -> list[T]:
    """Return at most so many of several things, evenly spread, the first and the last among them."""
    if most >= len(several):
        return list(several)
    step = (len(several) - 1) / max(most - 1, 1)
    return [several[round(n * step)] for n in range(most)]


def multiples(pictures: list[Element], of: int) -> list[Element]:
    """Return pictures beside each other; where there would be more than are drawn, it is said."""
    if not pictures:
        return []
    left = f"{len(pictures)} of {of} are drawn, evenly spread." if len(pictures) < of else ""
    return [element("div", *pictures, class_="multiples"), *([element("p", left, class_="dim")] if left else [])]


def figures(*tables: Element | None) -> Element:
    """Return tables in a box that scrolls where the screen is narrower than they are."""
    return element("div", *tables, class_="scroll", tabindex="0", role="group")


def verdict(one: Measured) -> Element | str:
    """What the oracle said of a cell."""
    if one.cell is None:
        return element("span", "not ended", class_="warn")
    if one.cell.error or one.cell.exit:
        return element("a", "failed", href="#failed", class_="bad")
    said = one.cell.verdict
    if not said:
        return "" if one.planned.kind == "limit" else "not asked"
    return element("span", said, class_="good" if said in GOOD else "bad" if said in BAD else "warn")
