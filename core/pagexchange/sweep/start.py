"""A sweep on somebody's scheduler, or on one of its own for this machine."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from pagexchange.errors import MissingExtraError, SweepError
from pagexchange.signals import postponed
from pagexchange.sweep.drive import Done, drive
from pagexchange.sweep.fleet import Fleet, Tell
from pagexchange.sweep.measure import stop_all

WEB: Final = "127.0.0.1:0"
"""Where Dask's own pages are, which it always has: for this machine alone, on any port."""

if TYPE_CHECKING:
    from pagexchange.samples.folder import Folder
    from pagexchange.sweep.plan import Plan


def sweep(
    plan: Plan,
    folder: Callable[[], Folder],
    *,
    tell: Tell,
    scheduler: str | None = None,
    hosts: tuple[str, ...] = (),
    again: bool = False,
    arguments: tuple[str, ...] = (),
    patience: float = 30.0,
) -> Done:
    """Do what is left of a plan; return what became of it.

    Parameters
    ----------
    folder
        Gives the folder; called when the workers are known to fit.
    scheduler
        Address of a Dask scheduler; None: a cluster of one worker, on this machine.
    hosts
        Those of its hosts to use, by id or name; by default all.
    again, arguments
        As of `drive`.
    patience
        Seconds to wait for a scheduler, and for workers.

    Raises
    ------
    MissingExtraError
        Dask is not installed.
    SweepError
        The scheduler or a worker cannot be used.
    FolderError
        The folder takes nothing any more.
    """
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("dask", "distributed", "a sweep") from error

    async def all_of_it() -> Done:
        async with _client(scheduler, patience) as client:
            fleet = Fleet(client, plan, patience=patience, tell=tell)
            await fleet.begin(hosts)
            return await drive(fleet, plan, folder(), tell=tell, again=again, arguments=arguments)

    return _finished(all_of_it())


def _finished(work: Coroutine[Any, Any, Done]) -> Done:
    """Run it to its end; where it is interrupted it puts things in order first, which needs all of Dask's own tasks."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)
        with postponed(lambda: loop.call_soon_threadsafe(task.cancel)) as interrupts, suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        if interrupts:
            raise interrupts[0]
        return task.result()


@asynccontextmanager
async def _client(scheduler: str | None, patience: float) -> AsyncIterator[Any]:
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client: Any = Client(scheduler, asynchronous=True, timeout=patience, set_as_default=False)
            await client
        except (OSError, ValueError, TimeoutError) as error:
            raise SweepError(f"no scheduler answers at {scheduler}: {error}") from error
        try:
            yield client
        finally:
            await client.close()
        return
    # Its worker is a thread of this process: what is measured has processes of its own, and a limit of memory would be
    # one of ours.
    with tempfile.TemporaryDirectory(prefix="pagexchange-", ignore_cleanup_errors=True) as scratch:
        local = LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, memory_limit=0, dashboard_address=WEB,
            worker_dashboard_address=WEB, asynchronous=True, silence_logs=logging.ERROR, protocol="inproc://",
            local_directory=scratch,
        )  # fmt: skip
        async with local as cluster, Client(cluster, asynchronous=True, set_as_default=False) as client:
            try:
                yield client
            finally:
                stop_all()
