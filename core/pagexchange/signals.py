"""A handler of a signal for as long as a block runs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
