"""What a stream can show: width, colour, characters; and everything's way to it, without raw control characters."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import click

from pagexchange.cli import results
from pagexchange.runs.result import to_json
from pagexchange.strangers import visible_lines

PIPE_WIDTH: Final = 100


def fancy(stream: Any) -> bool:  # noqa: ANN401 - a text stream
    """Whether colour is welcome on a stream: a terminal that can, and no NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def speaks_unicode(stream: Any) -> bool:  # noqa: ANN401 - a text stream
    """Whether check marks can be written to a stream."""
    return _writable("✓✗", stream) == "✓✗"


def width(stream: Any) -> int:  # noqa: ANN401 - a text stream
    """Columns to write in: the terminal's, or COLUMNS, or 100 in a pipe."""
    given = os.environ.get("COLUMNS", "")
    if not given.isdigit():
        given = str(_columns(stream)) if stream.isatty() else ""
    # Below 40 a sentence beside a name would get a word a line: the terminal may wrap.
    return max(40, int(given) or PIPE_WIDTH) if given else PIPE_WIDTH


def _columns(stream: Any) -> int:  # noqa: ANN401 - a text stream
    # Asked of this very stream: while plug-ins run, descriptor 1 is another.
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def write(text: str, *, err: bool = False) -> None:
    """Write a text whose lines are fit to be seen, with escapes for characters that the stream's encoding lacks."""
    stream = sys.stderr if err else results.stream()
    if stream is not None:  # closed
        click.echo(_writable(text, stream), nl=False, file=stream)


def say(text: str, *, err: bool = False) -> None:
    """Print a message, in which names may be a stranger's, line by line."""
    write(f"{visible_lines(text)}\n", err=err)


def print_json(value: Any) -> None:  # noqa: ANN401 - a result, or plain values
    """One JSON object on stdout, and nothing else."""
    if results.stream() is not None:
        click.echo(to_json(value), file=results.stream())


def _writable(text: str, stream: Any) -> str:  # noqa: ANN401 - a text stream
    try:
        encoding = getattr(stream, "encoding", None) or "ascii"
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "backslashreplace").decode()
