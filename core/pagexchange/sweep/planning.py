"""From a sweep's file to its plan: every point checked as `run` would, before anything is sent anywhere."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagexchange.errors import ConfigError, PluginError, Problem
from pagexchange.host import read
from pagexchange.host.blocking import NOTHING, Blocking
from pagexchange.host.discovery import Registry
from pagexchange.host.resolved import resolved
from pagexchange.model.config import NodeConfig
from pagexchange.model.layout import is_file_name
from pagexchange.model.tomltext import toml
from pagexchange.runs.cells import cells
from pagexchange.runs.contenders import contenders
from pagexchange.runs.inputs import PACKAGED, synthetic_digest
from pagexchange.runs.machine import versions
from pagexchange.samples.naming import now
from pagexchange.samples.schema import Input, Manifest
from pagexchange.sweep import axes as ax
from pagexchange.sweep import inputs
from pagexchange.sweep.plan import Plan, Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.model.config import Config, StrategySpec


@dataclass
class _Made:
    """What the points need together, while they are made."""

    files: dict[str, bytes] = field(default_factory=dict)
    read: dict[Path, bytes] = field(default_factory=dict)
    plugins: dict[str, tuple[str, str]] = field(default_factory=dict)
    inputs: dict[str, Input] = field(default_factory=dict)
    broken: dict[str, None] = field(default_factory=dict)


def plan(
    file: str | None,
    *,
    name: str,
    command: list[str],
    overrides: Sequence[str] = (),
    only: Sequence[str] = (),
    snapshot: str | None = None,
    blocking: Blocking = NOTHING,
) -> Plan:
    """Read a sweep's file, a strategies.toml with `[sweep.axes]`, and check it at every point.

    Parameters
    ----------
    file
        Its path; None for the strategies file that ships, whose sweep has one point.
    name, command
        For the manifest.
    overrides
        `KEY=VALUE` of the command line. They come before the axes.
    only
        Names of strategies; by default all.
    snapshot
        A snapshot file in place of what `[workload]` says.
    blocking
        What the command line blocks.

    Raises
    ------
    ConfigError
        With all that is wrong with the file, an axis or an override.
    UnknownStrategyError, UnknownPluginError
        The command line names what is not there.
    SnapshotError
        The snapshot cannot be read.
    """
    source = read.Source.read(file)
    axes = ax.Axes(source)
    made = _Made()
    points: list[Point] = []
    problems: dict[Problem, None] = {}
    first: dict[str, Any] = {}
    for number, values in enumerate(axes.points()):
        given = [*overrides, *(ax.override(axis, value) for axis, value in values.items())]
        examined = read.examine(source, overrides=given, only=only or None, blocking=blocking)
        for problem in examined.problems:
            if problem.exit_code == PluginError.exit_code:
                made.broken[str(problem)] = None
            else:
                problems[axes.problem(problem, values)] = None
        if examined.config is not None and not problems:
            data, point = _point(number, values, examined.config, contenders(examined.config, only), snapshot, made)
            first = first or data
            points.append(point)
    if problems:
        raise ConfigError(problems)
    manifest = Manifest(
        verb="sweep",
        name=name,
        started=now(),
        command=command,
        config=toml(first | {"sweep": {"axes": axes.values}}),
        seed=first["run"]["seed"],
        input=_together(list(made.inputs.values())),
        versions=versions(dict(made.plugins.values())),
        cells=[cell for point in points for cell in point.cells],
        axes=axes.values,
    )
    packaged = made.inputs[PACKAGED].digest if PACKAGED in made.inputs else ""
    return Plan(manifest, tuple(points), made.files, made.plugins, packaged, tuple(made.broken))


def _point(
    number: int, values: ax.Point, config: Config, specs: list[StrategySpec], snapshot: str | None, made: _Made
) -> tuple[dict[str, Any], Point]:
    """Return the resolved configuration of a point, and the point."""
    if snapshot is not None:
        work = dataclasses.replace(config.workload, source="snapshot", snapshot=str(Path(snapshot).absolute()))
        config = dataclasses.replace(config, workload=work)
    paths = {"arena.path": config.arena.path} | {
        f"arena.nodes.{name}.path": node.path
        for name, node in config.arena.nodes.items()
        if isinstance(node, NodeConfig)
    }
    if relative := [where for where, path in paths.items() if path is not None and not Path(path).is_absolute()]:
        what = "want an absolute path: it is made on other hosts"
        raise ConfigError([Problem(config.origin, what, where=where) for where in relative])
    data = resolved(config, specs)
    given, sent = _input(config, made)
    data["workload"]["snapshot"] = sent
    files = [sent] if sent else []
    if is_file_name(config.arena.layout):
        files.append(_send(config.layout.text.encode(), ".toml", made))
        data["arena"]["layout"] = files[-1]
    registry = Registry(config.block)
    made.plugins |= {use.plugin: registry.origin(use.plugin) for spec in specs for use in spec.uses()}
    planned = cells(config, specs, given.digest, values)
    size = sum(config.arena.sizes.values())
    return data, Point(number, values, toml(data), tuple(files), tuple(planned), size)


def _input(config: Config, made: _Made) -> tuple[Input, str | None]:
    """Return what the pages are, and the name of the snapshot's file that is sent, if one is."""
    work = config.workload
    if work.source == "synthetic":
        given = Input(name="made-up pages", kind="synthetic", digest=synthetic_digest(config))
        return made.inputs.setdefault(given.digest, given), None
    if work.snapshot is None:
        given = Input(name=PACKAGED, kind="snapshot", digest=inputs.packaged_digest())
        return made.inputs.setdefault(PACKAGED, given), None
    path = config.resolve(work.snapshot)
    if path not in made.read:
        made.read[path] = inputs.read_file(path)
    name = _send(made.read[path], ".pgxsnap", made)
    given = Input(name=f"snapshot {path.name}", kind="snapshot", digest=Path(name).stem)
    return made.inputs.setdefault(given.digest, given), name


def _together(all_inputs: list[Input]) -> Input:
    """Return one input for the manifest; where points have pages of their own the ids of the cells tell which."""
    if len(all_inputs) == 1:
        return all_inputs[0]
    kinds = {given.kind for given in all_inputs}
    name = ", ".join(dict.fromkeys(given.name for given in all_inputs))
    return Input(name=name, kind=kinds.pop() if len(kinds) == 1 else "several")


def _send(contents: bytes, suffix: str, made: _Made) -> str:
    """Take a file along; return its name there."""
    name = inputs.digest_of(contents) + suffix
    made.files[name] = contents
    return name
