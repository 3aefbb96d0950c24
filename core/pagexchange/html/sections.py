"""The sections of the page, in order: each only where the run has something to say in it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pagexchange.html import crossover, dots, failures, latency, losses, machine, ratios, repeat, split, told, ways
from pagexchange.html import threads as scaling
from pagexchange.html.answer import TIER
from pagexchange.html.elements import Element, element
from pagexchange.html.words import axis_name, point_words
from pagexchange.model.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pagexchange.html.facts import Facts
    from pagexchange.html.words import Point


class Section(NamedTuple):
    """A part of the page."""

    id: str
    title: str
    body: Element


def first(facts: Facts) -> Iterator[Section]:
    """What compares all points, or the ways of a tier."""
    if facts.manifest.verb == TIER:
        yield from _section(
            "over-time", "Hits over time", told.OVER_TIME, _hosts(facts, partial(ways.over_time, facts))
        )
        yield from _section("ways", "What each way did", told.WAYS, _hosts(facts, partial(ways.table, facts)))
        yield from _section("took", "What it took", told.TOOK, _hosts(facts, partial(ways.took, facts)))
        return
    if len(facts.points) > 1:
        reference = facts.manifest.reference
        text = told.RATIOS.format(reference=reference) if reference else told.RATIOS_FASTEST
        yield from _section("ratios", "Ratios", text, _hosts(facts, lambda host: [ratios.table(facts, host)]))
        lines = _hosts(facts, lambda host: crossover.pictures(facts, host))
        yield from _section("crossover", f"Ratios by {axis_name(facts.axis)}", told.CROSSOVER, lines)
    yield from _section("threads", "Threads", told.THREADS, _hosts(facts, lambda host: scaling.views(facts, host)))


def only(facts: Facts) -> Iterator[Section]:
    """What there is to see of the one point of a run without axes; of a tier all is said by then."""
    if facts.manifest.verb == TIER:
        return
    for id, title, text, views in _of_point(facts, facts.points[0]):
        yield from _section(id, title, text, views)


class Folded(NamedTuple):
    """What there is to see of one of several points, to be unfolded."""

    summary: Element
    samples: list[Element]
    rest: list[Element]

    def element(self, *, whole: bool) -> Element:
        """Return it as an element, without what comes after the samples if not `whole`."""
        return element("details", self.summary, *self.samples, *(self.rest if whole else ()))


def folded(facts: Facts, point: Point) -> Folded:
    """Return the views of a point."""
    best = facts.fastest(facts.hosts[0], point) if len(facts.hosts) == 1 else None
    summary = element(
        "summary",
        element("b", point_words(facts.shown(point))),
        element("span", f" · fastest: {best.name}", class_="dim") if best is not None else None,
    )
    samples, *rest = ([element("h4", title), *views] if views else [] for _, title, _, views in _of_point(facts, point))
    return Folded(summary, samples, [part for parts in rest for part in parts])


def points(details: list[Element], left_out: int, shortened: int) -> Iterator[Section]:
    """The section of the folded points, the first one open: how many are missing, and how many are not whole."""
    small = ", so that this file stays small."
    note = f" {counted(left_out, 'point')} left out here{small} The map has all." if left_out else ""
    if shortened:
        note += f" {counted(shortened, 'point')} without where the time goes and how long calls last{small}"
    if details:
        opened = element("details", *details[0], open="")
        yield from _section("points", "Point by point", told.SAMPLES + note, [legend(), opened, *details[1:]])


def last(facts: Facts) -> Iterator[Section]:
    """What concerns the run as a whole."""
    yield from _section("losses", "What was lost or refused", told.LOSSES, [losses.view(facts)])
    yield from _section("failed", "Cells that are missing", told.FAILED, [failures.view(facts)])
    title = "Machine" if len(facts.hosts) < 2 else "Machines"
    yield from _section("machine", title, told.MACHINE, [machine.view(facts)])
    yield from _section("repeat", "How to repeat it", "", [repeat.view(facts)])
    meanings = [element(tag, text) for pair in told.WORDS.items() for tag, text in zip(("dt", "dd"), pair, strict=True)]
    yield from _section("words", "Words", "", [element("dl", *meanings)])


def legend() -> Element:
    """What the marks of the samples are."""
    marks = {
        "CPU time of a turn": element("path", d="M4 7h0M9 7h0M14 7h0", class_="dots cpu"),
        "wall time of a turn": element("path", d="M4 7h0M9 7h0M14 7h0", class_="dots wall"),
        "pushed aside: others had its CPU": element("path", d=dots.cross(9, 7), class_="aside"),
        "the same, beyond the axis": element("path", d="M5 4.4l4 2.6l-4 2.6", class_="aside"),
        "median": element("path", d="M9 0v14", class_="median cpu"),
        "where it lies with 95 % confidence": element("path", d="M2 7h14", class_="interval cpu"),
    }
    keys = [
        element("li", element("svg", mark, width=18, height=14, aria_hidden="true"), words)
        for words, mark in marks.items()
    ]
    return element("ul", *keys, class_="legend")


def _of_point(facts: Facts, point: Point) -> Iterator[tuple[str, str, str, list[Element]]]:
    """Id, title, explanation, and a view for each host."""
    samples = _hosts(facts, lambda host: [dots.table(facts, host, point)])
    if len(facts.points) == 1 and samples:
        samples.insert(0, legend())
    yield "samples", "Every sample", told.SAMPLES, samples
    costs = _hosts(facts, lambda host: [split.table(facts, host, point)])
    yield "split", "Where the time goes", told.SPLIT, costs
    calls = _hosts(facts, lambda host: [latency.view(facts, host, point)])
    yield "latency", "How long a call lasts", told.LATENCY, calls


def _hosts(facts: Facts, views: Callable[[str], Sequence[Element | None]]) -> list[Element]:
    """A view for each host, with its name above it if there are several; those with nothing to see are left out."""
    found = []
    for host in facts.hosts:
        there = [view for view in views(host) if view is not None]
        head = element("h3", host) if len(facts.hosts) > 1 else None
        found += [element("div", head, *there)] if there else []
    return found


def _section(id: str, title: str, text: str, views: Iterable[Element | None]) -> Iterator[Section]:
    there = [view for view in views if view is not None]
    if there:
        note = element("p", text, class_="told") if text else None
        yield Section(id, title, element("section", element("h2", title), note, *there, id=id))
