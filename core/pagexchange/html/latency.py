"""How long a call lasts: from the median to the worst, of all calls that were timed."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from pagexchange.html.elements import Element, element
from pagexchange.html.lines import Series, chart
from pagexchange.html.tables import figures, grouped
from pagexchange.html.words import NOTHING, duration, duration_tick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.html.facts import Facts, Measured
    from pagexchange.html.words import Point

SHARES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "worst": 1.0}
"""Of the calls that were not longer."""
FEWEST: Final = 10
"""Of fewer calls there is no distribution to be shown."""


def calls(one: Measured) -> list[int]:
    """Wall time of every call of the samples that count, nanoseconds, in order."""
    return sorted(ns for sample in one.counted for ns in sample.call_ns)


def percentiles(ordered: Sequence[int]) -> dict[str, int | None]:
    """The time that a share of the calls did not exceed: one that was measured; None where the calls are too few."""
    found: dict[str, int | None] = {}
    for name, share in SHARES.items():
        enough = share == 1 or len(ordered) * (1 - share) >= 0.999
        found[name] = ordered[ceil(share * len(ordered)) - 1] if enough and ordered else None
    return found


def view(facts: Facts, host: str, point: Point) -> Element | None:
    """The latencies at a point, as a picture and a table."""
    timed = {one.name: calls(one) for one in facts.at(host, point)}
    cells = [one for one in facts.at(host, point) if len(timed[one.name]) >= FEWEST and any(timed[one.name])]
    if not cells:
        return None
    found = {one.name: percentiles(timed[one.name]) for one in cells}
    shares = [share for share in SHARES if any(found[one.name][share] for one in cells)]
    series = [
        Series(
            one.name, facts.names.index(one.name), [found[one.name][share] or None for share in shares],
            dashed=one.planned.kind != "strategy",
        )
        for one in cells
    ]  # fmt: skip
    svg = chart(
        series,
        title="Wall time of a call, from the median to the worst",
        places=shares,
        across="share of calls that took no longer",
        up="one call, log scale",
        label=duration_tick,
    )
    heads = [
        element("th", "", scope="col"),
        *(element("th", name, scope="col") for name in shares),
        element("th", "calls", scope="col"),
    ]
    body = grouped(
        cells,
        len(heads),
        lambda one: element(
            "tr",
            element("th", one.name, scope="row"),
            *(element("td", NOTHING if ns is None else duration(ns)) for ns in map(found[one.name].get, shares)),
            element("td", f"{len(timed[one.name]):,}"),
        ),
    )
    table = element("table", element("thead", element("tr", *heads)), *body)
    return element("div", figures(svg), figures(table), class_="beside")
