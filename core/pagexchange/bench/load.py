"""A background load, `python -m pagexchange.bench.load CPU`: a process that copies memory on a CPU no cell has."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Final, Self

from pagexchange.bench.affinity import others

BYTES: Final = 64 << 20
"""Of each of the two buffers: more than a cache holds, so that it takes bandwidth from everybody."""
_PR_SET_PDEATHSIG: Final = 1


class Load:
    """The load, as long as it is entered."""

    def __init__(self, *, beside: list[int]) -> None:
        cpu = others(beside)[0]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pagexchange.bench.load", str(cpu)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )  # fmt: skip

        self.pid = self._process.pid

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        self._process.stdout.read(1)  # it copies from now on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def copy(cpu: int, times: float = float("inf")) -> None:
    """Copy one buffer to the other, so many times."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.sched_setaffinity(0, [cpu])
    import numpy as np

    here, there = np.ones(BYTES, np.uint8), np.ones(BYTES, np.uint8)
    os.write(1, b"\n")
    done = 0
    while done < times:
        np.copyto(there, here)
        done += 1


if __name__ == "__main__":
    copy(int(sys.argv[1]))
