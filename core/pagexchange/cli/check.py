"""`pagexchange check`: everything that is wrong with a strategies file, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pagexchange.cli import results
from pagexchange.cli.exits import report
from pagexchange.cli.options import blocks_plugins, logs
from pagexchange.cli.terminal import say
from pagexchange.host.discovery import Registry
from pagexchange.model.words import counted
from pagexchange.runs.trial import trial

if TYPE_CHECKING:
    from pagexchange.host.blocking import Blocking


@click.command(cls=results.Verb, short_help="Say all that is wrong with a strategies file.")
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="As with `run`; may be repeated.")
@blocks_plugins
@logs
@click.pass_context
def check(ctx: click.Context, file: str | None, overrides: tuple[str, ...], blocking: Blocking) -> None:
    """Check a strategies file and say all that is wrong with it, each with its line.

    Nothing is exchanged, and no file is made. All else is done as a run does it: the snapshot is read, its pages are
    put into an arena in memory, the plug-ins are imported, because their options are checked by their own types, and
    asked whether they serve that arena on this machine.
    Without FILE the packaged file is checked.

    Exit codes: 0 nothing is wrong; else what a run of the file ends with because of it: 2 the file is wrong, 3 its
    input or its arena cannot be used, 4 a plug-in fails.
    """
    found = trial(file, overrides, blocking)
    for problem in found.problems:
        say(str(problem), err=True)
    if found.refusal is not None:
        report(found.refusal)
    n = len(found.problems) + (found.refusal is not None)
    if n:
        say(counted(n, "error"), err=True)
        ctx.exit(found.exit_code)
    assert found.config is not None, "or there was a problem"
    config, specs = found.config, found.config.strategies.values()
    # After the errors: which of two plug-ins with one name is taken matters once all names are right.
    registry = Registry(config.block, blocking=blocking)
    for note in [*registry.clashes(use.plugin for spec in specs for use in spec.uses()), *registry.wrong]:
        say(f"note: {note}", err=True)
    strategies = counted(len(specs), "strategy", "strategies")
    say(f"{config.origin}: nothing is wrong; {strategies}: {', '.join(config.strategies)}")
