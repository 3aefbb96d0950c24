"""A process of its own that looks at a run of pytest: says what was judged last when the run ends in the middle of it.

It reads a line of JSON for each thing that begins: what to say if the run's process ends before the next line comes,
what to say if none comes in so many seconds (0: no limit), after which it ends the run; an empty line: nothing
is going on. Run by path, so that it needs nothing but Python.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import Final

_LOOK: Final = 0.5
"""Seconds from look to look. One that comes late counts no more than twice."""
_LAST_STACK: Final = 10.0
"""Seconds for pytest to write the stacks of its threads when it is aborted; then it is killed."""


def look_at(run: int) -> None:
    """Read lines until the run ends or says that it is done: by closing the pipe while nothing is going on."""
    ended = late = ""
    left, buffered, then = 0.0, b"", time.monotonic()
    while True:
        ready, _, _ = select.select([0], [], [], _LOOK)
        now = time.monotonic()
        # A machine that sleeps, or a debugger that stops both of us, must not look like a test that hangs.
        left -= min(now - then, 2 * _LOOK)
        then = now
        more = os.read(0, 1 << 16) if ready else b""
        buffered += more
        *lines, buffered = buffered.split(b"\n")
        if lines:  # only the latest counts: what began before it has ended
            ended, late, left = json.loads(lines[-1] or b'["", "", 0]')
            late = late if left else ""
        # The pipe closes with the run's process, unless a child of a test has inherited it: the parent's number tells.
        if (ready and not more) or os.getppid() != run:
            _say(ended)
            return
        if late and left <= 0:
            _end(run)
            _say(late)
            return


def _end(run: int) -> None:
    """Abort it: pytest's fault handler then writes where each thread is. Kill it if it does not go."""
    # SIGABRT first: pytest's fault handler answers it with the stacks of all threads.
    for number in (signal.SIGABRT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(run, number)
        until = time.monotonic() + _LAST_STACK
        while os.getppid() == run and time.monotonic() < until:
            time.sleep(0.02)


def _say(text: str) -> None:
    if text:
        with contextlib.suppress(OSError):
            os.write(2, f"\n{text}\n".encode())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which says what it ends
    look_at(int(sys.argv[1]))
