"""All threads of a child, one instruction of one of them at a time, in an order drawn by a seed."""

import ctypes
import os
import signal
from pathlib import Path

import numpy as np

from pagexchange.testing.scene.stepping import Stepped

_SINGLESTEP, _SETOPTIONS, _GETEVENTMSG = 9, 0x4200, 0x4201
_TRACE_CLONE, _EVENT_CLONE, _WALL = 8, 3, 0x40000000
_FATAL = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)
LENGTHS = (1, 1, 2, 5, 20, 100, 500)
"""In instructions: how long a thread goes on before another one is drawn. Short ones mix, long ones let one lead."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class Together(Stepped):
    """A child whose threads take turns from the first step on: those that it starts from then.

    A thread that waits for another one, as who joins it does, goes on when no other is left to go on: so the order
    follows from the seed.
    """

    def __init__(self, pid: int, seed: int) -> None:
        super().__init__(pid)
        self._random = np.random.default_rng(seed)
        self._ready = [pid]
        self._waiting: list[int] = []
        self._signals: dict[int, int] = {}
        self._turn, self._left = self.pid, 0
        self._follows = False
        self.most = 1
        """As many threads as there were at once."""

    def __exit__(self, *error: object) -> None:
        others = {*self._ready, *self._waiting} - {self.pid}
        if self.exit_code is None and others:
            os.kill(self.pid, signal.SIGKILL)
            for thread in others:  # the child is not gone before somebody has taken notice of each
                while os.WIFSTOPPED(os.waitpid(thread, _WALL)[1]):
                    pass
        super().__exit__(*error)

    def step(self) -> bool:
        if not self._follows:
            assert _libc.ptrace(_SETOPTIONS, self.pid, None, _TRACE_CLONE) == 0
            self._follows = True
        thread = self._next()
        assert _libc.ptrace(_SINGLESTEP, thread, None, self._signals.pop(thread, None)) == 0, thread
        status = self._status(thread)
        if status is None:
            self._ready.remove(thread)
            self._waiting.append(thread)
            return True
        return self._stopped(thread, status)

    def _next(self) -> int:
        """The thread that goes on."""
        while not self._ready:
            thread = self._waiting[0]
            _, status = os.waitpid(thread, _WALL)
            self._waiting.remove(thread)
            self._ready.append(thread)
            assert self._stopped(thread, status)
        if self._left == 0 or self._turn not in self._ready:
            self._turn = int(self._random.choice(self._ready))
            self._left = int(self._random.choice(LENGTHS))
        self._left -= 1
        return self._turn

    def _status(self, thread: int) -> int | None:
        """What became of a thread's instruction; None: it waits for another thread."""
        if len(self._ready) == 1:
            return os.waitpid(thread, _WALL)[1]
        looks = 0
        while True:
            got, status = os.waitpid(thread, _WALL | os.WNOHANG)
            if got:
                return status
            looks += 1
            if looks % 50 == 0 and self._waits(thread):
                return None
            os.sched_yield()

    def _waits(self, thread: int) -> bool:
        """Whether it sleeps in a futex."""
        call = Path(f"/proc/{self.pid}/task/{thread}/syscall").read_text(encoding="ascii").split()
        return call[0] == str(_FUTEX)

    def _stopped(self, thread: int, status: int) -> bool:
        """Take notice of a stop; False: the child has stopped itself."""
        if not os.WIFSTOPPED(status):
            if thread == self.pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
                raise ChildProcessError(f"wait status {status:#x}")
            self._ready.remove(thread)
            return True
        if status >> 16 == _EVENT_CLONE:
            made = ctypes.c_ulong()
            assert _libc.ptrace(_GETEVENTMSG, thread, None, ctypes.byref(made)) == 0
            os.waitpid(made.value, _WALL)  # it begins with a stop
            self._ready.append(made.value)
            self.most = max(self.most, len(self._ready) + len(self._waiting))
        stop = os.WSTOPSIG(status)
        if stop in self.handles:
            self._signals[thread] = stop
        elif stop in _FATAL:
            raise ChildProcessError(f"wait status {status:#x}")
        return stop != signal.SIGSTOP


_FUTEX = 98 if os.uname().machine == "aarch64" else 202
