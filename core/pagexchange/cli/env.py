"""`pagexchange env`: what machine this is."""

from __future__ import annotations

import click

from pagexchange.cli.terminal import print_json, say
from pagexchange.runs.environment import collect, lines


@click.command(short_help="Say what machine this is.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object; null is not available.")
def env(as_json: bool) -> None:
    """Say what machine this is: all that a result depends on and that can be read. No setting is ever changed.

    A run keeps the same facts in its JSON, under `environment`. "Not available": this machine does not say.
    """
    environment = collect()
    if as_json:
        print_json(environment)
        return
    for name, value in lines(environment):
        say(f"{name:24}{value}")
