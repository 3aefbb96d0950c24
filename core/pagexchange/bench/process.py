"""A cell's process as whoever started it sees it: told what to do, listened to with a deadline, ended with its name."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import IO, Final

import msgspec

from pagexchange.bench.task import Answer, Ask, Done, Failed, Ready, Task
from pagexchange.bench.turn import Turn
from pagexchange.exits import EXIT_BUG

THREADS: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which libraries that a cell loads are told how many threads they may start."""
SHOWN: Final = 400
"""Characters of what a process that failed wrote to stderr, its end."""


class CellError(Exception):
    """A cell's process gives no more turns."""

    def __init__(self, sentence: str, exit_status: int) -> None:
        super().__init__(sentence)
        self.exit_status = exit_status
        """Negative: the signal that ended it."""


class CellProcess:
    """The process of one cell. Nothing is waited for before `ready`, so that several start at the same time.

    Parameters
    ----------
    deadline
        Seconds that its start, and each turn, may take.
    """

    def __init__(self, task: Task, deadline: float) -> None:
        self.task, self.deadline = task, deadline
        self.stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._waiting = b""
        read, write = os.pipe2(os.O_CLOEXEC)
        back, answers = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pagexchange.bench.worker", str(read), str(answers)],
                stdin=subprocess.DEVNULL, stdout=self.stderr, stderr=self.stderr, pass_fds=(read, answers),
                env=os.environ | dict.fromkeys(THREADS, str(task.point.threads)),
            )  # fmt: skip
        finally:
            os.close(read)
            os.close(answers)
        self._to, self._from = write, back
        self.pid = self._process.pid
        self.begun = time.monotonic()
        self._doing = "it made its pages"
        with suppress(BrokenPipeError):  # it has ended: the answer says how
            _write_all(write, msgspec.json.encode(task) + b"\n")

    def ready(self) -> Ready:
        """Wait for its pages. CellError: it did not make them, or they came out wrong."""
        answer = self._answer(self.begun + self.deadline)
        assert isinstance(answer, Ready)
        return answer

    def turn(self, number: int) -> Turn:
        """Let it take a turn. CellError: it crashed, was killed, hangs, or failed."""
        self._doing = f"its turn {number}"
        with suppress(BrokenPipeError):
            _write_all(self._to, msgspec.json.encode(Ask(number=number)) + b"\n")
        answer = self._answer(time.monotonic() + self.deadline)
        assert isinstance(answer, Done)
        return answer.turn

    def close(self) -> float:
        """End it, whatever it does; return the seconds that it lived."""
        for number in (self._to, self._from):
            with suppress(OSError):
                os.close(number)
        # It holds nothing that must be put away: arenas are memory, and end with it.
        self._process.kill()
        self._process.wait()
        self.stderr.close()
        self._to = self._from = -1
        return time.monotonic() - self.begun

    def _answer(self, until: float) -> Answer:
        while b"\n" not in self._waiting:
            # It may have answered long ago: others were waited for before it.
            if not select.select([self._from], [], [], max(0.0, until - time.monotonic()))[0]:
                self._process.kill()
                self._process.wait()
                raise CellError(
                    f"hung: no answer within {self.deadline:g} s while {self._doing}; it was killed", -signal.SIGKILL
                )
            data = os.read(self._from, 1 << 16)
            if not data:
                raise self._ended()
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\n")
        answer: Answer = msgspec.json.decode(line, type=Answer)
        if isinstance(answer, Failed):
            raise CellError(answer.error, answer.exit)
        return answer

    def _ended(self) -> CellError:
        status = self._process.wait()
        how = f"exited with status {status}"
        if status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else "unknown"
            how = f"killed by signal {-status} ({name})"
            if -status == signal.SIGKILL:
                how += ", as Linux does when memory runs out"
        said = self._said()
        return CellError(f"{how} while {self._doing}{f': {said}' if said else ''}", status or EXIT_BUG)

    def _said(self) -> str:
        """The end of what it wrote to stderr, in one line."""
        with suppress(OSError, ValueError):
            size = self.stderr.seek(0, os.SEEK_END)
            self.stderr.seek(max(0, size - (1 << 16)))
            text = self.stderr.read().decode(errors="replace")
            return " ".join(line.strip() for line in text.splitlines() if line.strip())[:SHOWN]
        return ""


def _write_all(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]
