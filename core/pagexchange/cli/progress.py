"""How far a long command is: a bar on a terminal, a line now and then in a pipe.

Both write when they are told something, and only then: nothing is written, and no thread wakes up, in a timed call.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from pagexchange.cli.logs import fills_stderr
from pagexchange.cli.terminal import say
from pagexchange.strangers import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagexchange.runs.in_turns import Progress

VARIABLE: Final = "PAGEXCHANGE_PROGRESS"
"""Another number of seconds than `FIRST`; 0: no lines."""
FIRST: Final = 5.0
"""Seconds until the first line in a pipe; the next one comes after twice as long."""
LONGEST: Final = 300.0
"""Seconds between two lines at most, if there is something to say: CI ends what is silent for ten minutes."""


@contextmanager
def progress_bar(*, show: bool) -> Iterator[Progress]:
    """What a verb tells its progress to: `(done, total, what)`, see `runs.in_turns.Progress`; total 0 is not known."""
    if not show or fills_stderr():
        yield lambda done, total, what: None
        return
    if not sys.stderr.isatty():
        first = _first()
        yield Lines(first) if first else lambda done, total, what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description:40}", markup=False), BarColumn(30), TaskProgressColumn())
    # No refresh thread: it would wake up inside of what is timed.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=None)

        def tell(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total or None, description=visible(what))
            bar.refresh()

        yield tell


class Lines:
    """A plain line on stderr after 5 s, 10 s, 20 s and so on, at last every five minutes.

    Parameters
    ----------
    first
        Seconds until the first one, instead of 5.
    clock
        Seconds, from anywhere on.
    """

    def __init__(self, first: float = FIRST, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.started = clock()
        self.first = self.due = first

    def __call__(self, done: int, total: int, what: str) -> None:
        """Say what comes now, if a line is due."""
        passed = self.clock() - self.started
        if passed < self.due or not what:
            return
        self.due = passed + min(max(passed, self.first), LONGEST)
        share = f", {done:,} of {total:,}" if total else ""
        say(f"pagexchange: after {passed:.0f} s: {what}{share}", err=True)


def _first() -> float:
    """Return the seconds that the environment asks for."""
    with suppress(ValueError):
        return max(0.0, float(os.environ.get(VARIABLE, "")))
    return FIRST
