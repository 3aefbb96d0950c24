"""Our own small file of a trace (.pgxtrace): a header with the facts, then the rows, packed in chunks."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from pagexchange.errors import TraceError
from pagexchange.model import outfile
from pagexchange.model.container import Container
from pagexchange.pages.files.store import ROWS, Section, Store
from pagexchange.pages.files.table import ACCESS
from pagexchange.pages.files.trace import Facts, Trace

MAGIC: Final = b"PGXTRAC\0"
VERSION: Final = 1
SUFFIX: Final = ".pgxtrace"
_CONTAINER: Final = Container(MAGIC, VERSION, "trace file", TraceError, "read a shorter file")
_MAX_STORED: Final = ROWS * ACCESS.itemsize + (1 << 16)


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """What the header says of a chunk."""

    rows: Annotated[int, msgspec.Meta(ge=1, le=ROWS)]
    stored: Annotated[int, msgspec.Meta(ge=1, le=_MAX_STORED)]
    sha256: str


NAME: Final = "trace of ours"
SIGN: Final = f"begins with {MAGIC!r}; `pagexchange snapshot --from FILE OUT{SUFFIX}` writes it"


def packaged() -> Trace:
    """Read the accesses that come with the package: a hot set that moves on. See docs/files.md for where it is from."""
    with resources.as_file(resources.files("pagexchange") / "data" / f"moving-hot-set{SUFFIX}") as path:
        return load(path)


def is_one(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as ours do; a pipe is none, and what cannot be read is none."""
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def save(trace: Trace, path: str | os.PathLike[str], *, replace: bool = True) -> int:
    """Write a trace to a file, whole or not at all, and return its bytes. See `model.outfile` for what is no file.

    Raises
    ------
    TraceError
        The file cannot be written, or is there and may not be replaced, or what is to be written is damaged.
    """
    store = trace.store
    said: list[dict[str, Any]] = [
        {"rows": section.rows, "stored": section.stored, "sha256": section.sha256} for section in store.sections
    ]
    parts = [_CONTAINER.begin(msgspec.to_builtins(trace.facts), said), *map(store.blob, range(len(said)))]
    data = b"".join(parts)
    try:
        outfile.write(path, data, replace=replace)
    except OSError as error:
        raise TraceError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}") from error
    return len(data)


def load(path: str | os.PathLike[str]) -> Trace:
    """Read a trace from a file of ours; chunks are read and checked when they are asked for.

    Raises
    ------
    TraceError
        It cannot be read, is no such file, is cut short or damaged, or is from a newer version.
    """
    source = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            header, at = _CONTAINER.header(file, size, source)
            facts, sections = _believed(header, at, size, source)
            store = Store(os.dup(file.fileno()), sections, source)
    except OSError as error:
        raise TraceError(f"{source}: cannot be read: {error.strerror or error}") from error
    for _ in store:  # a damaged file is refused now, and not when half of it was used
        pass
    return Trace(facts, store)


def _believed(header: dict[str, Any], at: int, size: int, source: str) -> tuple[Facts, tuple[Section, ...]]:
    """The facts and the chunks, the first of which begins at `at`."""
    try:
        facts = msgspec.convert(header["facts"], Facts)
        said = msgspec.convert(header["sections"], list[_Said])
    except msgspec.ValidationError as error:
        raise TraceError(f"{source}: the header is not that of a trace: {error}") from None
    if not said:
        raise TraceError(f"{source}: a trace without rows")
    sections = []
    for one in said:
        sections.append(Section(at, one.rows, one.stored, one.sha256))
        at += one.stored
    if at != size:
        what = f"cut short: {size} of {at} bytes" if at > size else f"{size - at} bytes follow the last chunk at {at}"
        raise TraceError(f"{source}: {what}")
    return facts, tuple(sections)
