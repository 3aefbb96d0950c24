"""A run for people: one table, a note where there is something to say, one closing line.

The same blocks are printed twice: as plain text (in a pipe, with NO_COLOR, in a file) and through rich on a terminal.
rich is imported only in the second case.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pagexchange.model.sizes import format_size
from pagexchange.model.statuses import REASONS, errno_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from pagexchange.runs.result import InputInfo, RunResult, StrategyResult

Style = Literal["", "good", "bad", "warn", "dim", "bold"]

RICH_STYLES = {"": "", "good": "green", "bad": "bold red", "warn": "yellow", "dim": "dim", "bold": "bold"}

MEANING = {errno_name(code): text.partition(";")[0] for code, text in REASONS.items()}
"""What an errno means for a pair, without the advice."""


PROSE = 24
"""Columns that a column of sentences takes at least."""


@dataclass(frozen=True)
class Cell:
    """Text and how to show it."""

    text: str
    style: Style = ""


@dataclass(frozen=True)
class Column:
    """Head of a column; those of the highest `rank` go together when the terminal is narrow (0 stays)."""

    head: str
    left: bool = False
    rank: int = 0
    prose: bool = False
    """The last column, of sentences: they are wrapped in the width that is left."""


@dataclass
class Table:
    """Rows of cells under columns."""

    columns: Sequence[Column]
    rows: list[list[Cell]] = field(default_factory=list)

    def fitted(self, width: int) -> Table:
        """This table without the columns that do not fit, least needed first."""
        keep = list(range(len(self.columns)))
        while self._least(keep) > width and (least := max(self.columns[i].rank for i in keep)):
            keep = [i for i in keep if self.columns[i].rank != least]
        return Table([self.columns[i] for i in keep], [[row[i] for i in keep] for row in self.rows])

    def widths(self) -> list[int]:
        """Width of each column in characters."""
        return [max(len(column.head), *(len(r[i].text) for r in self.rows), 0) for i, column in enumerate(self.columns)]

    def _least(self, keep: Sequence[int]) -> int:
        widths = self.widths()
        return sum((PROSE if self.columns[i].prose else widths[i]) + 2 for i in keep) - 2


@dataclass(frozen=True)
class Line:
    """One line of text; it is wrapped at the terminal's width, and goes on under `indent`."""

    cells: Sequence[Cell]
    indent: int = 0


Block = Table | Line


def blocks(result: RunResult, *, ascii_only: bool = False) -> list[Block]:
    """The report of a run, top to bottom."""
    out: list[Block] = [_heading(result), Line([]), _table(result, ascii_only=ascii_only)]
    notes = list(_notes(result))
    if notes:
        out += [Line([]), *notes]
    if result.input.free is not None:
        out += [Line([]), *_pressure(result)]
    return [*out, Line([]), _closing(result), _legend(result, ascii_only=ascii_only)]


def _heading(result: RunResult) -> Line:
    given = result.input
    threads = sorted({s.threads for s in result.strategies})
    parts = [
        f"{given.name}",
        f"{given.pairs:,} pairs of {_folios(given)}",
        f"flags as in {given.layout}" if given.layout else "",
        f"{'/'.join(map(str, threads))} thread{'' if threads == [1] else 's'}" if threads else "",
        ("checked, not timed", "1 round")[result.rounds] if result.rounds < 2 else f"{result.rounds} rounds",
        f"seed {result.seed}",
    ]
    return Line([Cell(f"pagexchange {result.pagexchange}", "bold"), Cell("  " + ", ".join(p for p in parts if p))])


def _folios(given: InputInfo) -> str:
    """What a pair consists of: pages of one size, or folios from the smallest to the largest."""
    orders = [int(order) for order in given.orders] or [0]
    small, large = (format_size(given.page_size << order) for order in (min(orders), max(orders)))
    if max(orders) == 0:
        return f"{small} pages"
    return f"{large} folios" if small == large else f"folios, {small} to {large}"


