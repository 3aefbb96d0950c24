"""Stdout is the result and nothing else: what plug-ins print, and the processes that they start, goes to stderr."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import contextmanager, suppress
from fcntl import F_DUPFD_CLOEXEC, fcntl
from typing import TYPE_CHECKING, Any, Final

import click

from pagexchange.cli.streams import Kept, written_on

if TYPE_CHECKING:
    from collections.abc import Iterator

OUT: Final = 1
"""The descriptor that compiled code and other processes print to."""

_kept: list[Any] = []
"""The stream for results, while stdout is another; the innermost last."""


class Verb(click.Command):
    """A command in which plug-ins run. Its help, which is printed before it is invoked, goes to stdout as it is."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - what a command returns
        """Like click's."""
        with apart():
            return super().invoke(ctx)


def stream() -> Any:  # noqa: ANN401 - a text stream, or None where stdout is closed
    """Return the stream that results are written to."""
    return _kept[-1] if _kept else sys.stdout


@contextmanager
def apart() -> Iterator[None]:
    """Point stdout to where stderr goes, and keep the stream that it was for results."""
    stdout = sys.stdout
    if not _is_the_descriptor(stdout):  # a test's, or a caller's: there is only the name to be moved
        _kept.append(stdout)
        sys.stdout = sys.stderr
        try:
            yield
        finally:
            sys.stdout = stdout
            _kept.pop()
        return
    stdout.flush()
    own = fcntl(OUT, F_DUPFD_CLOEXEC, 3)
    raw = Kept(own, "wb")
    _kept.append(written_on(raw, stdout))
    _to_stderr()
    try:
        yield
    finally:
        stdout.flush()
        # Not closed yet: its descriptor is the only one that leads to stdout.
        _kept[-1].flush()
        os.dup2(own, OUT)
        _kept.pop().close()
        before = getattr(getattr(stdout, "buffer", None), "raw", None)
        if isinstance(before, Kept):
            before.failed = before.failed or raw.failed
        # Plug-ins print at the end of the process too, and whoever called us may print until then.
        atexit.register(_at_end)


def _is_the_descriptor(stream: Any) -> bool:  # noqa: ANN401 - a text stream, or None
    try:
        return bool(stream.fileno() == OUT)
    except (AttributeError, OSError, ValueError):
        return False


def _to_stderr() -> None:
    try:
        os.dup2(2, OUT)
    except OSError:  # stderr is closed
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, OUT)
        os.close(nowhere)


def _at_end() -> None:
    # Called before what plug-ins have registered: that is older.
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    with suppress(OSError):
        _to_stderr()
