"""Signals that ask a command to end: it unwinds as after Ctrl-C, prints what it has, and leaves no arena's file behind.

Unhandled they end a process on the spot, and the file of an arena that has a path stays; the next run cannot make it.
Handled they wait for Python's turn, which does not come while compiled code of a plug-in does not return. So a thread
hears of them too, and when the time to unwind is over it removes the file and ends the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Final

from pagexchange.signals import handled
from pagexchange.strangers import Interrupted
from pagexchange_native.arena import backing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ASKING: Final = (
    signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2
)  # fmt: skip
"""What `timeout`, systemd, `docker stop`, a terminal that closes and batch systems send. SIGQUIT stays as it is."""
GRACE: Final = 8.0
"""Seconds to unwind: less than the ten after which `docker stop` kills."""


class Stopped(Interrupted):
    """One of these signals came. To everybody on the way it is what Ctrl-C is."""


_heard: list[int] = []
_files: list[str | bytes] = []


def exit_code(interrupted: int) -> int:
    """Return what a shell expects of a process that was asked to end: 128 and the signal; as it is after Ctrl-C."""
    return 128 + _heard[0] if _heard else interrupted


@contextlib.contextmanager
def remove_at_last(path: str | bytes | None) -> Iterator[None]:
    """Within it the file of an arena is removed also when nothing unwinds."""
    if path is None:
        yield
        return
    _files.append(path)
    try:
        yield
    finally:
        _files.remove(path)


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """Within it the signals raise `Stopped`; those that are ignored (nohup) or have a handler stay as they are."""
    numbers = [number for number in ASKING if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread() or not numbers:
        yield
        return
    ended = threading.Event()
    heard, tells = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(tells, False)  # as signal.set_wakeup_fd wants it
    before = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=[heard, ended], name="pagexchange-stopping", daemon=True)
    watch.start()
    try:
        with contextlib.ExitStack() as handlers:
            for number in numbers:
                handlers.enter_context(handled(number, _stop))
            yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        os.close(tells)
        watch.join()
        _heard.clear()


def _stop(number: int, _frame: FrameType | None) -> None:
    if not _heard:  # a second one would only disturb what the first one began
        _heard.append(number)
        raise Stopped


def _watch(heard: int, ended: threading.Event) -> None:
    """Wait for a signal, then for the end; runs in a thread of its own."""
    with open(heard, "rb", buffering=0) as pipe:
        while numbers := pipe.read(64):
            asked = [number for number in numbers if number in ASKING]
            if asked and not ended.wait(GRACE):
                for path in list(_files):
                    with contextlib.suppress(OSError):
                        if backing.maker(path) == os.getpid():  # it was not made anew by another one meanwhile
                            os.unlink(path)  # noqa: PTH108 - it may be bytes
                os._exit(128 + asked[0])