def ranked(result: RunResult) -> list[StrategyResult]:
    """Strategies as the table shows them: those that lose nothing by speed, then those that lose, then the others."""
    order = {"exact": 0, "unchecked": 1, "loses": 2, "wrong": 3, "starved": 4, "refused": 5, "failed": 6, "not run": 7}
    return sorted(
        result.strategies,
        key=lambda s: (order[s.verdict], s.ns_per_pair.total if s.ns_per_pair else float("inf")),
    )


def winner(result: RunResult) -> StrategyResult | None:
    """The fastest strategy that loses nothing."""
    return next((s for s in ranked(result) if s.verdict == "exact" and s.ns_per_pair), None)


_COLUMNS = (
    Column("strategy", left=True),
    Column("verdict", left=True),
    Column("pairs"),
    Column("ns/pair"),
    Column("ratio"),
    Column("lock", rank=3),
    Column("flags", rank=3),
    Column("data", rank=3),
    Column("map", rank=3),
    Column("finish", rank=3),
    Column("GB/s", rank=4),
    Column("allocates", rank=1),
)

_TIMES = ("ns/pair", "ratio", "lock", "flags", "data", "map", "finish", "GB/s")
"""Columns that say nothing when nothing was timed."""


def _table(result: RunResult, *, ascii_only: bool) -> Table:
    table = Table(_COLUMNS)
    best = winner(result)
    for s in ranked(result):
        good, bad = ("ok", "NOT OK") if ascii_only else ("✓", "✗")
        mark = "" if s.verdict == "unchecked" else good if s.as_expected else bad
        style: Style = "bad" if not s.as_expected else "good" if s.verdict == "exact" else "warn"
        cost = s.ns_per_pair
        split = [_ns(getattr(cost, name)) if cost else "-" for name in ("lock", "flags", "data", "mapping", "finish")]
        ratio = f"{cost.total / best.ns_per_pair.total:.2f}x" if cost and best and best.ns_per_pair else "-"
        frames = _count(s.frames_allocated) if s.frames_allocated else ("nothing" if s.exchanged else "-")
        table.rows.append(
            [
                Cell(s.name, "bold" if s is best else ""),
                Cell(f"{s.verdict} {mark}", style),
                Cell(_count(s.exchanged)),
                Cell(_ns(cost.total) if cost else "-", "bold" if s is best else ""),
                Cell(ratio, "bold" if s is best else ""),
                *(Cell(text, "dim") for text in split),
                Cell(f"{s.gb_per_s:.1f}" if s.gb_per_s else "-", "dim"),
                Cell(frames, "warn" if s.frames_allocated else ""),
            ]
        )
    if not any(s.ns_per_pair for s in result.strategies):
        keep = [i for i, column in enumerate(_COLUMNS) if column.head not in _TIMES]
        return Table([_COLUMNS[i] for i in keep], [[row[i] for i in keep] for row in table.rows])
    return table


