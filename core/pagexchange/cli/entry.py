"""Where a command line begins: before NumPy and the native modules, whose import takes most of a short command's time.

So this module, and what is imported before it, imports nothing to speak of.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from pagexchange.exits import EXIT_INTERRUPTED
from pagexchange.signals import handled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the console script."""
    try:
        with _ctrl_c_ends_at_once():
            from pagexchange.cli.command import command
        command(argv)
    except KeyboardInterrupt:  # between two handlers
        raise SystemExit(EXIT_INTERRUPTED) from None


@contextmanager
def _ctrl_c_ends_at_once() -> Iterator[None]:
    """Within it Ctrl-C ends the process: an import that it came into would be half of one, and show a traceback."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    with handled(signal.SIGINT, _leave):
        yield


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    try:
        os.write(2, b"pagexchange: interrupted\n")
    finally:
        os._exit(EXIT_INTERRUPTED)  # nothing has begun
