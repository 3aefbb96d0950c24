"""Schedulers and workers in this process, and what they do in place of measuring."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from distributed import Client, Scheduler, Worker

from pagexchange.samples.folder import Folder
from pagexchange.sweep.drive import Done, drive
from pagexchange.sweep.fleet import Fleet
from pagexchange.sweep.plan import Plan
from pagexchange.sweep.start import WEB
from pagexchange.sweep.survey import survey
from pagexchange.sweep.wire import Asked, Measured, Survey, Task
from tests.core.sweeps import done

LONG: Final = 30.0
"""Seconds that nothing here takes."""


@dataclass
class Bench:
    """What the workers of a test do, and did."""

    act: Callable[[Task], Measured] = done
    """Called in the thread of a worker."""
    surveyed: Callable[[Survey], Survey] = lambda said: said
    """What a worker says of itself."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: list[Task] = field(default_factory=list)
    active: int = 0
    most: int = 0
    """At one time."""


here = Bench()


def fresh(**values: Any) -> Bench:
    """Start a test's own: workers of this process find it in this module."""
    global here
    here = Bench(**values)
    return here


def measured(task: Task) -> Measured:
    with here.lock:
        here.asked.append(task)
        here.active += 1
        here.most = max(here.most, here.active)
    try:
        return here.act(task)
    finally:
        with here.lock:
            here.active -= 1


def surveyed(asked: Asked, dask_worker: Any = None) -> Survey:
    """A worker `a.2` is the second one of host `a`; all are one machine, if the test does not say otherwise."""
    said = survey(asked)
    name = str(dask_worker.name).partition(".")[0]
    return here.surveyed(msgspec.structs.replace(said, host=msgspec.structs.replace(said.host, id=f"{name}-000000")))


def of_their_own(said: Survey) -> Survey:
    """Every host is a machine."""
    return msgspec.structs.replace(said, machine=said.host.id)


@dataclass
class Cluster:
    scheduler: Scheduler
    workers: dict[str, Worker]
    client: Any
    scratch: str
    told: list[str] = field(default_factory=list)

    async def join(self, name: str) -> Worker:
        self.workers[name] = await Worker(
            self.scheduler.address,
            nthreads=1,
            name=name,
            local_directory=self.scratch,
            dashboard=False,
            dashboard_address=WEB,
        )
        return self.workers[name]

    async def leave(self, name: str) -> None:
        await self.workers.pop(name).close(timeout=1, executor_wait=False)

    async def sweep(self, plan: Plan, folder: Folder, *, patience: float = LONG, **options: Any) -> Done:
        fleet = Fleet(self.client, plan, patience=patience, tell=self.told.append, survey=surveyed, measure=measured)
        await fleet.begin(options.pop("hosts", ()))
        return await drive(fleet, plan, folder, tell=self.told.append, **options)


@asynccontextmanager
async def cluster(*names: str) -> AsyncIterator[Cluster]:
    """A scheduler with workers of these names."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        async with (
            Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address=WEB) as scheduler,
            Client(scheduler.address, asynchronous=True, set_as_default=False) as client,
        ):
            made = Cluster(scheduler, {}, client, scratch)
            try:
                for name in names:
                    await made.join(name)
                yield made
            finally:
                for name in list(made.workers):
                    await made.leave(name)


def new_folder(path: Path, plan: Plan) -> Folder:
    return Folder.create(path / "demo", plan.manifest)