def _notes(result: RunResult) -> Iterable[Line]:
    """What each strategy lost or refused; refusals that all strategies share are said once."""
    shared = _shared_refusals(result)
    unseen = next((note for note in result.input.details.get("notes", ()) if note.startswith("drawn by the seed")), "")
    pad = max(map(len, ["every one" if shared else "input", *(s.name for s in result.strategies)])) + 2
    if shared:
        ran = sum(s.exchanged > 0 for s in result.strategies)
        who = "by all" if ran == len(result.strategies) else "by all that exchange"
        text = f"{sum(shared.values()):,} pairs are refused {who}, untouched: {_refusals(shared)}"
        yield Line([Cell("every one".ljust(pad), "dim"), Cell(text)], indent=pad)
    if result.input.kind == "live" or result.input.details.get("partial"):
        for note in result.input.details.get("notes", ()):
            if note != unseen:
                yield Line([Cell("input".ljust(pad), "dim"), Cell(note, "warn")], indent=pad)
    if unseen and any(lost.kind == "flag" for s in result.strategies for lost in s.lost):
        yield Line([Cell("flags".ljust(pad), "dim"), Cell(unseen, "dim")], indent=pad)
    for s in ranked(result):
        cells: list[Cell] = []
        flags = [lost for lost in s.lost if lost.kind == "flag"]
        other = [lost for lost in s.lost if lost.kind != "flag"]
        if flags:
            names = ", ".join(f"{lost.name} ({_pages(lost.count)})" for lost in flags)
            cells.append(Cell(f"loses flags: {names}", "warn" if s.as_expected else "bad"))
        if other:
            names = "; ".join(_lost(x.kind, x.name, x.count, x.example) for x in other)
            cells.append(Cell(f"breaks {names}", "bad"))
        own = {name: n for name, n in s.refused.items() if shared.get(name) != n or not s.exchanged}
        if own:
            what = "refuses every pair" if not s.exchanged else f"refuses {sum(own.values()):,} pairs"
            cells.append(Cell(f"{what}, untouched: {_refusals(own, s.reason)}"))
        if len(s.moved) > 1:
            first, *others = [f"{name} exchanges {_count(n)}" for name, n in s.moved.items()]
            cells.append(Cell(f"of its movers {first}, {', '.join(others)} for want of a frame"))
        if s.reason and "EBADMSG" not in own:
            cells.append(Cell(s.reason, "bad" if not s.as_expected else ""))
        if not s.as_expected and s.verdict != "not run":
            cells.append(Cell(f"expected: {s.expected}", "bad"))
        cells += [Cell(f"{name}: {_told(value)}") for name, value in s.report.items()]
        for i, cell in enumerate(cells):
            yield Line([Cell((s.name if i == 0 else "").ljust(pad), "dim"), cell], indent=pad)


def _told(value: object) -> str:
    """What a plug-in reports, on a line: `data: calls 3, items 6,157`; a list is counted, zeros left out."""
    if isinstance(value, dict):
        nested = any(isinstance(item, dict) for item in value.values())
        parts = [f"{key}: {_told(item)}" if nested else f"{key} {_told(item)}" for key, item in value.items() if item]
        return ("; " if nested else ", ").join(parts)
    if isinstance(value, list | tuple):
        return f"{len(value):,} lines, which --json has"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _shared_refusals(result: RunResult) -> dict[str, int]:
    """errno -> pairs that every strategy which exchanges anything refuses alike."""
    ran = [s.refused for s in result.strategies if s.exchanged]
    if len(ran) < 2:
        return {}
    return {name: n for name, n in ran[0].items() if all(other.get(name) == n for other in ran[1:])}


def _refusals(refused: dict[str, int], reason: str = "") -> str:
    """Each errno with its number and its meaning; `reason` is the better meaning of a broken contract."""
    meaning = MEANING | ({"EBADMSG": reason} if reason else {})
    parts = sorted(refused.items(), key=lambda item: -item[1])
    return ", ".join(f"{n:,} {name}" + (f" ({meaning[name]})" if name in meaning else "") for name, n in parts)


def _lost(kind: str, name: str, count: int, example: str) -> str:
    what = kind if name in ("", kind) else f"{kind} {name}"
    return f"{what} ({_pages(count)})" + (f", first: {example}" if example else "")


