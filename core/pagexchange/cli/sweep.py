"""`pagexchange sweep`: every point of a file's axes, on every host that there is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagexchange.cli.completion import strategy_names
from pagexchange.cli.options import blocks_plugins, logs
from pagexchange.cli.terminal import say
from pagexchange.exits import EXIT_INPUT, EXIT_OK, EXIT_PLUGIN, EXIT_UNEXPECTED, EXIT_UNTRUSTED
from pagexchange.measure import trust
from pagexchange.model.sizes import format_size
from pagexchange.model.words import counted
from pagexchange.samples import turns
from pagexchange.samples.folder import Folder
from pagexchange.samples.naming import new_path, now
from pagexchange.sweep.planning import plan
from pagexchange.sweep.resuming import existing
from pagexchange.sweep.start import sweep as all_points

if TYPE_CHECKING:
    from pagexchange.host.blocking import Blocking
    from pagexchange.sweep.plan import Plan


@click.command(short_help="Run strategies at every point of some axes, on many machines.")
@click.argument("file", metavar="SWEEP.TOML", type=click.Path(dir_okay=False))
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path),
              help="Folder for what is measured; of one that is there already, what it lacks is done.")  # fmt: skip
@click.option("--scheduler", metavar="ADDR", help="A Dask scheduler, as tcp://host:8786. Default: this machine alone.")
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="Only this host of it; may be repeated.")
@click.option("--input", "snapshot", metavar="FILE", type=click.Path(dir_okay=False), help="Pages of this snapshot.")
@click.option("--strategy", "names", metavar="NAME", multiple=True, shell_complete=strategy_names,
              help="Only this one; may be repeated.")  # fmt: skip
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key; may be repeated.")
@click.option("--rounds", metavar="N", type=click.IntRange(min=0), help="Timed rounds at each point, as of `run`.")
@click.option("--again", is_flag=True, help="Do what is there already, too: more samples of it.")
@click.option("--patience", metavar="SECONDS", type=click.FloatRange(min=0), default=30.0, show_default=True,
              help="Wait so long for a scheduler, and for workers where there are none.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done, and measure nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress: the exit code is the answer.")
@blocks_plugins
@logs
@click.pass_context
def sweep(
    ctx: click.Context,
    file: str,
    out: Path | None,
    scheduler: str | None,
    hosts: tuple[str, ...],
    snapshot: str | None,
    names: tuple[str, ...],
    overrides: tuple[str, ...],
    rounds: int | None,
    again: bool,
    patience: float,
    dry_run: bool,
    quiet: bool,
    blocking: Blocking,
) -> None:
    """Run strategies at every point of some axes, on every host, and keep every sample in one folder.

    SWEEP.TOML is a strategies file with a table [sweep.axes], as "workload.pairs" = [100, 1000]: all combinations are
    points. At each point the strategies take turns on each host, one point at a time on a machine. A host is sent the
    resolved configuration, never a path, and the snapshot once.

    Ctrl-C, a host that vanishes, a full disk: what is finished is kept, and the same command goes on with the rest.
    `pagexchange merge DIR --table` shows what came out. It needs the extra `dask`: pip install 'pagexchange[dask]'.

    Exit codes: 0 all is there and as expected, 1 a strategy did not do what its `expect` says, 2 usage or
    configuration, 3 something is not done: no worker, one that does not fit, a host that went away, 4 a plug-in failed
    or crashed, 6 a figure cannot be trusted, 130 interrupted.
    """
    command = ["pagexchange", *(ctx.find_root().obj or sys.argv[1:])]
    path = out or new_path("sweep", now(), command)
    planned = plan(
        file, name=path.name, command=command, overrides=overrides, only=names, snapshot=snapshot, blocking=blocking
    )
    for broken in planned.broken:
        say(f"pagexchange: {broken}", err=True)
    if dry_run:
        _show(planned, path)
        return
    folder = existing(planned, path)
    tell = _silent if quiet else _told
    for sentence in () if folder is None else (*folder.problems, *folder.warnings):
        say(f"{sentence}; what is missing is done again", err=True)
    tell(f"{path}: {_size(planned)}")
    done = all_points(
        planned,
        lambda: folder or Folder.create(path, planned.manifest),
        tell=tell,
        scheduler=scheduler,
        hosts=hosts,
        again=again,
        arguments=() if rounds is None else ("--rounds", str(rounds)),
        patience=patience,
    )
    for point in done.left:
        say(f"pagexchange: not done: {point}", err=True)
    if done.left:
        say(f"pagexchange: {path} has all others; the same command does what is missing", err=True)
    ctx.exit(EXIT_INPUT if done.left else _exit_code(planned, Folder.open(path, strict=False)))


def _told(words: str) -> None:
    say(words, err=True)


def _silent(words: str) -> None:
    pass


def _size(planned: Plan) -> str:
    points, cells, largest = _counts(planned)
    return f"{points}, {cells}, arenas of up to {largest}"


def _counts(planned: Plan) -> tuple[str, str, str]:
    """Points, cells, and the largest arena, in words."""
    largest = max(point.arena_bytes for point in planned.points)
    cells = len(planned.manifest.cells)
    return counted(len(planned.points), "point"), counted(cells, "cell"), format_size(largest)


def _show(planned: Plan, path: Path) -> None:
    from pagexchange.cli import dry_run, layout  # they import rich

    points, cells, largest = _counts(planned)
    layout.show(
        dry_run.blocks(
            "measure",
            f"{points}, {cells}, on each host",
            [
                {
                    "point": point.words,
                    "memory": format_size(point.arena_bytes),
                    "cells": (", ".join(cell.name for cell in point.cells), "dim"),
                }
                for point in planned.points
            ],
            left=("point",),
            prose="cells",
            remarks=[],
            takes=f"Arenas of up to {largest}",
            done="measured",
            out=path,
        )
    )


def _exit_code(planned: Plan, folder: Folder) -> int:
    """What the cells of the plan say together: the worst one decides."""
    wanted = {cell.id for cell in planned.manifest.cells}
    cells = [cell for (identity, _), cell in folder.cells.items() if identity in wanted]
    if any(cell.exit == EXIT_PLUGIN or cell.exit < 0 for cell in cells):
        return EXIT_PLUGIN
    if any(cell.exit for cell in cells):
        return EXIT_INPUT
    if any(cell.details.get("as_expected") is False for cell in cells):
        return EXIT_UNEXPECTED
    samples = [samples for (cell, _), samples in turns.by_cell(folder.samples()).items() if cell in wanted]
    clean = all(trust.clean([sample.aside for sample in turns.final(each)]) for each in samples)
    return EXIT_OK if clean else EXIT_UNTRUSTED
