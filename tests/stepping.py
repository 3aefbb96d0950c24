"""A child process that its parent lets run one instruction at a time. Skips the test where that is not allowed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_ALLOWED = 77  # exit status: this process may not be traced
TRACEME, SINGLESTEP, DETACH = 0, 9, 17


def stop_for_parent() -> None:
    """In the child: go on from here when the parent says so."""
    if ctypes.CDLL(None).ptrace(TRACEME, 0, None, None) != 0:
        os._exit(NOT_ALLOWED)
    os.kill(os.getpid(), signal.SIGSTOP)


class Stepped:
    """A Python file that runs until it stops itself for the first time; it stops once more when all is done."""

    def __init__(self, file: Path, *arguments: str) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.child = subprocess.Popen(
            [sys.executable, str(file), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        _, status = os.waitpid(self.child.pid, 0)
        if not os.WIFSTOPPED(status):
            self.child.returncode = os.waitstatus_to_exitcode(status)
            _, said = self.child.communicate()
            if self.child.returncode == NOT_ALLOWED:
                pytest.skip("processes may not be traced here (ptrace is refused)")
            pytest.fail(f"the child ended before it stopped: {said}")
        self._memory = os.open(f"/proc/{self.child.pid}/mem", os.O_RDWR)

    def __enter__(self) -> Stepped:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._memory)
        if self.child.returncode is None:
            self.child.kill()
            self.child.communicate()

    def line(self) -> str:
        """What it has printed before it stopped, by line."""
        assert self.child.stdout is not None
        return self.child.stdout.readline()

    def step(self) -> bool:
        """Let it run one instruction; False once it has stopped itself again."""
        assert self._libc.ptrace(SINGLESTEP, self.child.pid, None, None) == 0
        _, status = os.waitpid(self.child.pid, 0)
        assert os.WIFSTOPPED(status), status
        return os.WSTOPSIG(status) == signal.SIGTRAP

    def finish(self) -> str:
        """Let it go until it ends, which must be with status 0; what it printed."""
        assert self._libc.ptrace(DETACH, self.child.pid, None, None) == 0
        while True:
            pid, status = os.waitpid(self.child.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            os.kill(pid, signal.SIGCONT)
        self.child.returncode = os.waitstatus_to_exitcode(status)
        out, said = self.child.communicate()
        assert self.child.returncode == 0, said
        return out

    def read(self, address: int, size: int) -> bytes:
        return os.pread(self._memory, size, address)

    def word(self, address: int, size: int = 8) -> int:
        return int.from_bytes(self.read(address, size), sys.byteorder)

    def set_word(self, address: int, value: int) -> None:
        os.pwrite(self._memory, value.to_bytes(8, sys.byteorder), address)
