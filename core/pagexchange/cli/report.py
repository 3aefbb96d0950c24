"""`pagexchange report`: a run as one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from pagexchange.cli.folders import RunFolder
from pagexchange.cli.terminal import say, write
from pagexchange.exits import EXIT_INPUT
from pagexchange.html.page import page
from pagexchange.model import outfile
from pagexchange.samples.folder import Folder

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "report.html"
"""In the run's own folder, where `--out` names no other."""


@click.command(short_help="Make one HTML page of a run.")
@click.argument("run", metavar="[RUN]", required=False, type=RunFolder())
@click.option("-o", "--out", metavar="FILE", type=click.Path(), help=f"Write it there; -: to stdout. Else RUN/{FILE}.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.pass_context
def report(ctx: click.Context, run: Path | None, out: str | None, force: bool) -> None:
    """Make one HTML page of a run folder, and print where it is.

    RUN is the folder's path, or its name in runs/; without it the last run there. The page is one file under 300 KB,
    needs no network and runs no script: every sample, where the time goes, ratios and where they pass 1, threads,
    latencies, losses, whether the numbers can be trusted, the machine, and how to repeat it.

    Of a damaged folder the page shows what can be read, and says what cannot; the exit code is 3 then.
    """
    folder = Folder.latest(strict=False) if run is None else Folder.open(run, strict=False)
    text = page(folder)
    if out == "-":
        write(text)
    else:
        file = folder.path / FILE if out is None else out
        try:
            outfile.check(file, replace=force or out is None)
            outfile.write(file, text.encode(), replace=force or out is None)
        except FileExistsError as error:
            raise click.UsageError(f"{file}: is there already; --force replaces it") from error
        say(str(file))
    for problem in (*folder.problems, *folder.warnings):
        say(f"pagexchange: {problem}", err=True)
    ctx.exit(EXIT_INPUT if folder.problems else 0)
