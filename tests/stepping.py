"""A Python file or function that runs one instruction at a time; its parent reads and writes its memory meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pagexchange.testing.scene import stepping

ROOT = Path(__file__).parents[1]


class Stepped(stepping.Stepped):
    """A Python file that runs until it stops itself for the first time; it stops once more when all is done."""

    def __init__(self, file: Path, *arguments: str) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.child = subprocess.Popen(
            [sys.executable, str(file), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        try:
            super().__init__(self.child.pid)
        finally:
            _, errors = self._output() if self.exit_code is not None else ("", "")
        if self.exit_code is not None:
            pytest.fail(f"the child ended before it stopped: {errors}")
        self._memory = os.open(f"/proc/{self.pid}/mem", os.O_RDWR)

    def __exit__(self, *error: object) -> None:
        os.close(self._memory)
        super().__exit__(*error)
        self._output()

    def _output(self) -> tuple[str, str]:
        """What it printed and its errors, once it has ended."""
        self.child.returncode = self.exit_code  # subprocess has not waited for it, and would do so in vain
        return self.child.communicate()

    def line(self) -> str:
        """The next line that it printed before it stopped."""
        assert self.child.stdout is not None
        return self.child.stdout.readline()

    def end(self) -> str:
        """Let it run to its end, which must be with status 0; what it printed."""
        code = self.finish()
        out, errors = self._output()
        assert code == 0, errors
        return out

    def read(self, address: int, size: int) -> bytes:
        return os.pread(self._memory, size, address)

    def word(self, address: int, size: int = 8) -> int:
        return int.from_bytes(self.read(address, size), sys.byteorder)

    def set_word(self, address: int, value: int) -> None:
        os.pwrite(self._memory, value.to_bytes(8, sys.byteorder), address)


Prepared = tuple[Callable[[], object], list[int]]
"""What is to be stepped through, and addresses and numbers for the parent."""


class Child(stepping.Stepped):
    """A process that is stepped through what a function returned there; `told` is what it returned besides."""

    def __init__(self, pid: int, here: int) -> None:
        super().__init__(pid)
        self.told: list[int] = np.frombuffer(os.read(here, 256), np.int64).tolist()
        self.memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)

    def __exit__(self, *error: object) -> None:
        os.close(self.memory)
        super().__exit__(*error)

    def word(self, address: int, size: int = 8) -> int:
        return int.from_bytes(os.pread(self.memory, size, address), sys.byteorder)

    def set_word(self, address: int, value: int, size: int = 8) -> None:
        os.pwrite(self.memory, value.to_bytes(size, sys.byteorder), address)

    def rest(self) -> None:
        """Step to the end."""
        while self.step():
            pass


@contextmanager
def stepped(prepare: Callable[[], Prepared]) -> Iterator[Child]:
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work, told = prepare()
            os.write(there, np.array(told, np.int64).tobytes())
            stepping.stop_for_parent()
            work()
            os.kill(os.getpid(), signal.SIGSTOP)
        finally:
            os._exit(1)
    try:
        with Child(pid, here) as child:
            yield child
    finally:
        os.close(here)
        os.close(there)
