"""Handlers of signals for as long as a block runs."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType


@contextmanager
def handled(number: int, handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Within it a signal calls `handler`; then what it did before, unless somebody has set another one meanwhile.

    Where the system sets no handler, the signal does what it did, and that is no error. For the main thread alone.
    """
    before = signal.getsignal(number)
    try:
        signal.signal(number, handler)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        while signal.getsignal(number) is handler:  # the way back must succeed
            with suppress(OSError):
                signal.signal(number, before)


@contextmanager
def postponed(then: Callable[[], object]) -> Iterator[list[KeyboardInterrupt]]:
    """Within it Ctrl-C, and what else raises KeyboardInterrupt at any place, calls `then` and raises nothing.

    What would have been raised is in the list, to be raised when there is a place for it: the first one only. An event
    loop must not end in the middle of somebody's task.
    """
    caught: list[KeyboardInterrupt] = []
    with ExitStack() as handlers:
        if threading.current_thread() is threading.main_thread():
            for number in signal.valid_signals():
                before = signal.getsignal(number)
                if callable(before):
                    handlers.enter_context(handled(number, _catching(before, caught, then)))
        yield caught


def _catching(
    before: Callable[[int, FrameType | None], object], caught: list[KeyboardInterrupt], then: Callable[[], object]
) -> Callable[[int, FrameType | None], None]:
    def catch(number: int, frame: FrameType | None) -> None:
        try:
            before(number, frame)
        except KeyboardInterrupt as error:
            if not caught:
                caught.append(error)
                then()

    return catch
