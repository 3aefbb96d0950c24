"""The files of a run folder read and checked: every problem at once, each with its file and line."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from pagexchange.errors import FolderError, Problem
from pagexchange.samples.naming import stamp
from pagexchange.samples.schema import SCHEMA, Cell, Host, Manifest, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST: Final = "manifest.json"
HOSTS: Final = "hosts"
CELLS: Final = "cells"
SAMPLES: Final = "samples.jsonl"

_Value = TypeVar("_Value", Manifest, Host, Cell)


@dataclass
class Contents:
    """What a folder holds."""

    manifest: Manifest
    hosts: dict[str, Host] = field(default_factory=dict)
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def contents(path: Path) -> Contents:
    """Read a folder; what is wrong is left out and listed.

    Raises
    ------
    FolderError
        It is no run folder, or its manifest cannot be read, or is of another schema.
    """
    found = Contents(_manifest(path))
    _read_hosts(path, found)
    _read_cells(path, found)
    _read_samples(path, found)
    return found


def run_folders(path: Path) -> Iterator[Path]:
    """Yield the run folders in a folder."""
    if path.is_dir():
        yield from (inner for inner in path.iterdir() if (inner / MANIFEST).is_file())


def began(path: Path) -> str:
    """Return when a run began, as its manifest says it; when that was written, if it does not."""
    file = path / MANIFEST
    try:
        return _known(file.read_bytes()).started
    except (OSError, msgspec.MsgspecError):
        return stamp(datetime.fromtimestamp(file.lstat().st_mtime, UTC))


def refuse_links(*places: Path) -> None:
    """See that nobody has put a link, a pipe or a device where a run's own folder or file is. FolderError: he has."""
    for place in places:
        if fault := _fault(place):
            raise FolderError(Problem(str(place), fault))


def whole(data: bytes) -> int:
    """Return how many bytes of `samples.jsonl` are samples: less than all where the last line was cut off."""
    end = data.rfind(b"\n") + 1
    try:
        msgspec.json.decode(data[end:], type=Sample)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return end
    return len(data)


class _Known(msgspec.Struct):
    """What is known of a file of any schema."""

    schema: int = 0
    started: str = ""
    versions: dict[str, object] = {}


def _known(data: bytes) -> _Known:
    return msgspec.json.decode(data, type=_Known)


def _manifest(path: Path) -> Manifest:
    if not path.is_dir():
        what = "is a file, not a run folder" if os.path.lexists(path) else "no such folder"
        raise FolderError(Problem(str(path), what))
    file = path / MANIFEST
    if not os.path.lexists(file):
        inner = sorted(inner.name for inner in run_folders(path))
        hint = f"; runs are in it: {path / inner[-1]} and {len(inner) - 1} more" if inner else ""
        raise FolderError(Problem(str(path), f"has no {MANIFEST}: not a run folder{hint}"))
    problems: list[Problem] = []
    manifest = _value(file, Manifest, problems)
    if manifest is None:
        raise FolderError(problems)
    return manifest


def _read_hosts(path: Path, found: Contents) -> None:
    for file in _files(path / HOSTS, found.problems):
        host = _value(file, Host, found.problems)
        if host is not None and _named(file, host.id, found.problems):
            found.hosts[host.id] = host


def _read_cells(path: Path, found: Contents) -> None:
    planned = {cell.id for cell in found.manifest.cells}
    for file in _files(path / CELLS, found.problems):
        cell = _value(file, Cell, found.problems)
        if cell is None or not _named(file, f"{cell.id}@{cell.host}", found.problems):
            continue
        if fault := _stray(cell.id, cell.host, planned, found.hosts):
            found.problems.append(Problem(str(file), fault))
        else:
            found.cells[cell.id, cell.host] = cell


def _read_samples(path: Path, found: Contents) -> None:
    file = path / SAMPLES
    if not os.path.lexists(file):
        return
    data = _bytes(file, found.problems)
    planned = {cell.id for cell in found.manifest.cells}
    end = whole(data)
    decoder = msgspec.json.Decoder(Sample)
    for number, line in enumerate(data[:end].splitlines(), 1):
        try:
            sample = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            found.problems.append(Problem(str(file), f"not a sample: {error}", number, 1))
            continue
        if fault := _stray(sample.cell, sample.host, planned, found.hosts):
            found.problems.append(Problem(str(file), fault, number, 1))
        else:
            found.samples.append(sample)
    if end < len(data):
        lines = data.count(b"\n") + 1
        found.warnings.append(f"{file}:{lines}: the last line was cut off and is left out; all before it is used")


def _stray(cell: str, host: str, planned: set[str], hosts: dict[str, Host]) -> str:
    if cell not in planned:
        return f"is of cell {cell!r}, which {MANIFEST} does not plan"
    return "" if host in hosts else f"is of host {host!r}, which has no file in {HOSTS}/ that can be read"


def _named(file: Path, name: str, problems: list[Problem]) -> bool:
    if file.stem != name:
        problems.append(Problem(str(file), f"says that it is {name}.json: was it renamed?"))
    return file.stem == name


def _files(folder: Path, problems: list[Problem]) -> list[Path]:
    """Return the files of a folder by name; a folder that is not there has none."""
    if not os.path.lexists(folder):
        return []
    if fault := _fault(folder):
        problems.append(Problem(str(folder), fault))
        return []
    try:
        return sorted(file for file in folder.iterdir() if file.suffix == ".json")
    except OSError as error:
        problems.append(Problem(str(folder), f"cannot be read: {error.strerror}"))
        return []


def _value(file: Path, kind: type[_Value], problems: list[Problem]) -> _Value | None:
    before = len(problems)
    data = _bytes(file, problems)
    if len(problems) > before:
        return None
    try:
        known = _known(data)
        if known.schema != SCHEMA:
            writer = known.versions.get("pagexchange")
            by = f": pagexchange {writer} wrote it" if writer else ""
            raise msgspec.ValidationError(f"schema {known.schema}, and this version reads schema {SCHEMA}{by}")
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        word = "cut short: " if "truncated" in str(error) else ""
        problems.append(Problem(str(file), f"not a {kind.__name__.lower()} of a run: {word}{error}"))
        return None


def _bytes(file: Path, problems: list[Problem]) -> bytes:
    fault = _fault(file)
    if not fault:
        try:
            return file.read_bytes()
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
    problems.append(Problem(str(file), fault))
    return b""


def _fault(place: Path) -> str:
    """Say why a place in a run folder is not what it should be: everything in it is its own, and plain."""
    try:
        mode = place.lstat().st_mode
    except OSError:  # not there: whoever opens it says so
        return ""
    if stat.S_ISLNK(mode):
        return "is a link: a run folder has none"
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "is neither a file nor a folder"
