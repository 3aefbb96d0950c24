"""What layouts say that moves with a page, beside what moved with it in Linux; each difference has its explanation."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pagexchange.model.layout import Layout
from tests.guest.verdicts import WHOLE, Table, cells

FILE = Path(__file__).with_name("explained.toml")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which differences are meant, and the words of docs/linux.md that explain them."""

    name: str
    verdict: str
    of: tuple[str, ...]
    lists: tuple[str, ...]
    says: str

    def covers(self, lists: str, difference: Difference) -> bool:
        """Whether it is about this difference."""
        return (
            lists in self.lists
            and fnmatchcase(difference.name, self.name)
            and fnmatchcase(difference.verdict, self.verdict)
            and any(fnmatchcase(difference.population, pattern) for pattern in self.of)
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact of which a layout says something else than Linux did."""

    population: str
    name: str
    verdict: str
    policy: str


def explanations() -> list[Explanation]:
    """Those of explained.toml, which every difference must have, and which each must explain one."""
    return [
        Explanation(
            row["name"], row["verdict"], tuple(row["of"]), tuple(row.get("lists", ("classic", "mglru"))), row["says"]
        )
        for row in tomllib.loads(FILE.read_text(encoding="utf-8"))["explained"]
    ]


def differences(table: Table, layout: Layout) -> list[Difference]:
    """Everything that a layout's policies would have otherwise.

    `swap` is kept, `stay` does not go along, a page with `refuse` is not moved. Counters and what a page is (anonymous,
    mapped, a part of a huge page) go with the page.
    """
    found = []
    for (population, name), said in cells(table).items():
        if name in WHOLE:
            continue
        policy = _policy(layout, name, tail=population.endswith(", tails"))
        agrees = {"swap": said == "kept", "stay": "kept" not in said, "refuse": False}[policy]
        if not agrees:
            found.append(Difference(population, name, said, policy))
    return found


def _policy(layout: Layout, name: str, *, tail: bool) -> str:
    if name == "SWAPCACHE":
        return "refuse"
    if name in layout:
        flag = layout.flag(name)
        return flag.tail if tail else flag.policy
    fields = {field.name: field.policy for field in layout.fields}
    return fields.get(name, "swap")
