"""Figures and points of the axes as words: with units, in few digits."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, log10
from typing import Final, TypeAlias

from pagexchange.model.sizes import format_size
from pagexchange.samples.statistics import Interval

Value: TypeAlias = str | int | float | bool
Point: TypeAlias = tuple[tuple[str, Value], ...]
"""Axis and value, in the order of the axes."""

BYTES: Final = ("size", "page_size")
"""Axes whose values are bytes."""
UNITS: Final = (("s", 1e9), ("ms", 1e6), ("µs", 1e3))
NOTHING: Final = "\N{EN DASH}"
"""What was not measured."""


def figure(value: float) -> str:
    """Return a number with three digits that count: `1,234`, `212`, `8.41`, `0.0312`."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")  # 9.999 is 10.0, and not 10.00
    return f"{value:,.{max(0, 2 - floor(log10(abs(rounded))))}f}"


def interval(value: Interval | None) -> str:
    """Return where a figure may lie, `203 to 219`; of one sample nothing is known."""
    return NOTHING if value is None or not value.known else f"{figure(value.low)} to {figure(value.high)}"


def duration(ns: float) -> str:
    """Return a time with its unit: `212 ns`, `1.24 µs`, `35 ms`."""
    unit, size = next((unit for unit in UNITS if ns >= unit[1] * 0.9995), ("ns", 1.0))
    return f"{figure(ns / size)} {unit}"


def tick(value: float) -> str:
    """Return a number of an axis, which is round."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def duration_tick(ns: float) -> str:
    """Return a time of an axis with its unit."""
    unit, size = next((unit for unit in UNITS if ns >= unit[1] * 0.9995), ("ns", 1.0))
    return f"{ns / size:.4g} {unit}"


def share(value: float) -> str:
    """Return a share of one in percent."""
    return f"{value:.0%}" if value >= 0.0995 or value == 0 else f"{value:.1%}"


def value_of(axis: str, value: Value) -> str:
    """Return a value of an axis with its unit, if it has one."""
    if axis in BYTES and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return format_size(value)
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def axis_name(axis: str) -> str:
    """Return an axis as it is read."""
    return {"size": "working set", "page_size": "page size", "batch": "pairs a call"}.get(axis, axis.replace("_", " "))


def point_words(point: Point | Mapping[str, Value]) -> str:
    """Return a point, `working set 1 MiB, order 0`."""
    pairs = point.items() if isinstance(point, Mapping) else point
    return ", ".join(f"{axis_name(axis)} {value_of(axis, value)}" for axis, value in pairs)
