"""Reads what a guest sent, prints it as tables, and judges it: by the golden table, and by the layouts' policies."""

from __future__ import annotations

import copy
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pagexchange.model.layout import Layout
from tests.guest import golden
from tests.guest.policies import Difference, Explanation, differences, explanations
from tests.guest.verdicts import WHOLE, Table, cells


@dataclass(frozen=True, slots=True)
class Seen:
    """What the guest's kernel did, by the names and policies of its own layout."""

    layout: Layout
    tables: dict[str, Table]


def read(results: bytes) -> Seen:
    """From the lines of JSON that the guest wrote."""
    reports: list[dict[str, Any]] = [json.loads(line) for line in results.decode().splitlines() if line.strip()]
    if not reports:
        raise ValueError("the guest sent no report")
    return Seen(
        Layout.parse(reports[0]["layout"], "the guest's layout"), {r["lists"]: r["populations"] for r in reports}
    )


def judge(series: str, seen: Seen) -> int:
    """Print everything; return how many things are wrong."""
    wrong = 0
    known = golden.load(series)
    for lists, table in seen.tables.items():
        print(f"\n== Linux {series}, {lists} lists: moved to node 1, and back to node 0\n")
        print("\n".join(_rows(table)))
        unseen = sorted({flag.name for flag in seen.layout.flags} - {name for _, name in cells(table)})
        print("\n".join(_wrapped("not observable, in no population:", " ".join(unseen))))
        print("\nWhat the layouts' policies would have otherwise:")
        lines, unexplained = _explained(lists, table, seen.layout)
        print("\n".join(lines))
        wrong += unexplained
        if known is None:
            print(f"\nNo golden table of Linux {series}: look at this one, and keep it with --accept.")
            wrong += 1
            continue
        unlike = golden.unlike(known.tables.get(lists, {}), table)
        print(f"\nGolden table (made with {known.linux}): " + (f"{len(unlike)} cells differ" if unlike else "equal"))
        print("\n".join(f"  {line}" for line in unlike))
        wrong += len(unlike)
    wrong += _controls(seen)
    return wrong


def unexplained(lists: str, table: Table, layout: Layout) -> list[Difference]:
    """Differences from a layout's policies that explained.toml does not know."""
    known = explanations()
    return [each for each in differences(table, layout) if not any(one.covers(lists, each) for one in known)]


def flipped(table: Table) -> Table:
    """A table with one wrong cell: a flag that was kept is lost."""
    other = copy.deepcopy(table)
    population, row = next((population, row) for population, row in other.items() if "uptodate" in row.get("kept", ""))
    row["kept"] = row["kept"].replace("uptodate", "").strip()
    other[population]["lost, -"] = "uptodate"
    return other


def misjudged(layout: Layout) -> Layout:
    """A layout with one wrong policy: `uptodate` would stay with the frame."""
    flags = tuple(replace(flag, policy="stay") if flag.name == "uptodate" else flag for flag in layout.flags)
    return replace(layout, flags=flags)


def _controls(seen: Seen) -> int:
    """Plant a wrong cell and a wrong policy; each must be seen."""
    lists, table = next(iter(seen.tables.items()))
    controls = {
        "a wrong cell in the golden table": golden.unlike(flipped(table), table),
        "a wrong policy in the layout": unexplained(lists, table, misjudged(seen.layout)),
    }
    print()
    for what, found in controls.items():
        print(f"control: {what}: {'seen' if found else 'NOT SEEN'}")
    return sum(not found for found in controls.values())


def _rows(table: Table) -> Iterator[str]:
    for population, row in table.items():
        whole = [f"{row[name]} {name}" if name == "moved" else f"{name}: {row[name]}" for name in WHOLE if name in row]
        yield f"{population:26}{'; '.join(whole)}"
        for said, names in row.items():
            if said not in WHOLE:
                yield from _wrapped(f"    {said}:", names)


def _explained(lists: str, table: Table, layout: Layout) -> tuple[list[str], int]:
    lines: dict[Explanation | None, dict[str, list[str]]] = {}
    known = explanations()
    for each in differences(table, layout):
        why = next((one for one in known if one.covers(lists, each)), None)
        what = f"{each.name} ({each.policy}): {each.verdict}"
        lines.setdefault(why, {}).setdefault(what, []).append(each.population)
    out = []
    for why, found in lines.items():
        for what, populations in found.items():
            out += _wrapped(f"  {what}:", ", ".join(populations))
        out.append(f"      docs/linux.md: {why.says}" if why else "      NOT EXPLAINED in tests/guest/explained.toml")
    return out, sum(len(populations) for populations in lines.get(None, {}).values())


def _wrapped(head: str, text: str) -> list[str]:
    """Text that stands beside its head, in lines."""
    return textwrap.wrap(text, 130, initial_indent=f"{head:25} ", subsequent_indent=" " * 26) or [head]
