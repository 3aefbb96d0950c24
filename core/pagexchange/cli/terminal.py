"""What several verbs share: names to complete, where a report goes, and JSON on stdout."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.cli.report import Block

PIPE_WIDTH = 100


def strategy_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Strategies of the file that the command line names, or of the packaged one: for shell completion."""
    from pagexchange.errors import PagexchangeError
    from pagexchange.host import read

    # While an option still lacks its value, click leaves the arguments unsorted.
    file = ctx.params.get("file") or next(iter(ctx.args), None)
    try:
        names = read.load(file, plugins=False).strategies
    except PagexchangeError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def plugin_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Installed plug-ins, none of which is imported: for shell completion."""
    from pagexchange.host.discovery import Registry

    return [name for name in Registry().names() if name.startswith(incomplete)]


def print_json(value: Any) -> None:  # noqa: ANN401 - a result, or plain values
    """One JSON object on stdout, and nothing else."""
    from pagexchange.runs.result import to_json

    click.echo(to_json(value))


def fancy(stream: Any) -> bool:  # noqa: ANN401 - a text stream
    """Whether colour is welcome on a stream: a terminal that can, and no NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def speaks_unicode(stream: Any) -> bool:  # noqa: ANN401 - a text stream
    """Whether check marks can be written to a stream."""
    try:
        "✓✗".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def width(stream: Any) -> int:  # noqa: ANN401 - a text stream
    """Columns to write in: the terminal's, or COLUMNS, or 100 in a pipe."""
    if stream.isatty() or os.environ.get("COLUMNS", "").isdigit():
        import shutil

        return max(40, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns)
    return PIPE_WIDTH


def print_blocks(blocks: Sequence[Block]) -> None:
    """A report on stdout: in colour on a terminal, plain elsewhere."""
    from pagexchange.cli.report import plain, show

    if fancy(sys.stdout):
        from rich.console import Console

        show(blocks, Console(width=width(sys.stdout), highlight=False))
    else:
        click.echo(plain(blocks, width(sys.stdout)), nl=False)
