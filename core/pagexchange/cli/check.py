"""`pagexchange check`: everything that is wrong with a strategies file, at once."""

from __future__ import annotations

import click

from pagexchange.cli import results
from pagexchange.cli.terminal import say
from pagexchange.exits import EXIT_USAGE
from pagexchange.host import read
from pagexchange.host.discovery import Registry
from pagexchange.runs import inputs


@click.command(cls=results.Verb, short_help="Say all that is wrong with a strategies file.")
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="As with `run`; may be repeated.")
@click.pass_context
def check(ctx: click.Context, file: str | None, overrides: tuple[str, ...]) -> None:
    """Check a strategies file and say all that is wrong with it, each with its line.

    Nothing is exchanged. The plug-ins that the file names are imported, because their options are checked by their own
    types, and asked whether they serve its arena on this machine.
    Without FILE the packaged file is checked.

    Exit codes: 0 nothing is wrong, 2 something is.
    """
    problems = read.check(file, overrides)
    for problem in problems:
        say(str(problem), err=True)
    if problems:
        n = len(problems)
        say(f"{n} error{'' if n == 1 else 's'}", err=True)
        ctx.exit(EXIT_USAGE)
    # After the errors: which of two plug-ins with one name is taken matters once all names are right.
    config = read.load(file, overrides=overrides)
    specs = config.strategies.values()
    registry = Registry(config.block)
    for note in [*registry.clashes(use.plugin for spec in specs for use in spec.uses()), *registry.wrong]:
        say(f"note: {note}", err=True)
    refused = inputs.refusals(config)
    for key, sentence in refused.items():
        say(f"{config.origin}: workload.{key}: {sentence}", err=True)
    if refused:
        ctx.exit(EXIT_USAGE)
    n = len(specs)
    say(f"{config.origin}: nothing is wrong; {n} strateg{'y' if n == 1 else 'ies'}: {', '.join(config.strategies)}")
