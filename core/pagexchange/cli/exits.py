"""How a command line ends: the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import io
import traceback

import click

from pagexchange.cli.terminal import say
from pagexchange.exits import EXIT_BUG, EXIT_INPUT, EXIT_USAGE


def report(error: BaseException) -> int:
    """Print an error on stderr, a bug with its traceback, and return its exit code."""
    if isinstance(error, click.ClickException):
        words = io.StringIO()
        error.show(words)
        say(words.getvalue().rstrip("\n"), err=True)  # it quotes the command line
        return EXIT_USAGE  # click's own code for a file that cannot be opened is 1: here that is a strategy's verdict
    # What the system refuses is an input that cannot be used. Every other exception that is not ours is a bug.
    code: int = getattr(error, "exit_code", EXIT_INPUT if isinstance(error, OSError | MemoryError) else EXIT_BUG)
    if code == EXIT_BUG:
        say("".join(traceback.format_exception(error)).rstrip(), err=True)
        say("pagexchange: this is a bug in pagexchange; please report it with the lines above", err=True)
        return code
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        text = f"not enough memory: {error}".rstrip(": ")
    located = hasattr(error, "problems")  # each of its lines begins with file:line:column
    say(text if located else f"pagexchange: {text}", err=True)
    return code
