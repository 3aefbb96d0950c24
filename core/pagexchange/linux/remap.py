"""An exchange without a copy: mremap(2) trades the page tables' entries of two ranges, and no page leaves its frame."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Final

import numpy as np

from pagexchange.linux.own_pages import Numbers, OwnPages
from pagexchange_native import procfs
from pagexchange_native.bench import time_remap

_USUAL: Final = 65530
"""vm.max_map_count where it cannot be read."""
_OTHERS: Final = 1024
"""Mappings that the process may make besides."""


class Remap:
    """Pairs of pages of one process, each of which gets the other's address: three calls of mremap a pair.

    The contents trade addresses, as after an exchange. They stay in their frames, so on their nodes, and nothing is
    faster to read: it is what user space has for the mapping's side of an exchange, and not for the memory's.

    Raises
    ------
    LookupError
        So many pages could become more mappings than Linux lets a process have.
    """

    def __init__(self, pages: OwnPages, root: Path = Path("/")) -> None:
        self.pages = pages
        most, now = _most(root), _now(root)
        # A page that has left its neighbours is a mapping of its own.
        if 2 * pages.count + now + _OTHERS > most:
            raise LookupError(
                f"{2 * pages.count:,} pages may become as many mappings, vm.max_map_count is {most:,}; want fewer"
            )
        self._scratch = mmap.mmap(-1, 2 * pages.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        here = np.frombuffer(self._scratch, np.uint8).ctypes.data
        self._through = here + -here % pages.size

    def exchange(self, first: Numbers, second: Numbers) -> tuple[int, int]:
        """Exchange pairs; return CPU and wall time in ns. OSError: Linux refused one; those before it are done."""
        pairs = np.column_stack([self.pages.addresses[first], self.pages.addresses[second]])
        return time_remap(pairs, self.pages.size, self._through)


def _most(root: Path) -> int:
    try:
        return int(b"".join(procfs.lines(root / "proc/sys/vm/max_map_count")))
    except (OSError, ValueError):
        return _USUAL


def _now(root: Path) -> int:
    try:
        return len(procfs.lines(root / f"proc/{os.getpid()}/maps"))
    except OSError:
        return 0
