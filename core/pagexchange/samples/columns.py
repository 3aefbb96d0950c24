"""Samples as rows of named columns, for files of tables. Every number's unit is in its column's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from pagexchange_native.engine.steps import COSTS

if TYPE_CHECKING:
    from pagexchange.samples.folder import Folder
    from pagexchange.samples.schema import Planned, Sample

Kind: TypeAlias = Literal["text", "integer", "number", "truth", "integers"]
Row: TypeAlias = dict[str, Any]
"""Column -> a value of its kind, or None: not measured."""

_UNITS: Final = {
    "size": "bytes", "page_size": "bytes", "order": "log2_frames", "batch": "pairs", "threads": "count",
    "arena.page_size": "bytes", "workload.pairs": "pairs", "workload.free": "frames", "run.threads": "count",
}  # fmt: skip
"""Of axes; any other number's is `value`, as its axis has it."""
_PRESSURE: Final = ("some_cpu", "some_memory", "some_io", "steal", "throttled")
_TIER: Final = {
    "accesses_count": "accesses", "hits_count": "hits", "cost_ns": "cost_ns", "promoted_pages": "promoted",
    "demoted_pages": "demoted", "back_and_forth_pages": "back_and_forth", "stalls_count": "stalls",
    "taken_frames": "frames", "below_low_count": "below_low", "below_min_count": "below_min", "moved_bytes": "bytes",
    "choose_ns": "choose_ns", "move_ns": "move_ns",
}  # fmt: skip
"""Column of a run of `tier` -> what a sample calls it."""
_PERCENTILES: Final = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "worst": 100.0}
CALLS: Final = "calls_ns"
"""The column with every call's time: too long for a field of text."""
_KINDS: Final[dict[type, Kind]] = {bool: "truth", int: "integer", float: "number"}


def columns(folder: Folder) -> dict[str, Kind]:
    """Return the columns of a folder's samples, in their order, and what is in each."""
    return {
        **dict.fromkeys(("cell", "host", "name", "kind"), "text"),
        **dict(_axis(folder, axis) for axis in _axes(folder)),
        **dict.fromkeys(("round_number", "position_number", "attempt_number", "started_ns"), "integer"),
        **dict.fromkeys(("calls_count", "pairs_count", "exchanged_count", "wall_ns", "cpu_ns"), "integer"),
        **dict.fromkeys(("wall_ns_per_pair", "cpu_ns_per_pair"), "number"),
        **dict.fromkeys((f"{part}_ns" for part in COSTS), "number"),
        **(dict.fromkeys(_TIER, "integer") if folder.manifest.verb == "tier" else {}),
        "aside": "truth",
        **dict.fromkeys((f"{name}_share" for name in _PRESSURE), "number"),
        **dict.fromkeys((f"call_{name}_ns" for name in _PERCENTILES), "number"),
        **dict.fromkeys(("threads_wall_ns", "threads_cpu_ns", CALLS), "integers"),
    }


def rows(folder: Folder) -> list[Row]:
    """Return all samples of a folder, in its order, as rows of these columns."""
    planned = {cell.id: cell for cell in folder.manifest.cells}
    axes = {axis: _axis(folder, axis) for axis in _axes(folder)}
    return [_row(sample, planned[sample.cell], axes) for sample in folder.samples()]


def _axes(folder: Folder) -> list[str]:
    manifest = folder.manifest
    return list(dict.fromkeys([*manifest.axes, *(axis for cell in manifest.cells for axis in cell.point)]))


def _axis(folder: Folder, axis: str) -> tuple[str, Kind]:
    """Return the column that an axis becomes; text where its values are not all alike."""
    kind = _kind({type(cell.point[axis]) for cell in folder.manifest.cells if axis in cell.point})
    return f"axis_{axis}" + (f"_{_UNITS.get(axis, 'value')}" if kind in ("integer", "number") else ""), kind


def _kind(types: set[type]) -> Kind:
    if types == {int, float}:
        return "number"
    return _KINDS.get(types.pop(), "text") if len(types) == 1 else "text"


def _row(sample: Sample, cell: Planned, axes: dict[str, tuple[str, Kind]]) -> Row:
    pressure = sample.pressure
    return {
        "cell": sample.cell,
        "host": sample.host,
        "name": cell.name,
        "kind": cell.kind,
        **{column: _given(cell.point.get(axis), kind) for axis, (column, kind) in axes.items()},
        "round_number": sample.round,
        "position_number": sample.position,
        "attempt_number": sample.attempt,
        "started_ns": sample.started_ns,
        "calls_count": sample.calls,
        "pairs_count": sample.pairs,
        "exchanged_count": sample.exchanged,
        "wall_ns": sample.wall_ns,
        "cpu_ns": sample.cpu_ns,
        "wall_ns_per_pair": _per(sample.wall_ns, sample.exchanged),
        "cpu_ns_per_pair": _per(sample.cpu_ns, sample.exchanged),
        **{f"{part}_ns": sample.parts.get(part) for part in COSTS},
        **{column: getattr(sample.tier, name, None) for column, name in _TIER.items()},
        "aside": sample.aside,
        **{f"{name}_share": getattr(pressure, name, None) for name in _PRESSURE},
        **{f"call_{name}_ns": _percentile(sample.call_ns, share) for name, share in _PERCENTILES.items()},
        "threads_wall_ns": [wall for wall, _ in sample.threads],
        "threads_cpu_ns": [cpu for _, cpu in sample.threads],
        CALLS: sample.call_ns,
    }


def _given(value: Any, kind: Kind) -> Any:  # noqa: ANN401 - of an axis
    return str(value) if kind == "text" and value is not None else value


def _percentile(calls: list[int], share: float) -> float | None:
    return float(np.percentile(calls, share)) if calls else None


def _per(total: int, pairs: int) -> float | None:
    return total / pairs if pairs else None
