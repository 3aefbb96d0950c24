"""The table that a guest's must equal: a file for each series of Linux, made with `python -m tests.guest --accept`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pagexchange.model.tomlfile import written
from tests.guest.verdicts import Table, cells

FOLDER = Path(__file__).with_name("golden")


@dataclass(frozen=True, slots=True)
class Golden:
    """What was seen once and understood: with which kernel, whose layout's names, a table for each kind of lists."""

    linux: str
    layout: str
    tables: dict[str, Table]


def load(series: str) -> Golden | None:
    """The golden tables of a series, such as 6.12; None where there are none."""
    file = FOLDER / f"{series}.toml"
    if not file.exists():
        return None
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return Golden(content.pop("linux"), content.pop("layout"), content)


def save(series: str, golden: Golden) -> Path:
    """Write the golden tables of a series, to be read before they are committed."""
    lines = [
        "# What became of each fact about pages of each kind that were moved to the other node and back: by verdict,",
        "# one word for each move where they differ. Names in capitals are bits of /proc/kpageflags; see docs/linux.md",
        f"linux = {written(golden.linux)}",
        f"layout = {written(golden.layout)}",
    ]
    for lists, table in golden.tables.items():
        for population, row in table.items():
            lines += [
                "",
                f"[{lists}.{written(population)}]",
                *(f"{written(said)} = {written(names)}" for said, names in row.items()),
            ]
    file = FOLDER / f"{series}.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def unlike(golden: Table, seen: Table) -> list[str]:
    """A line for each cell in which two tables differ."""
    wanted, found = cells(golden), cells(seen)
    return [
        f"{population}: {name}: golden table {wanted.get(key, 'nothing')}, here {found.get(key, 'nothing')}"
        for key in sorted(wanted.keys() | found.keys())
        if wanted.get(key) != found.get(key)
        for population, name in [key]
    ]
