"""What a stream can show: width, colour, characters; and everything's way to it, without raw control characters."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import Any, Final

import click

from pagexchange.model.words import in_characters
from pagexchange.runs.result import to_json

PIPE_WIDTH: Final = 100


def fancy(stream: Any) -> bool:  # noqa: ANN401 - a text stream
    """Whether colour is welcome on a stream: a terminal that can, and no NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def speaks_unicode(stream: Any) -> bool:  # noqa: ANN401 - a text stream
    """Whether check marks can be written to a stream."""
    return _writable("✓✗", stream) == "✓✗"


def width(stream: Any) -> int:  # noqa: ANN401 - a text stream
    """Columns to write in: the terminal's, or COLUMNS, or 100 in a pipe."""
    if stream.isatty() or os.environ.get("COLUMNS", "").isdigit():
        # Below 40 a sentence beside a name would get a word a line: the terminal may wrap.
        return max(40, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns)
    return PIPE_WIDTH


def visible(words: str) -> str:
    """Return words as one line that does nothing to a terminal: white space is a space, a control character its escape.

    Escape sequences could hide or forge what is printed after them; so could characters that turn the direction.
    """
    line = in_characters(re.sub(r"[\t\n\v\f\r]+", " ", words))
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def write(text: str, *, err: bool = False) -> None:
    """Write a text whose lines are fit to be seen, with escapes for characters that the stream's encoding lacks."""
    click.echo(_writable(text, sys.stderr if err else sys.stdout), nl=False, err=err)


def say(text: str, *, err: bool = False) -> None:
    """Print a message, in which names may be a stranger's, line by line."""
    write("".join(f"{visible(line)}\n" for line in text.split("\n")), err=err)


def print_json(value: Any) -> None:  # noqa: ANN401 - a result, or plain values
    """One JSON object on stdout, and nothing else."""
    click.echo(to_json(value))


def _writable(text: str, stream: Any) -> str:  # noqa: ANN401 - a text stream
    try:
        encoding = getattr(stream, "encoding", None) or "ascii"
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "backslashreplace").decode()
