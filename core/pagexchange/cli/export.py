"""`pagexchange export`: a run folder as a file for other programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pagexchange.cli import terminal
from pagexchange.cli.folders import RunFolder
from pagexchange.errors import FolderError, Problem
from pagexchange.model import outfile
from pagexchange.samples.export import FORMATS
from pagexchange.samples.folder import Folder


@click.command(short_help="Write a kept run as CSV, Markdown, pyperf's JSON or Parquet.")
@click.argument("run", type=RunFolder(), required=False)
@click.option("--format", "form", required=True, type=click.Choice(list(FORMATS)), help="What to write.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Where to, instead of stdout.")
def export(run: Path | None, form: str, output: str | None) -> None:
    """Write the samples of a run that was kept, see `run --out`, as a file that other programs read.

    RUN is a run folder, or its name in runs/; without it, the one there that began last.

    csv: every sample a row, the unit of each number in its column's name. markdown: a line for each cell, median and
    95 % interval. pyperf: for `pyperf compare_to` and `pyperf hist`, seconds per pair. parquet: as csv, for dataframes;
    needs `pip install 'pagexchange[parquet]'`.

    Exit codes: 0 written, 2 usage, or a library that the format needs is not installed, 3 the folder cannot be read or
    the file cannot be written.
    """
    if output is None and form == "parquet" and sys.stdout is not None and sys.stdout.isatty():
        raise click.UsageError("parquet is no text for a terminal: say where to with -o FILE")
    with _told(output):
        if output is not None:
            outfile.check(output)
    folder = Folder.latest() if run is None else Folder.open(run)
    data = FORMATS[form](folder)
    for warning in folder.warnings:
        terminal.say(f"note: {warning}", err=True)
    if output is None:
        click.echo(data, nl=False)
        return
    with _told(output):
        outfile.write(output, data)


@contextmanager
def _told(output: str | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderError(Problem(str(output), f"cannot be written: {error.strerror or error}")) from error
