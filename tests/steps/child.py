"""A process with an arena in a file that does one row's work, and is stepped through it."""

import os
import signal
import sys

from pagexchange.testing.scene.stepping import stop_for_parent
from tests.core.pages import Pages
from tests.steps.rows import CAPACITIES, ROWS, Exchange


def main(path: str, name: str) -> None:
    pages = Pages(path=path, **CAPACITIES)
    prepare = ROWS[name].prepare
    prepare(pages)()  # everything is bound and warm
    work = prepare(pages)
    if isinstance(work, Exchange) and work.parts > 1:
        for number in range(work.parts):
            work.part(number)
            pages.arena.memory.tofile(f"{path}.{number}")
            work.part(number)
    stop_for_parent()
    work()
    os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    main(*sys.argv[1:])
