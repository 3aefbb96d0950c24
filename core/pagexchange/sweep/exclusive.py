"""One measurement at a time on a machine: also of two sweeps, and beside one that a lost worker has not ended yet."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PAUSE: Final = 0.05
"""Seconds between two looks at whether it is our turn."""


@contextmanager
def exclusive(stopped: Callable[[], bool], folder: Path | None = None) -> Iterator[bool]:
    """Wait until nobody else of this user measures on this machine; within it nobody else does.

    Yields False if `stopped` said so before. Linux lets go of it when the process ends, however it ends.

    Parameters
    ----------
    folder
        Where the lock lies: whoever shares it takes turns.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"pagexchange-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(folder / "measuring", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield _ours(handle, stopped)
    finally:
        os.close(handle)


def _ours(handle: int, stopped: Callable[[], bool]) -> bool:
    while not stopped():
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE)
        else:
            return True
    return False
