"""Reads the page tables' face in /proc: arrays of 64-bit words, and the areas of a process.

The files of words (kpageflags, kpagecount, pagemap) take reads at multiples of 8 bytes only and have no size:
`os.pread` in whole words, until nothing comes. Every function takes the root of /proc, so that a test can build one.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.snapshot.proc import populated
from pagexchange_native import procfs

WORD: Final = 8
STEP: Final = 1 << 17
"""Words per read: 1 MiB."""
BLIND: Final = 1 << 28
"""Pages of one area that are looked at where it is not known which are there: 1 TiB, about a second."""
RESERVED: Final = 1 << 18
"""The same of an area that nobody may access: 1 GiB, about a millisecond."""
MOST: Final = 1 << 52
"""More pages than there are: no limit."""

# bits of a pagemap word
PRESENT: Final = np.uint64(1 << 63)
SWAPPED: Final = np.uint64(1 << 62)
FILE_PAGE: Final = np.uint64(1 << 61)
EXCLUSIVE_PAGE: Final = np.uint64(1 << 56)
PFN: Final = np.uint64((1 << 55) - 1)
"""Frame number of a page that is present; 0 for a reader without CAP_SYS_ADMIN."""

# Only the name, after spaces, may hold anything but a newline.
_AREA: Final = re.compile(
    rb"([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-][w-][x-][sp]) ([0-9a-f]{1,16}) ([0-9a-f]+:[0-9a-f]+) (\d{1,20})"
    rb"(?: +(.*))?",
    re.DOTALL,
)
GONE: Final = frozenset({errno.ENOENT, errno.ESRCH})
DENIED: Final = frozenset({errno.EPERM, errno.EACCES})


@dataclass(frozen=True, slots=True)
class Area:
    """One line of /proc/PID/maps, in pages."""

    start: int
    """First virtual page number."""
    end: int
    """Virtual page number after the last."""
    perms: str
    """As written there: `rwxp`, `s` for shared."""
    offset: int
    """Position in the file of the first page, in pages."""
    device: str
    inode: int
    """0 for an area without a file."""
    name: str
    """As it is now: Linux follows a renamed file, adds ` (deleted)`, and writes a newline as `\\012`. Anybody may have
    given it, so it decides nothing."""


class Words:
    """A file of 64-bit words under /proc, open for reading. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unreadable = 0
        """Words that Linux refused to read, and that are zeros therefore."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Words:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what was read was read
            os.close(self._fd)

    def read(self, first: int, count: int) -> NDArray[np.uint64]:
        """Up to `count` words from word `first`; fewer where the file ends. What cannot be read is 0, and counted."""
        parts: list[bytes] = []
        at, end, most = first * WORD, (first + count) * WORD, STEP * WORD
        while at < end:
            want = min(end - at, most)
            try:
                data = os.pread(self._fd, want, at)
            except OSError as error:
                if error.errno not in (errno.EIO, errno.EFAULT):
                    error.filename = str(self.path)  # os.pread knows a number only
                    raise
                if want > WORD:  # which word it is: the others are to be had
                    most = want // WORD // 2 * WORD
                    continue
                data = bytes(WORD)
                self.unreadable += 1
            most = min(most * 2, STEP * WORD)
            data = data[: len(data) // WORD * WORD]
            if not data:
                break
            parts.append(data)
            at += len(data)
        return np.frombuffer(b"".join(parts), dtype=np.uint64)

    def length(self, most: int = 1 << 40) -> int:
        """Number of words until the end: such a file does not tell its size."""
        # stat() says 0, and a seek to the end is refused. Double until nothing is read, then halve.
        low, high = 0, 1
        while high < most and len(self.read(high - 1, 1)):
            low, high = high, high * 2
        while low < high - 1:
            middle = (low + high) // 2
            low, high = (middle, high) if len(self.read(middle - 1, 1)) else (low, middle)
        return low

    def stretches(self, first: int, end: int) -> Iterator[tuple[int, int]] | None:
        """Of a pagemap: stretches of words from `first` up to `end` that hold all pages; None if it is not known."""
        return populated.stretches(self._fd, first, end)

    def gather(self, positions: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """uint64[n]: the words at these ascending positions, read in runs; 0 past the end."""
        out = np.zeros(len(positions), dtype=np.uint64)
        if not len(positions):
            return out
        # one read per run: a gap of less than 512 words costs less than another call
        cut = np.flatnonzero(np.diff(positions) > 512) + 1
        for rows in np.split(np.arange(len(positions)), cut):
            # and cut again at multiples of STEP, or a dense file would be read at once
            for part in np.split(rows, np.flatnonzero(np.diff(positions[rows] // np.uint64(STEP))) + 1):
                first = int(positions[part[0]])
                words = self.read(first, int(positions[part[-1]]) - first + 1)
                place = (positions[part] - np.uint64(first)).astype(np.int64)
                inside = place < len(words)
                out[part[inside]] = words[place[inside]]
        return out


def processes(proc: Path) -> list[int]:
    """The numbers of all processes, ascending."""
    return sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isascii() and entry.name.isdecimal())


def name(proc: Path, pid: int) -> str:
    """The name that a process has given itself, empty if it is gone. It may hold any character, a newline too."""
    try:
        return procfs.text((proc / str(pid) / "comm").read_bytes().removesuffix(b"\n"))
    except OSError:
        return ""


def areas(proc: Path, pid: int, page_size: int) -> list[Area]:
    """The areas of a process in /proc/PID/maps, without those that no process owns (vsyscall).

    Raises
    ------
    OSError
        ESRCH or ENOENT where the process is gone, EACCES or EPERM where it may not be read.
    """
    result: list[Area] = []
    for line in procfs.lines(proc / str(pid) / "maps"):
        match = _AREA.fullmatch(line)
        if match is None:
            continue
        start, end, perms, offset, device, inode, name = match.groups()
        first, last = int(start, 16) // page_size, int(end, 16) // page_size
        if first >= 1 << 51:  # vsyscall, in Linux's half: pagemap does not reach there
            continue
        result.append(
            Area(
                first, last, perms.decode(), int(offset, 16) // page_size, device.decode(), int(inode),
                procfs.text(name or b""),
            )
        )  # fmt: skip
    return result


def wrong_line(maps: Path) -> int | None:
    """The number of the first line that `areas` would pass over because it says no area; None if there is none."""
    with suppress(OSError):
        for number, line in enumerate(procfs.lines(maps), 1):
            if line and _AREA.fullmatch(line) is None:
                return number
    return None


def limit(area: Area) -> int:
    """Pages that are looked at, at most, where Linux cannot say where in an area pages are."""
    # Without any access it is a reservation mostly, and huge; but what was there before mprotect() is there still.
    return RESERVED if area.perms.startswith("---") else BLIND


def present(words: Words, area: Area, budget: int) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Virtual page numbers and pagemap words of the pages that are there, in pieces; of at most `budget` pages.

    Takes time in proportion to the pages that are there, where Linux can say where they are (see `populated`); else in
    proportion to the area, of which as many as `limit` says are looked at.
    """
    found = words.stretches(area.start, area.end)
    if found is None:
        found = iter([(area.start, min(area.end, area.start + limit(area)))])
    for start, end in found:
        for first in range(start, end, STEP * 8):
            entries = words.read(first, min(STEP * 8, end - first))
            there = np.flatnonzero(entries & PRESENT)[:budget]
            budget -= len(there)
            if len(there):
                yield there.astype(np.uint64) + np.uint64(first), entries[there]
            if not len(entries) or budget <= 0:  # without an entry: the process has no memory any more
                return


def resident(proc: Path, pid: int) -> int | None:
    """Pages that a process has in memory, about, by /proc/PID/statm; None if it cannot be read."""
    try:
        return int((proc / str(pid) / "statm").read_bytes().split(b" ")[1])
    except (OSError, ValueError, IndexError):
        return None
