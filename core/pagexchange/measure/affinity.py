"""One CPU for each thread, while something is timed: a thread that is moved pays for cold caches.

Of those that the process may use the calmest are taken, as far as Linux says; nothing of the system is changed, and at
the end the calling thread may run where it could before. Threads that it starts meanwhile stay where it is.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from pagexchange_native import procfs

_IDLE: Final = (3, 4)
"""Places of the columns idle and iowait in a line `cpuN` of /proc/stat."""


class Pinning:
    """The CPUs of the calling thread.

    Parameters
    ----------
    root
        Where /proc is; tests put a made-up machine there.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._before: set[int] = set()
        with suppress(AttributeError, OSError):
            self._before = os.sched_getaffinity(0)
        self._idle = _idle(root)
        self._calmest = sorted(self._before)
        self._now = self._before

    def choose(self) -> None:
        """Take the CPUs that had most time to spare since this was called before, or since the start."""
        idle = _idle(self._root)
        spare = {cpu: idle.get(cpu, 0) - self._idle.get(cpu, 0) for cpu in self._before}
        self._calmest = sorted(self._before, key=lambda cpu: (-spare[cpu], cpu))
        self._idle = idle

    def to(self, threads: int) -> list[int]:
        """Pin to one CPU for each of so many threads; return them, in order. Empty: it is not pinned, and may not be.

        Where there are fewer CPUs than threads, it is all of them.
        """
        wanted = set(self._calmest[:threads])
        if wanted != self._now:
            try:
                os.sched_setaffinity(0, wanted)
            except (AttributeError, OSError):  # another system, a sandbox; a CPU that has gone
                self._before, self._calmest, wanted = set(), [], set()
            self._now = wanted
        return sorted(wanted)

    def release(self) -> None:
        """Let it run where it could before."""
        if self._before != self._now:
            with suppress(OSError):
                os.sched_setaffinity(0, self._before)
            self._now = self._before


def _idle(root: Path) -> dict[int, int]:
    """CPU -> ticks since boot in which it had nothing to do."""
    try:
        text = procfs.text((root / "proc/stat").read_bytes())
    except OSError:
        return {}
    found = {}
    for number, columns in re.findall(r"^cpu(\d+) ([\d ]+)$", text, re.M):
        ticks = [int(word) for word in columns.split()]
        found[int(number)] = sum(ticks[place] for place in _IDLE if place < len(ticks))
    return found
