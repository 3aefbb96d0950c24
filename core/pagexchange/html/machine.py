"""The machines, each a column; where they differ is marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pagexchange.html.elements import Element, element
from pagexchange.html.tables import figures
from pagexchange.html.words import NOTHING
from pagexchange.runs import environment

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts

PARTS: Final = ("cpu", "memory", "kernel", "software", "limits")


def view(facts: Facts) -> Element | None:
    """A table of all that is known of the hosts."""
    columns = {name: known(facts.folder.hosts[name].environment) for name in facts.hosts}
    rows = list(dict.fromkeys(row for column in columns.values() for row in column))
    if not rows:
        return None
    several = len(columns) > 1
    head = element("tr", element("th", ""), *(element("th", name, scope="col", class_="words") for name in columns))
    body = []
    for row in rows:
        values = [column.get(row, NOTHING) for column in columns.values()]
        differs = len(set(values)) > 1
        name = f"{row} ≠" if differs else row
        cells = [element("td", value, class_="words") for value in values]
        body.append(
            element(
                "tr", element("th", name, scope="row", class_="words"), *cells, class_="differs" if differs else None
            )
        )
    table = element("table", element("thead", head) if several else None, element("tbody", *body), class_="facts")
    told = element("p", "≠ marks where the machines differ.", class_="dim") if several else None
    return element("div", told, figures(table))


def known(facts: dict[str, Any]) -> dict[str, str]:
    """What there is to say of a machine, by its name; as it stands in the folder, where that is nothing we know."""
    parts = {part: _Known(facts.get(part) or {}) for part in PARTS if isinstance(facts.get(part), dict | None)}
    try:
        said = environment.lines({"load": None, **facts, **parts}) if facts.keys() & set(PARTS) else _flat(facts)
    except (KeyError, TypeError, AttributeError, ValueError):
        said = _flat(facts)
    return {name: value for name, value in said if value != "not available"}


class _Known(dict[str, Any]):
    """What another version has not recorded is None."""

    def __missing__(self, key: str) -> None:
        return None


def _flat(value: object, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _flat(item, f"{name} {key}".strip())]
    return [] if value is None else [(name, str(value))]
