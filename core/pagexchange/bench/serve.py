"""What a cell's process does: makes the pages, has them checked, then takes a turn whenever it is asked."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Final

import msgspec
import numpy as np

from pagexchange.arena.strategy import bind
from pagexchange.bench.catalogue import OTHERS, arena_scene
from pagexchange.bench.migrate import MigratingCell
from pagexchange.bench.scenes import Pairs, Setting, Stage
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

WARM: Final = 1 << 26
"""Bytes of pages that are exchanged once before the clock runs: what was in a cache at the last turn is gone."""
LONG, SOME = 128, 8
"""Pairs of a list that does so, and lists that follow in any set."""


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
        self.stage: Stage
        self.cell: Cell
        if task.kind == "strategy":
            self.stage = scene = arena_scene(setting, task.seed, config)
            strategy = bind(PagexchangeHost(config.block), config.strategy(task.name), scene.arena)
            kind = MigratingCell if strategy.built.spec.migrates else StrategyCell
            self.cell = kind(scene, strategy, point.threads)
        else:
            other = OTHERS[task.name]
            self.stage = other.stage(setting, task.seed, config)
            self.cell = other.make(self.stage, point.threads)
        self.batch = min(point.batch, setting.folios)
        self.calls = max(1, min(task.calls, task.pairs // self.batch))

    def ready(self) -> Ready:
        """Check one list."""
        found = {}
        if self.task.verify:
            (pairs,) = self.stage.lists(self.batch, 1, self.task.point.sorting, np.random.default_rng(self.task.seed))
            found = self.cell.check(pairs)
        found.setdefault("details", {}).update(self.stage.details())
        idle = found.get("verdict") in ("refused", "starved", "wrong")
        return Ready(found=found, idle=idle)

    def turn(self, number: int) -> Turn:
        """Warm up, then the lists of the turn: the same ones in all cells of a point."""
        rng = np.random.default_rng([self.task.seed, number])
        self.cell.turn(self.warming(rng))
        return self.cell.turn(self.stage.lists(self.batch, self.calls, self.task.point.sorting, rng))

    def warming(self, rng: np.random.Generator) -> list[Pairs]:
        """Lists before the clock runs: of a set that a cache may hold all, in long lists, then some as they come."""
        folios, sorting = self.stage.setting.folios, self.task.point.sorting
        long = min(folios, LONG)
        whole = self.stage.lists(long, folios // long, sorting, rng) if self.task.point.size <= WARM else []
        return whole + self.stage.lists(self.batch, min(self.calls, SOME), sorting, rng)
