"""A run folder that is written while its run goes on: the machine before and after, and writes that stop no run."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pagexchange import trail
from pagexchange.errors import FolderError
from pagexchange.measure import pressure
from pagexchange.runs.machine import this_host
from pagexchange.samples.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pagexchange.samples.schema import Cell, Manifest


class KeptFolder:
    """The folder of a run that goes on. It never stops the run: what cannot be written is in `failed`, at the end.

    Raises
    ------
    FolderError
        The folder cannot be made.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.folder = Folder.create(path, manifest)
        if (page := trail.page()) is not None:  # a process that goes on in this one's place removes it
            page.kept = os.fsencode(self.folder.path.absolute())
        self.failed: FolderError | None = None
        self._ids = {cell.name: cell.id for cell in manifest.cells}
        self._before, self._host = pressure.read(), this_host()
        self._write(lambda: self.folder.add_host(self._host))

    def _end(self, cells: Iterable[Cell]) -> None:
        """Keep the cells, and what the machine did meanwhile."""
        for cell in cells:
            self._write(partial(self.folder.add_cell, cell))
        after = msgspec.structs.replace(self._host, after=pressure.between(self._before, pressure.read()))
        self._write(lambda: self.folder.add_host(after))

    def _write(self, write: Callable[[], object]) -> None:
        if self.failed is not None:
            return
        try:
            write()
        except FolderError as error:
            self.failed = error
