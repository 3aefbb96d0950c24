"""How a command line ends: the exit codes, and the one place where an error becomes a line and a code."""

from __future__ import annotations

import io
import traceback
from typing import Final

import click

from pagexchange.cli.terminal import say

EXIT_OK: Final = 0
EXIT_UNEXPECTED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INPUT: Final = 3
EXIT_PLUGIN: Final = 4
EXIT_BUG: Final = 70
EXIT_INTERRUPTED: Final = 130

EXIT_CODES: Final = {
    EXIT_OK: "every strategy did as expected; the command did what it says",
    EXIT_UNEXPECTED: "a strategy did not do as expected: it lost something, or did not lose what it should",
    EXIT_USAGE: "wrong usage, or errors in a configuration file",
    EXIT_INPUT: "an input cannot be read or used: snapshot, /proc, arena, memory; or stdout has no room",
    EXIT_PLUGIN: "a plug-in failed",
    EXIT_BUG: "a bug in pagexchange; the traceback says where",
    EXIT_INTERRUPTED: "interrupted; what was measured until then is printed",
}
"""The one list: `--help` prints it, docs/cli.md repeats it, `exit_code` of every error is in it."""


def report(error: Exception) -> int:
    """Print an error on stderr, a bug with its traceback, and return its exit code."""
    if isinstance(error, click.ClickException):
        words = io.StringIO()
        error.show(words)
        say(words.getvalue().rstrip("\n"), err=True)  # it quotes the command line
        return EXIT_USAGE  # click's own code for a file that cannot be opened is 1: here that is a strategy's verdict
    # What the system refuses is an input that cannot be used. Every other exception that is not ours is a bug.
    code: int = getattr(error, "exit_code", EXIT_INPUT if isinstance(error, OSError | MemoryError) else EXIT_BUG)
    if code == EXIT_BUG:
        traceback.print_exception(error)
        click.echo("pagexchange: this is a bug in pagexchange; please report it with the lines above", err=True)
        return code
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        text = f"not enough memory: {error}".rstrip(": ")
    located = hasattr(error, "problems")  # each of its lines begins with file:line:column
    say(text if located else f"pagexchange: {text}", err=True)
    return code
