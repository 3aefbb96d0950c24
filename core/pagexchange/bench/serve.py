"""What a cell's process does: makes the pages, has them checked, then takes a turn whenever it is asked."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Final

import msgspec
import numpy as np

from pagexchange.arena import hugepages
from pagexchange.arena.strategy import bind
from pagexchange.bench.catalogue import OTHERS
from pagexchange.bench.scenes import Scene, Setting
from pagexchange.bench.strategies import StrategyCell
from pagexchange.bench.task import Ask, Done, Failed, Ready
from pagexchange.bench.turn import WrongError
from pagexchange.errors import PagexchangeError
from pagexchange.exits import EXIT_BUG, EXIT_INPUT, EXIT_OK, EXIT_UNEXPECTED
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.strangers import interrupt_in, said

if TYPE_CHECKING:
    from pagexchange.bench.task import Answer, Task
    from pagexchange.bench.turn import Cell, Turn

WARM: Final = 1 << 25
"""Bytes of pages that are exchanged before the clock runs, at most: what others have put into the caches is gone."""


def serve(task: Task, lines: IO[bytes], tell: Callable[[Answer], None]) -> int:
    """Do a task; return the exit status of the process."""
    try:
        cell = _Served(task)
        tell(cell.ready())
        for line in lines:
            tell(Done(turn=cell.turn(msgspec.json.decode(line, type=Ask).number)))
    except BaseException as error:  # a plug-in's too, whatever it raises
        if interrupt_in(error):
            raise
        code = _code(error)
        traceback.print_exception(error)
        tell(Failed(error=_words(error), exit=code))
        return code
    return EXIT_OK


def _code(error: BaseException) -> int:
    if isinstance(error, WrongError):
        return EXIT_UNEXPECTED
    if isinstance(error, MemoryError | OSError | LookupError) and not isinstance(error, PagexchangeError):
        return EXIT_INPUT
    return getattr(error, "exit_code", EXIT_BUG)


def _words(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory: {said(error)}".rstrip(": ")
    known = isinstance(error, PagexchangeError | WrongError | LookupError | OSError)
    return str(error) if known else f"{type(error).__name__}: {said(error)}"


class _Served:
    """The cell of a task."""

    def __init__(self, task: Task) -> None:
        point = task.point
        self.task = task
        config = read.load(
            read.Source("the resolved configuration", task.config.encode(), None),
            only=[task.name] if task.kind == "strategy" else [],
            plugins=task.kind == "strategy",
        )
        setting = Setting(point.pages, point.size, point.order, point.backing, point.page_size)
        self.scene = Scene(setting, task.seed, layout=config.layout, flags=True)
        self.cell: Cell
        if task.kind == "strategy":
            strategy = bind(PagexchangeHost(config.block), config.strategy(task.name), self.scene.arena)
            self.cell = StrategyCell(self.scene, strategy, point.threads)
        else:
            self.cell = OTHERS[task.name].make(self.scene, point.threads)
        self.batch = min(point.batch, setting.folios)
        self.calls = max(1, min(task.calls, task.pairs // self.batch))
        warm = max(1, WARM // (2 * point.folio) // self.batch)
        self.warm = min(self.calls, warm, max(1, setting.folios // self.batch))

    def ready(self) -> Ready:
        """Check one list."""
        found = {}
        if self.task.verify:
            (pairs,) = self.scene.lists(self.batch, 1, self.task.point.sorting, np.random.default_rng(self.task.seed))
            found = self.cell.check(pairs)
        arena = self.scene.arena
        details = found.setdefault("details", {})
        details |= {"page_size": arena.page_size, "arena_bytes": arena.total_bytes}
        if arena.huge:
            details["huge_bytes"] = hugepages.mapped(arena)
        idle = found.get("verdict") in ("refused", "starved", "wrong")
        return Ready(found=found, idle=idle)

    def turn(self, number: int) -> Turn:
        """Warm up, then the lists of the turn: the same ones in all cells of a point."""
        rng = np.random.default_rng([self.task.seed, number])
        lists = self.scene.lists(self.batch, self.warm + self.calls, self.task.point.sorting, rng)
        self.cell.turn(lists[: self.warm])
        return self.cell.turn(lists[self.warm :])