def _pressure(result: RunResult) -> Iterable[Block]:
    """The second table: what being short of free frames does to each strategy."""
    nodes = ", ".join(f"{node['name']} {node['free']:,}" for node in result.input.nodes)
    asked = result.input.free or 0
    left = "no free frame" if asked == 0 else "1 free frame" if asked == 1 else f"{_count(asked)} free frames"
    if any(int(node["free"]) < asked for node in result.input.nodes):
        left = f"at most {left}"
    yield Line([Cell("Under pressure", "bold"), Cell(f"  {left} left per node" + (f" ({nodes})" if nodes else ""))])
    table = Table(
        (
            Column("strategy", left=True),
            Column("exchanged"),
            Column("frames asked"),
            Column("frames got"),
            Column("below low"),
            Column("below min"),
            Column("ENOMEM"),
        )
    )
    for s in ranked(result):
        if s.verdict in ("failed", "not run"):
            continue
        short: Style = "warn" if s.frames_asked > s.frames_allocated else ""
        table.rows.append(
            [
                Cell(s.name),
                Cell(_count(s.exchanged)),
                Cell(_count(s.frames_asked), "warn" if s.frames_asked else ""),
                Cell(_count(s.frames_allocated), short),
                Cell(_count(s.below_low), "warn" if s.below_low else ""),
                Cell(_count(s.below_min), "warn" if s.below_min else ""),
                Cell(_count(s.refused.get("ENOMEM", 0)), short),
            ]
        )
    yield Line([])
    yield table
    units = "exchanged and ENOMEM count pairs; below low and below min count requests for a folio's frames."
    yield Line([Cell(units, "dim")])


def _closing(result: RunResult) -> Line:
    best = winner(result)
    text: list[Cell] = []
    if result.interrupted:
        text.append(Cell("Interrupted: what was measured until then is shown. ", "warn"))
    if best and best.ns_per_pair:
        text += [Cell(best.name, "bold"), Cell(" " + _why(result, best))]
    text += [Cell(f"{warning} ", "bad") for warning in result.warnings]
    wrong = [s.name for s in result.strategies if not s.as_expected and s.verdict != "not run"]
    left = [s.name for s in result.strategies if s.verdict == "not run"]
    if left:
        text.append(Cell(f"Not run: {', '.join(left)}. ", "warn"))
    n = len(result.strategies)
    if wrong:
        text.append(Cell(f"NOT as expected: {', '.join(wrong)}.", "bad"))
    elif any(s.verdict == "unchecked" for s in result.strategies):
        text.append(Cell("Nothing was verified.", "warn"))
    elif n and result.as_expected:
        text.append(Cell("It did as expected." if n == 1 else f"All {n} did as expected.", "good"))
    return Line(text)


def _why(result: RunResult, best: StrategyResult) -> str:
    """How far the winner is ahead of the next one that loses nothing, and whether every round agrees."""
    assert best.ns_per_pair
    took = "allocates nothing" if not best.frames_allocated else f"allocates {_count(best.frames_allocated)} frames"
    exact = [s for s in ranked(result) if s.verdict == "exact" and s.ns_per_pair and s is not best]
    if not exact:
        return f"takes {_ns(best.ns_per_pair.total)} ns per pair and {took}. "
    second = exact[0]
    assert second.ns_per_pair
    mine = {r.round: r.ns.total / r.exchanged for r in best.rounds if r.exchanged}
    theirs = {r.round: r.ns.total / r.exchanged for r in second.rounds if r.exchanged}
    both = mine.keys() & theirs.keys()
    ahead = sum(mine[r] < theirs[r] for r in both)
    ratio = second.ns_per_pair.total / best.ns_per_pair.total
    n = len(both)
    of = "the one round" if n == 1 else f"{n} rounds"
    if ratio < 1.03 or not clear(ahead, n):
        return (
            f"and {second.name} are level ({ratio:.2f}x apart, {best.name} ahead in {ahead} of {of}): "
            f"{_ns(best.ns_per_pair.total)} ns per pair; {best.name} {took}. "
        )
    rounds = f"all {of}" if ahead == n else f"{ahead} of {of}"
    if n == 1:
        return (
            f"is ahead in {of}: {_ns(best.ns_per_pair.total)} ns per pair, {ratio:.2f}x faster than "
            f"{second.name}; it {took} and loses nothing. "
        )
    return (
        f"wins: {_ns(best.ns_per_pair.total)} ns per pair, {ratio:.2f}x faster than {second.name}, ahead in {rounds}; "
        f"it {took} and loses nothing. "
    )


