"""A run of `tier`: the picture over time, and what each way lost, moved and took."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Final

from pagexchange.html.elements import Element, element
from pagexchange.html.over_time import THOUSANDTHS, picture
from pagexchange.html.tables import figures, verdict
from pagexchange.html.words import NOTHING, duration, figure, interval, share
from pagexchange.samples.statistics import level
from pagexchange.tier import answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pagexchange.html.facts import Facts, Measured
    from pagexchange.samples.schema import Tiered

HEADS: Final = (
    ("verdict", ""), ("hits", ""), ("lost", "ns per access"), ("ratio", "to nothing"), ("CPU", "of the time"),
    ("moved", "MB/s"), ("reader", "median"), ("", "p99"), ("", "worst"),
)  # fmt: skip
COUNTS: Final = {
    "promoted": ("promoted", "pages"), "demoted": ("demoted", "pages"), "back_and_forth": ("back and forth", "pages"),
    "frames": ("frames", "allocated"), "below_low": ("below low", "requests"), "below_min": ("below min", "requests"),
    "stalls": ("stalls", "promotions"),
}  # fmt: skip
"""What is counted of a round -> head of its column."""


def leads(facts: Facts) -> list[str]:
    """Who wins and by how much, a sentence or two for each host."""
    said = []
    for host in facts.hosts:
        fit = [one for one in _of(facts, host) if one.cell is None or one.cell.verdict in ("exact", "")]
        prices = [one.cell.details.get("slow_ns", 0.0) for one in fit if one.cell is not None]
        told = answer.sentences({one.name: one.costs("cost") for one in fit}, prices[0] if prices else 0.0)
        said += [f"On {host}: {sentence}" if len(facts.hosts) > 1 else sentence for sentence in told]
    return said or ["No way has played a round."]


def over_time(facts: Facts, host: str) -> list[Element | None]:
    """The picture; none where no way came to its end."""
    lines = []
    for one in _of(facts, host):
        values = _detail(one, "over_time") or []
        if isinstance(values, list) and values:
            lines.append((one.name, facts.names.index(one.name), [value / THOUSANDTHS for value in values]))
    seconds = next((found for one in _of(facts, host) if (found := _detail(one, "seconds"))), 0.0)
    return [figures(picture(lines, seconds))] if lines else []


def table(facts: Facts, host: str) -> list[Element | None]:
    """A row for each way, the one that loses least first."""
    notes: list[str] = next((found for one in _of(facts, host) if (found := _detail(one, "notes"))), [])
    return [
        figures(_table(HEADS, {one.name: _row(facts, one) for one in _ranked(facts, host)})),
        *(element("p", f"{note[:1].upper()}{note[1:].rstrip('.')}.", class_="dim") for note in notes),
    ]


def took(facts: Facts, host: str) -> list[Element | None]:
    """What was counted of each way that moves something, in the same order; none where none does."""
    rows = {one.name: _counted(one) for one in _ranked(facts, host) if one.name != facts.manifest.reference}
    return [figures(_table(COUNTS.values(), rows))] if rows else []


def _table(heads: Iterable[tuple[str, str]], rows: Mapping[str, list[Element]]) -> Element:
    cells = [element("th", word, *([element("small", unit)] if unit else []), scope="col") for word, unit in heads]
    head = element("thead", element("tr", element("th", "way", scope="col"), *cells))
    body = [element("tr", element("th", name, scope="row"), *row) for name, row in rows.items()]
    return element("table", head, element("tbody", *body))


def _ranked(facts: Facts, host: str) -> list[Measured]:
    return sorted(_of(facts, host), key=lambda one: one.value.middle if one.value else float("inf"))


def _of(facts: Facts, host: str) -> list[Measured]:
    return facts.at(host, facts.points[0]) if facts.points else []


def _detail(one: Measured, name: str) -> Any:  # noqa: ANN401 - of a cell
    return None if one.cell is None else one.cell.details.get(name)


def _row(facts: Facts, one: Measured) -> list[Element]:
    turns = _turns(one)
    seconds = _detail(one, "seconds") or 0.0
    ratio = facts.ratio(one)
    reads = _detail(one, "reads") or {}
    cpu = median(sample.cpu_ns for sample in one.counted) / 1e9 if one.counted else 0.0
    small = [element("small", interval(value)) if value is not None and value.known else None
             for value in (one.value, ratio)]  # fmt: skip
    doubt = "" if one.trusted else "!"
    times = [duration(ns) if (ns := reads.get(name)) else NOTHING for name in ("median_ns", "p99_ns", "worst_ns")]
    return [
        element("td", verdict(one)),
        element("td", share(median(turn.hits / max(turn.accesses, 1) for turn in turns)) if turns else NOTHING),
        element("td", f"{figure(one.value.middle)}{doubt}" if one.value is not None else NOTHING, small[0]),
        element(
            "td",
            NOTHING if ratio is None else "level" if ratio.known and level(ratio) else f"{ratio.middle:.2f}",
            small[1],
        ),
        element("td", share(cpu / seconds) if seconds and turns else NOTHING),
        element("td", figure(_middle(turns, "bytes") / seconds / 1e6) if seconds and turns else NOTHING),
        *(element("td", time) for time in times),
    ]


def _counted(one: Measured) -> list[Element]:
    turns = _turns(one)
    return [element("td", f"{_middle(turns, name):,.0f}" if turns else NOTHING) for name in COUNTS]


def _turns(one: Measured) -> list[Tiered]:
    return [sample.tier for sample in one.counted if sample.tier is not None]


def _middle(turns: Sequence[Tiered], name: str) -> float:
    return float(median(getattr(turn, name) for turn in turns))
