"""A run folder: made, written to piece by piece, and read again. One process writes; any number read.

What is written is whole at any moment: manifest, hosts and cells each come by one rename, samples in whole lines. So
a process that dies and a disk that is full leave a folder that can be read, with all that was finished before.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pagexchange.errors import FolderError, Problem
from pagexchange.model import outfile
from pagexchange.samples import reading
from pagexchange.samples.naming import RUNS
from pagexchange.samples.reading import CELLS, HOSTS, MANIFEST, SAMPLES, Contents
from pagexchange.samples.schema import Cell, Host, Manifest, Record, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Folder:
    """What lies in a run folder, as values. `open` and `create` make one; attributes are to be read only.

    Attributes
    ----------
    path : Path
    manifest : Manifest
    hosts : dict[str, Host]
        By id.
    cells : dict[tuple[str, str], Cell]
        By (id, host): those whose process has ended. Samples of others may be there, too.
    warnings : tuple[str, ...]
        What was passed over, as sentences: a line of the samples that was cut off.
    problems : tuple[Problem, ...]
        What is wrong with the folder, if it was opened with `strict=False`.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        self.path = path
        self.manifest = contents.manifest
        self.hosts = contents.hosts
        self.cells = contents.cells
        self.warnings = tuple(contents.warnings)
        self.problems = tuple(contents.problems)
        self._samples = contents.samples

    @classmethod
    def create(cls, path: str | os.PathLike[str], manifest: Manifest) -> Folder:
        """Make a new folder, and those above it.

        Raises
        ------
        FolderError
            Something is there that is not an empty folder, or it cannot be written there. Nothing is left behind.
        """
        path = Path(path)
        with _told(path):
            made = _make(path)
            try:
                for name in (HOSTS, CELLS):
                    (path / name).mkdir()
                outfile.write(path / MANIFEST, _text(manifest), replace=False)
            except BaseException:
                _unmake(path, itself=made)
                raise
        return cls(path, Contents(manifest))

    @staticmethod
    def check(path: str | os.PathLike[str]) -> None:
        """See that a folder could be made there, and make none: before work whose result it is to take.

        Raises
        ------
        FolderError
            As of `create`, as far as it can be known.
        """
        path = Path(path)
        _refuse_what_is_there(path)
        above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
        if not above.is_dir():
            raise FolderError(Problem(str(path), f"cannot be made: {above} is no folder"))
        if not os.access(path if path.is_dir() else above, os.W_OK | os.X_OK):
            raise FolderError(Problem(str(path), f"cannot be made: {above} cannot be written"))

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, strict: bool = True) -> Folder:
        """Read a folder and check every file of it.

        Parameters
        ----------
        strict
            Raise for anything that is wrong. If not, what is wrong is left out and listed in `problems`.

        Raises
        ------
        FolderError
            With all problems. Without a manifest that can be read also if not `strict`.
        """
        contents = reading.contents(Path(path))
        if strict and contents.problems:
            raise FolderError(contents.problems)
        return cls(Path(path), contents)

    @classmethod
    def latest(cls, runs: str | os.PathLike[str] = RUNS, *, strict: bool = True) -> Folder:
        """Open the run that began last of those in a folder of runs; `strict` as of `open`.

        Raises
        ------
        FolderError
            There is none, or something is wrong with it.
        """
        found = sorted((reading.began(path), path.name, path) for path in reading.run_folders(Path(runs)))
        if not found:
            raise FolderError(Problem(str(runs), "no run folder is in it; make one with --out, or say which"))
        return cls.open(found[-1][2], strict=strict)

    def add_host(self, host: Host) -> None:
        """Write what a machine is; again, when it is known how it was afterwards. FolderError: it cannot be written."""
        self._write(HOSTS, host.id, host)
        self.hosts[host.id] = host

    def add_cell(self, cell: Cell) -> None:
        """Write how a cell ended: after its samples, since it says that they are all there.

        Raises
        ------
        ValueError
            The manifest does not plan it, or its host was not added.
        msgspec.ValidationError
            A value is not of its type.
        FolderError
            It cannot be written.
        """
        self._expected(cell.id, cell.host)
        self._write(CELLS, f"{cell.id}@{cell.host}", cell)
        self.cells[cell.id, cell.host] = cell

    def append(self, samples: Iterable[Sample]) -> None:
        """Add samples, all of them or none.

        Raises
        ------
        ValueError
            One is of a cell that the manifest does not plan, or of a host that was not added.
        msgspec.ValidationError
            A value is not of its type.
        FolderError
            They cannot be written: what was there before still is.
        """
        new = list(samples)
        for sample in new:
            self._expected(sample.cell, sample.host)
        lines = b"".join(_line(sample) + b"\n" for sample in new)
        with _told(self.path / SAMPLES):
            _append(self.path / SAMPLES, lines)
        self._samples.extend(new)

    def samples(self) -> list[Sample]:
        """Return all samples, in the order of the file."""
        return list(self._samples)

    def _expected(self, cell: str, host: str) -> None:
        if not any(planned.id == cell for planned in self.manifest.cells):
            raise ValueError(f"the manifest of {self.path} plans no cell {cell!r}")
        if host not in self.hosts:
            raise ValueError(f"host {host!r} was not added to {self.path}")

    def _write(self, folder: str, name: str, value: Record) -> None:
        place = self.path / folder / f"{name}.json"
        with _told(place):
            reading.refuse_links(self.path / folder, place)
            outfile.write(place, _text(value))


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """Turn what the system refuses into a sentence."""
    try:
        yield
    except OSError as error:
        kept = "what was finished before is kept" if place.parent.exists() else ""
        raise FolderError(
            Problem(str(place), "; ".join(filter(None, (f"cannot be written: {error.strerror or error}", kept))))
        ) from error


def _make(path: Path) -> bool:
    """Make the folder where nothing is; whether it was made: an empty one will do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        _refuse_what_is_there(path)
        return False
    return True


def _refuse_what_is_there(path: Path) -> None:
    fault = ""
    if path.is_symlink():
        fault = "is a link: a run folder is made where nothing is"
    elif path.exists() and not path.is_dir():
        fault = "is a file: a run folder is made where nothing is"
    elif (path / MANIFEST).exists():
        fault = "a run is in it already, and nothing is overwritten: choose another name"
    elif path.exists() and any(path.iterdir()):
        fault = "there is something in it, and nothing is overwritten: choose another name"
    if fault:
        raise FolderError(Problem(str(path), fault))


def _unmake(path: Path, *, itself: bool) -> None:
    for name in (HOSTS, CELLS):
        if (path / name).is_dir():
            (path / name).rmdir()
    if itself:
        path.rmdir()


def _text(value: Record) -> bytes:
    return msgspec.json.format(_line(value), indent=1) + b"\n"


def _line(value: Record) -> bytes:
    """Encode a value, which can be read again: a value is checked when it is decoded, not when it is made."""
    line = msgspec.json.encode(value)
    msgspec.json.decode(line, type=type(value))
    return line


def _append(path: Path, lines: bytes) -> None:
    reading.refuse_links(path)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            whole = reading.whole(path.read_bytes())
            os.ftruncate(handle, whole)
            lines, size = (b"" if os.pread(handle, 1, whole - 1) in (b"", b"\n") else b"\n") + lines, whole
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(handle, left) :]
        except BaseException:
            os.ftruncate(handle, size)  # a disk that is full has room for less
            raise
    finally:
        os.close(handle)
