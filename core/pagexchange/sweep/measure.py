"""One point measured on this host, which is the worker's: in a process that nothing of the worker's runs in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from pagexchange.host.blocking import VARIABLE as BLOCK
from pagexchange.samples.naming import now
from pagexchange.sweep import inputs
from pagexchange.sweep.exclusive import exclusive
from pagexchange.sweep.outcome import CONFIG, Ended, arguments, outcome
from pagexchange.sweep.wire import Measured, Task


@dataclass
class _Running:
    """What this process measures, and whether it was asked to stop."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)


_here = _Running()


def measure(task: Task) -> Measured:
    """Measure a point.

    A process that crashes is an answer like any other; what is missing here is one, too. OSError: no room for files.
    """
    cache = inputs.Cache()
    found = {name: cache.find(name) for name in task.files}
    if missing := [name for name, path in found.items() if path is None]:
        return Measured(cells=[], samples=[], missing=missing)
    with exclusive(lambda: task.token in _here.stopped) as ours, tempfile.TemporaryDirectory(prefix="pgx-") as place:
        if not ours:
            return Measured(cells=[], samples=[], stopped=True)
        folder = Path(place)
        for name, path in found.items():
            assert path is not None
            (folder / name).symlink_to(path)
        (folder / CONFIG).write_text(task.text, encoding="utf-8")
        ended = _run(task, folder)
        if ended is None:
            return Measured(cells=[], samples=[], stopped=True)
        return outcome(task, folder, ended)


def keep(name: str, data: bytes) -> None:
    """Keep a file that points need. Errors as of `Cache.keep`."""
    inputs.Cache().keep(name, data)


def stop(token: str) -> None:
    """End what is measured for a task, which then answers that it was stopped."""
    with _here.lock:
        _here.stopped.add(token)
        process = _here.processes.get(token)
    if process is not None:
        process.kill()  # its arena is memory, and what it has measured so far counts for nothing


def stop_all() -> None:
    """End all that is measured in this process."""
    with _here.lock:
        tokens = list(_here.processes)
    for token in tokens:
        stop(token)


def _run(task: Task, folder: Path) -> Ended | None:
    """Run the point; None: it was stopped."""
    # What the sweep's own environment blocks is in the text; this worker's must not add to it.
    environment = {key: value for key, value in os.environ.items() if key != BLOCK}
    command = [sys.executable, "-P", "-m", "pagexchange.sweep.child", str(os.getpid()), *arguments(task, folder)]
    began, started = now(), time.monotonic()
    with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
        with _here.lock:
            if task.token in _here.stopped:
                return None
            # A session of its own: Ctrl-C in the sweep's terminal is for the sweep, which says when to stop.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, start_new_session=True
            )
            _here.processes[task.token] = process
        try:
            status = process.wait()
        finally:
            with _here.lock:
                del _here.processes[task.token]
            process.kill()
            process.wait()
        if task.token in _here.stopped:
            return None
        err.seek(0)
        return Ended(began, time.monotonic() - started, status, err.read().decode(errors="replace"))
