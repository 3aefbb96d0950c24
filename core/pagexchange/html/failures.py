"""Cells that failed, with how their process ended and why; and those that were never measured."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from pagexchange.html.elements import Element, element
from pagexchange.html.tables import figures
from pagexchange.html.words import point_words
from pagexchange.model.words import counted

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts, Measured
    from pagexchange.samples.schema import Cell


def failed(facts: Facts) -> list[tuple[Measured, Cell]]:
    """Cells that ended with less than was planned."""
    return [(one, one.cell) for one in facts.all() if one.cell is not None and (one.cell.exit or one.cell.error)]


def missing(facts: Facts) -> list[Measured]:
    """Cells that are planned and not ended on any host; on one of them, where the run has a single host."""
    ended = {one.planned.id for one in facts.all() if one.cell is not None}
    return list({one.planned.id: one for one in facts.all() if one.planned.id not in ended}.values())


def status(exit: int) -> str:
    """How a process ended, in words."""
    if exit >= 0:
        return f"exit status {exit}"
    try:
        return f"signal {-exit}, {signal.Signals(-exit).name}"
    except ValueError:
        return f"signal {-exit}"


def view(facts: Facts) -> Element | None:
    """The list of both; None: every cell is there."""
    cells, absent = failed(facts), missing(facts)
    if not cells and not absent:
        return None
    heads = ["cell", "point", "host", "how its process ended", "why", "samples kept"]
    rows = [
        element(
            "tr",
            element("th", one.name, scope="row", class_="words"),
            element("td", point_words(facts.shown(one.point)) or "the only one", class_="words"),
            element("td", one.host, class_="words"),
            element("td", status(cell.exit), class_="words"),
            element("td", cell.error or "nothing is known", class_="words wrap"),
            element("td", f"{len(one.samples):,}"),
        )
        for one, cell in cells
    ]
    head = element("tr", *(element("th", head, scope="col", class_="words") for head in heads))
    table = figures(element("table", element("thead", head), element("tbody", *rows))) if rows else None
    names = ", ".join(dict.fromkeys(one.name for one in absent))
    told = None
    if absent:
        told = element("p", f"{counted(len(absent), 'cell')} of the plan did not come to an end: {names}.")
    return element("div", table, told)
