"""Reads the processes' page tables: which page of whose address space lies in which frame, as which page of a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot.proc import reader
from pagexchange.pages.snapshot.snapshot import EXCLUSIVE, FILE, SHARED, WRITABLE

BUDGET: Final = 1 << 27
"""Pages of address space that are looked at, of all processes together: 512 GiB, about a second."""


@dataclass
class Mappings:
    """Mappings found, one row each."""

    space: NDArray[np.uint32]
    vpn: NDArray[np.uint64]
    """Virtual page number, as the process sees it."""
    pfn: NDArray[np.uint64]
    """0 everywhere without CAP_SYS_ADMIN."""
    bits: NDArray[np.uint8]
    file: NDArray[np.int32]
    """Number of the file, in the order of their first sight; -1 anonymous."""
    index: NDArray[np.uint64]


@dataclass
class Seen:
    """What was found in the processes read so far, area by area, and what went wrong."""

    rows: list[Mappings] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    """Process of each address space."""
    areas: list[tuple[int, int]] = field(default_factory=list)
    files: dict[tuple[str, int], int] = field(default_factory=dict)
    """Device and inode to number."""
    file_names: list[str] = field(default_factory=list)
    left: int = BUDGET
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


def read(proc: Path, pid: int, page_size: int, seen: Seen, *, must: bool) -> None:
    """Add the mappings of one process; count it if it cannot be read, or fail if it must be."""
    found: list[tuple[reader.Area, NDArray[np.uint64], NDArray[np.uint64]]] = []
    try:
        areas = reader.areas(proc, pid, page_size)
        if not areas:  # a thread of Linux itself
            seen.without_memory += 1
            return
        with reader.Words(proc / str(pid) / "pagemap") as pagemap:
            for area in areas:
                if seen.left <= 0:
                    break
                if area.perms.startswith("---"):  # nothing can be there, and reservations are huge
                    continue
                pieces = reader.present(pagemap, area, seen.left)
                found += [(area, vpn, words) for vpn, words in pieces]
                seen.left -= area.end - area.start
    except OSError as error:
        if must:
            raise SnapshotError(f"process {pid} cannot be read: {error.strerror}") from error
        if error.errno in reader.DENIED:
            seen.denied += 1
        elif error.errno in reader.GONE:
            seen.vanished += 1
        else:
            raise SnapshotError(f"{error.filename or f'{proc}/{pid}/pagemap'}: {error.strerror}") from error
        return
    if not found:
        seen.without_memory += 1
        return
    number = len(seen.pids)
    seen.pids.append(pid)
    for area, vpn, words in found:
        is_file = (words & reader.FILE_PAGE) != 0
        bits = is_file.astype(np.uint8) * FILE
        bits |= ((words & reader.EXCLUSIVE_PAGE) != 0).astype(np.uint8) * EXCLUSIVE
        bits |= np.uint8(WRITABLE * ("w" in area.perms) + SHARED * ("s" in area.perms))
        known = -1
        if area.inode:
            key = (area.device, area.inode)
            known = seen.files.setdefault(key, len(seen.files))
            if known == len(seen.file_names):
                seen.file_names.append(area.name)
        index = np.where(is_file, vpn - np.uint64(area.start) + np.uint64(area.offset), 0).astype(np.uint64)
        file = np.where(is_file, known, -1).astype(np.int32)
        space = np.full(len(vpn), number, dtype=np.uint32)
        seen.rows.append(Mappings(space, vpn, words & reader.PFN, bits, file, index))
        seen.areas.append((area.start, area.end))
