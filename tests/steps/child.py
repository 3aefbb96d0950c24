"""What a forked process does in an arena of its own, in a file, and is stepped through: a row's work, or a recovery."""

import os
import signal
from pathlib import Path

from tests.core.pages import Pages
from tests.steps.judge import Memory, Native
from tests.steps.rows import Exchange, Row


def stop() -> None:
    """Until the parent goes on."""
    os.kill(os.getpid(), signal.SIGSTOP)


def do_work(row: Row, path: Path) -> None:
    """Do a row's work, with a stop before and after it."""
    pages = Pages(path=path, **row.capacities)
    row.prepare(pages)()  # everything is bound and warm
    work = row.prepare(pages)
    if isinstance(work, Exchange) and work.parts > 1:
        for number in range(work.parts):
            work.part(number)
            pages.arena.memory.tofile(f"{path}.{number}")
            work.part(number)
    stop()
    work()
    stop()


def do_recovery(row: Row, left: Memory, path: Path) -> None:
    """Recover a state which another process has left, with a stop before and after it."""
    survivor = Native(row, path)
    survivor.put(left)
    survivor.arena.recover()  # everything is warm
    survivor.put(left)
    stop()
    survivor.arena.recover()
    stop()
