"""The snapshot file: a header with the facts of the machine, then one packed array after the other.

The outer form is `model.container`'s; of each section the header says name, dtype, shape, stored (bytes), sha256.

A section is zlib over the array's bytes, shuffled: first the low bytes of all values, then the next ones. Ascending
columns are stored as differences. Nothing is believed before it was checked: the facts and all that the header claims
of sections are checked before the first one is read, no length is larger than what is stored could become, whether
memory has room for all of it is asked, digests are compared before a section is unpacked, and no Python object is ever
unpickled. Unpacking takes no more memory than the arrays and the largest section as it is stored.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import PagexchangeError, SnapshotError
from pagexchange.model import outfile
from pagexchange.model.container import Container, Readable, exactly, pieces
from pagexchange.pages.snapshot.facts import Facts, sound
from pagexchange.pages.snapshot.snapshot import ARRAYS, MAX_FRAMES, MAX_MAPPINGS, Snapshot
from pagexchange_native.arena import backing

MAGIC: Final = b"PGXSNAP\0"
VERSION: Final = 1
_CONTAINER: Final = Container(MAGIC, VERSION, "snapshot", SnapshotError, "record without names")
MAX_CONTENT: Final = 1 << 34
_PIECE: Final = 1 << 20
"""Rows that are worked on at once."""
MAX_RATIO: Final = 1040  # zlib packs at most 1032 bytes into one
_DIFFERENCES: Final = frozenset({"pfn", "index", "map_vpn", "map_frame"})
_OPTIONAL: Final = frozenset({"given_heat", "content", "content_known"})


def dumps(snapshot: Snapshot) -> bytes:
    """The bytes of the file."""
    sections: list[dict[str, Any]] = []
    packed: list[bytes] = []
    for name, dtype in ARRAYS.items():
        array = getattr(snapshot, name)
        if array is None:
            continue
        blob = _pack(name, np.ascontiguousarray(array, dtype=dtype))
        packed.append(blob)
        digest = hashlib.sha256(blob).hexdigest()
        sections.append(
            {"name": name, "dtype": dtype, "shape": list(array.shape), "stored": len(blob), "sha256": digest}
        )
    return b"".join([_CONTAINER.begin(snapshot.facts, sections), *packed])


def loads(data: bytes, source: str) -> Snapshot:
    """Read a snapshot from the bytes of a file; `source` names it in errors."""
    return _read(io.BytesIO(data), len(data), source, None)


def save(snapshot: Snapshot, path: str | os.PathLike[str], *, replace: bool = True) -> int:
    """Write the snapshot to a file, whole or not at all, and return its bytes. See `model.outfile` for what is no file.

    With contents or names only its owner may read it.

    Raises
    ------
    SnapshotError
        The snapshot is not sound, or the file cannot be written, or is there and may not be replaced.
    """
    snapshot.check()
    data = dumps(snapshot)
    private = snapshot.content is not None or "file_names" in snapshot.facts
    with _words_for_os_errors(path, "written"):
        outfile.write(path, data, private=private, replace=replace)
    return len(data)


def check_place(path: str | os.PathLike[str], *, replace: bool = True) -> None:
    """SnapshotError if `save` could not write there: a recording takes its time, and this does not."""
    with _words_for_os_errors(path, "written"):
        outfile.check(path, replace=replace)


@contextmanager
def _words_for_os_errors(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SnapshotError(f"{os.fspath(path)}: cannot be {what}: {error.strerror or error}") from error


Sieve = Callable[[NDArray[np.uint64]], None]
"""Is shown the flags words of all frames before what follows them is unpacked; may raise what is to end the reading."""
Seen = Callable[[bytes], object]
"""Is shown the bytes of a file, all of them and in order, as they are read; `hashlib.sha256().update` for example."""
_Section = tuple[str, tuple[int, ...], int, str]
"""Name, shape, stored bytes, digest."""


def load(path: str | os.PathLike[str], *, sieve: Sieve | None = None, seen: Seen | None = None) -> Snapshot:
    """Read a snapshot from a file, or from a pipe, once and in order.

    Raises
    ------
    SnapshotError
        The file cannot be read, is no snapshot, is cut short or damaged, is from a newer version, or holds more than
        memory has room for.
    """
    source = os.fspath(path)
    with _words_for_os_errors(path, "read"), Path(path).open("rb") as stream:
        about = os.fstat(stream.fileno())
        shown = stream if seen is None else _Shown(stream, seen)
        return _read(shown, about.st_size if stat.S_ISREG(about.st_mode) else None, source, sieve)


def packaged(*, seen: Seen | None = None) -> Snapshot:
    """Read the small snapshot of a real machine that comes with the package."""
    data = (resources.files("pagexchange") / "data" / "machine.pgxsnap").read_bytes()
    if seen is not None:
        seen(data)
    return loads(data, "the packaged machine.pgxsnap")


@dataclass(frozen=True)
class _Shown:
    """A stream, and who is shown what is read of it."""

    stream: BinaryIO
    seen: Seen

    def read(self, size: int, /) -> bytes:
        data = self.stream.read(size)
        self.seen(data)
        return data


def _read(stream: Readable, size: int | None, source: str, sieve: Sieve | None) -> Snapshot:
    """Read a snapshot from a stream of so many bytes; None: it is not known."""
    header, at = _CONTAINER.header(stream, size, source)
    facts = _facts(header["facts"], source)
    sections = _sections(header["sections"], at, size, source)
    arrays: dict[str, NDArray[Any]] = {}
    for name, shape, stored, digest in sections:
        blob = exactly(stream, stored)
        if len(blob) < stored:
            raise SnapshotError(f"{source}: cut short in section {name}: {len(blob)} of {stored} bytes at {at}")
        if hashlib.sha256(blob).hexdigest() != digest:
            raise SnapshotError(f"{source}: section {name}, bytes {at} to {at + stored}, is damaged: wrong SHA-256")
        arrays[name] = _unpack(name, blob, shape, source)
        del blob
        at += stored
        if name == "flags" and sieve is not None:
            try:
                sieve(arrays[name])
            except PagexchangeError as error:
                raise SnapshotError(f"{source}: {getattr(error, 'strerror', None) or error}") from None
    if size is None and stream.read(1):
        raise SnapshotError(f"{source}: more bytes follow the last section at {at}")
    try:
        snapshot = Snapshot(**arrays, facts=facts)
        snapshot.check()
    except (SnapshotError, TypeError, ValueError, ArithmeticError) as error:
        raise SnapshotError(f"{source}: {error}") from None
    return snapshot


def _facts(facts: object, source: str) -> Facts:
    """The facts of a header; SnapshotError names the file."""
    try:
        return sound(facts)
    except SnapshotError as error:
        raise SnapshotError(f"{source}: {error}") from None


def _sections(
    described: list[Any], at: int, size: int | None, source: str
) -> list[tuple[str, tuple[int, ...], int, str]]:
    """Name, shape, stored bytes and digest of all sections, which begin at `at`, before any of them is read."""
    result: list[tuple[str, tuple[int, ...], int, str]] = []
    earlier: dict[str, Any] = {}
    needed = largest = 0
    for section in described:
        name, shape, stored = _section(section, earlier, source)
        if size is not None and stored > size - at:
            raise SnapshotError(f"{source}: cut short in section {name}: {size - at} of {stored} bytes at {at}")
        earlier[name] = None
        at += stored
        needed += math.prod(shape) * np.dtype(ARRAYS[name]).itemsize
        largest = max(largest, stored)
        result.append((name, shape, stored, section["sha256"]))
    if size is not None and at != size:
        raise SnapshotError(f"{source}: {size - at} bytes follow the last section at {at}")
    missing = [name for name in ARRAYS if name not in earlier and name not in _OPTIONAL]
    if missing:
        raise SnapshotError(f"{source}: sections missing: {', '.join(missing)}")
    short = backing.shortage(needed + largest)
    if short:
        raise SnapshotError(f"{source}: cannot be unpacked: {short}; want a smaller snapshot (snapshot --limit)")
    return result


def _section(section: object, earlier: dict[str, Any], source: str) -> tuple[str, tuple[int, ...], int]:
    """Name, shape and stored bytes of a section, each checked against what this version knows and what came earlier."""
    if not isinstance(section, dict):
        raise SnapshotError(f"{source}: a section is not described as one: {section!r:.80}")
    try:
        name, dtype, shape, stored = section["name"], section["dtype"], section["shape"], section["stored"]
        known = ARRAYS.get(name)
        # `type() is int` and not isinstance: JSON's true would be a 1
        whole = all(type(value) is int and value >= 0 for value in [stored, *shape]) and type(section["sha256"]) is str
    except (KeyError, TypeError) as error:
        raise SnapshotError(f"{source}: a section is not described as one: {error!r}") from None
    if known is None or name in earlier:
        raise SnapshotError(f"{source}: section {name!r} is {'there twice' if known else 'unknown'}")
    if dtype != known or not whole or len(shape) != (2 if name == "content" else 1):
        raise SnapshotError(f"{source}: section {name}: {dtype!r} of shape {shape}; {known!r} is expected")
    # The size that the header claims is compared with what zlib could make of the stored bytes: so no file of a few
    # bytes makes us ask for gigabytes.
    rows, wide = shape[0], shape[1] if len(shape) == 2 else 1
    limit = MAX_MAPPINGS if name.startswith("map_") else MAX_FRAMES
    size = rows * wide * np.dtype(known).itemsize
    if rows > limit or wide > 1 << 21 or size > MAX_CONTENT or size > stored * MAX_RATIO:
        raise SnapshotError(f"{source}: section {name} claims {size} bytes from {stored} stored ones: not believed")
    return name, tuple(shape), stored


def _pack(name: str, array: NDArray[Any]) -> bytes:
    if name in _DIFFERENCES and len(array):
        array = np.diff(array, prepend=array.dtype.type(0))  # wraps around in both directions
    if array.ndim == 1:
        # Byte planes: the high bytes of neighbours are mostly equal, and zlib finds runs better than it finds columns.
        array = array.view(np.uint8).reshape(len(array), array.itemsize).T
    # Contents are most of the file, and level 9 gains little on them for many times the time.
    return zlib.compress(np.ascontiguousarray(array).tobytes(), 9 if name != "content" else 1)


def _unpack(name: str, blob: bytes, shape: tuple[int, ...], source: str) -> NDArray[Any]:
    dtype = np.dtype(ARRAYS[name])
    array = np.empty(shape, dtype=dtype)
    # The bytes come plane by plane, each with one byte of every row; contents come as they are, in one plane.
    planes = array.view(np.uint8).reshape(-1, dtype.itemsize if len(shape) == 1 else 1)
    rows, size, at = len(planes), array.nbytes, 0
    try:
        # What is too long, a bomb, shows itself before it has grown.
        for piece in pieces(blob):
            if at + len(piece) > size:
                at = size + 1
                break
            while piece:
                plane, row = divmod(at, rows)
                part = piece[: rows - row]
                planes[row : row + len(part), plane] = np.frombuffer(part, dtype=np.uint8)
                piece = piece[len(part) :]
                at += len(part)
    except zlib.error as error:
        raise SnapshotError(f"{source}: section {name} cannot be unpacked: {error}") from None
    except EOFError:
        at = size + 1
    if at != size:
        raise SnapshotError(f"{source}: section {name} unpacks to another size than the {size} bytes of shape {shape}")
    if name == "content_known" and array.view(np.uint8).max(initial=0) > 1:
        raise SnapshotError(f"{source}: section {name} holds values that are neither true nor false")
    if name in _DIFFERENCES:  # wraps around as np.diff did
        for first in range(0, len(array), _PIECE):  # in pieces, which do not need the whole array once more
            column = array[first : first + _PIECE]
            column[:1] += array[first - 1 : first] if first else 0
            column[:] = np.cumsum(column, dtype=dtype)
    return array.astype(dtype.newbyteorder("="), copy=False)
