"""What several executions measured, in one folder: every sample once, in rounds that are not mixed up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from pagexchange.samples.schema import Cell, Manifest, Sample

Identity: TypeAlias = tuple[str, str, str, int]


def identity(sample: Sample) -> Identity:
    """Return what no two samples have in common, wherever they were copied to."""
    return sample.cell, sample.host, sample.origin, sample.attempt


def with_origin(samples: Iterable[Sample], manifest: Manifest) -> list[Sample]:
    """Return the samples of a folder, each with its origin: the run, by its name and start, if it has none."""
    run = f"{manifest.name}@{manifest.started}"
    return [
        sample if sample.origin else msgspec.structs.replace(sample, origin=f"{run}:{sample.round}")
        for sample in samples
    ]


class United:
    """Gathers samples; those that are there already are left out.

    Rounds pair samples that were measured side by side: so all of one execution are moved by the same number, behind
    those that its cells have already.
    """

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._there: set[Identity] = set()
        self._moved: dict[tuple[str, str], int] = {}
        self._next: dict[tuple[str, str], int] = {}
        for sample in samples:
            self._take(sample)

    def add(self, samples: Iterable[Sample]) -> list[Sample]:
        """Return those that are new, with the rounds that they have here."""
        executions: dict[tuple[str, str], list[Sample]] = {}
        for sample in samples:
            if identity(sample) not in self._there:
                execution, _ = _turn(sample)
                executions.setdefault((sample.host, execution), []).append(sample)
        new: list[Sample] = []
        for key, group in executions.items():
            first = max(self._next.get((sample.cell, sample.host), 0) for sample in group)
            by = self._moved.get(key, first)
            moved = [msgspec.structs.replace(sample, round=_turn(sample)[1] + by) for sample in group]
            for sample in moved:
                self._take(sample)
            new += moved
        return new

    def _take(self, sample: Sample) -> None:
        execution, number = _turn(sample)
        self._there.add(identity(sample))
        self._moved[sample.host, execution] = sample.round - number
        cell = (sample.cell, sample.host)
        self._next[cell] = max(self._next.get(cell, 0), sample.round + 1)


def _turn(sample: Sample) -> tuple[str, int]:
    """Return the execution that a sample was measured in, and its round there."""
    execution, _, number = sample.origin.rpartition(":")
    return execution, int(number)


def twice(before: Cell | None, cell: Cell) -> Cell:
    """Return one cell of two times that it was measured.

    It tells of the first time, or of that in which something was wrong; how the others ended is kept in its details.
    """
    if before is None:
        return cell
    main = cell if _wrong(cell) and not _wrong(before) else before
    others = []
    for ending in (_ending(before), *_others(before), _ending(cell), *_others(cell)):
        if ending != _ending(main) and ending not in others:
            others.append(ending)
    details = {key: value for key, value in main.details.items() if key != "others"}
    return msgspec.structs.replace(main, details=details | ({"others": others} if others else {}))


def _wrong(cell: Cell) -> bool:
    return bool(cell.exit or cell.error)


def _ending(cell: Cell) -> dict[str, object]:
    return {key: getattr(cell, key) for key in ("started", "seconds", "exit", "error", "verdict")}


def _others(cell: Cell) -> list[dict[str, object]]:
    others: list[dict[str, object]] = cell.details.get("others", [])
    return others
