"""A sweep done: every point on every host, one at a time on a machine, and what came of it kept at once."""

from __future__ import annotations

import asyncio
import random
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from pagexchange.errors import FolderError, SweepError
from pagexchange.model.words import counted
from pagexchange.sweep.fleet import Fleet, LostError, Tell
from pagexchange.sweep.united import United, twice
from pagexchange.sweep.wire import Measured, Task

if TYPE_CHECKING:
    from pagexchange.samples.folder import Folder
    from pagexchange.sweep.plan import Plan, Point

TRIES: Final = 3
"""How often a point is begun on a host that loses its worker over it."""


@dataclass
class Done:
    """What became of a sweep."""

    there: int = 0
    """Points that were there already, counted once for each host."""
    done: int = 0
    left: list[str] = field(default_factory=list)
    """Points that are not done, a sentence each."""


async def drive(
    fleet: Fleet, plan: Plan, folder: Folder, *, tell: Tell, again: bool = False, arguments: tuple[str, ...] = ()
) -> Done:
    """Do what is left of a plan, on all hosts of the fleet.

    Parameters
    ----------
    folder
        What is there already is not done again; what is done is in it at once.
    again
        Do all of it again: more samples of the same cells.
    arguments
        Further ones of `pagexchange run`, for each point.

    Raises
    ------
    SweepError
        The scheduler has gone.
    FolderError
        The folder takes nothing any more. What it has, it keeps.
    """
    return await _Drive(fleet, plan, folder, tell, again, arguments).run()


class _Drive:
    def __init__(
        self, fleet: Fleet, plan: Plan, folder: Folder, tell: Tell, again: bool, arguments: tuple[str, ...]
    ) -> None:
        self.fleet, self.plan, self.folder, self.tell = fleet, plan, folder, tell
        self.again, self.arguments = again, list(arguments)
        self.united = United(folder.samples())
        self.done = Done()
        self.begun = 0
        self.total = 0

    async def run(self) -> Done:
        machines: dict[str, list[tuple[str, Point]]] = {}
        for host, survey in sorted(self.fleet.hosts.items()):
            if host not in self.folder.hosts:
                self.folder.add_host(survey.host)
            machines.setdefault(survey.machine, []).extend((host, point) for point in self._left(host))
        self.total = sum(map(len, machines.values()))
        hosts = counted(len(self.fleet.hosts), "host")
        self.tell(f"{counted(self.total, 'point')} to do on {hosts}, {self.done.there:,} already there")
        try:
            async with asyncio.TaskGroup() as group:
                for jobs in machines.values():
                    group.create_task(self._machine(jobs))
        except* (SweepError, FolderError) as failed:
            raise _first(failed) from None
        finally:
            with suppress(OSError, TimeoutError, SweepError, FolderError):
                await self._afterwards()
        return self.done

    def _left(self, host: str) -> list[Point]:
        """The points that a host has to do, in an order that the seed decides."""
        points = []
        for point in self.plan.points:
            if not self.again and all((cell.id, host) in self.folder.cells for cell in point.cells):
                self.done.there += 1
            else:
                points.append(point)
        random.Random(f"{self.plan.manifest.seed} {host}").shuffle(points)  # an order, not a secret
        return points

    async def _machine(self, jobs: list[tuple[str, Point]]) -> None:
        """Do the points of all hosts that are one machine: one after the other."""
        gone: set[str] = set()
        for host, point in jobs:
            self.begun += 1
            where = f"[{self.begun}/{self.total}] {host}: {point.words}"
            if host in gone:
                self.done.left.append(f"{host}: {point.words}: its workers have gone")
                continue
            try:
                measured = await self._point(host, point)
            except LostError as error:
                gone.add(host)
                self.done.left.append(f"{host}: {point.words}: {error}")
                self.tell(f"{where}: not done: {error}")
                continue
            except SweepError:
                raise
            except Exception as error:  # whatever the worker could not do; the others may
                self.done.left.append(f"{host}: {point.words}: {type(error).__name__}: {error}")
                self.tell(f"{where}: not done: {type(error).__name__}: {error}")
                continue
            self._keep(measured)
            self.tell(f"{where}: {_ended(measured)}")

    async def _point(self, host: str, point: Point) -> Measured:
        """Have a point measured; again where its worker is lost over it. LostError: too often, or nobody is left."""
        for tried in range(1, TRIES + 1):
            task = Task(
                token=secrets.token_hex(8), host=host, text=point.text, files=list(point.files),
                cells=list(point.cells), arguments=self.arguments,
            )  # fmt: skip
            try:
                measured = await self.fleet.measured(task)
            except LostError as error:
                if tried == TRIES:
                    raise
                self.tell(f"{host}: {point.words}: {error}; it is done again")
            except BaseException:
                await self.fleet.stop(task)
                raise
            else:
                if measured.stopped:
                    raise RuntimeError("somebody stopped it")
                return measured
        raise AssertionError("unreachable")

    def _keep(self, measured: Measured) -> None:
        # Samples first: a cell's file says that all of them are there.
        self.folder.append(self.united.add(measured.samples))
        for cell in measured.cells:
            self.folder.add_cell(twice(self.folder.cells.get((cell.id, cell.host)), cell))
        self.done.done += 1

    async def _afterwards(self) -> None:
        """Write down how the machines were at the end."""
        for host, survey in (await self.fleet.last_look()).items():
            before = self.folder.hosts[host]
            self.folder.add_host(msgspec.structs.replace(before, after=survey.host.before))


def _ended(measured: Measured) -> str:
    failed = [f"{cell.name}: {cell.error.partition('. Cure')[0]}" for cell in measured.cells if cell.error]
    seconds = max((cell.seconds for cell in measured.cells), default=0.0)
    return "; ".join([f"{counted(len(measured.cells), 'cell')} in {seconds:.1f} s", *failed])


def _first(group: BaseExceptionGroup[SweepError | FolderError]) -> SweepError | FolderError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
