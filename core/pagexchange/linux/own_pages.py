"""Anonymous pages of this process, in two halves that may lie on two real nodes: no privilege is needed for them."""

from __future__ import annotations

import mmap
import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.model.sizes import format_size
from pagexchange_native import procfs
from pagexchange_native.arena import numa, real_nodes
from pagexchange_native.arena.real_nodes import several

Numbers = NDArray[np.int64]

HUGE: Final = 2 << 20
SIZES: Final = (4096, HUGE)
"""Bytes of a page that Linux moves as one: a base page, or a transparent huge page."""


class OwnPages:
    """Pages numbered from 0: the first `count` of them, and then as many more.

    Parameters
    ----------
    count
        Pages of a half.
    size
        Bytes of a page: 4096 or 2 MiB.
    nodes
        Real nodes that the halves begin on; None: wherever Linux puts them.
    spare
        Pages that must be free on each node besides, since what moves takes a free one first.

    Raises
    ------
    LookupError
        This machine has it not: no such pages, no right to place them, too little memory. In a sentence.
    """

    def __init__(self, count: int, *, size: int = 4096, nodes: tuple[int, int] | None = None, spare: int = 0) -> None:
        if size not in SIZES or os.sysconf("SC_PAGESIZE") != 4096:
            raise LookupError(f"Linux moves pages of 4 KiB and of 2 MiB here, not of {format_size(size)}")
        self.count, self.size, self.nodes = count, size, nodes
        half = count * size
        if nodes:
            _refuse_without_room(nodes, half, spare * size)
        self._area = mmap.mmap(-1, 2 * half + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        whole = np.frombuffer(self._area, np.uint8)
        lead = -whole.ctypes.data % HUGE
        self.memory: NDArray[np.uint8] = whole[lead : lead + 2 * half]
        """All of them, uint8."""
        self.addresses: NDArray[np.uint64] = np.uint64(self.memory.ctypes.data) + np.arange(
            2 * count, dtype=np.uint64
        ) * np.uint64(size)
        """Where each page is: what of a page does not change when Linux moves it."""
        if hasattr(mmap, "MADV_HUGEPAGE"):
            advice = mmap.MADV_HUGEPAGE if size == HUGE else mmap.MADV_NOHUGEPAGE
            self._area.madvise(advice, lead, 2 * half)
        for number, node in enumerate(nodes or ()):
            _bind(int(self.addresses[number * count]), half, numa.BIND, [node])
        self.memory[:: min(size, 4096)] = 1
        if nodes:  # from here on they are as anybody's: only where they were born was decided
            _bind(int(self.addresses[0]), 2 * half, numa.DEFAULT, [])
        if size == HUGE:
            self._refuse_in_parts()

    def where(self, numbers: Numbers) -> NDArray[np.int32]:
        """Return the node of each page, or -errno. OSError: Linux does not say."""
        return real_nodes.HERE.where(self.addresses[numbers])

    def words(self) -> NDArray[np.uint64]:
        """Return the contents, uint64[2 * count, size // 8], no copy."""
        return self.memory.view(np.uint64).reshape(2 * self.count, -1)

    def _refuse_in_parts(self) -> None:
        """LookupError if not all pages came as huge ones: what Linux then moves is base pages."""
        first, end = int(self.addresses[0]), int(self.addresses[0]) + self.memory.nbytes
        huge = inside = 0
        for line in procfs.lines("/proc/self/smaps"):
            area, _, _ = line.partition(b" ")
            low, dash, high = area.partition(b"-")
            if dash and not low.strip(b"0123456789abcdef"):
                inside = int(int(low, 16) < end and first < int(high, 16))
            elif inside and line.startswith(b"AnonHugePages:"):
                huge += int(line.split()[1]) << 10
        if huge < self.memory.nbytes:
            raise LookupError(
                f"of {2 * self.count} pages of 2 MiB Linux gave {huge // HUGE}: it has no more free blocks, or "
                "/sys/kernel/mm/transparent_hugepage/enabled says never"
            )


def two_nodes(wanted: tuple[int, ...] = ()) -> tuple[int, int]:
    """Return the fast and the slow node: those that are wanted, else one with processors and, if there is, one without.

    Raises
    ------
    LookupError
        There are no two that have memory and that this process may use. In a sentence.
    """
    machine = real_nodes.HERE
    there, allowed = machine.with_memory(), machine.allowed()
    if len(there) < 2:
        raise LookupError(f"Linux moves pages between nodes of memory, and this machine has one: {several(there)}")
    if len(allowed) < 2:
        raise LookupError(f"of {several(there)} the cpuset of this process allows {several(allowed)} alone")
    if missing := [node for node in wanted if node not in allowed]:
        raise LookupError(f"{several(missing)}: this process may use memory of {several(allowed)}")
    if len(wanted) == 2 and wanted[0] != wanted[1]:
        return wanted[0], wanted[1]
    with_cpus = [node for node in allowed if machine.has_cpus(node)]
    fast = (with_cpus or allowed)[0]
    without = [node for node in allowed if node not in with_cpus]
    return fast, (without or [node for node in allowed if node != fast])[0]


def _refuse_without_room(nodes: tuple[int, int], half: int, spare: int) -> None:
    for node in set(nodes):
        needed = half * nodes.count(node) + spare
        available = real_nodes.HERE.available(node)
        if available < needed:
            raise LookupError(
                f"node {node}: {format_size(needed)} are needed for pages, {format_size(available)} are available"
            )


def _bind(address: int, size: int, mode: int, nodes: list[int]) -> None:
    try:
        real_nodes.HERE.mbind(address, size, mode, nodes)
    except OSError as error:
        raise LookupError(f"pages cannot be placed on {several(nodes)}: {error.strerror}") from None
