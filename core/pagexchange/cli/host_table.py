"""Run folders as one table: a row for each cell, columns for each host, ratios within a host and a point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import TYPE_CHECKING, Final, TypeAlias

from rich.text import Text

from pagexchange.cli.layout import Layouts, Paragraph, nanoseconds, table
from pagexchange.measure import trust
from pagexchange.model.words import counted
from pagexchange.samples import statistics, turns
from pagexchange.samples.schema import CLOCKS
from pagexchange.sweep.axes import words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pagexchange.cli.layout import Words
    from pagexchange.samples.schema import Cell, Planned, Sample
    from pagexchange.sweep.merging import Together

MARK: Final = "?"
Costs: TypeAlias = dict[int, float]
"""Round -> nanoseconds per pair."""


def blocks(what: Together) -> list[RenderableType]:
    """The table, with what there is to say below it."""
    return [*_Table(what).blocks()]


class _Table:
    def __init__(self, what: Together) -> None:
        self.what = what
        self.hosts = sorted(what.hosts)
        self.samples = turns.by_cell(what.samples)
        self.costs: dict[tuple[str, str], Costs] = {}
        self.unsure: set[tuple[str, str]] = set()
        for cell in what.manifest.cells:
            for host in self.hosts:
                self._read(cell, host, self.samples.get((cell.id, host), []))
        names = [(cell.name, *cell.point.items()) for cell in what.manifest.cells]
        self.twins = {name for name in names if names.count(name) > 1}

    def _read(self, cell: Planned, host: str, samples: list[Sample]) -> None:
        self.costs[cell.id, host] = turns.costs(turns.counted(samples), cell.clock)
        if not trust.clean([sample.aside for sample in turns.final(samples)]):
            self.unsure.add((cell.id, host))

    def blocks(self) -> Iterator[RenderableType]:
        manifest = self.what.manifest
        parts = [
            counted(len(self.hosts), "host"),
            counted(len(manifest.cells), "cell"),
            counted(len(self.what.samples), "sample"),
            manifest.input.name,
        ]
        yield Paragraph((manifest.name, "bold"), "  " + ", ".join(parts))
        yield Text()
        axes = _short([axis for axis, values in manifest.axes.items() if len(values) > 1])
        each = [f"{host} {head}" for host in self.hosts for head in ("ns/pair", "ratio")]
        heads = [*axes.values(), "strategy", *each]
        rows = [self._row(cell, axes) for cell in manifest.cells]
        left = (*axes.values(), "strategy")
        yield Layouts([table(rows, heads, left=left)], [table(rows, heads, left=left, tall=True)])
        remarks = list(self._remarks())
        if remarks:
            yield Text()
            yield from remarks
        yield Text()
        yield Paragraph((self._legend(), "dim"))

    def _row(self, cell: Planned, axes: Mapping[str, str]) -> dict[str, Words | Text]:
        row: dict[str, Words | Text] = {head: _word(cell.point.get(axis, "")) for axis, head in axes.items()}
        twin = (cell.name, *cell.point.items()) in self.twins
        row["strategy"] = f"{cell.name} ({cell.id[:6]})" if twin else cell.name
        for host in self.hosts:
            costs = self.costs[cell.id, host]
            mark = MARK if (cell.id, host) in self.unsure else ""
            row[f"{host} ns/pair"] = f"{nanoseconds(median(costs.values()))}{mark}" if costs else "-"
            row[f"{host} ratio"] = self._ratio(cell, host)
        return row

    def _ratio(self, cell: Planned, host: str) -> Words:
        costs, reference = self.costs[cell.id, host], self._reference(cell, host)
        if not costs or reference is None:
            return "-"
        if reference.id == cell.id:
            return "1.00x"
        ratio = statistics.ratio(costs, self.costs[reference.id, host])
        if statistics.level(ratio):
            return "level"
        between = f" ({ratio.low:.2f}-{ratio.high:.2f})" if ratio.known else ""
        return f"{ratio.middle:.2f}x{between}"

    def _reference(self, cell: Planned, host: str) -> Planned | None:
        """The cell of the same point that ratios are to: the one that the manifest names, or the fastest."""
        beside = [
            other for other in self.what.manifest.cells if other.point == cell.point and self.costs[other.id, host]
        ]
        named = [other for other in beside if other.name == self.what.manifest.reference]
        return min(named or beside, key=lambda other: median(self.costs[other.id, host].values()), default=None)

    def _remarks(self) -> Iterator[Paragraph]:
        failed: dict[tuple[str, str, str], list[Cell]] = {}
        for cell in self.what.cells.values():
            if cell.error:
                failed.setdefault((cell.name, cell.host, cell.error), []).append(cell)
        for (name, host, error), cells in failed.items():
            where = f"{counted(len(cells), 'point')}, the first {words(cells[0].point)}" if cells[0].point else ""
            yield Paragraph((f"{name} on {host}{f' ({where})' if where else ''}: {error}", "bad"))
        missing = [
            f"{cell.name} on {host}"
            for cell in self.what.manifest.cells
            for host in self.hosts
            if (cell.id, host) not in self.what.cells
        ]
        if missing:
            yield Paragraph((f"{counted(len(missing), 'cell')} not measured, the first: {missing[0]}", "warn"))
        if self.unsure:
            sentence = f"{MARK}: others had the CPU for much of the time in most of its turns: not to be trusted"
            yield Paragraph((sentence, "warn"))

    def _legend(self) -> str:
        to = self.what.manifest.reference or "the fastest"
        clocks = {cell.clock for cell in self.what.manifest.cells}
        return (
            f"Medians of {' and '.join(CLOCKS[clock] for clock in sorted(clocks))}; ratios to {to} "
            "of the same point and host, with their 95 % intervals. level: these samples do not tell them apart."
        )


def _short(axes: list[str]) -> dict[str, str]:
    """Axis -> its head: the last part of its name, where that says which."""
    last = [axis.rpartition(".")[2] for axis in axes]
    return {axis: name if last.count(name) == 1 else axis for axis, name in zip(axes, last, strict=True)}


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else str(value)
