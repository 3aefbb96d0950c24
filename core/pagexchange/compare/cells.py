"""The cells of a side, by what they measured: ids differ from version to version, names and points do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pagexchange.measure import trust
from pagexchange.samples import turns

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from pagexchange.compare.sides import Side
    from pagexchange.samples.across import Logs
    from pagexchange.samples.schema import Cell, Clock, Planned, Sample

Place: TypeAlias = tuple[tuple[str, str], ...]
"""Of the axes: sorted (axis, value in words)."""
Key: TypeAlias = tuple[str, str, Place, str]
"""Kind, name, place, host."""
Costs: TypeAlias = dict[int, float]
"""Round -> logarithm of nanoseconds per pair."""


@dataclass
class Series:
    """A cell of one side, run by run."""

    planned: Planned
    host: str
    clock: Clock
    runs: list[Costs | None] = field(default_factory=list)
    """For each run of the side, in their order; None: that one has no time of it."""
    aside: bool = False
    """In one of the runs most turns were pushed aside."""
    cells: list[Cell] = field(default_factory=list)

    @property
    def timed(self) -> bool:
        """Whether any run has a time of it."""
        return any(self.runs)

    @property
    def ns(self) -> float:
        """Geometric mean of the runs' medians, nanoseconds per pair."""
        return float(np.exp(_mean([_median(run) for run in self.runs if run])))

    @property
    def why_not(self) -> str:
        """Why there is no time of it."""
        said = [cell.error or cell.verdict for cell in self.cells if cell.error or cell.verdict]
        return said[0] if said else "it has no samples"

    @property
    def outcome(self) -> str:
        """How its pages fared: what the oracle said, and what was lost; of several runs the worst, as words."""
        found = {_outcome(cell) for cell in self.cells}
        return ", ".join(sorted(found))


def by_wall(side: Side, names: Mapping[str, str]) -> set[Key]:
    """Return the cells of a side that were measured by wall time; the other side's are then compared by it, too."""
    return {
        _key(planned, names.get(host, host))
        for folder in side.folders
        for planned in folder.manifest.cells
        for host in folder.hosts
        if planned.clock == "wall"
    }


def series(side: Side, names: Mapping[str, str], wall: Container[Key]) -> dict[Key, Series]:
    """Return the cells of a side.

    Parameters
    ----------
    names
        Of its machines, as the other side calls them.
    wall
        Cells that are compared by wall time.
    """
    found: dict[Key, Series] = {}
    for number, folder in enumerate(side.folders):
        samples = turns.by_cell(folder.samples())
        for planned in folder.manifest.cells:
            for host in folder.hosts:
                key = _key(planned, names.get(host, host))
                clock = "wall" if key in wall else planned.clock
                one = found.setdefault(key, Series(planned, key[3], clock, [None] * len(side.folders)))
                taken = samples.get((planned.id, host), [])
                one.runs[number] = _costs(taken, clock)
                one.aside |= not trust.clean([sample.aside for sample in turns.final(taken)])
                if (planned.id, host) in folder.cells:
                    one.cells.append(folder.cells[planned.id, host])
    return found


def _key(planned: Planned, host: str) -> Key:
    return planned.kind, planned.name, place(planned.point), host


def place(point: dict[str, str | int | float | bool]) -> Place:
    """Return a point in a form that can be looked up."""
    return tuple(sorted((axis, str(value)) for axis, value in point.items()))


def beside(one: Series, against: Sequence[Series]) -> list[Costs | None]:
    """Return a cell's runs, less what others did that were measured beside it; None where one of them has no time.

    What the machine did in a round, and where the arena lay in a run, hits all of them alike, and goes out.
    """
    return [_less(run, [other.runs[number] for other in against]) for number, run in enumerate(one.runs)]


def together(several: Sequence[list[Costs | None]]) -> list[Costs | None]:
    """Return several cells as one, run by run; None where one of them has no time.

    Its median in a run is the mean of theirs, and its rounds lie about that as the means of their rounds do.
    """
    found: list[Costs | None] = []
    for runs in zip(*several, strict=True):
        known = [run for run in runs if run]
        common = set.intersection(*map(set, known)) if len(known) == len(runs) else set()
        rounds = {turn: _mean([run[turn] for run in known]) for turn in sorted(common)}
        if not rounds:
            found.append(None)
            continue
        shift = _mean([_median(run) for run in known]) - _median(rounds)
        found.append({turn: value + shift for turn, value in rounds.items()})
    return found


def logs(runs: Sequence[Costs | None]) -> list[Logs]:
    """Return the runs that have times, each as an array in the order of its rounds."""
    return [np.array([run[turn] for turn in sorted(run)]) for run in runs if run]


def _less(run: Costs | None, others: list[Costs | None]) -> Costs | None:
    there = [other for other in others if other]
    if not run or len(there) < len(others):
        return None
    # Where one of them has no such round, its median stands for it.
    medians = [_median(other) for other in there]
    return {
        turn: value - _mean([other.get(turn, usual) for other, usual in zip(there, medians, strict=True)])
        for turn, value in run.items()
    }


def _median(run: Costs) -> float:
    return float(np.median(list(run.values())))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _costs(samples: list[Sample], clock: Clock) -> Costs | None:
    costs = turns.costs(turns.counted(samples), clock)
    return {turn: float(np.log(cost)) for turn, cost in costs.items() if cost > 0} or None


def _outcome(cell: Cell) -> str:
    lost = f" ({', '.join(sorted(cell.lost))})" if cell.lost else ""
    verdict = f"{cell.verdict}{lost}" if cell.verdict else ""
    return cell.error or verdict
