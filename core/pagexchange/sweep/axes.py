"""`[sweep.axes]` of a sweep's file: keys with a list of values each; all combinations of the values are its points."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from pagexchange.errors import ConfigError, Problem, did_you_mean
from pagexchange.model.table import show
from pagexchange.model.tomlfile import KeyPath, TomlFile, dotted
from pagexchange.model.tomltext import value

if TYPE_CHECKING:
    from pagexchange.host.read import Source

Value: TypeAlias = str | int | float | bool
Point: TypeAlias = dict[str, Value]
"""Axis -> value; an axis is the dotted path of a key, as `workload.pairs`."""


class Axes:
    """The axes of a file, and where they stand in it.

    Attributes
    ----------
    values : dict[str, list[Value]]
        Axis -> its values, in their order.

    Raises
    ------
    ConfigError
        With all that is wrong in `[sweep]`.
    """

    def __init__(self, source: Source) -> None:
        self._file = TomlFile.from_bytes(source.raw, source.origin)
        self.values: dict[str, list[Value]] = {}
        self._places: dict[str, KeyPath] = {}
        problems = list(self._read(self._file.data.get("sweep", {})))
        if problems:
            raise ConfigError(problems)

    def points(self) -> list[Point]:
        """Return all combinations; the last axis changes fastest."""
        return [dict(zip(self.values, values, strict=True)) for values in itertools.product(*self.values.values())]

    def problem(self, found: Problem, point: Point) -> Problem:
        """Return a problem with a value of the point as one that stands at the axis; any other one as it is."""
        for axis, chosen in point.items():
            if found.origin == f"--set {override(axis, chosen)}":
                number = self.values[axis].index(chosen)
                return self._file.problem((*self._places[axis], number), _words(found, axis), value=True)
        return found

    def _read(self, table: object) -> Iterator[Problem]:
        if not isinstance(table, dict):
            yield self._file.problem(("sweep",), f"expected a table with axes, got {show(table)}", value=True)
            return
        for key in table:
            if key != "axes":
                yield self._file.problem(("sweep", key), f"unknown key {key!r}{did_you_mean(key, ['axes'])}")
        axes = table.get("axes", {})
        if isinstance(axes, dict):
            yield from self._tables(axes, ("sweep", "axes"), "")
        else:
            yield self._file.problem(("sweep", "axes"), f"expected a table of lists, got {show(axes)}", value=True)

    def _tables(self, table: Mapping[str, Any], place: KeyPath, prefix: str) -> Iterator[Problem]:
        """Take `"workload.pairs" = [...]` and, where the dots are not quoted, the tables that TOML makes of them."""
        for key, item in table.items():
            path = (*place, key)
            axis = f"{prefix}.{dotted((key,))}" if prefix else key
            if isinstance(item, dict):
                yield from self._tables(item, path, axis)
            elif not isinstance(item, list) or not item:
                yield self._file.problem(path, f"expected a list of values, got {show(item)}", value=True)
            else:
                wrong = [n for n, one in enumerate(item) if not isinstance(one, str | int | float | bool)]
                for number in wrong:
                    what = f"expected a number, a text, true or false, got {show(item[number])}"
                    yield self._file.problem((*path, number), what, value=True)
                self.values[axis] = list({value(one): one for n, one in enumerate(item) if n not in wrong}.values())
                self._places[axis] = path


def override(axis: str, chosen: Value) -> str:
    """Return one value of a point as `--set` takes it."""
    return f"{axis}={value(chosen)}"


def words(point: Point) -> str:
    """Return a point for people: `workload.pairs = 100, arena.huge = thp`."""
    return ", ".join(
        f"{axis} = {str(item).lower() if isinstance(item, bool) else item}" for axis, item in point.items()
    )


def _words(found: Problem, axis: str) -> str:
    return found.what if found.where in ("", axis) else f"{found.where}: {found.what}"
