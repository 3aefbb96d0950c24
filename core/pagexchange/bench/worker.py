"""A cell's process: `python -m pagexchange.bench.worker READ WRITE`, two descriptors, a line of JSON each way per step.

It is pinned before anything is imported that starts threads, and ends with whoever started it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pagexchange.bench.task import Answer

_PR_SET_PDEATHSIG: Final = 1
DATA: Final = 1 << 30
"""Bytes that a process may have of its own beyond what its task says: the interpreter, its libraries, a plug-in."""


def main(read: int, write: int) -> int:
    """Do what comes on the one descriptor, answer on the other; return the exit status."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal it goes to all: whoever started this one decides
    faulthandler.enable()
    os.dup2(2, 1)  # what a plug-in prints is no answer
    import msgspec.json

    lines = open(read, "rb")  # noqa: SIM115 - to the end of the process
    first = lines.readline()
    if not first:
        return 0
    from pagexchange.bench.task import Task

    task = msgspec.json.decode(first, type=Task)
    os.sched_setaffinity(0, task.cpus)
    _limit(task.memory)

    def tell(answer: Answer) -> None:
        os.write(write, msgspec.json.encode(answer) + b"\n")

    from pagexchange.bench.serve import serve

    return serve(task, lines, tell)


def _limit(memory: int) -> None:
    """Let a request for far too much memory fail, instead of the process that Linux would choose."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123 - before pathlib
        now = next((int(line.split()[1]) << 10 for line in status if line.startswith("VmData:")), 0)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = now + memory + DATA
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
