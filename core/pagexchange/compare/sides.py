"""The two sides of a comparison: run folders that belong together, and what forbids to compare them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pagexchange.compare import printed
from pagexchange.errors import PagexchangeError
from pagexchange.exits import EXIT_USAGE
from pagexchange.samples.folder import Folder
from pagexchange.samples.reading import MANIFEST, run_folders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.samples.schema import Input


class NotComparableError(PagexchangeError, ValueError):
    """Two sides have nothing to say of each other."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Side:
    """Runs of one code, at least one, in the order in which they began."""

    folders: tuple[Folder, ...]

    @property
    def first(self) -> Folder:
        """The one that is asked for what all have."""
        return self.folders[0]

    @property
    def names(self) -> list[str]:
        """Paths of the folders."""
        return [str(folder.path) for folder in self.folders]

    @classmethod
    def open(cls, paths: Sequence[Path]) -> Side:
        """Open run folders, or files that `run --json` printed; a folder of such stands for those in it.

        Raises
        ------
        FolderError
            One is neither, or something is wrong with it.
        NotComparableError
            They are not of one input.
        """
        runs = [run for path in paths for run in _expanded(path)]
        real = [os.path.realpath(run) for run in runs]
        for run, place in zip(runs, real, strict=True):
            if real.count(place) > 1:
                raise NotComparableError(f"{run} is there twice on one side: a run is no repetition of itself")
        folders = sorted(map(_opened, runs), key=lambda folder: (folder.manifest.started, folder.path.name))
        side = cls(tuple(folders))
        for folder in folders:
            if _other(folder.manifest.input, side.first.manifest.input):
                both = f"{side.first.path} and {folder.path}"
                raise NotComparableError(f"{both} stand on one side, and are of different inputs: they repeat nothing")
        return side


def _expanded(path: Path) -> list[Path]:
    if (path / MANIFEST).exists() or not path.is_dir():
        return [path]
    return sorted(run_folders(path)) or sorted(path.glob("*.json")) or [path]


def _other(one: Input, two: Input) -> bool:
    """Whether two inputs are not the same; of one without a digest only its name and kind are known."""
    if one.digest and two.digest:
        return one.digest != two.digest
    return (one.name, one.kind) != (two.name, two.kind)


def _opened(path: Path) -> Folder:
    return printed.read(path) if path.is_file() else Folder.open(path)


def refuse(old: Side, new: Side, *, force: bool) -> None:
    """See that two sides can be compared.

    Raises
    ------
    NotComparableError
        They have a folder in common; or, unless `force`, their pages are not the same.
    """
    common = {os.path.realpath(name) for name in old.names} & {os.path.realpath(name) for name in new.names}
    if common:
        name = next(name for name in old.names if os.path.realpath(name) in common)
        raise NotComparableError(f"{name} is on both sides: a run says nothing about itself; name two")
    was, now = old.first.manifest.input, new.first.manifest.input
    if _other(was, now) and not force:
        raise NotComparableError(
            f"{old.first.path} exchanged other pages ({was.name}) than {new.first.path} ({now.name}): their times may "
            "differ for that alone. Run both on the same input, or compare them nevertheless with --force"
        )
