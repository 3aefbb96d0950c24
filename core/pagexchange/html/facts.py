"""What a run folder says, put in order for a page: hosts, points, and each cell with its figures.

Every figure is one of `samples.statistics`, of the samples that `samples.turns` counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, get_args

from pagexchange.html.words import Point, Value
from pagexchange.measure import trust
from pagexchange.samples import statistics, turns
from pagexchange.samples.schema import Clock
from pagexchange.samples.statistics import Interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pagexchange.samples.folder import Folder
    from pagexchange.samples.schema import Cell, Kind, Manifest, Planned, Sample

Place: TypeAlias = tuple[str, Point, str]
"""Host, point, name."""


@dataclass(frozen=True)
class Measured:
    """A cell on a host."""

    name: str
    """The planned one's; where another configuration has the same name at the same point, with its id."""
    planned: Planned
    host: str
    point: Point
    cell: Cell | None
    """How it ended; None: its process did not come to an end, or was not begun."""
    samples: list[Sample]
    """All of them, also those that were pushed aside and taken again."""

    @cached_property
    def counted(self) -> list[Sample]:
        """The samples that its figures are made of."""
        return turns.counted(self.samples)

    @cached_property
    def trusted(self) -> bool:
        """Whether most of its turns were not pushed aside."""
        return trust.clean([sample.aside for sample in turns.final(self.samples)])

    @property
    def cpu(self) -> Interval | None:
        """CPU time, nanoseconds per pair; None: no pair was exchanged."""
        return self._values["cpu"]

    @property
    def wall(self) -> Interval | None:
        """Time that passed, nanoseconds per pair."""
        return self._values["wall"]

    @property
    def value(self) -> Interval | None:
        """By the clock that ratios are made of."""
        return self._values[self.planned.clock]

    @cached_property
    def _values(self) -> dict[Clock, Interval | None]:
        return {clock: self._median(clock) for clock in get_args(Clock)}

    def costs(self, clock: Clock) -> dict[int, float]:
        """Nanoseconds per pair, or per access, by round; those that clocks could not tell from nothing are left out."""
        return {round: cost for round, cost in turns.costs(self.counted, clock).items() if cost > 0}

    def to(self, reference: Measured) -> Interval | None:
        """The ratio to another cell, by this one's clock."""
        return compared(self.costs(self.planned.clock), reference.costs(self.planned.clock))

    def _median(self, clock: Clock) -> Interval | None:
        costs = self.costs(clock)
        return statistics.median(costs) if costs else None


