"""What was lost, flag by flag, and what was refused, of all checked calls together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pagexchange.html.elements import Element, element
from pagexchange.html.tables import figures

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts

WIDTH: Final = 120


def lost(facts: Facts) -> dict[str, Counter[str]]:
    """Name -> flag -> pages that lost it, in all its cells; those that lost nothing are left out."""
    return _sums({(one.name, n): one.cell.lost for n, one in enumerate(facts.all()) if one.cell is not None})


def refused(facts: Facts) -> dict[str, Counter[str]]:
    """Name -> errno -> pairs."""
    return _sums({(one.name, n): one.cell.refused for n, one in enumerate(facts.all()) if one.cell is not None})


def _sums(counts: Mapping[tuple[str, int], dict[str, int]]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for (name, _), some in counts.items():
        if some:
            found.setdefault(name, Counter()).update(some)
    return found


def view(facts: Facts) -> Element | None:
    """A table with a bar in each cell, for what was lost and for what was refused; None: neither."""
    tables = [
        _table(found, head, what)
        for found, head, what in ((lost(facts), "flag", "pages"), (refused(facts), "refused", "pairs"))
        if found
    ]
    exact = {one.name for one in facts.all() if one.cell is not None and one.cell.verdict == "exact"}
    kept = [name for name in facts.names if name in exact - lost(facts).keys()]
    if not tables:
        return None
    told = element("p", f"Nothing was lost by {', '.join(kept)}.", class_="dim") if kept and lost(facts) else None
    return element("div", element("div", *tables, class_="beside"), told)


def _table(found: dict[str, Counter[str]], head: str, what: str) -> Element:
    most = max(count for some in found.values() for count in some.values())
    rows: dict[str, int] = Counter()
    for some in found.values():
        rows.update(some)
    heads = [
        element("th", head, scope="col", class_="words"),
        *(element("th", name, element("small", what), scope="col", colspan=2) for name in found),
    ]
    body = [
        element(
            "tr",
            element("th", row, scope="row", class_="words"),
            *(part for some in found.values() for part in _counted(some.get(row, 0), most, row)),
        )
        for row in sorted(rows, key=lambda row: -rows[row])
    ]
    return figures(element("table", element("thead", element("tr", *heads)), element("tbody", *body), class_="rows"))


def _counted(count: int, most: int, row: str) -> list[Element]:
    if not count:
        return [element("td", "0", class_="dim"), element("td", "")]
    bar = element(
        "svg", element("title", f"{row}: {count:,}"), width=WIDTH, height=12, role="img",
    )  # fmt: skip
    bar.append(element("rect", x=0, y=1, width=max(count / most * WIDTH, 1.0), height=10, rx=1, class_="lost"))
    return [element("td", f"{count:,}"), element("td", bar, class_="picture")]
