"""What a point's process has left: its cells and samples, and how it ended where that is less than planned."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from pagexchange.errors import FolderError
from pagexchange.samples.folder import Folder
from pagexchange.samples.schema import Cell
from pagexchange.sweep.wire import Measured, Task

if TYPE_CHECKING:
    from pagexchange.samples.schema import Planned

CONFIG: Final = "point.toml"
RUN: Final = "run"


class Ended(NamedTuple):
    """How the process ended."""

    started: str
    """ISO 8601, UTC."""
    seconds: float
    status: int
    """Negative: the signal that ended it."""
    said: str
    """What it wrote to stderr."""


def arguments(task: Task, folder: Path) -> list[str]:
    """Return the command line of a point whose files lie in a folder."""
    return ["run", str(folder / CONFIG), "--out", str(folder / RUN), "--quiet", *task.arguments]


def outcome(task: Task, folder: Path, ended: Ended) -> Measured:
    """Return what the process measured, as that of the task's cells."""
    try:
        left = Folder.open(folder / RUN, strict=False)
    except FolderError:  # it did not come to that
        return Measured(cells=[_unknown(task, planned, ended) for planned in task.cells], samples=[])
    ids = {cell.id: planned.id for cell in left.manifest.cells for planned in task.cells if planned.name == cell.name}
    known = {cell.name: cell for cell in left.cells.values()}
    return Measured(
        cells=[
            _cell(task, planned, known[planned.name]) if planned.name in known else _unknown(task, planned, ended)
            for planned in task.cells
        ],
        samples=[
            msgspec.structs.replace(
                sample, cell=ids[sample.cell], host=task.host, origin=f"{task.token}:{sample.round}"
            )
            for sample in left.samples()
        ],
    )


def _cell(task: Task, planned: Planned, cell: Cell) -> Cell:
    return msgspec.structs.replace(cell, id=planned.id, host=task.host, kind=planned.kind, point=planned.point)


def _unknown(task: Task, planned: Planned, ended: Ended) -> Cell:
    """A cell that the process has not told the end of: its own end is that."""
    return Cell(
        id=planned.id, host=task.host, name=planned.name, kind=planned.kind, point=planned.point,
        started=ended.started, seconds=ended.seconds, exit=ended.status, error=_how(ended),
    )  # fmt: skip


def _how(ended: Ended) -> str:
    """Say why there is no result, with what the process said last."""
    last = ended.said.strip().splitlines()[-1:] or [""]
    if ended.status >= 0:
        return last[0].removeprefix("pagexchange: ") or f"it ended with exit status {ended.status}, and said nothing"
    name = signal.Signals(-ended.status).name if -ended.status in signal.valid_signals() else "unknown"
    memory = ", as Linux does where memory runs out" if ended.status == -signal.SIGKILL else ""
    return ": ".join(filter(None, (f"killed by signal {-ended.status} ({name}){memory}", last[0])))
