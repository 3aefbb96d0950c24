"""`pagexchange merge`: run folders brought together, and shown as one table with columns for each host."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pagexchange.cli import results
from pagexchange.cli.folders import RunFolder
from pagexchange.cli.terminal import say
from pagexchange.model.words import counted
from pagexchange.samples.folder import Folder
from pagexchange.sweep.merging import together, write


@click.command(short_help="Bring run folders together, every sample once.")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=RunFolder())
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Make this folder of them.")
@click.option("--table", "as_table", is_flag=True, help="Show what is in them.")
@click.pass_context
def merge(ctx: click.Context, folders: tuple[Path, ...], out: Path | None, as_table: bool) -> None:
    """Bring run folders together: of several hosts, or several times of the same.

    Every sample of each is in the result, once, and nothing is averaged: a folder merged with itself, or with one that
    it is part of, adds nothing. A cell that was measured twice on a host has the samples of both times.

    Exit codes: 0 done, 2 usage, 3 a folder cannot be read or written, or they are of different pages.
    """
    if out is None and not as_table:
        raise click.UsageError("say what for: --out DIR makes a folder, --table shows a table")
    opened = [Folder.open(folder) for folder in folders]
    command = ["pagexchange", *(ctx.find_root().obj or sys.argv[1:])]
    name = out.name if out else ", ".join(folder.name for folder in dict.fromkeys(folders))
    what = together(opened, name=name, command=command)
    for folder in opened:
        for warning in folder.warnings:
            say(warning, err=True)
    for folder, new in zip(opened, what.new, strict=True):
        had = len(folder.samples())
        if new < had:
            rest = f"only {new:,} of its {had:,} samples are" if new else f"none of its {counted(had, 'sample')} is"
            say(f"{folder.path}: {rest} new, for a folder before it has the others already", err=True)
    if out is not None:
        write(what, out)
        say(f"{out}: {counted(len(what.cells), 'cell')}, {counted(len(what.samples), 'sample')}", err=True)
    if as_table and results.stream() is not None:
        from pagexchange.cli import host_table, layout  # they import rich

        layout.show(host_table.blocks(what))
