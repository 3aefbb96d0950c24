"""The measurement itself: point after point, the cells of one take turns, each in a process of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pagexchange.bench.affinity import cpus_for
from pagexchange.bench.axes import Point
from pagexchange.bench.load import Load
from pagexchange.bench.plan import CALLS, PAIRS, Plan, PlannedCell
from pagexchange.bench.process import CellError, CellProcess
from pagexchange.bench.rounds import turns
from pagexchange.bench.task import Task
from pagexchange.exits import EXIT_UNEXPECTED
from pagexchange.measure import pressure, trust
from pagexchange.model.tomltext import toml
from pagexchange.runs.keep import with_whole_paths
from pagexchange.samples.folder import Folder
from pagexchange.samples.naming import now
from pagexchange.samples.schema import Cell, Host, Sample

_LOG: Final = logging.getLogger(__name__)
AGAIN: Final = 3
"""Attempts at one turn, at most."""
BUDGET: Final = 0.3
"""Of the time that a bench takes about, for turns that are taken again."""
AT_ONCE: Final = 2
"""Processes that make their pages at the same time on each CPU: half of that is waiting."""

Progress = Callable[[int, int, str], None]
"""Is told `(done, total, what)`: `done` of `total` turns are over, and `what` comes now. Never within a turn."""


@dataclass
class _Running:
    """A cell whose process may be alive."""

    cell: PlannedCell
    started: str
    process: CellProcess
    found: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    exit: int = 0
    seconds: float = 0.0
    alive: bool = True
    idle: bool = False

    @property
    def name(self) -> str:
        return self.cell.planned.name


class Bench:
    """One run of a plan into a folder.

    Parameters
    ----------
    folder, host
        Where results go, and what this machine is there.
    verify
        Let the oracle look at the first call of each cell.
    progress
        Called before each turn.
    """

    def __init__(self, plan: Plan, folder: Folder, host: Host, *, verify: bool = True, progress: Progress) -> None:
        self._plan, self._folder, self._host = plan, folder, host
        self._verify, self._progress = verify, progress
        self._begun = time.monotonic_ns()
        self._budget = trust.Budget(max(5.0, BUDGET * plan.seconds))
        self._limit = trust.limit()
        self._total = len(plan.cells) * (plan.rounds + 1)
        self._done = 0
        self._ended: dict[str, _Running] = {}
        self._config = plan.config.bench

    def _tell(self, done: int, total: int, what: str) -> None:
        _LOG.info("%s", what)
        self._progress(done, total, what)

    def run(self) -> None:
        """Measure everything. Ctrl-C ends it; what was finished is in the folder."""
        start = pressure.read()
        try:
            for point, groups in self._plan.groups():
                for number, group in enumerate(groups):
                    with self._alive(point, group) as running:
                        self._rounds(point, running, number * self._plan.rounds)
                    for one in running:
                        self._close(one)
        finally:
            self._folder.add_host(msgspec.structs.replace(self._host, after=pressure.between(start, pressure.read())))

    # ---- processes ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _alive(self, point: Point, group: list[PlannedCell]) -> Iterator[list[_Running]]:
        """Start the processes of a group, and wait until all of them have their pages."""
        cpus = cpus_for(point.threads)
        with ExitStack() as stack:
            running: list[_Running] = []
            waiting: list[_Running] = []
            for cell in group:
                self._tell(self._done, self._total, f"{point.words(['size'])}: making pages for {cell.planned.name}")
                one = _Running(cell, now(), CellProcess(self._task(cell, cpus), self._config.deadline))
                stack.callback(_end, one)
                running.append(one)
                waiting.append(one)
                if len(waiting) == AT_ONCE * len(cpus_for(64)):
                    self._settle(waiting.pop(0))
            for one in waiting:
                self._settle(one)
            if point.load == "busy":
                stack.enter_context(Load(beside=cpus))
            yield running

    def _task(self, cell: PlannedCell, cpus: list[int]) -> Task:
        config, planned = self._plan.config, cell.planned
        # A file has a strategy: of a peer any.
        specs = [config.strategy(planned.name)] if planned.kind == "strategy" else list(config.strategies.values())[:1]
        return Task(
            config=toml(with_whole_paths(config, specs, None)),
            name=planned.name,
            kind=planned.kind,
            point=cell.point,
            seed=config.run.seed,
            cpus=cpus,
            memory=cell.bytes,
            pairs=max(1, PAIRS >> cell.point.order),
            calls=CALLS,
            verify=self._verify,
        )

    def _settle(self, one: _Running) -> None:
        try:
            answer = one.process.ready()
        except CellError as error:
            self._fail(one, error)
            return
        one.found, one.idle = answer.found, answer.idle
        if one.found.get("verdict") == "wrong":
            self._fail(one, CellError(f"wrong: {one.found['details']['wrong'][0]}", EXIT_UNEXPECTED))

    def _fail(self, one: _Running, error: CellError) -> None:
        one.error, one.exit, one.alive = str(error), error.exit_status, False
        _end(one)

    def _close(self, one: _Running) -> None:
        """Write how a cell ended. The reference is in each group of its point: it counts as ended with the last."""
        planned = one.cell.planned
        before = self._ended.get(planned.id)
        self._ended[planned.id] = one
        if before:
            one.seconds += before.seconds
            one.error, one.exit = before.error or one.error, before.exit or one.exit
        self._folder.add_cell(
            Cell(
                id=planned.id,
                host=self._host.id,
                name=planned.name,
                kind=planned.kind,
                point=planned.point,
                started=before.started if before else one.started,
                seconds=round(one.seconds, 3),
                exit=one.exit,
                error=one.error,
                **one.found,
            )
        )

    # ---- turns -------------------------------------------------------------------------------------------------------

    def _rounds(self, point: Point, running: list[_Running], first: int) -> None:
        """Take turns: a round that warms up and is not kept, then those that are."""
        by_name = {one.name: one for one in running}
        orders = turns(by_name, f"{self._plan.config.run.seed}/{point.words()}/{first}")
        for number in range(self._plan.rounds + 1):
            where = f"{point.words(['size', 'order', 'batch'])}, round {number} of {self._plan.rounds}"
            samples: list[Sample] = []
            for position, name in enumerate(next(orders)):
                self._tell(self._done, self._total, f"{where}: {name}")
                self._done += 1
                sample = self._take(by_name[name], number, first + number - 1, position, 0) if number else None
                if not number:
                    self._take(by_name[name], 0, 0, position, 0)
                if sample:
                    samples.append(sample)
            if number:
                samples += self._again(by_name, samples, number)
            self._folder.append(samples)

    def _take(self, one: _Running, turn: int, number: int, position: int, attempt: int) -> Sample | None:
        """One turn; None: the cell has none to give."""
        if not one.alive or one.idle:
            return None
        started = time.monotonic_ns() - self._begun
        try:
            done = one.process.turn(AGAIN * turn + attempt)
        except CellError as error:
            self._fail(one, error)
            return None
        threads = one.cell.point.threads
        times = done.threads or [(done.wall_ns * threads, done.cpu_ns)]
        return Sample(
            cell=one.cell.planned.id, host=self._host.id, round=number, position=position, attempt=attempt,
            started_ns=started, calls=done.calls, pairs=done.pairs, exchanged=done.exchanged, wall_ns=done.wall_ns,
            cpu_ns=done.cpu_ns, threads=done.threads, parts=done.parts, call_ns=done.call_ns,
            aside=trust.pushed_aside(times, self._limit),
        )  # fmt: skip

    def _again(self, by_name: dict[str, _Running], samples: list[Sample], turn: int) -> list[Sample]:
        """Take turns again that were pushed aside, while the budget lasts."""
        ids = {one.cell.planned.id: one for one in by_name.values()}
        more: list[Sample] = []
        for sample in (sample for sample in samples if sample.aside):
            last: Sample | None = sample
            for attempt in range(1, AGAIN):
                one, kept = ids[sample.cell], last

                def again(one: _Running = one, attempt: int = attempt, sample: Sample = sample) -> None:
                    nonlocal last
                    last = self._take(one, turn, sample.round, sample.position, attempt)

                if kept is None or not kept.aside or not self._budget.spend(again, 1e-9 * kept.wall_ns):
                    break
                if last:
                    more.append(last)
        return more


def _end(one: _Running) -> None:
    if not one.seconds:
        one.seconds = one.process.close()
