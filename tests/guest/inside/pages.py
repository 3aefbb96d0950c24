"""What Linux tells of a page: its frame, its state as /proc shows it, and its flags word as /proc/kcore has it."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pagexchange.model.layout import Layout
from pagexchange.pages.snapshot.proc.kpageflags import describe
from tests.guest.inside.calls import PAGE

_VMEMMAP = 0xFFFFEA0000000000  # where the frames' records lie with `nokaslr` and four levels of page tables
_RECORD = 64  # bytes of struct page


@dataclass(frozen=True, slots=True)
class State:
    """One page: its frame, its flags word, bits of /proc/kpageflags by name, how often it is mapped."""

    pfn: int
    word: int
    shown: frozenset[str]
    mapcount: int


class Linux:
    """The files of the running kernel, open."""

    def __init__(self) -> None:
        self.layout = Layout.load("live")
        self._pagemap, self._flags, self._counts, self._core = (
            os.open(path, os.O_RDONLY)
            for path in ("/proc/self/pagemap", "/proc/kpageflags", "/proc/kpagecount", "/proc/kcore")
        )
        self._vmemmap = self._offset(_VMEMMAP)

    def frames(self, addresses: Sequence[int]) -> list[int | None]:
        """Frame of each page of this process; None where nothing is mapped."""
        entries = [self._word(self._pagemap, address // PAGE) for address in addresses]
        return [entry & (1 << 55) - 1 if entry >> 63 else None for entry in entries]

    def states(self, addresses: Sequence[int]) -> list[State | None]:
        """State of each page of this process; None where nothing is mapped."""
        return [None if pfn is None else self._state(pfn) for pfn in self.frames(addresses)]

    def _state(self, pfn: int) -> State:
        word = struct.unpack("=Q", os.pread(self._core, 8, self._vmemmap + pfn * _RECORD))[0]
        shown = frozenset(describe(self._word(self._flags, pfn)).split("|"))
        return State(pfn, word, shown, self._word(self._counts, pfn))

    def _offset(self, address: int) -> int:
        """Where this address is in /proc/kcore, an ELF file with one segment for each range of addresses."""
        header = os.pread(self._core, 64, 0)
        table, size, number = *struct.unpack("=Q", header[32:40]), *struct.unpack("=HH", header[54:58])
        for i in range(number):
            _, _, offset, start, _, length, _, _ = struct.unpack(
                "=IIQQQQQQ", os.pread(self._core, size, table + i * size)
            )
            if start <= address < start + length:
                return int(offset + address - start)
        raise RuntimeError("/proc/kcore has no segment with the frames' records: is the kernel's address randomised?")

    @staticmethod
    def _word(file: int, index: int) -> int:
        word: int = struct.unpack("=Q", os.pread(file, 8, index * 8))[0]
        return word
