"""How long a call lasts: from the median to the worst, of all calls that were timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagexchange.bench import summary
from pagexchange.html.elements import Element, element
from pagexchange.html.lines import Series, chart
from pagexchange.html.tables import figures, grouped
from pagexchange.html.words import NOTHING, duration, duration_tick

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts
    from pagexchange.html.words import Point

WORST = "worst"


def view(facts: Facts, host: str, point: Point) -> Element | None:
    """The latencies at a point, as a picture and a table; None where calls were not timed one by one."""
    timed = {one.name: known for one in facts.at(host, point) if (known := summary.latency(one.counted)) is not None}
    cells = [one for one in facts.at(host, point) if one.name in timed and timed[one.name].calls > 1]
    if not cells:
        return None
    found = {
        name: {**{f"p{p:g}": ns for p, ns in known.at.items()}, WORST: known.worst} for name, known in timed.items()
    }
    shares = [share for share in found[cells[0].name] if any(found[one.name][share] for one in cells)]
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
    heads = ["", *shares, "calls"]
    body = grouped(
        cells,
        len(heads),
        lambda one: element(
            "tr",
            element("th", one.name, scope="row"),
            *(element("td", NOTHING if ns is None else duration(ns)) for ns in map(found[one.name].get, shares)),
            element("td", f"{timed[one.name].calls:,}"),
        ),
    )
    head = element("thead", element("tr", *(element("th", word, scope="col") for word in heads)))
    return element("div", figures(svg), figures(element("table", head, *body)), class_="beside")
