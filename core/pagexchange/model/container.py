"""The outer form of our own files: magic, version, a JSON header with a digest, then one section after the other.

    offset  bytes  what
    0       8      magic: seven letters and a zero byte
    8       4      version, little-endian like everything here
    12      4      length of the header
    16      32     SHA-256 of the header
    48      ...    header, JSON: "facts" and "sections", a list of what is said of each section
    ...     ...    the sections in that order, nothing between them, nothing after them

What is in a section, and what may be said of it, is the affair of the file's own format.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pagexchange.errors import PagexchangeError

MAX_HEADER: Final = 1 << 24
PIECE: Final = 1 << 20
"""Bytes that are worked on at once."""
_PREFIX: Final = struct.Struct("<8sII32s")


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""
        ...


@dataclass(frozen=True)
class Container:
    """One kind of file of ours."""

    magic: bytes
    version: int
    noun: str
    """What a file of this kind is called in messages."""
    error: type[PagexchangeError]
    """What is raised where a file is no such file."""
    shorter: str
    """How the user makes a shorter header."""

    def begin(self, facts: object, sections: list[dict[str, Any]]) -> bytes:
        """The bytes in front of the sections. `error`: the header is too long."""
        header = json.dumps({"facts": facts, "sections": sections}, separators=(",", ":")).encode()
        if len(header) > MAX_HEADER:
            raise self.error(f"the header takes {len(header)} bytes, at most {MAX_HEADER}: {self.shorter}")
        digest = hashlib.sha256(header).digest()
        return _PREFIX.pack(self.magic, self.version, len(header), digest) + header

    def header(self, stream: Readable, size: int | None, source: str) -> tuple[dict[str, Any], int]:
        """The header of a file of so many bytes (None: not known), and the place of what follows it."""
        length, digest = self._prefix(exactly(stream, _PREFIX.size), source)
        end = _PREFIX.size + length
        if length > MAX_HEADER:
            raise self.error(f"{source}: the header claims {length} bytes; at most {MAX_HEADER} are believed")
        raw = exactly(stream, length)
        if len(raw) < length:
            raise self.error(f"{source}: cut short in the header: {len(raw)} of {length} bytes")
        if hashlib.sha256(raw).digest() != digest:
            raise self.error(f"{source}: the header, bytes {_PREFIX.size} to {end}, is damaged: wrong SHA-256")
        try:
            header = json.loads(raw.decode(), object_pairs_hook=_each_once)
            sound = isinstance(header["facts"], dict) and isinstance(header["sections"], list)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self.error(f"{source}: the header is not the JSON of a {self.noun}: {error!r}") from None
        if not sound:
            what = "facts or sections of another type"
            raise self.error(f"{source}: the header is not the JSON of a {self.noun}: {what}")
        return header, end

    def _prefix(self, data: bytes, source: str) -> tuple[int, bytes]:
        if data[: len(self.magic)] != self.magic[: len(data)] or not data:
            begins = f"it begins with {data[:8]!r}, not {self.magic!r}"
            raise self.error(f"{source}: not a pagexchange {self.noun}: {begins}")
        if len(data) < _PREFIX.size:
            raise self.error(f"{source}: cut short: {len(data)} bytes, the first {_PREFIX.size} are not complete")
        _, version, length, digest = _PREFIX.unpack_from(data)
        if version != self.version:
            newer = version > self.version
            wanted = "a newer pagexchange wrote it" if newer else "no such version was ever written"
            reads = f"this pagexchange reads version {self.version}"
            raise self.error(f"{source}: {self.noun} version {version}; {reads}: {wanted}")
        return length, digest


def exactly(stream: Readable, size: int) -> bytes:
    """So many bytes, or as many as there are: a stream that claims more than it has costs what it has."""
    parts: list[bytes] = []
    while size:
        part = stream.read(min(size, PIECE))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def pieces(blob: bytes) -> Iterator[memoryview]:
    """What a section unpacks to, in pieces. zlib.error or EOFError: it is no section, or not one, or not all of one."""
    worker = zlib.decompressobj()
    for start in range(0, len(blob), PIECE):
        rest = blob[start : start + PIECE]
        if worker.eof:
            raise EOFError
        while not worker.eof:
            piece = worker.decompress(rest, PIECE)
            rest = worker.unconsumed_tail
            yield memoryview(piece)
            if not rest and len(piece) < PIECE:
                break
    if not worker.eof or worker.unused_data:
        raise EOFError


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key is there twice")
    return result
