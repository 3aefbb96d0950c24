"""Rows as they lie in a file: packed chunks, read one by one, each checked before it is believed."""

from __future__ import annotations

import hashlib
import os
import weakref
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from pagexchange.errors import TraceError
from pagexchange.model.container import pieces
from pagexchange.pages.files.table import ACCESS, Access, fault

ROWS: Final = 1 << 15
"""Rows of a chunk, at most: 1 MiB."""


@dataclass(frozen=True, slots=True)
class Section:
    """Where a chunk lies and what it must be."""

    at: int
    rows: int
    stored: int
    sha256: str


def pack(rows: Access, at: int) -> tuple[bytes, Section]:
    """The bytes of a chunk of ascending times, and its section if it is written at `at`."""
    rows = rows.astype(ACCESS)
    rows["time"] = np.diff(rows["time"], prepend=0)
    # Byte planes: the high bytes of neighbours are mostly equal, and zlib finds runs better than it finds columns.
    planes = rows.view(np.uint8).reshape(len(rows), ACCESS.itemsize).T
    blob = zlib.compress(np.ascontiguousarray(planes).tobytes(), 6)
    return blob, Section(at, len(rows), len(blob), hashlib.sha256(blob).hexdigest())


class Store:
    """Chunks in a file that is open. It closes the descriptor when it is no longer used.

    Several may read at once: a read has no place in the file but its own.
    """

    def __init__(self, descriptor: int, sections: tuple[Section, ...], name: str) -> None:
        self.sections = sections
        self.name = name
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    @property
    def rows(self) -> int:
        """Rows of all chunks."""
        return sum(section.rows for section in self.sections)

    def __iter__(self) -> Iterator[Access]:
        return map(self.chunk, range(len(self.sections)))

    def blob(self, number: int) -> bytes:
        """A chunk as it is stored. TraceError: it is not all there, or is damaged."""
        section = self.sections[number]
        where = f"chunk {number}, bytes {section.at} to {section.at + section.stored}"
        try:
            data = os.pread(self._descriptor, section.stored, section.at)
        except OSError as error:
            raise TraceError(f"{self.name}: {where}: cannot be read: {error.strerror or error}") from error
        if len(data) < section.stored:
            raise TraceError(f"{self.name}: cut short in {where}: {len(data)} of {section.stored} bytes")
        if hashlib.sha256(data).hexdigest() != section.sha256:
            raise TraceError(f"{self.name}: {where}, is damaged: wrong SHA-256")
        return data

    def chunk(self, number: int) -> Access:
        """The rows of a chunk. TraceError: as `blob`, or they are not what rows can be."""
        blob, rows = self.blob(number), self.sections[number].rows
        data = bytearray()
        try:
            for piece in pieces(blob):
                data += piece
                if len(data) > rows * ACCESS.itemsize:
                    raise EOFError
        except (zlib.error, EOFError) as error:
            what = f"cannot be unpacked: {error or 'it is of another size'}"
            raise TraceError(f"{self.name}: chunk {number} {what}") from None
        if len(data) != rows * ACCESS.itemsize:
            raise TraceError(f"{self.name}: chunk {number} unpacks to {len(data)} bytes, not to {rows} rows")
        planes = np.frombuffer(data, dtype=np.uint8).reshape(ACCESS.itemsize, rows)
        table: Access = np.ascontiguousarray(planes.T).view(ACCESS).reshape(rows)
        table["time"] = np.cumsum(table["time"])
        if bool((np.diff(table["time"]) < 0).any()):
            raise TraceError(f"{self.name}: chunk {number}: its times do not ascend")
        if what := fault(table):
            raise TraceError(f"{self.name}: chunk {number}: {what}")
        return table
