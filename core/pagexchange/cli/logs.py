"""Where the log goes: stderr, or a file; never stdout. Without `-v` and `--log-file` nothing is logged at all."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from pagexchange.cli.terminal import say
from pagexchange.errors import PagexchangeError
from pagexchange.exits import EXIT_INPUT
from pagexchange.strangers import kind, said, visible_lines
from pagexchange.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGER: Final = logging.getLogger("pagexchange")
_LINE: Final = "%(asctime)s.%(msecs)03dZ %(name)s: %(message)s"


class LogFileError(PagexchangeError):
    """The file that the log should go to cannot be written."""

    exit_code = EXIT_INPUT


@contextmanager
def logging_to(path: str | None, verbose: int, what: str) -> Iterator[None]:
    """Within it the log is written: steps, from `verbose` 2 on calls of hooks, too.

    Parameters
    ----------
    path
        A file that is appended to; None: stderr, if `verbose` is at least 1.
    what
        What begins now, for the first line.

    Raises
    ------
    LogFileError
        The file cannot be written; the body has not begun.
    """
    if path is None and not verbose:
        yield
        return
    handler = _OnStderr() if path is None else _InFile(path)
    formatter = logging.Formatter(_LINE, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    before = _LOGGER.level, _LOGGER.propagate
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    _LOGGER.propagate = False  # who calls this command line from Python may have handlers that print to stdout
    try:
        _LOGGER.info("pagexchange %s: %s", VERSION, what)
        yield
    except click.exceptions.Exit as error:
        _LOGGER.info("exit code %d", error.exit_code)
        raise
    except BaseException as error:
        _LOGGER.info("%s: %s", kind(error), said(error))
        raise
    else:
        _LOGGER.info("exit code 0")
    finally:
        _LOGGER.removeHandler(handler)
        handler.close()
        _LOGGER.setLevel(before[0])
        _LOGGER.propagate = before[1]


class _OnStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, whatever names are in it."""
        say(self.format(record), err=True)


class _InFile(logging.Handler):
    """A record is one write at the end of the file: several processes may share it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.begun = self.failed = False
        try:
            self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
        except (OSError, ValueError) as error:  # ValueError: NUL in the path
            raise self.error(error) from error

    def error(self, error: Exception) -> LogFileError:
        """Return the error with the file's name."""
        return LogFileError(f"--log-file {self.path}: cannot be written: {getattr(error, 'strerror', None) or error}")

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record. LogFileError: not even the first one finds room; a later one is no reason to stop."""
        if self.failed:
            return
        try:
            os.write(self.file, f"{visible_lines(self.format(record))}\n".encode(errors="backslashreplace"))
        except OSError as error:
            self.failed = True
            if not self.begun:
                raise self.error(error) from error
            say(f"pagexchange: {self.error(error)}; the log ends here", err=True)
        self.begun = True

    def close(self) -> None:
        """Give the file back."""
        os.close(self.file)
        super().close()


def fills_stderr() -> bool:
    """Whether the log goes to stderr: then it says how far a command is, too."""
    return any(isinstance(handler, _OnStderr) for handler in _LOGGER.handlers)
