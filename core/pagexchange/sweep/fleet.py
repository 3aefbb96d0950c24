"""The workers of a sweep by host: who is there, who fits, who has gone. All of Dask that a sweep needs is in here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pagexchange.errors import SweepError
from pagexchange.sweep.measure import keep, measure, stop
from pagexchange.sweep.survey import asked, misfits, survey
from pagexchange.sweep.wire import Asked, Measured, Survey, Task

if TYPE_CHECKING:
    from pagexchange.sweep.plan import Plan

POLL: Final = 0.5
"""Seconds between two looks at who is there, while something is measured."""
ANSWER: Final = 30.0
"""Seconds in which a worker has to say what it is."""

Tell = Callable[[str], None]
_T = TypeVar("_T")


class LostError(Exception):
    """A worker has gone before it answered."""


class Fleet:
    """The workers that a scheduler knows.

    Parameters
    ----------
    client
        An asynchronous one.
    patience
        Seconds to wait for a worker where there is none: at the start, and of a host that has gone.
    survey, measure
        What runs on the workers.

    Attributes
    ----------
    hosts : dict[str, Survey]
        Host -> what one of its workers said.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - as distributed types them, its methods are those of a synchronous one
        plan: Plan,
        *,
        patience: float,
        tell: Tell,
        survey: Callable[[Asked], Survey] = survey,
        measure: Callable[[Task], Measured] = measure,
    ) -> None:
        self.hosts: dict[str, Survey] = {}
        self.patience = patience
        self._client, self._plan, self._tell = client, plan, tell
        self._survey, self._measure = survey, measure
        self._workers: dict[str, str] = {}
        """Address -> host, of all that were asked; empty: it is not used."""
        self._files: dict[str, set[str]] = {}
        """Host -> files that it has."""

    async def begin(self, only: Iterable[str] = ()) -> None:
        """Find out who is there.

        Parameters
        ----------
        only
            Hosts to use, by id or by name; by default all.

        Raises
        ------
        SweepError
            There is no worker, or one does not fit: with all that is wrong.
        """
        addresses = await self._present()
        deadline = time.monotonic() + self.patience
        while not addresses and time.monotonic() < deadline:
            await asyncio.sleep(POLL)
            addresses = await self._present()
        if not addresses:
            where = self._client.scheduler.address
            raise SweepError(
                f"{where} has no worker, and none came in {self.patience:g} s: start one on each machine, "
                f"`dask worker {where} --nworkers 1 --nthreads 1`"
            )
        answers = await self._ask(addresses)
        if only:
            self._workers = dict.fromkeys(answers, "")
            answers = _chosen(answers, list(only))
        wrong = [
            f"worker {address}{_of(answer)} {problem}"
            for address, answer in sorted(answers.items())
            for problem in ([answer] if isinstance(answer, str) else misfits(answer, self._plan))
        ]
        if wrong:
            raise SweepError("\n".join(wrong))
        for address, answer in answers.items():
            assert isinstance(answer, Survey)
            self._join(address, answer)

    async def measured(self, task: Task) -> Measured:
        """Have a task done by a worker of its host.

        Raises
        ------
        LostError
            The worker has gone, or there is none and none came: the task is not done.
        SweepError
            The scheduler has gone.
        Exception
            Whatever the worker could not do, as a full disk.
        """
        address = await self._worker_of(task.host)
        for _ in range(2):  # files may vanish between two looks
            await self._send(task, address)
            answer = await self._call(address, self._measure, task, name=f"pagexchange-{task.token}")
            if not answer.missing:
                return answer
            self._files[task.host] -= set(answer.missing)
        raise OSError(f"{address} does not keep the files that it is sent")

    async def stop(self, task: Task) -> None:
        """End what is measured for a task, wherever that is. Where nobody hears it any more, nothing can be done."""
        there = [address for address, host in self._workers.items() if host == task.host]
        with suppress(Exception):  # of a client that has closed, too, and that is an AttributeError
            await asyncio.wait_for(self._client.run(stop, task.token, workers=there, on_error="ignore"), POLL * 4)

    async def last_look(self) -> dict[str, Survey]:
        """Ask once more: host -> what it says now, of those that are still there."""
        there = [address for address in await self._present() if self._workers.get(address)]
        answers = await self._ask(there)
        return {answer.host.id: answer for answer in answers.values() if isinstance(answer, Survey)}

    # ---- one worker --------------------------------------------------------------------------------------------------

    async def _call(self, address: str, function: Callable[..., _T], *args: Any, name: str) -> _T:  # noqa: ANN401
        """Run a function on a worker. LostError: it has gone meanwhile."""
        future = self._client.submit(
            function, *args, workers=[address], allow_other_workers=False, pure=False, retries=0, key=name
        )
        waiting = asyncio.ensure_future(future.result())
        try:
            while not (await asyncio.wait({waiting}, timeout=POLL))[0]:
                # A task that nobody may run any more waits for ever: so look who is there.
                if address not in await self._present():
                    raise LostError(f"worker {address} has gone")
            if waiting.cancelled():  # by the client, when the scheduler has gone
                await self._present()
                raise LostError(f"worker {address} was given up by the scheduler")
            error = waiting.exception()
            if error is not None and type(error).__name__ == "KilledWorker":
                raise LostError(f"worker {address} was killed")
            result: _T = waiting.result()
            return result
        finally:
            waiting.cancel()
            future.release()

    async def _send(self, task: Task, address: str) -> None:
        """Give a host the files that it has not got: once, whoever of its workers asks next."""
        for name in task.files:
            if name not in self._files[task.host]:
                await self._call(address, keep, name, self._plan.files[name], name=f"pagexchange-{task.token}-{name}")
                self._files[task.host].add(name)

    async def _worker_of(self, host: str) -> str:
        deadline = time.monotonic() + self.patience
        told = False
        while True:
            for address in await self._refreshed():
                if self._workers[address] == host:
                    return address
            if time.monotonic() >= deadline:
                raise LostError(f"no worker of {host} is there any more")
            if not told:
                self._tell(f"{host}: its workers have gone; waiting {self.patience:g} s for another one")
            told = True
            await asyncio.sleep(POLL)

    # ---- all of them -------------------------------------------------------------------------------------------------

    async def _refreshed(self) -> list[str]:
        """Return the addresses that are there, after asking those that have come meanwhile."""
        present = await self._present()
        for address, answer in (await self._ask([each for each in present if each not in self._workers])).items():
            if isinstance(answer, Survey) and answer.host.id in self.hosts and not list(misfits(answer, self._plan)):
                self._join(address, answer)
            else:
                self._workers[address] = ""
                self._tell(f"worker {address}{_of(answer)} came later, and is left out: the same command again has it")
        return [address for address in present if address in self._workers]

    async def _present(self) -> list[str]:
        """Return the addresses of all workers. SweepError: the scheduler has gone."""
        deadline = time.monotonic() + self.patience
        while self._client.status == "connecting" and time.monotonic() < deadline:  # anew, as the client does by itself
            await asyncio.sleep(POLL)
        if self._client.status != "running":
            raise SweepError("the scheduler has gone, or cannot be reached any more")
        try:
            return sorted(await asyncio.wait_for(self._client.nthreads(), ANSWER))
        except (OSError, TimeoutError) as error:
            raise SweepError(f"the scheduler has gone: {error or type(error).__name__}") from error

    async def _ask(self, addresses: list[str]) -> dict[str, Survey | str]:
        """Return what each worker says of itself, or in words why it does not."""
        answers = await asyncio.gather(*map(self._asked, addresses))
        return dict(zip(addresses, answers, strict=True))

    async def _asked(self, address: str) -> Survey | str:
        call = self._client.run(self._survey, asked(self._plan), workers=[address], on_error="return")
        try:
            answer = (await asyncio.wait_for(call, ANSWER)).get(address)
        except TimeoutError:
            return f"does not answer within {ANSWER:g} s"
        except OSError as error:
            return f"does not answer: {error}"
        if isinstance(answer, Survey):
            return answer
        if isinstance(answer, ModuleNotFoundError):
            return f"has no pagexchange that this one can talk to ({answer}); install the same there as here"
        return f"cannot say what it is: {type(answer).__name__}: {answer}"

    def _join(self, address: str, answer: Survey) -> None:
        self._workers[address] = answer.host.id
        self.hosts.setdefault(answer.host.id, answer)
        self._files.setdefault(answer.host.id, set()).update(answer.files)


def _chosen(answers: dict[str, Survey | str], names: list[str]) -> dict[str, Survey | str]:
    """Return the answers of the hosts that were asked for. SweepError: one of them is not there."""
    hosts = {address: answer.host.id for address, answer in answers.items() if isinstance(answer, Survey)}
    called = {address: {host, host.rpartition("-")[0]} for address, host in hosts.items()}
    for name in names:
        if not any(name in known for known in called.values()):
            there = ", ".join(sorted(set(hosts.values())))
            raise SweepError(f"no worker is on host {name!r}; there are: {there or 'none'}")
    return {address: answers[address] for address, known in called.items() if known & set(names)}


def _of(answer: Survey | str) -> str:
    return f" (host {answer.host.id})" if isinstance(answer, Survey) else ""
