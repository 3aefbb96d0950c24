"""A strategy that migrates beside those that exchange: pairs by two migrations, judged, and the way back."""

import errno
from functools import partial
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.arena.strategy import Strategy, bind, strategy
from pagexchange.host.build import PagexchangeHost
from pagexchange.host.read import Source, load
from pagexchange.oracle import Migration, Oracle, check
from pagexchange.oracle.format import NODE
from pagexchange.pages import populate_synthetic
from pagexchange.runs.result import InputInfo, RunResult
from pagexchange.runs.run import run
from pagexchange.runs.two_migrations import BATCH, TwoMigrations
from pagexchange.runs.verdict import Stamping
from pagexchange.runs.workbench import Made, Workbench
from tests.core.fake_engine import LAYOUT

SPARE = 64


def made(n: int = 40, *, lists: int = 1, spare: int = SPARE, order: int = 0, free: int | None = None) -> Workbench:
    """Pages of all kinds on two nodes, pairs across them, each list with other partners, and spare frames."""

    def build() -> Made:
        frames = (n << order) + spare
        arena = Arena.create([("fast", frames), ("slow", frames)], layout=LAYOUT, watermarks=(0, 0, 0))
        pages = populate_synthetic(
            arena, seed=1, kinds={"anon": 0.5, "file": 0.5}, orders={order: 1.0}, pages_per_node=n << order
        )
        fast, slow = (pages.pfns[pages.node == node] for node in (0, 1))
        arena.set_flags(slow, "workingset")
        both = min(len(fast), len(slow))
        info = InputInfo(
            name="a test", kind="synthetic", pairs=both * lists, pages=2 * both, page_size=4096, frames=2 * frames,
            arena_bytes=arena.total_bytes, layout=LAYOUT.name, free=free,
        )  # fmt: skip
        return Made(arena, [np.stack([slow[:both], np.roll(fast[:both], i)], axis=1) for i in range(lists)], info)

    return Workbench(build)


def raced(bench: Workbench, *names: str, **options: Any) -> RunResult:
    config = load()
    host = PagexchangeHost()
    specs = [config.strategy(name) for name in names]
    return run(bench, specs, partial(bind, host), Stamping(), **{"rounds": 2, "verify_all": True, **options})


def nodes(bench: Workbench) -> Any:
    start, count, size = bench.arena.geometry()["nodes"]
    return bench.arena.memory[start : start + count * size].view(NODE)[["free", "list"]].copy()


@pytest.mark.parametrize("lists", [1, 3])
@pytest.mark.parametrize("order", [0, 3])
def test_pairs_trade_nodes_by_two_migrations_and_every_call_starts_from_the_same_state(lists: int, order: int) -> None:
    bench = made(lists=lists, spare=64 << order, order=order)
    entries, free = bench.arena.entries.copy(), nodes(bench)["free"]
    result = raced(bench, "migrate", "list-exchange", "copy-page")
    assert [(one.name, one.verdict, one.reason) for one in result.strategies] == [
        ("migrate", "exact", ""), ("list-exchange", "exact", ""), ("copy-page", "exact", ""),
    ]  # fmt: skip
    one = result.strategies[0]
    assert one.exchanged == one.pairs == len(bench.pairs) > 0
    assert one.frames_asked == one.frames_allocated == 2 * len(bench.pairs) << order
    assert one.moved == {"folio-copy": 2 * len(bench.pairs)}
    assert one.isa
    assert len(one.rounds) == 2
    assert not result.warnings
    used = np.isin(entries["state"], (2, 3))
    assert np.array_equal(entries[used], bench.arena.entries[used])
    assert np.array_equal(nodes(bench)["free"], free)
    assert check(bench.arena) == []


def test_the_allocators_lists_are_the_same_before_each_call() -> None:
    bench = made()
    way = strategy("migrate", bench.arena)
    before, entries = nodes(bench), bench.arena.entries.copy()
    placed = []
    for _ in range(3):
        bench.remember()
        traded = _once(way, bench)
        placed.append([np.asarray(call.placed).tolist() for call in traded.calls])
        bench.rewind(traded.status, traded.calls)
        assert np.array_equal(nodes(bench), before)
        assert np.array_equal(bench.arena.entries, entries)
    assert placed[0] == placed[1] == placed[2]


def _once(way: Strategy, bench: Workbench) -> Any:
    migrations = TwoMigrations(way)
    (pairs,) = bench.lists
    parts = migrations.parts(pairs)
    return migrations.settle(pairs, parts, migrations.move(parts))


