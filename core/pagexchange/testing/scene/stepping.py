"""A child process that its parent lets run one instruction at a time. Skips the test where that is not allowed."""

import contextlib
import ctypes
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Final, Self

import pytest

_TRACEME, _CONT, _SINGLESTEP, _DETACH = 0, 7, 9, 17
_SET_PDEATHSIG: Final = 1
_REFUSED: Final = 77
"""Exit status of a child that may not be traced."""
_FATAL: Final = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def stop_for_parent() -> None:
    """In the child: stop here until the parent says how far to go."""
    # A stopped child cannot notice that its parent is gone; without this it would stay for good.
    _libc.prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if _libc.ptrace(_TRACEME, 0, None, None) != 0:
        os._exit(_REFUSED)
    os.kill(os.getpid(), signal.SIGSTOP)


class Stepped:
    """A child that stops itself by `stop_for_parent`, and once more by SIGSTOP when all is done.

    Parameters
    ----------
    pid : int
        Of a child of this thread: Linux lets no other thread trace it.

    Attributes
    ----------
    exit_code : int or None
        As of `subprocess`; None while the child exists.
    handles : set of int
        Signals for which the child has a handler: `step` lets it run.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.exit_code: int | None = None
        self.handles: set[int] = set()
        self._signal = 0
        self._wait()
        if self.exit_code == _REFUSED:
            pytest.skip("processes may not be traced here (ptrace is refused)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            while self.exit_code is None:  # a stop that was not waited for yet comes before the end
                self._wait()

    def _wait(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSTOPPED(status):
            self.exit_code = os.waitstatus_to_exitcode(status)
        return status

    def step(self) -> bool:
        """Let it run one instruction; False once it has stopped itself again.

        Raises
        ------
        ChildProcessError
            The instruction ended it, or brought a signal that would.
        """
        return self._go(_SINGLESTEP)

    def run(self) -> None:
        """Let it run until it stops itself again.

        Raises
        ------
        ChildProcessError
            As of `step`.
        """
        while self._go(_CONT):
            pass

    def _go(self, request: int) -> bool:
        if _libc.ptrace(request, self.pid, None, self._signal or None) != 0:
            pytest.skip("processes may not be stepped here (ptrace is refused)")
        status = self._wait()
        self._signal = 0
        if os.WIFSTOPPED(status) and os.WSTOPSIG(status) in self.handles:
            self._signal = os.WSTOPSIG(status)
            return True
        if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) in _FATAL:
            raise ChildProcessError(f"wait status {status:#x}")
        return os.WSTOPSIG(status) != signal.SIGSTOP

    def finish(self) -> int:
        """Let it run to its end, past the stops on the way; its exit code."""
        assert _libc.ptrace(_DETACH, self.pid, None, None) == 0
        while self.exit_code is None:
            _, status = os.waitpid(self.pid, os.WUNTRACED)
            if os.WIFSTOPPED(status):
                os.kill(self.pid, signal.SIGCONT)
            else:
                self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code


def forked(work: Callable[[], object], kind: Callable[[int], Stepped] = Stepped) -> Stepped:
    """Return a copy of this process that stops before some work, and after it; as what `kind` makes of its number.

    The work touches nothing but what it shares: the copy has none of this process's other threads, and is killed
    before it could clean up anything.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of libraries, which the child does not use
        pid = os.fork()
    if pid == 0:
        try:
            stop_for_parent()
            work()
            os.kill(os.getpid(), signal.SIGSTOP)
        finally:
            os._exit(1)
    child = kind(pid)
    if child.exit_code is not None:
        pytest.fail(f"the process to be stepped did not start (exit code {child.exit_code})", pytrace=False)
    return child


def states(child: Stepped, read: Callable[[], bytes]) -> Iterator[bytes]:
    """Step through a child's work; yield what is read after each instruction that changed it."""
    last = read()
    running = True
    while running:
        running = child.step()
        now = read()
        if now != last:
            yield now
            last = now
