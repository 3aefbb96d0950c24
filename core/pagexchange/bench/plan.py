"""What will be measured: points, cells, what they take, and which of them are alive together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pagexchange.bench.axes import Point, Points, points
from pagexchange.bench.catalogue import OTHERS
from pagexchange.bench.scenes import SPARE
from pagexchange.errors import ConfigError, Problem, did_you_mean
from pagexchange.host.discovery import Registry
from pagexchange.host.resolved import resolved
from pagexchange.model.config import AXES, Config, StrategySpec
from pagexchange.runs.cells import distributions
from pagexchange.samples.naming import cell_id
from pagexchange.samples.schema import Clock, Planned
from pagexchange_native.arena import backing

PROCESS: Final = 96 << 20
"""Bytes that a cell's process takes beside its arena."""
TABLES: Final = 4
"""Copies of an arena's tables that the oracle makes."""
SHARE: Final = 0.7
"""Of the available memory that cells may take."""
ALIVE: Final = 64
"""Processes at one time, at most."""
PAIRS: Final = 4096
"""Base pages of each node that a turn exchanges, about."""
CALLS: Final = 1024
"""Calls of a turn at most: each of them is kept."""
_START: Final = 0.7
_FILL: Final = 1.6e-9
_PAIR: Final = 1.5e-6
"""Seconds: of a process's start, of a byte of its pages (made, stamped, checked), of a pair of base pages."""


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell of the plan, and what its process is to be told."""

    planned: Planned
    point: Point
    bytes: int
    """Memory that its process takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a bench will do."""

    config: Config
    cells: tuple[PlannedCell, ...]
    points: Points
    left_out: tuple[str, ...]
    """Cells that there are not, a sentence each."""
    reference: str
    memory: int
    """Bytes that cells may take at one time."""

    @property
    def rounds(self) -> int:
        """Turns of each cell that are counted."""
        return self.config.bench.rounds

    @property
    def seconds(self) -> float:
        """About, on a machine that does nothing else."""
        return sum(_START + _FILL * c.point.size + (self.rounds + 1) * 1.3 * _turn_seconds(c) for c in self.cells)

    @property
    def bytes(self) -> int:
        """Memory that is taken at one time, at most."""
        return max((sum(c.bytes for c in group) for _, groups in self.groups() for group in groups), default=0)

    def axes(self) -> dict[str, list[Any]]:
        """Axis -> its values in the plan, in their order."""
        found = self.points.points
        return {axis: list(dict.fromkeys(getattr(point, axis) for point in found)) for axis in AXES}

    def groups(self) -> Iterator[tuple[Point, list[list[PlannedCell]]]]:
        """Yield each point with its cells in groups that are alive together: one, where memory allows it.

        Each group has the reference: only what takes turns with it is compared with it.
        """
        for point in self.points.points:
            yield point, grouped([c for c in self.cells if c.point == point], self.reference, self.memory)


def _turn_seconds(cell: PlannedCell) -> float:
    pairs = max(cell.point.batch, min(PAIRS >> cell.point.order, CALLS * cell.point.batch))
    return _PAIR * (pairs << cell.point.order) * cell.point.page_size / 4096 + 1e-5 * pairs / cell.point.batch


def grouped(cells: Sequence[PlannedCell], reference: str, memory: int) -> list[list[PlannedCell]]:
    """Share out the cells of a point: as few groups as memory allows, each with the reference."""
    first = [cell for cell in cells if cell.planned.name == reference]
    others = [cell for cell in cells if cell.planned.name != reference]
    room = memory - sum(cell.bytes for cell in first)
    groups: list[list[PlannedCell]] = [[]]
    for cell in others:
        taken = sum(c.bytes for c in groups[-1])
        if groups[-1] and (taken + cell.bytes > room or len(first) + len(groups[-1]) == ALIVE):
            groups.append([])
        groups[-1].append(cell)
    return [first + group for group in groups if first or group]


def plan(
    config: Config,
    specs: Iterable[StrategySpec],
    *,
    caches: dict[str, int] | None,
    cpus: int,
    memory: int | None = None,
) -> Plan:
    """Plan a bench of some strategies.

    Parameters
    ----------
    caches, cpus
        As of `axes.points`.
    memory
        Bytes that cells may take at one time; by default what the file says, or a share of what is available.

    Raises
    ------
    ConfigError
        A peer that there is not, a reference that is not among the cells, or not one point is possible.
    """
    strategies = list(specs)
    asked = config.bench.peers
    names = [name for name, other in OTHERS.items() if other.usual] if asked is None else list(dict.fromkeys(asked))
    problems = [
        f"bench.peers: unknown peer or limit {name!r}{did_you_mean(name, OTHERS)}"
        for name in names
        if name not in OTHERS
    ]
    problems += [
        f"strategy {spec.name!r} has the name of a peer or a limit: give it another one"
        for spec in strategies
        if spec.name in names
    ]
    reference = config.bench.reference
    missing = {name: why for name in names if name in OTHERS and (why := OTHERS[name].why_not(config))}
    left_out = [f"{name}: {why}" for name, why in missing.items()]
    names = [name for name in names if name not in missing]
    everybody = [*names, *(spec.name for spec in strategies)]
    if reference not in everybody:
        # Without its peers a run still has somebody to be compared with.
        if asked is None or reference != type(config.bench)().reference:
            why = f": {missing[reference]}" if reference in missing else did_you_mean(reference, everybody)
            problems.append(f"bench.reference: {reference!r} is not measured{why}")
        reference = strategies[0].name if strategies else ""
    found = points(config.bench, caches, cpus)
    if not found.points:
        problems += [f"bench: not one point is possible: {why}" for why in found.left_out]
    if problems:
        raise ConfigError([Problem(config.origin, problem) for problem in problems])
    cells: list[PlannedCell] = []
    registry = Registry(config.block)
    for point in found.points:
        for name in names:
            other = OTHERS[name]
            if point.threads > 1 and not other.threads:
                left_out.append(f"{name}: one thread only")
                continue
            cells.append(_cell(config, name, None, point, {}))
        cells += [_cell(config, spec.name, spec, point, distributions(registry, [spec])) for spec in strategies]
    if memory is None:
        memory = int(config.bench.memory or backing.memory_available() * SHARE)
    return Plan(config, tuple(cells), found, tuple(dict.fromkeys(left_out)), reference, memory)


def digest(config: Config) -> str:
    """Of the pages: they follow from the seed and the point."""
    return hashlib.sha256(json.dumps(["bench", config.run.seed, config.layout.text]).encode()).hexdigest()


def _cell(
    config: Config, name: str, spec: StrategySpec | None, point: Point, distributions: dict[str, str]
) -> PlannedCell:
    kind = "strategy" if spec else OTHERS[name].kind
    own = resolved(config, [spec])["strategy"][name] | {"summary": ""} if spec else None
    what = {"name": name, "kind": kind, "strategy": own}
    # Several threads are for the time that passes; one is for what it costs.
    clock: Clock = "wall" if max(config.bench.threads) > 1 else "cpu"
    planned = Planned(
        id=cell_id(what, digest=digest(config), distributions=distributions, point=point.values()),
        name=name, kind=kind, point=point.values(), clock=clock,
    )  # fmt: skip
    frames = 2 * (point.frames + SPARE)
    arena = frames * (point.page_size + (1 + TABLES) * backing.METADATA)
    return PlannedCell(planned, point, arena + PROCESS)