class Facts:
    """A folder, in order.

    Attributes
    ----------
    hosts : list[str]
    names : list[str]
        Of strategies, peers and limits, in the order of the plan.
    points : list[Point]
        By the axes, the values of each in their order; the last axis changes fastest.
    axis : str
        Along which points are compared, and which changes fastest; empty: there is one point.
    varying : list[str]
        Axes with more than one value among the points, `axis` last.
    free : list[str]
        Those of them that points are told apart by: not one that follows from the others, as the pairs of a call do
        from the working set, where that has fewer than were asked for.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.manifest: Manifest = folder.manifest
        self.hosts = sorted(folder.hosts)
        values = _axes(self.manifest)
        varying = [axis for axis, found in values.items() if len(found) > 1]
        self.axis = _principal(varying, values, self.manifest)
        self.varying = sorted(varying, key=lambda axis: axis == self.axis)
        order = [axis for axis in values if axis != self.axis] + ([self.axis] if self.axis else [])
        self._by_place = self._measured(folder, order)
        self._kinds: dict[str, Kind] = {one.name: one.planned.kind for one in self._by_place.values()}
        self.names = list(self._kinds)
        rank = {axis: {value: n for n, value in enumerate(found)} for axis, found in values.items()}
        self.points = sorted(
            {point for _, point, _ in self._by_place}, key=lambda point: [rank[axis][value] for axis, value in point]
        )
        self.free = self._free()

    def _free(self) -> list[str]:
        found = self.varying
        for axis in self.varying:
            without = [other for other in found if other != axis]
            told = {tuple(dict(point).get(other) for other in without) for point in self.points}
            if axis != self.axis and len(told) == len(self.points):
                found = without
        return found

    def _measured(self, folder: Folder, order: list[str]) -> dict[Place, Measured]:
        samples = turns.by_cell(folder.samples())
        found: dict[Place, Measured] = {}
        for planned in self.manifest.cells:
            point = tuple((axis, planned.point[axis]) for axis in order if axis in planned.point)
            for host in self.hosts:
                key, name = (planned.id, host), planned.name
                if (host, point, name) in found:
                    name = f"{name} {planned.id}"
                found[host, point, name] = Measured(
                    name, planned, host, point, folder.cells.get(key), samples.get(key, [])
                )
        return found

    def at(self, host: str, point: Point) -> list[Measured]:
        """The cells of a point on a host that were begun, in the order of the plan."""
        found = (self._by_place.get((host, point, name)) for name in self.names)
        return [one for one in found if one is not None and (one.samples or one.cell is not None)]

    def one(self, host: str, point: Point, name: str) -> Measured | None:
        """A cell on a host, begun or not."""
        return self._by_place.get((host, point, name))

    def kind(self, name: str) -> Kind:
        """What the cells of a name are."""
        return self._kinds[name]

    def all(self) -> Iterable[Measured]:
        """Every cell on every host, also those that were not begun."""
        return self._by_place.values()

    def reference(self, host: str, point: Point) -> Measured | None:
        """What ratios at a point are to: what the manifest names, or the fastest strategy that loses nothing."""
        if self.manifest.reference:
            return self._by_place.get((host, point, self.manifest.reference))
        return self.fastest(host, point)

    def fastest(self, host: str, point: Point) -> Measured | None:
        """The strategy with the least median; of those that lose nothing, if there is one."""
        there = [one for one in self.at(host, point) if one.planned.kind == "strategy" and one.value is not None]
        sound = [one for one in there if one.cell is not None and one.cell.verdict in ("exact", "unchecked", "")]
        return min(sound or there, key=lambda one: one.value.middle if one.value else 0.0, default=None)

    def ratio(self, one: Measured) -> Interval | None:
        """The ratio of a cell to the reference at its point; of the reference itself none."""
        key = (one.host, one.point, one.name)
        if key not in self._ratios:
            reference = self.reference(one.host, one.point)
            self._ratios[key] = None if reference is None or reference is one else one.to(reference)
        return self._ratios[key]

    @cached_property
    def _ratios(self) -> dict[Place, Interval | None]:
        return {}

    def rest(self, point: Point, axis: str) -> Point:
        """What a point has in common with others along an axis: the values of the other axes."""
        return tuple((name, value) for name, value in point if name != axis and name in self.free)

    def along(self, axis: str) -> dict[Point, list[Point]]:
        """Points that differ in one axis alone, by what they have in common."""
        found: dict[Point, list[Point]] = {}
        for point in self.points:
            found.setdefault(self.rest(point, axis), []).append(point)
        return found

    def shown(self, point: Point) -> Point:
        """The part of a point that is not the same everywhere, what it is told from others by first."""
        varying = [pair for pair in point if pair[0] in self.varying]
        return tuple(sorted(varying, key=lambda pair: (pair[0] not in self.free, pair[0] != self.axis)))

    @property
    def fixed(self) -> Point:
        """The axes that have one value in the whole run."""
        first = self.points[0] if self.points else ()
        return tuple((axis, value) for axis, value in first if axis not in self.varying)


def compared(costs: dict[int, float], to: dict[int, float]) -> Interval | None:
    """The ratio of two cells of one run: of the rounds that both have, if there is one, else of all."""
    if not costs or not to:
        return None
    both = costs.keys() & to.keys()
    if not both:
        return statistics.ratio([*costs.values()], [*to.values()])
    return statistics.ratio({n: costs[n] for n in sorted(both)}, {n: to[n] for n in sorted(both)})


def _axes(manifest: Manifest) -> dict[str, list[Value]]:
    """Axis -> its values among the points, in order: numbers by size, words as they were asked for."""
    found: dict[str, dict[Value, None]] = {axis: {} for axis in manifest.axes}
    for planned in manifest.cells:
        for axis, value in planned.point.items():
            found.setdefault(axis, {})[value] = None
    ordered: dict[str, list[Value]] = {}
    for axis, values in found.items():
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) == len(values):
            ordered[axis] = [*sorted(numbers)]
        else:
            asked = [value for value in manifest.axes.get(axis, []) if value in values]
            ordered[axis] = [*dict.fromkeys([*asked, *values])]
    return ordered


def _principal(varying: list[str], values: dict[str, list[Value]], manifest: Manifest) -> str:
    """The axis with the most values; threads, which have a picture of their own, only where there is no other."""
    asked = [axis for axis in varying if len(manifest.axes.get(axis, (0, 1))) > 1] or varying
    others = [axis for axis in asked if axis != "threads"] or asked
    return max(others, key=lambda axis: len(values[axis]), default="")
