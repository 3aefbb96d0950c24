"""A run folder as one HTML file: everything in it, no script, nothing that is fetched."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from pagexchange.html import answer, banner, sections
from pagexchange.html.elements import Element, data, document, element
from pagexchange.html.facts import Facts
from pagexchange.html.tables import spread
from pagexchange.html.words import point_words
from pagexchange.model.words import counted

if TYPE_CHECKING:
    from pagexchange.html.words import Point
    from pagexchange.samples.folder import Folder

MOST: Final = 300_000
"""Bytes of a page."""
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""The browser itself sees to it that nothing is run or fetched."""


def page(folder: Folder) -> str:
    """Return the page of a run.

    While it has at most `MOST` bytes, every sample of every point is in it. Of a larger run fewer points are shown one
    by one, evenly spread; where even the map of all points is too large, the others are left out of it, too.
    """
    facts = Facts(folder)
    built = _Page(facts)
    while (text := built.most()) is None:
        facts.points = spread(facts.points, len(facts.points) // 2)
        built = _Page(facts, built.header)
    return text


class _Page:
    """The parts of a page that do not depend on how much is shown of each point."""

    def __init__(self, facts: Facts, header: Element | None = None) -> None:
        self.facts = facts
        self.header = _header(facts) if header is None else header
        self.banner = banner.view(facts)
        self.several = len(facts.points) > 1
        self.first = [*sections.first(facts), *(sections.only(facts) if len(facts.points) == 1 else ())]
        self.last = list(sections.last(facts))
        self.details = {point: sections.folded(facts, point) for point in facts.points} if self.several else {}

    def most(self) -> str | None:
        """The text with as much of as many points as fits; None: there are too many even for the map."""
        points = len(self.facts.points)
        everything, samples, least = (len(self.text(*shown).encode()) for shown in ((points,) * 2, (points, 0), (0, 0)))
        if everything <= MOST:
            return self.text(points, points)
        if least > MOST:
            return None if points > 2 else self.text(0, 0)
        if samples <= MOST:
            shown, whole = points, _share(points, MOST - samples, everything - samples)
        else:
            shown, whole = _share(points, MOST - least, samples - least), 0
        while len((text := self.text(shown, whole)).encode()) > MOST:
            shown, whole = (shown, whole - 1) if whole else (shown - 1, 0)
        return text

    def text(self, shown: int, whole: int) -> str:
        """The text with so many points one by one, their samples as data, and so many of them with everything."""
        facts = self.facts
        points = spread(facts.points, shown)
        full = {id(point) for point in spread(points, whole)}
        folded = [self.details[point].element(whole=id(point) in full) for point in points] if self.several else []
        middle = sections.points(folded, len(facts.points) - len(folded), len(folded) - len(full))
        parts = [*self.first, *middle, *self.last]
        links = [element("li", element("a", part.title, href=f"#{part.id}")) for part in parts]
        body = element(
            "body",
            self.header,
            self.banner,
            element("nav", element("ul", *links), aria_label="Contents"),
            element("main", *(part.body for part in parts)),
            element("footer", element("p", _footer(facts))),
            data(_data(facts, points), id="data"),
        )
        return document(element("html", _head(facts), body, lang="en"))


def _share(points: int, room: int, needed: int) -> int:
    """How many of some points have room, if all of them need so many bytes."""
    return min(points, int(points * room / max(needed, 1)))


def _head(facts: Facts) -> Element:
    style = (resources.files("pagexchange.html") / "style.css").read_text(encoding="utf-8")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{facts.manifest.name} - pagexchange"),
        element("style", style),
    )


def _header(facts: Facts) -> Element:
    manifest = facts.manifest
    what = [
        manifest.input.name,
        counted(sum(bool(one.samples) for one in facts.all()), "cell"),
        counted(len(facts.points), "point") if len(facts.points) > 1 else "",
        counted(sum(len(one.samples) for one in facts.all()), "sample"),
        counted(len(facts.hosts), "host") if len(facts.hosts) > 1 else ", ".join(facts.hosts),
        manifest.started.replace("T", " ").replace("Z", " UTC"),
    ]
    fixed = point_words(facts.fixed)
    passed = answer.turns(facts)
    return element(
        "header",
        element("p", f"pagexchange {manifest.verb}", class_="kind"),
        element("h1", manifest.name),
        element("p", " · ".join(word for word in what if word), class_="dim"),
        element("p", f"Everywhere: {fixed}.", class_="dim") if fixed else None,
        element(
            "div",
            *(element("p", sentence) for sentence in answer.leads(facts)),
            element("ul", *(element("li", sentence) for sentence in passed)) if passed else None,
            class_="answer",
        ),
    )


def _footer(facts: Facts) -> str:
    planned = len({tuple(cell.point.items()) for cell in facts.manifest.cells})
    left = planned - len(facts.points)
    said = f"Of {planned:,} points {left:,} are left out, so that this file stays small. " if left > 0 else ""
    return (
        f"{said}Made by pagexchange: one file, no script, nothing fetched. Every sample is in samples.jsonl of the "
        "run's folder; those that are drawn are also in this file, as JSON."
    )


def _data(facts: Facts, points: list[Point]) -> dict[str, Any]:
    """The samples behind the pictures, in columns, for whoever wants to draw them otherwise."""
    drawn = [one for point in points for host in facts.hosts for one in facts.at(host, point)]
    every = [(n, sample) for n, one in enumerate(drawn) for sample in one.samples]
    columns = ("round", "exchanged", "wall_ns", "cpu_ns", "aside")
    tiered = ("accesses", "hits", "cost_ns") if facts.manifest.verb == answer.TIER else ()
    return {
        "schema": facts.manifest.schema,
        "name": facts.manifest.name,
        "cells": [
            {"id": one.planned.id, "host": one.host, "name": one.name, "point": dict(one.point)} for one in drawn
        ],
        "samples": {
            "cell": [n for n, _ in every],
            **{column: [int(getattr(sample, column)) for _, sample in every] for column in columns},
            **{column: [getattr(sample.tier, column, 0) for _, sample in every] for column in tiered},
        },
    }