def test_contents_come_back_from_where_pages_went_the_last_ones_first() -> None:
    bench = made(lists=3, spare=7)
    stamped = np.arange(bench.arena.frames.size, dtype=np.uint64).reshape(bench.arena.frames.shape)
    bench.arena.frames[:] = stamped
    way = TwoMigrations(strategy("migrate", bench.arena))
    bench.remember()
    calls: list[Migration] = []
    for pairs in bench.lists:
        parts = way.parts(pairs)
        traded = way.settle(pairs, parts, way.move(parts))
        calls += traded.calls
    bench.rewind(np.zeros(len(bench.pairs), np.int32), calls)
    pages = np.isin(bench.arena.entries["state"], (2, 3))
    assert np.array_equal(bench.arena.frames[pages], stamped[pages])


def test_with_no_free_frame_it_starves_and_with_some_it_moves_as_many_as_fit() -> None:
    (one,) = raced(made(spare=0, free=0), "migrate").strategies
    assert (one.verdict, one.refused, one.as_expected) == ("starved", {"ENOMEM": one.pairs}, True)
    (one,) = raced(made(spare=0), "migrate").strategies
    assert (one.verdict, one.as_expected) == ("starved", False)
    (one,) = raced(made(spare=7, free=7), "migrate").strategies
    assert (one.verdict, one.exchanged, one.refused) == ("exact", 7, {"ENOMEM": one.pairs - 7})


def test_few_free_frames_serve_a_long_list_batch_by_batch() -> None:
    bench = made(3 * BATCH, spare=BATCH)
    (one,) = raced(bench, "migrate", rounds=1).strategies
    assert (one.verdict, one.exchanged) == ("exact", len(bench.pairs))
    assert one.exchanged > 2 * BATCH


def test_a_pair_whose_first_page_is_refused_keeps_both_and_one_whose_second_is_has_moved_half() -> None:
    bench = made(lists=2)
    arena = bench.arena
    first, second = bench.lists[0][3, 0], bench.lists[0][5, 1]
    arena.set_flags([first, second], "writeback")
    oracle = Oracle.before(arena)
    way = TwoMigrations(strategy("migrate", arena))
    calls: list[Migration] = []
    for number, pairs in enumerate(bench.lists):
        parts = way.parts(pairs)
        traded = way.settle(pairs, parts, way.move(parts))
        calls += traded.calls
        refused = {3: -errno.EBUSY, 5: -errno.EBUSY}
        if number == 1:  # by then the page of pair 5 that has moved lies on the node of its partner
            refused = {3: -errno.EBUSY, 5: -errno.EINVAL, int(np.flatnonzero(pairs[:, 1] == second)[0]): -errno.EBUSY}
        assert {i: int(traded.status[i]) for i in np.flatnonzero(traded.status).tolist()} == refused
    assert oracle.after_migrations(calls).kind == "exact"
    assert arena.entries["state"][first] == 2
    moved = [set(np.asarray(call.pfns)[np.asarray(call.status) == 0].tolist()) for call in calls]
    assert int(bench.lists[0][3, 1]) not in moved[1]
    assert int(bench.lists[0][5, 0]) in moved[0]


def test_what_is_no_pair_of_two_nodes_is_not_moved() -> None:
    bench = made()
    slow, fast = bench.lists[0][:4].T
    pairs = np.array([[slow[0], fast[0]], [slow[1], slow[2]], [-1, fast[1]], [slow[3], bench.arena.nframes]])
    way = TwoMigrations(strategy("migrate", bench.arena))
    parts = way.parts(pairs)
    traded = way.settle(pairs, parts, way.move(parts))
    assert traded.status.tolist() == [0, -errno.EINVAL, -errno.EFAULT, -errno.EFAULT]
    assert sum(len(np.asarray(call.pfns)) for call in traded.calls) == 2


def test_a_strategy_that_loses_flags_by_migration_is_undone_and_named() -> None:
    text = b"""
    schema = 1
    [strategy.old]
    flags = "per-flag"
    copy = "folio-copy"
    mapping = "radix-tree"
    expect = "loses"
    [strategy.plain]
    flags = "masked-word"
    copy = ["numpy-copy"]
    mapping = "xarray"
    """
    config = load(Source("a test", text, None))
    bench = made()
    result = run(
        bench, list(config.strategies.values()), partial(bind, PagexchangeHost()), Stamping(), rounds=2, verify_all=True
    )
    old, plain = result.strategies
    assert (old.verdict, plain.verdict) == ("loses", "exact")
    assert "workingset" in {lost.name for lost in old.lost}
    assert plain.moved == {"numpy-copy": 2 * len(bench.pairs)}
