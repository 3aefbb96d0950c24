"""The snapshot file: magic, version, a JSON header with a digest, then one packed array after the other.

    offset  bytes  what
    0       8      "PGXSNAP" and a zero byte
    8       4      version, little-endian like everything here
    12      4      length of the header
    16      32     SHA-256 of the header
    48      ...    header, JSON: "facts" and "sections", a list of name, dtype, shape, stored (bytes), sha256
    ...     ...    the sections in that order, nothing between them, nothing after them

A section is zlib over the array's bytes, shuffled: first the low bytes of all values, then the next ones. Ascending
columns are stored as differences. Nothing is believed before it was checked: no length is larger than what lies in the
file could become, digests are compared before a section is unpacked, and no Python object is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.model import outfile
from pagexchange.pages.snapshot.facts import sound
from pagexchange.pages.snapshot.snapshot import ARRAYS, MAX_FRAMES, MAX_MAPPINGS, Snapshot

MAGIC: Final = b"PGXSNAP\0"
VERSION: Final = 1
MAX_HEADER: Final = 1 << 24
MAX_CONTENT: Final = 1 << 34
MAX_RATIO: Final = 1040  # zlib packs at most 1032 bytes into one
_PREFIX: Final = struct.Struct("<8sII32s")
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
    header = json.dumps({"facts": snapshot.facts, "sections": sections}, separators=(",", ":")).encode()
    if len(header) > MAX_HEADER:
        raise SnapshotError(f"the header takes {len(header)} bytes, at most {MAX_HEADER}: record without names")
    return b"".join([_PREFIX.pack(MAGIC, VERSION, len(header), hashlib.sha256(header).digest()), header, *packed])


def loads(data: bytes, source: str) -> Snapshot:
    """Read a snapshot from the bytes of a file; `source` names it in errors."""
    header, at = _header(data, source)
    sections = header["sections"]
    arrays: dict[str, NDArray[Any]] = {}
    for section in sections:
        name, shape, stored = _section(section, arrays, source)
        if stored > len(data) - at:
            raise SnapshotError(f"{source}: cut short in section {name}: {len(data) - at} of {stored} bytes at {at}")
        blob = data[at : at + stored]
        if hashlib.sha256(blob).hexdigest() != section["sha256"]:
            raise SnapshotError(f"{source}: section {name}, bytes {at} to {at + stored}, is damaged: wrong SHA-256")
        arrays[name] = _unpack(name, blob, shape, source)
        at += stored
    if at != len(data):
        raise SnapshotError(f"{source}: {len(data) - at} bytes follow the last section at {at}")
    missing = [name for name in ARRAYS if name not in arrays and name not in _OPTIONAL]
    if missing:
        raise SnapshotError(f"{source}: sections missing: {', '.join(missing)}")
    try:
        snapshot = Snapshot(**arrays, facts=sound(header["facts"]))
        snapshot.check()
    except (SnapshotError, TypeError, ValueError, ArithmeticError) as error:
        raise SnapshotError(f"{source}: {error}") from None
    return snapshot


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


def load(path: str | os.PathLike[str]) -> Snapshot:
    """Read a snapshot from a file.

    Raises
    ------
    SnapshotError
        The file cannot be read, is no snapshot, is cut short or damaged, or is from a newer version.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            prefix = stream.read(_PREFIX.size)
            if prefix[: len(MAGIC)] != MAGIC:  # before a foreign file of any size is read
                _prefix(prefix, str(path))
            data = prefix + stream.read()
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read: {error.strerror or error}") from error
    return loads(data, str(path))


def packaged() -> Snapshot:
    """Read the small snapshot of a real machine that comes with the package."""
    source = resources.files("pagexchange") / "data" / "machine.pgxsnap"
    return loads(source.read_bytes(), "the packaged machine.pgxsnap")


def _prefix(data: bytes, source: str) -> tuple[int, bytes]:
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise SnapshotError(f"{source}: not a pagexchange snapshot: it begins with {data[:8]!r}, not {MAGIC!r}")
    if len(data) < _PREFIX.size:
        raise SnapshotError(f"{source}: cut short: {len(data)} bytes, the first {_PREFIX.size} are not complete")
    _, version, length, digest = _PREFIX.unpack_from(data)
    if version != VERSION:
        wanted = "a newer pagexchange wrote it" if version > VERSION else "no such version was ever written"
        raise SnapshotError(f"{source}: snapshot version {version}; this pagexchange reads version {VERSION}: {wanted}")
    return length, digest


def _header(data: bytes, source: str) -> tuple[dict[str, Any], int]:
    length, digest = _prefix(data, source)
    end = _PREFIX.size + length
    if length > MAX_HEADER:
        raise SnapshotError(f"{source}: the header claims {length} bytes; at most {MAX_HEADER} are believed")
    if end > len(data):
        raise SnapshotError(f"{source}: cut short in the header: {len(data) - _PREFIX.size} of {length} bytes")
    raw = data[_PREFIX.size : end]
    if hashlib.sha256(raw).digest() != digest:
        raise SnapshotError(f"{source}: the header, bytes {_PREFIX.size} to {end}, is damaged: wrong SHA-256")
    try:
        header = json.loads(raw)
        sound = isinstance(header["facts"], dict) and isinstance(header["sections"], list)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SnapshotError(f"{source}: the header is not the JSON of a snapshot: {error!r}") from None
    if not sound:
        raise SnapshotError(f"{source}: the header is not the JSON of a snapshot: facts or sections of another type")
    return header, end


def _section(section: object, earlier: dict[str, NDArray[Any]], source: str) -> tuple[str, tuple[int, ...], int]:
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
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    try:
        # One byte more than expected at most: a bomb shows itself before it has grown.
        worker = zlib.decompressobj()
        raw = worker.decompress(blob, size + 1)
        whole = worker.eof or not worker.decompress(worker.unconsumed_tail, 1)
    except zlib.error as error:
        raise SnapshotError(f"{source}: section {name} cannot be unpacked: {error}") from None
    if len(raw) != size or not whole or not worker.eof or worker.unused_data:
        raise SnapshotError(f"{source}: section {name} unpacks to another size than the {size} bytes of shape {shape}")
    flat = np.frombuffer(raw, dtype=np.uint8)
    if len(shape) == 2:
        return flat.reshape(shape).copy()
    array = np.ascontiguousarray(flat.reshape(dtype.itemsize, -1).T if size else flat).view(dtype).reshape(shape)
    if name == "content_known" and array.view(np.uint8).max(initial=0) > 1:
        raise SnapshotError(f"{source}: section {name} holds values that are neither true nor false")
    if name in _DIFFERENCES:  # wraps around as np.diff did
        array = np.cumsum(array, dtype=dtype)
    return array.astype(dtype.newbyteorder("="), copy=False)
