"""What a bench found: figures with intervals for each cell, by point, from the samples alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pagexchange.exits import EXIT_INPUT, EXIT_OK, EXIT_PLUGIN, EXIT_UNEXPECTED, EXIT_UNTRUSTED
from pagexchange.measure import trust
from pagexchange.model.config import Expect, StrategySpec
from pagexchange.runs.result import judge
from pagexchange.samples import turns
from pagexchange.samples.folder import Folder
from pagexchange.samples.schema import Cell, Planned
from pagexchange.samples.statistics import Interval, Relation, Values, median, ratio, relation

PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)
FEWEST: Final = 3
"""Rounds in common, to go by."""
LEAST: Final = 3
"""Calls beyond a percentile that it takes to claim it: one or two are luck."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall time of calls, nanoseconds."""

    calls: int
    pairs: float
    """Of one call."""
    at: dict[float, float | None]
    """Percentile -> time; None: too few calls to know."""
    worst: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell and what its samples say."""

    planned: Planned
    cell: Cell | None
    """None: it was not finished."""
    costs: dict[int, float]
    """ns per exchanged pair by round, of the samples that count, by the cell's clock."""
    cost: Interval | None
    ratio: Interval | None
    """To the reference at this point."""
    relation: Relation | None
    latency: Latency | None
    clean: bool
    """False: most of its turns were pushed aside, and nothing can be made of its figures."""
    aside: int
    """Turns that stayed pushed aside."""
    turns: int

    @property
    def name(self) -> str:
        """Of the strategy, peer or limit."""
        return self.planned.name


@dataclass(frozen=True, slots=True)
class PointFigures:
    """All cells of one point on one host, the reference's ratios being to its cell there."""

    point: dict[str, Any]
    host: str
    figures: tuple[Figure, ...]

    def of(self, name: str) -> Figure | None:
        """The figure of a cell by its name."""
        return next((figure for figure in self.figures if figure.name == name), None)


def summary(folder: Folder) -> list[PointFigures]:
    """Return the figures of every point, in the order of the plan, host by host."""
    manifest = folder.manifest
    samples = turns.by_cell(folder.samples())
    points: dict[str, list[Planned]] = {}
    for planned in manifest.cells:
        points.setdefault(repr(planned.point), []).append(planned)
    found = []
    for host in folder.hosts:
        for cells in points.values():
            reference = next((c for c in cells if c.name == manifest.reference), None)
            to = turns.costs(turns.counted(samples.get((reference.id, host), [])), reference.clock) if reference else {}
            figures = [_figure(c, folder.cells.get((c.id, host)), samples.get((c.id, host), []), to) for c in cells]
            found.append(PointFigures(cells[0].point, host, tuple(figures)))
    return found


def _figure(planned: Planned, cell: Cell | None, samples: Sequence[Any], to: dict[int, float]) -> Figure:
    final, counted = turns.final(samples), turns.counted(samples)
    costs = turns.costs(counted, planned.clock)
    compared = ratio(*side_by_side(costs, to)) if costs and to else None
    aside = [sample.aside for sample in final]
    return Figure(
        planned, cell, costs, median(costs) if costs else None, compared, relation(compared) if compared else None,
        latency(counted), trust.clean(aside), sum(aside), len(final),
    )  # fmt: skip


def side_by_side(one: dict[int, float], other: dict[int, float]) -> tuple[Values, Values]:
    """Samples of two cells by the rounds that both have; as plain lists where these are too few for an interval."""
    common = sorted(one.keys() & other.keys())
    if len(common) < FEWEST:
        return list(one.values()), list(other.values())
    return {number: one[number] for number in common}, {number: other[number] for number in common}


def latency(samples: Sequence[Any]) -> Latency | None:
    """Percentiles of the calls of some samples, all calls alike; None: no call was timed on its own."""
    calls = np.array([ns for sample in samples for ns in sample.call_ns], np.float64)
    if not len(calls):
        return None
    pairs = sum(sample.pairs for sample in samples) / sum(sample.calls for sample in samples)
    at = {
        # "higher": a call that there was, and never less than the share says
        p: float(np.percentile(calls, p, method="higher"))
        if len(calls) * (100 - p) >= 100 * LEAST or p == 50.0
        else None
        for p in PERCENTILES
    }
    return Latency(len(calls), pairs, at, int(calls.max()))


def exit_code(found: Sequence[PointFigures], specs: Sequence[StrategySpec]) -> int:
    """Return what a bench ends with: the gravest thing that is to be said of a cell."""
    figures = [figure for point in found for figure in point.figures]
    expected: dict[str, Expect] = {spec.name: spec.expect for spec in specs}
    if not any(figure.costs for figure in figures):
        return EXIT_INPUT
    if any(figure.cell and figure.cell.error and not missing(figure.cell) for figure in figures):
        return EXIT_PLUGIN
    verdicts: set[tuple[str, Any]] = {
        (figure.name, figure.cell.verdict) for figure in figures if figure.cell and figure.cell.verdict
    }
    if any(not judge(expected[name], verdict, pressure=False) for name, verdict in verdicts if name in expected):
        return EXIT_UNEXPECTED
    return EXIT_OK if all(figure.clean for figure in figures) else EXIT_UNTRUSTED


def missing(cell: Cell) -> bool:
    """Whether a cell is not there because this machine has not what it needs."""
    return cell.exit == EXIT_INPUT and cell.kind != "strategy"