def clear(ahead: int, n: int) -> bool:
    """Whether being ahead in so many of `n` rounds is more than luck: at most 5 % by a fair coin (sign test).

    Fewer than five rounds can never say so; there all of them must agree.
    """
    if n < 5:
        return ahead == n
    tail: int = sum(math.comb(n, k) for k in range(ahead, n + 1))
    return tail * 20 <= 1 << n


def _legend(result: RunResult, *, ascii_only: bool) -> Line:
    good, bad = ("ok", "NOT OK") if ascii_only else ("✓", "✗")
    times = (
        "ns per exchanged pair and its parts from lock to finish, medians of the rounds; ratio to the fastest that "
        "loses nothing (lower is better); "
    )
    if not any(s.ns_per_pair for s in result.strategies):
        times = ""
    return Line([Cell(f"How to read: {times}frames allocated; {good} as expected, {bad} not.", "dim")])


def _pages(n: int) -> str:
    return "1 page" if n == 1 else f"{n:,} pages"


def _ns(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 or value == 0 else f"{value:.1f}"


def _count(n: int) -> str:
    return f"{n:,}" if n < 1_000_000 else f"{n / 1e6:.2f} M"


def lines(report: Sequence[Block], width: int) -> list[list[Cell]]:
    """The report as lines of styled text, each within `width` characters where the words allow it."""
    out: list[list[Cell]] = []
    for block in report:
        out += _grid(block.fitted(width), width) if isinstance(block, Table) else _flow(block, width)
    return out


def plain(report: Sequence[Block], width: int = 100) -> str:
    """The report without colour: for a pipe, a file, a dumb terminal."""
    return "\n".join("".join(cell.text for cell in line).rstrip() for line in lines(report, width)) + "\n"


def show(report: Sequence[Block], console: Console) -> None:
    """The report in colour, on a terminal."""
    from rich.text import Text  # slow to import, and not needed in a pipe

    for line in lines(report, console.width):
        text = Text()
        for cell in line:
            text.append(cell.text, RICH_STYLES[cell.style])
        console.print(text, no_wrap=True, overflow="ignore", crop=False)


def _grid(table: Table, width: int) -> list[list[Cell]]:
    widths = table.widths()
    if table.columns[-1].prose:
        widths[-1] = max(PROSE, width - sum(widths[:-1]) - 2 * (len(widths) - 1))
    out = []
    for row in [[Cell(column.head, "bold") for column in table.columns], *table.rows]:
        line: list[Cell] = []
        more: list[list[Cell]] = []
        for cell, space, column in zip(row, widths, table.columns, strict=True):
            line.append(Cell("  " if line else ""))
            if column.prose:
                start, *more = _flow(Line([cell]), space)
                line += start
            else:
                line.append(Cell(cell.text.ljust(space) if column.left else cell.text.rjust(space), cell.style))
        indent = Cell(" " * (sum(widths[:-1]) + 2 * (len(widths) - 1)))
        out += [line, *([indent, *rest] for rest in more)]
    return out


def _flow(line: Line, width: int) -> list[list[Cell]]:
    """Words of a line into lines of at most `width`, each word keeping its style."""
    out: list[list[Cell]] = [[]]
    used = 0
    for cell in line.cells:
        for piece in re.findall(r"\s+|\S+", cell.text):
            if used + len(piece) > width and not piece.isspace() and used > line.indent:
                out.append([Cell(" " * line.indent)])
                used = line.indent
            before = out[-1].pop().text if out[-1] and out[-1][-1].style == cell.style else ""
            out[-1].append(Cell(before + piece, cell.style))
            used += len(piece)
    for cells in out:  # no space at a line's end, where it would go beyond the width
        while cells and cells[-1].text.isspace():
            cells.pop()
        if cells:
            cells[-1] = Cell(cells[-1].text.rstrip(), cells[-1].style)
    return out
