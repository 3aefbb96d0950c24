"""Reads the processes' page tables: which page of an address space lies in which frame, as which page of a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot.proc import reader
from pagexchange_native.arena import backing

# What a row's `bits` say; a snapshot keeps them as its `map_bits`.
EXCLUSIVE: Final = 1
"""Linux is certain that no other process maps the page (pagemap bit 56)."""
FILE: Final = 2
"""A page of a file or of shared memory (pagemap bit 61)."""
WRITABLE: Final = 4
"""The VMA may be written."""
SHARED: Final = 8
"""The VMA is shared: its writes reach the file."""

BUDGET: Final = 1 << 27
"""Mappings that are recorded at most, of all processes together: 512 GiB of pages, as many as a snapshot may have."""
_BYTES: Final = 200
"""What a mapping takes while the recording is made."""


def _budget() -> int:
    return min(BUDGET, backing.memory_available() // _BYTES)


@dataclass
class Mappings:
    """Mappings of pages, one row each."""

    space: NDArray[np.uint32]
    """Number of the address space: the process's place in `Recording.pids`."""
    vpn: NDArray[np.uint64]
    """Virtual page number, as the process sees it."""
    pfn: NDArray[np.uint64]
    """0 everywhere without CAP_SYS_ADMIN."""
    bits: NDArray[np.uint8]
    """EXCLUSIVE, FILE, WRITABLE, SHARED."""
    file: NDArray[np.int32]
    """Number of the file, in the order in which files were met; -1 anonymous."""
    index: NDArray[np.uint64]
    """Position in the file, in pages; 0 for anonymous pages."""


@dataclass
class Recording:
    """The mappings of the processes read so far, area by area, and what went wrong."""

    rows: list[Mappings] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    """Process of each address space."""
    areas: list[tuple[int, int]] = field(default_factory=list)
    """First virtual page number, and the one after the last."""
    files: dict[tuple[str, int], int] = field(default_factory=dict)
    """Device and inode to number."""
    file_names: list[str] = field(default_factory=list)
    """By number."""
    left: int = field(default_factory=_budget)
    """Mappings that may still be recorded. What is reserved only does not count."""
    share: int = BUDGET
    """And of each process."""
    cut: list[int] = field(default_factory=list)
    """Processes that have more."""
    blind: int = 0
    """Areas so large that only their beginning was looked at, because Linux cannot say where in them pages are."""
    denied: int = 0
    vanished: int = 0
    without_memory: int = 0

    def all(self) -> Mappings:
        """Everything in one."""
        rows = self.rows
        if not rows:
            words, none = np.zeros(0, np.uint64), np.zeros(0, np.uint32)
            return Mappings(none, words, words, np.zeros(0, np.uint8), np.zeros(0, np.int32), words)
        return Mappings(
            np.concatenate([part.space for part in rows]), np.concatenate([part.vpn for part in rows]),
            np.concatenate([part.pfn for part in rows]), np.concatenate([part.bits for part in rows]),
            np.concatenate([part.file for part in rows]), np.concatenate([part.index for part in rows]),
        )  # fmt: skip


def read_all(proc: Path, pids: list[int], page_size: int, recording: Recording, *, must: bool) -> None:
    """Add the mappings of these processes, see `read`. None is left out because another one has many."""
    recording.share = share([reader.resident(proc, pid) for pid in pids], recording.left)
    for pid in pids:
        read(proc, pid, page_size, recording, must=must)


def share(sizes: list[int | None], budget: int) -> int:
    """How much each may have, so that all who want less get what they want; of None it is not known what it wants."""
    left, open_ = budget, len(sizes)
    for size in sorted(budget if size is None else size for size in sizes):
        if size > left // open_:
            return left // open_
        left, open_ = left - size, open_ - 1
    return budget  # it is enough for all: nobody is held to a size that may be out of date


def read(proc: Path, pid: int, page_size: int, recording: Recording, *, must: bool) -> None:
    """Add the mappings of one process; count it if it cannot be read, or fail if it must be.

    Raises
    ------
    SnapshotError
        The process must be read and cannot, or reading failed for a reason other than rights or its end.
    """
    # Kept aside until the process is read to its end: one that vanishes in the middle leaves nothing behind.
    pieces: list[tuple[reader.Area, NDArray[np.uint64], NDArray[np.uint64]]] = []
    blind, most = 0, min(recording.left, recording.share)
    # one more than it may have: so it is known whether it has more
    left = most + 1
    try:
        areas = reader.areas(proc, pid, page_size)
        if not areas:  # a thread of Linux itself
            recording.without_memory += 1
            return
        with reader.Words(proc / str(pid) / "pagemap") as pagemap:
            for area in areas:
                for vpn, words in reader.present(pagemap, area, left):
                    pieces.append((area, vpn, words))
                    left -= len(vpn)
                blind += area.end - area.start > reader.limit(area) and pagemap.stretches(area.start, area.end) is None
                if left <= 0:
                    break
    except OSError as error:
        if must:
            raise SnapshotError(f"process {pid} cannot be read: {error.strerror}") from error
        if error.errno in reader.DENIED:
            recording.denied += 1
        elif error.errno in reader.GONE:
            recording.vanished += 1
        else:
            raise SnapshotError(f"{error.filename or f'{proc}/{pid}/pagemap'}: {error.strerror}") from error
        return
    recording.blind += blind
    if left <= 0:
        recording.cut.append(pid)
        area, vpn, words = pieces.pop()
        if len(vpn) > 1:
            pieces.append((area, vpn[:-1], words[:-1]))
    recording.left -= min(most, most + 1 - left)
    if not pieces:
        recording.without_memory += left > 0
        return
    number = len(recording.pids)
    recording.pids.append(pid)
    for area, vpn, words in pieces:
        # A private page of a file that was written to is anonymous: pagemap says so page by page, the area does not.
        is_file = (words & reader.FILE_PAGE) != 0
        bits = is_file.astype(np.uint8) * FILE
        bits |= ((words & reader.EXCLUSIVE_PAGE) != 0).astype(np.uint8) * EXCLUSIVE
        bits |= np.uint8(WRITABLE * ("w" in area.perms) + SHARED * ("s" in area.perms))
        number_of_file = -1
        if area.inode:
            key = (area.device, area.inode)
            number_of_file = recording.files.setdefault(key, len(recording.files))
            if number_of_file == len(recording.file_names):  # met for the first time
                recording.file_names.append(area.name)
        index = np.where(is_file, vpn - np.uint64(area.start) + np.uint64(area.offset), 0).astype(np.uint64)
        file = np.where(is_file, number_of_file, -1).astype(np.int32)
        space = np.full(len(vpn), number, dtype=np.uint32)
        recording.rows.append(Mappings(space, vpn, words & reader.PFN, bits, file, index))
        recording.areas.append((area.start, area.end))
