"""`pagexchange schema`: JSON Schema of what pagexchange reads and writes."""

from __future__ import annotations

import click

from pagexchange.cli import results
from pagexchange.cli.options import blocks_plugins, logs
from pagexchange.cli.terminal import print_json
from pagexchange.host.blocking import Blocking
from pagexchange.host.discovery import Registry
from pagexchange.host.schema import strategies
from pagexchange.samples import jsonschema


@click.command(cls=results.Verb, short_help="Print the JSON Schema of run folders, or of strategies.toml.")
@click.argument("what", type=click.Choice(["run", "strategies"]))
@blocks_plugins
@logs
def schema(what: str, blocking: Blocking) -> None:
    """Print the JSON Schema of the files of a run folder, or of strategies.toml with the plug-ins that are installed.

    For an editor that knows TOML schemas (taplo, Even Better TOML): save the schema beside the file, and begin the file
    with a comment that names it.

    \b
      pagexchange schema strategies > strategies.schema.json
      #:schema ./strategies.schema.json
    """
    print_json(jsonschema.run() if what == "run" else strategies(Registry(blocking=blocking).list()))
