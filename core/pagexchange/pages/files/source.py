"""A stranger's file as bytes or as lines: read once and in order, in bounded memory, unpacked where it is packed."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from pagexchange.errors import TraceError

STEP: Final = 1 << 20
"""Bytes that are read at once."""
HEAD: Final = 1 << 16
"""Bytes by which the form is guessed."""
LONGEST: Final = 1 << 20
"""Bytes of a line, at most."""

Progress: TypeAlias = Callable[[int, int, str], None]
"""Is told `(done, total, what)`, in bytes of the file; total 0 is not known."""

_ZLIB: Final = tuple(bytes([0x78, second]) for second in (0x01, 0x5E, 0x9C, 0xDA))
_GZIP: Final = b"\x1f\x8b"


class Source:
    """An open file. A context manager.

    Raises
    ------
    TraceError
        It cannot be read, is neither a file nor a pipe, or is packed and damaged.
    """

    def __init__(self, path: str | os.PathLike[str], progress: Progress | None = None) -> None:
        self.path = os.fspath(path)
        self._progress = progress
        self._done = 0
        self._ended = False
        self._worker: zlib._Decompress | None = None
        try:
            # not buffered: /proc/kpageflags takes reads in whole words only
            self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed by __exit__
            about = os.fstat(self._file.fileno())
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        self.size = about.st_size if stat.S_ISREG(about.st_mode) else 0
        """Bytes of the file as it lies there; 0 where that is not known."""
        try:
            if not (stat.S_ISREG(about.st_mode) or stat.S_ISFIFO(about.st_mode)):
                raise self.error("neither a file nor a pipe")
            first = self._raw(HEAD)
            self.packed = first.startswith((*_ZLIB, _GZIP))
            """Whether it is zlib or gzip over something else."""
            if self.packed:
                self._worker = zlib.decompressobj(wbits=47)  # either of the two
            self._left = first
            self.head = b""
            """The first `HEAD` bytes, unpacked, or all where there are fewer."""
            while len(self.head) < HEAD and (more := self._unpacked()):
                self.head += more
        except BaseException:
            self._file.close()
            raise
        self._ahead = self.head
        self.at = 0
        """Bytes that were handed out, unpacked."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> bytes:
        """The next bytes, some `STEP` at most; none at the end."""
        data, self._ahead = self._ahead or self._unpacked(), b""
        self.at += len(data)
        return data

    def blocks(self, *, cut_shows: bool = False) -> Iterator[tuple[int, bytes]]:
        """Whole lines, many at once: the number of the first one, and the bytes, with a newline at the end.

        A last line without a newline is refused, since nobody can tell whether its last number is all there; unless
        a line that was cut shows itself (`cut_shows`), as one of JSON does.
        """
        number, rest = 1, b""
        while data := self.read():
            block, newline, after = data.rpartition(b"\n")
            if not newline:
                rest += data
            else:
                block = rest + block + newline
                yield number, block
                number += block.count(b"\n")
                rest = after
            if len(rest) > LONGEST:
                raise self.error(f"longer than {LONGEST} bytes: not the lines that are expected", line=number)
        if rest and cut_shows:
            yield number, rest + b"\n"
        elif rest:
            raise self.error("cut short: the last line has no newline at its end", line=number)

    def error(self, what: str, *, line: int | None = None, byte: int | None = None) -> TraceError:
        """The error to raise about this file."""
        place = f":{line}" if line is not None else "" if byte is None else f": byte {byte}"
        return TraceError(f"{self.path}{place}: {what}")

    def _raw(self, size: int) -> bytes:
        try:
            data = self._file.read(size) or b""
        except OSError as error:
            raise self.error(f"cannot be read: {error.strerror or error}") from error
        self._done += len(data)
        if self._progress is not None:
            self._progress(self._done, self.size, f"reading {Path(self.path).name}")
        return data

    def _unpacked(self) -> bytes:
        worker = self._worker
        if worker is None:
            data, self._left = self._left or self._raw(STEP), b""
            return data
        while not self._ended:
            packed = self._left or self._raw(STEP)
            if not packed:
                raise self.error("cut short: the packed bytes end before what was packed", byte=self._done)
            try:
                data = worker.decompress(packed, STEP)
            except zlib.error as error:
                raise self.error(f"the packed bytes are damaged: {error}", byte=self._done - len(packed)) from None
            self._left = worker.unconsumed_tail
            if worker.eof:
                self._ended = True
                if worker.unused_data or self._raw(1):
                    raise self.error("more bytes follow the end of what was packed", byte=self._done)
            if data:
                return data
        return b""
