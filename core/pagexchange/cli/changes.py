"""A comparison for people: what differs, the table of cells, what only one side has, and what came out of it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.text import Text

from pagexchange.cli.layout import Layouts, Paragraph, nanoseconds, table
from pagexchange.model.words import counted
from pagexchange.samples.schema import CLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from pagexchange.cli.layout import Words
    from pagexchange.compare.result import Change, Comparison, Point, Verdict

LEFT: Final = ("cell", "point", "host", "verdict", "kind", "what")
STYLES: Final[dict[Verdict, str]] = {"faster": "good", "slower": "bad", "level": "", "unclear": "dim"}
NOWHERE: Final = "-"


def blocks(found: Comparison) -> list[RenderableType]:
    """The comparison, top to bottom."""
    out: list[RenderableType] = [*_heads(found), Text(), *_differences(found)]
    if found.cells:
        everywhere = point(_shared(found))
        out += [Text(), *([Paragraph(everywhere, label=("all at ", "dim"))] if everywhere else []), _table(found)]
    remarks = list(_remarks(found))
    if remarks:
        out += [Text(), *remarks]
    return [*out, Text(), *_closing(found), _legend(found)]


def _heads(found: Comparison) -> Iterator[Paragraph]:
    for side, names in (("old", found.old), ("new", found.new)):
        yield Paragraph(_runs(names), label=(side, "bold"), indent=5)


def _runs(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    folders = {os.path.dirname(name) for name in names}  # noqa: PTH120 - as it was typed
    if len(names) > 3 and len(folders) == 1:
        return f"{len(names)} runs in {folders.pop() or '.'}, {Path(names[0]).name} to {Path(names[-1]).name}"
    return f"{len(names)} runs: {', '.join(names)}"


def _differences(found: Comparison) -> Iterator[RenderableType]:
    if not found.differences:
        yield Paragraph("Machine, versions, configuration and input are the same.")
        return
    rows: list[dict[str, Words]] = []
    kinds = [""]
    for change in found.differences:
        new = change.kind if change.kind != kinds[-1] else ""
        kinds.append(change.kind)
        old = change.old or NOWHERE
        rows.append({"kind": (new, "bold"), "what": change.what, "old -> new": f"{old} -> {change.new or NOWHERE}"})
    heads = ("kind", "what", "old -> new")
    yield Paragraph(("Different", "bold"), " besides the times:")
    yield table(rows, heads, left=heads, prose="old -> new")


def _table(found: Comparison) -> Layouts:
    shared = _shared(found)
    points = any(change.point.keys() - shared.keys() for change in found.cells)
    hosts = len({change.host for change in found.cells}) > 1
    heads = ["cell", *["point"] * points, *["host"] * hosts, "old ns", "new ns", "ratio", "95 %", "verdict"]
    narrow = [head for head in heads if head not in ("old ns", "new ns")]
    rows = [_row(change, shared) for change in found.cells]
    if (mean := found.mean) is not None:
        last: dict[str, Words] = dict.fromkeys(heads, "")
        last["cell"] = "geometric mean"
        last["ratio"] = f"{mean.ratio:.2f}x", STYLES[mean.verdict]
        last["95 %"] = _interval(mean.low, mean.high), "dim"
        last["verdict"] = mean.verdict, STYLES[mean.verdict]
        rows.append(last)
    wide, slim = (table(rows, columns, left=LEFT) for columns in (heads, narrow))
    times = table(
        rows[: len(found.cells)], [head for head in heads if head not in ("ratio", "95 %", "verdict")], left=LEFT
    )
    return Layouts([wide], [slim, times])


def _shared(found: Comparison) -> Point:
    """Return the axes that have one value in all cells: it is said once, above the table."""
    points = [change.point for change in found.cells]
    return {axis: value for axis, value in points[0].items() if all(point.get(axis) == value for point in points)}


def _row(change: Change, shared: Point) -> dict[str, Words]:
    style = STYLES[change.verdict]
    own = {axis: value for axis, value in change.point.items() if axis not in shared}
    return {
        "cell": (change.name, "bold" if change.verdict in ("faster", "slower") else ""),
        "point": (point(own), "dim"),
        "host": (change.host, "dim"),
        "old ns": nanoseconds(change.old_ns),
        "new ns": nanoseconds(change.new_ns),
        "ratio": (f"{change.ratio:.2f}x", style),
        "95 %": (_interval(change.low, change.high), "dim"),
        "verdict": (change.verdict, style),
    }


def point(values: Point) -> str:
    """A point of the axes on a line."""
    return " ".join(
        f"{axis}={str(value).lower() if isinstance(value, bool) else value}" for axis, value in values.items()
    )


def _interval(low: float | None, high: float | None) -> str:
    return NOWHERE if low is None or high is None else f"{low:.2f}-{high:.2f}"


def _remarks(found: Comparison) -> Iterator[Paragraph]:
    for outcome in found.outcomes:
        named = _named(outcome.name, outcome.point)
        words = f"its pages fared otherwise: {outcome.old or NOWHERE} -> {outcome.new or NOWHERE}"
        yield Paragraph((words, "bad"), label=f"{named}: ")
    for one in found.missing:
        yield Paragraph(f"only the {one.side} side has a time: {one.reason}", label=f"{_named(one.name, one.point)}: ")
    for change in found.cells:
        if change.reason:
            yield Paragraph((change.reason, "warn"), label=f"{_named(change.name, change.point)}: ")
    for warning in found.warnings:
        yield Paragraph((warning, "warn"), label="note: ")


def _named(name: str, values: Point) -> str:
    return f"{name} at {point(values)}" if values else name


def _closing(found: Comparison) -> Iterator[Paragraph]:
    if not found.cells:
        yield Paragraph(("The two sides have no cell in common that was timed.", "warn"))
        return
    counts = Counter(change.verdict for change in found.cells)
    words: list[Words] = []
    for verdict, style in STYLES.items():
        if counts[verdict]:
            words += [", " if words else "", (f"{counts[verdict]} {verdict}", style)]
    more = "; more runs on each side narrow the intervals" if counts["unclear"] else ""
    yield Paragraph(*words, f" of {counted(len(found.cells), 'cell')}{more}.")
    if found.ci:
        yield Paragraph(_verdict_of_ci(found))


def _verdict_of_ci(found: Comparison) -> Words:
    limit = f"by more than {found.threshold:.0%}, beyond noise, and repeated"
    if found.failed:
        names = ", ".join(_named(found.cells[n].name, found.cells[n].point) for n in found.failed)
        return f"FAILED: slower {limit}: {names}.", "bad"
    once = [_named(change.name, change.point) for change in found.cells if change.verdict == "slower"]
    if not once:
        return f"Passed: nothing is slower {limit}.", "good"
    want = "" if min(len(found.old), len(found.new)) > 1 else ": that takes two runs on each side"
    return f"Passed, with a warning: slower, but not repeated{want}: {', '.join(once)}.", "warn"


def _legend(found: Comparison) -> Paragraph:
    beside = sorted({name for change in found.cells for name in change.against})
    less = f"; what {', '.join(beside)} did in the same rounds is taken out of it" if beside else ""
    clocks = sorted({change.clock for change in found.cells})
    what = " or ".join(CLOCKS[clock] for clock in clocks) or "time per exchanged pair"
    words = (
        f"How to read: ns of {what}, medians; ratio new to old, above 1 is slower{less}; faster or slower "
        f"only beyond the noise between runs, all cells taken together, and beyond {found.threshold:.0%}."
    )
    return Paragraph((words, "dim"))
