"""Where the time of a pair goes: the engine's parts, stacked, a bar for each strategy."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from pagexchange.html.elements import Element, element
from pagexchange.html.tables import figures, grouped
from pagexchange.html.words import NOTHING, figure

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts, Measured
    from pagexchange.html.words import Point

PARTS: Final = {"lock": "lock", "flags": "flags", "data": "data", "mapping": "map", "finish": "finish"}
"""Part of a sample -> its head."""
WIDTH: Final = 360
HEIGHT: Final = 18


def parts(one: Measured) -> dict[str, float]:
    """Medians of the parts, each its own, nanoseconds per pair; empty: not told apart."""
    samples = [sample for sample in one.counted if sample.exchanged and sample.parts]
    return {
        part: median(sample.parts.get(part, 0.0) / sample.exchanged for sample in samples) for part in PARTS if samples
    }


def table(facts: Facts, host: str, point: Point) -> Element | None:
    """The parts of all cells of a point that have any."""
    split = {one.name: found for one in facts.at(host, point) if sum((found := parts(one)).values()) > 0}
    cells = [one for one in facts.at(host, point) if one.name in split]
    if not cells:
        return None
    most = max(sum(found.values()) for found in split.values())
    heads = [
        element("th", "", scope="col"),
        element("th", "wall time of the engine, from 0", scope="col", class_="picture words"),
        *(
            element("th", element("i", "", class_=f"key {part}"), head, element("small", "ns"), scope="col")
            for part, head in PARTS.items()
        ),
        element("th", "sum", element("small", "ns per pair"), scope="col"),
    ]
    body = grouped(cells, len(heads), lambda one: _row(one, split[one.name], most))
    return figures(element("table", element("thead", element("tr", *heads)), *body, class_="rows"))


def _row(one: Measured, found: dict[str, float], most: float) -> Element:
    return element(
        "tr",
        element("th", one.name, scope="row"),
        element("td", _bar(one, found, most), class_="picture"),
        *(element("td", figure(found[part]) if found[part] else NOTHING) for part in PARTS),
        element("td", element("b", figure(sum(found.values())))),
    )


def _bar(one: Measured, found: dict[str, float], most: float) -> Element:
    said = ", ".join(f"{PARTS[part]} {figure(found[part])}" for part in PARTS)
    bar = element(
        "svg", element("title", f"{one.name}, nanoseconds per pair: {said}"),
        width=WIDTH, height=HEIGHT, role="img", class_="mid", data_cell=one.planned.id,
    )  # fmt: skip
    x = 0.0
    for part, head in PARTS.items():
        width = found[part] / most * WIDTH
        if width >= 0.05:
            bar.append(element("rect", x=x, y=1, width=max(width - 1, 0.1), height=HEIGHT - 2, class_=part))
        if width > 7 * len(head) + 8:
            bar.append(element("text", head, x=x + width / 2, y=HEIGHT / 2 + 4, class_="inside"))
        x += width
    return bar
