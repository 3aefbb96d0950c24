"""Every point on every host, one at a time on a machine; whatever goes away meanwhile, what is finished is kept."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("distributed")

from pagexchange.errors import FolderError, SweepError
from pagexchange.samples.folder import Folder
from pagexchange.sweep import inputs
from pagexchange.sweep.drive import drive
from pagexchange.sweep.fleet import Fleet
from pagexchange.sweep.measure import measure, stop
from pagexchange.sweep.wire import Measured, Survey, Task
from tests.core import fleets
from tests.core.fleets import LONG, cluster, fresh, new_folder, of_their_own
from tests.core.sweeps import TEXT, done, small_plan

FOUR = TEXT.replace('"workload.pairs" = [20, 40]', '"workload.pairs" = [20, 40]\n"workload.sort" = [false, true]')


def test_every_point_is_measured_once_on_every_host_and_one_at_a_time_on_a_machine(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, FOUR)
    folder = new_folder(tmp_path, plan)

    def slowly(task: Task) -> Measured:
        time.sleep(0.03)  # so that two of them would meet
        return done(task)

    bench = fresh(act=slowly)

    async def sweep() -> None:
        async with cluster("a", "a.2", "b") as three:
            result = await three.sweep(plan, folder)
        assert (result.done, result.there, result.left) == (8, 0, [])

    asyncio.run(sweep())
    assert bench.most == 1
    assert set(folder.cells) == {(cell.id, host) for cell in plan.manifest.cells for host in ("a-000000", "b-000000")}
    read = Folder.open(folder.path)
    assert len(read.samples()) == len(folder.samples()) == 8 * 2 * 2
    assert all(host.after is not None for host in read.hosts.values())
    # an order of its own on each host, and the same one each time
    orders = {host: [task.text for task in bench.asked if task.host == host] for host in read.hosts}
    assert {tuple(sorted(order)) for order in orders.values()} == {tuple(sorted(point.text for point in plan.points))}
    assert len(set(map(tuple, orders.values()))) == 2


def test_two_machines_measure_at_the_same_time(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    both = threading.Barrier(2)

    def meet(task: Task) -> Measured:
        both.wait(LONG)
        return done(task)

    fresh(act=meet, surveyed=of_their_own)

    async def sweep() -> None:
        async with cluster("a", "b") as two:
            assert (await two.sweep(plan, new_folder(tmp_path, plan))).done == 4

    asyncio.run(sweep())


def test_a_point_whose_worker_goes_away_is_done_again_by_another_one_of_its_host(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    folder = new_folder(tmp_path, plan)
    begun, over = threading.Event(), threading.Event()

    def hang_first(task: Task) -> Measured:
        if not begun.is_set():
            begun.set()
            over.wait(LONG)
        return done(task)

    bench = fresh(act=hang_first)

    async def sweep() -> None:
        async with cluster("a", "a.2") as two:
            sweeping = asyncio.create_task(two.sweep(plan, folder))
            await asyncio.to_thread(begun.wait, LONG)
            (busy,) = (name for name, worker in two.workers.items() if worker.state.executing_count)
            await two.leave(busy)
            result = await sweeping
            over.set()
            assert (result.done, result.left) == (2, [])
            assert any("has gone; it is done again" in words for words in two.told)

    asyncio.run(sweep())
    assert len(bench.asked) == 3
    tokens = {sample.origin.partition(":")[0] for sample in Folder.open(folder.path).samples()}
    assert tokens == {task.token for task in bench.asked[1:]}


def test_a_worker_that_is_started_anew_goes_on(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    fresh()

    async def sweep() -> None:
        async with cluster("a") as one:
            again = asyncio.Event()

            def leave_after_the_first(words: str) -> None:
                if words.startswith("[1/2]"):
                    again.set()

            one.told = _Told(leave_after_the_first)
            stop = asyncio.create_task(_replace(one, again))
            result = await one.sweep(plan, new_folder(tmp_path, plan))
            await stop
            assert (result.done, result.left) == (2, [])

    asyncio.run(sweep())


async def _replace(one: fleets.Cluster, when: asyncio.Event) -> None:
    await when.wait()
    await one.leave("a")
    await one.join("a.2")


class _Told(list[str]):
    """Hears what is told at once."""

    def __init__(self, hear: object) -> None:
        super().__init__()
        self.hear = hear

    def append(self, words: str) -> None:
        super().append(words)
        assert callable(self.hear)
        self.hear(words)


def test_a_host_that_vanishes_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    folder = new_folder(tmp_path, plan)
    begun, over = threading.Event(), threading.Event()

    def hang_on_a(task: Task) -> Measured:
        if task.host.startswith("a"):
            begun.set()
            over.wait(LONG)
        return done(task)

    fresh(act=hang_on_a, surveyed=of_their_own)

    async def sweep() -> None:
        async with cluster("a", "b") as two:
            sweeping = asyncio.create_task(two.sweep(plan, folder, patience=0.2))
            await asyncio.to_thread(begun.wait, LONG)
            await two.leave("a")
            result = await sweeping
            over.set()
            assert result.done == 2
            assert [words.partition(":")[0] for words in result.left] == ["a-000000"] * 2
            assert "no worker of a-000000 is there any more" in result.left[0]

    asyncio.run(sweep())
    assert {host for _, host in folder.cells} == {"b-000000"}


def test_what_was_there_is_skipped_and_what_is_damaged_or_gone_is_done_again(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, FOUR)
    folder = new_folder(tmp_path, plan)
    fresh()

    async def sweep(again: bool = False) -> list[str]:
        async with cluster("a") as one:
            await one.sweep(plan, Folder.open(folder.path, strict=False), again=again)
            return one.told

    asyncio.run(sweep())
    before = len(Folder.open(folder.path).samples())
    first, second, *_ = sorted((folder.path / "cells").iterdir())
    first.unlink()
    second.write_text(second.read_text()[:30])
    lost = {
        point.number for point in plan.points for cell in point.cells if cell.id in (first.name[:12], second.name[:12])
    }
    told = asyncio.run(sweep())
    assert told[0].startswith(
        f"{len(lost)} point{'s' * (len(lost) > 1)} to do on 1 host, {4 - len(lost)} already there"
    )
    read = Folder.open(folder.path)
    assert len(read.cells) == 8
    assert len(read.samples()) == before + 4 * len(lost)
    asyncio.run(sweep(again=True))
    samples = Folder.open(folder.path).samples()
    assert len(samples) == before + 4 * len(lost) + before
    # rounds of several executions are not mixed up
    for cell in plan.manifest.cells:
        rounds = [sample.round for sample in samples if sample.cell == cell.id]
        assert len(rounds) == len(set(rounds))


def test_what_a_worker_cannot_do_is_said_and_the_rest_is_done(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)

    def fail_once(task: Task) -> Measured:
        if len(fleets.here.asked) == 1:
            raise OSError(28, "No space left on device")
        return done(task)

    fresh(act=fail_once)

    async def sweep() -> None:
        async with cluster("a") as one:
            result = await one.sweep(plan, new_folder(tmp_path, plan))
            assert result.done == 1
            assert len(result.left) == 1
            assert "No space left on device" in result.left[0]

    asyncio.run(sweep())


def test_a_folder_that_takes_nothing_any_more_ends_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = small_plan(tmp_path)
    folder = new_folder(tmp_path, plan)
    fresh()
    append = folder.append

    def full(samples: list[object]) -> None:
        if folder.cells:
            raise FolderError([])
        append(samples)  # type: ignore[arg-type]

    monkeypatch.setattr(folder, "append", full)

    async def sweep() -> None:
        async with cluster("a") as one:
            with pytest.raises(FolderError):
                await one.sweep(plan, folder)

    asyncio.run(sweep())
    assert len(Folder.open(folder.path).cells) == 2


def test_a_host_is_given_the_bytes_once_and_again_if_it_lost_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "one.pgxsnap").write_bytes(b"any bytes")
    plan = small_plan(tmp_path, snapshot=str(tmp_path / "one.pgxsnap"))
    (name,) = plan.files
    kept = tmp_path / "cache" / "pagexchange" / "inputs" / name

    def lose_it(task: Task) -> Measured:
        if not kept.exists():
            return Measured(cells=[], samples=[], missing=[name])
        if len(fleets.here.asked) == 1:
            kept.unlink()
        return done(task)

    bench = fresh(act=lose_it)

    async def sweep() -> None:
        async with cluster("a") as one:
            assert (await one.sweep(plan, new_folder(tmp_path, plan))).done == 2

    asyncio.run(sweep())
    assert inputs.digest_of(kept.read_bytes()) == kept.stem
    assert len(bench.asked) == 3  # the one that found it missing


def without_a_plugin(said: Survey) -> Survey:
    return msgspec.structs.replace(said, plugins={"xarray": said.plugins["xarray"]})


def of_another_version(said: Survey) -> Survey:
    return msgspec.structs.replace(said, versions=msgspec.structs.replace(said.versions, pagexchange="0.0.9"))


def with_another_plugin(said: Survey) -> Survey:
    return msgspec.structs.replace(said, plugins=said.plugins | {"word-swap": ("others", "3.0")})


def without_pagexchange(said: Survey) -> Survey:
    raise ModuleNotFoundError("No module named 'pagexchange'")


def broken(said: Survey) -> Survey:
    raise ValueError("any reason")


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (of_another_version, "(host a-000000) has pagexchange 0.0.9, and 0.1.0 is here; install the same on both"),
        (without_a_plugin, "(host a-000000) lacks plug-in 'word-swap' of pagexchange 0.1.0; install it there"),
        (with_another_plugin, "has 'word-swap' of others 3.0, and here it is the plug-in 'word-swap' of"),
        (without_pagexchange, "has no pagexchange that this one can talk to (No module named 'pagexchange'); install"),
        (broken, "cannot say what it is: ValueError: any reason"),
    ],
)
def test_a_worker_that_does_not_fit_is_said_before_anything_is_measured(
    tmp_path: Path, says: object, words: str
) -> None:
    plan = small_plan(tmp_path)
    bench = fresh(surveyed=says)

    async def sweep() -> str:
        async with cluster("a") as one:
            with pytest.raises(SweepError) as caught:
                await one.sweep(plan, new_folder(tmp_path, plan))
            return str(caught.value)

    assert words in asyncio.run(sweep())
    assert not bench.asked


def test_without_a_worker_it_says_how_to_have_one(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    fresh()

    async def sweep() -> None:
        async with cluster() as none:
            with pytest.raises(SweepError, match=r"no worker, and none came in 0.1 s: .*`dask worker tcp://"):
                await none.sweep(plan, new_folder(tmp_path, plan), patience=0.1)

    asyncio.run(sweep())


def test_only_the_hosts_that_are_named_are_used(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    folder = new_folder(tmp_path, plan)
    fresh()

    async def sweep() -> None:
        async with cluster("a", "b") as two:
            assert (await two.sweep(plan, folder, hosts=("b",))).done == 2
            with pytest.raises(SweepError, match="no worker is on host 'c'; there are: a-000000, b-000000"):
                await two.sweep(plan, folder, hosts=("c",))

    asyncio.run(sweep())
    assert set(folder.hosts) == {"b-000000"}


def test_a_host_that_comes_later_is_left_out_and_said(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    folder = new_folder(tmp_path, plan)
    fresh()

    async def sweep() -> list[str]:
        async with cluster("a") as one:
            fleet = Fleet(
                one.client, plan, patience=LONG, tell=one.told.append, survey=fleets.surveyed, measure=fleets.measured
            )
            await fleet.begin()
            await one.join("late")
            assert (await drive(fleet, plan, folder, tell=one.told.append)).done == 2
            return one.told

    told = asyncio.run(sweep())
    assert sum("(host late-000000) came later, and is left out" in words for words in told) == 1
    assert set(folder.hosts) == {"a-000000"}


def test_a_point_that_is_stopped_is_ended_and_counts_for_nothing(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    (point, _) = plan.points
    task = Task(token="none", host="a-000000", text=point.text, files=[], cells=list(point.cells))
    stop("none")
    assert measure(task).stopped
