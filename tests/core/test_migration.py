"""A page that migrates is whole in one frame, whatever stops it; the frame that it leaves is free, and no other is."""

import copy
import dataclasses
import errno
import os
import pickle
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.arena.migration import MigrationResult
from pagexchange.arena.strategy import Strategy
from pagexchange.errors import ArenaBusyError, PagexchangeError, PluginError
from pagexchange.hookspecs import hookimpl
from pagexchange.host.discovery import manager
from pagexchange.model.statuses import EHWPOISON
from pagexchange.oracle import check
from pagexchange.oracle import format as f
from pagexchange_native.arena.region import STATES
from pagexchange_native.movers.folio_copy import FolioCopy
from pagexchange_native.wrappers import FaultPlan, wrap
from tests.core.library import until
from tests.core.pages import KINDS, Pages, Pfns, differences, migrating, picture, resting, strategy
from tests.core.test_memory_error import break_memory, poisoned

COPIERS = ("folio-copy", "streaming-copy", "numpy-copy")
FAST, SLOW = 0, 1
MOVING = 300
"""Pages of the file that a process is killed over."""
EAGAIN, EBUSY, EFAULT, EINVAL, ENOENT, ENOMEM = (
    -errno.EAGAIN, -errno.EBUSY, -errno.EFAULT, -errno.EINVAL, -errno.ENOENT, -errno.ENOMEM,
)  # fmt: skip


def free(arena: Arena) -> list[int]:
    return [int(node["free"]) for node in arena.nodes]


def made(pages: Pages, order: int = 0, kinds: tuple[str, ...] = KINDS, times: int = 1) -> Pfns:
    """Pages of the fast node, of each kind some."""
    return np.array([pages.page(kind, FAST, order) for kind in kinds * times])


def contents(arena: Arena, pfns: Any, order: int = 0) -> NDArray[np.uint64]:
    return np.array([arena.frames[pfn : pfn + (1 << order)] for pfn in np.asarray(pfns).tolist()])


# ---- what arrives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copier", COPIERS)
@pytest.mark.parametrize("order", [0, 3, 9])
def test_a_page_is_whole_in_its_new_frame_and_its_old_one_is_free(copier: str, order: int) -> None:
    pages = Pages(8 << order)
    arena = pages.arena
    pfns = made(pages, order)
    pages.flag(int(pfns[2]), "dirty", "referenced")
    arena.set_private(pfns[2], 77)
    words = contents(arena, pfns, order)
    flags = arena.flags[pfns] & np.uint64(arena.layout.mask("swap"))
    before = free(arena)
    result = migrating(arena, copier).migrate(pfns, "slow")
    assert result.status.tolist() == [0] * 4
    assert (result.migrated, result.frames_asked, result.frames_got) == (4, 4 << order, 4 << order)
    assert {arena.frame(pfn).node for pfn in result.placed} == {"slow"}
    assert np.array_equal(contents(arena, result.placed, order), words)
    assert np.array_equal(arena.flags[result.placed] & np.uint64(arena.layout.mask("swap")), flags)
    assert [arena.frame(pfn).kind for pfn in result.placed] == ["raw", "anon", "file", "file"]
    assert arena.frame(int(result.placed[2])).private == 77
    assert (arena.entries["state"][pfns] == STATES["free"]).all()
    assert free(arena) == [before[0] + (4 << order), before[1] - (4 << order)]
    assert check(arena) == []
    assert resting(arena)


def test_what_leads_to_a_page_leads_to_its_new_frame() -> None:
    pages = Pages()
    arena = pages.arena
    at = pages.next
    pfns = made(pages, 0, ("file", "anon", "shmem"))
    placed = migrating(arena).migrate(pfns, SLOW).placed.tolist()
    assert [arena.frame(pfn).index - at for pfn in placed] == [0, 4, 8]
    assert arena.cache_load(pages.mappings[0], at) == placed[0]
    assert [arena.translate(space, at + 4) for space in pages.spaces] == [placed[1]] * 2
    assert arena.cache_load(pages.shm, at + 8) == arena.translate(pages.spaces[1], at + 8) == placed[2]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_long_list_arrives_in_batches_by_any_number_of_threads(threads: int) -> None:
    arena = Arena.create([("fast", 4096), ("slow", 4096)])
    pfns = arena.alloc("fast", 3000)
    arena.cache_add(arena.new_mapping("file"), np.arange(3000), pfns)
    arena.frames[pfns, 0] = np.arange(3000)
    result = migrating(arena).migrate(np.random.default_rng(1).permutation(pfns), "slow", threads=threads)
    assert result
    assert len(set(result.placed.tolist())) == 3000
    assert np.array_equal(arena.frames[result.placed, 0], result.pfns)
    assert check(arena) == []


def test_one_folio_is_copied_by_several_threads() -> None:
    pages = Pages(1024)
    pfn = pages.page("file", FAST, 9)
    words = contents(pages.arena, [pfn], 9)
    result = migrating(pages.arena).migrate([pfn], SLOW, threads=4)
    assert result
    assert np.array_equal(contents(pages.arena, result.placed, 9), words)
    assert check(pages.arena) == []


# ---- what is refused -------------------------------------------------------------------------------------------------


def reserved(pages: Pages) -> int:
    pfn = pages.page("raw", FAST)
    pages.arena.reserve_frames(pfn)
    return pfn


def freed(pages: Pages) -> int:
    pfn = pages.page("raw", FAST)
    pages.arena.free(pfn)
    return pfn


def with_(kind: str, call: str) -> Callable[[Pages], int]:
    def make(pages: Pages) -> int:
        pfn = pages.page(kind, FAST)
        getattr(pages.arena, call)(pfn)
        return pfn

    return make


def flagged(name: str) -> Callable[[Pages], int]:
    def make(pages: Pages) -> int:
        pfn = pages.page("file", FAST)
        pages.arena.flags[pfn] |= np.uint64(pages.arena.layout.word(name))
        return pfn

    return make


def of_mapping(aops: str, *flags: str) -> Callable[[Pages], int]:
    def make(pages: Pages) -> int:
        pages.mappings[0] = pages.arena.new_mapping("special", aops=aops)
        pfn = pages.page("file", FAST)
        if flags:
            pages.flag(pfn, *flags)
        return pfn

    return make


REFUSED: dict[str, tuple[Callable[[Pages], int], int, str]] = {
    "negative": (lambda _: -1, EFAULT, "out of range"),
    "beyond the last frame": (lambda _: 128, EFAULT, "out of range"),
    "free": (freed, ENOENT, "a free frame"),
    "a tail": (lambda pages: pages.page("anon", FAST, 2) + 3, EINVAL, "is a tail; the folio starts at frame"),
    "reserved": (reserved, EBUSY, "is reserved, and never moves"),
    "pinned": (with_("file", "pin"), EBUSY, "is pinned; retry"),
    "referenced": (with_("anon", "get"), EAGAIN, "has 3 references, 2 at rest"),
    "locked": (with_("file", "lock"), EAGAIN, "is locked"),
    "under write-back": (flagged("writeback"), EBUSY, "is under write-back"),
    "of an unmovable mapping": (of_mapping("unmovable"), -errno.EOPNOTSUPP, "an unmovable mapping"),
    "dirty, and nobody writes it": (of_mapping("none", "dirty"), EBUSY, "is dirty"),
    "broken": (flagged("hwpoison"), -EHWPOISON, "has a memory error"),
}


@pytest.mark.parametrize(("make", "code", "says"), REFUSED.values(), ids=REFUSED)
def test_a_page_that_is_refused_is_as_it_was_and_the_others_go(
    make: Callable[[Pages], int], code: int, says: str
) -> None:
    pages = Pages()
    arena = pages.arena
    first, last = pages.page("file", FAST), pages.page("anon", FAST)
    bad = make(pages)
    copier = migrating(arena)
    before = picture(arena, scratch=True)
    result = copier.migrate([bad], SLOW)
    assert result.status.tolist() == [code]
    assert result.placed.tolist() == [bad]
    assert says in result.messages()[0].split(": ", 2)[2]
    assert differences(before, picture(arena, scratch=True)) == []
    whole = copier.migrate([first, bad, last], SLOW)
    assert whole.status.tolist() == [0, code, 0]
    assert [int(pfn) >= 64 for pfn in whole.placed[[0, 2]]] == [True, True]
    assert resting(arena)
    with pytest.raises(PagexchangeError, match=r"page 1 \(pfn "):
        whole.raise_for_status()


def test_a_page_of_the_node_stays_and_a_page_that_is_named_again_is_not_moved_twice() -> None:
    pages = Pages()
    there, here, tail = pages.page("file", SLOW), pages.page("file", FAST), pages.page("anon", SLOW, 2) + 1
    result = migrating(pages.arena).migrate([there, here, there, here, tail, 127], "slow")
    assert result.status.tolist() == [0, 0, EINVAL, EINVAL, EINVAL, ENOENT]
    assert result.placed[[0, 2, 3, 4, 5]].tolist() == [there, there, here, tail, 127]
    assert f"the list names frame {there} before" in result.messages()[0]
    assert result.migrated == 1


@pytest.mark.parametrize("n", [10, 100])
def test_pages_that_find_no_free_frame_are_refused_one_by_one(n: int) -> None:
    """The node is filled to its min watermark: what is over has a status, and is where it was."""
    arena = Arena.create([("fast", 512), ("slow", 512)], watermarks=(8, 10, 12))
    pfns = arena.alloc("fast", n)
    arena.map(arena.new_space("one"), np.arange(n), pfns)
    arena.alloc("slow", 512 - 8 - 7)
    result = migrating(arena).migrate(pfns, "slow")
    assert result.status.tolist() == [0] * 7 + [ENOMEM] * (n - 7)
    assert result.placed[7:].tolist() == pfns[7:].tolist()
    assert (result.frames_asked, result.frames_got) == (n, 7)
    assert free(arena)[1] == 8
    assert check(arena) == []


def test_a_failed_allocation_refuses_its_page_alone() -> None:
    pages = Pages()
    pfns = made(pages)
    pages.arena.fail_alloc = 2
    assert migrating(pages.arena).migrate(pfns, SLOW).status.tolist() == [0, ENOMEM, 0, 0]
    assert check(pages.arena) == []


def test_no_more_frames_are_taken_at_a_time_than_linux_migrates_at_one_time() -> None:
    arena = Arena.create([("fast", 2048), ("slow", 2048)])
    pfns = np.concatenate([arena.alloc("fast", 2, 9), arena.alloc("fast", 40, 4)])
    seen: list[int] = []

    def copy_pieces(pieces: Any, source: Any, target: Any) -> None:
        pieces[target] = pieces[source]
        seen.append(sum(free(arena)))

    before = sum(free(arena))
    assert migrating(arena, copy_pieces).migrate(pfns, "slow")
    assert set(seen) == {before - 512, before - 8 * 16}


def test_free_frames_in_a_list_do_not_make_its_batches_small() -> None:
    """What is in a free block counts for no base pages."""
    arena = Arena.create([("fast", 64), ("slow", 64)])
    pfns = arena.alloc("fast", 32)
    arena.free(pfns[1::2])
    at_once: list[int] = []

    def copy_pieces(pieces: Any, source: Any, target: Any) -> None:
        pieces[target] = pieces[source]
        at_once.append(len(source))

    mixed = np.concatenate([np.column_stack([pfns[::2], np.arange(33, 49)]).ravel(), pfns[1::2]])
    assert migrating(arena, copy_pieces).migrate(mixed, "slow").migrated == 16
    assert at_once == [16]


def test_frames_that_pages_left_serve_those_that_come_back() -> None:
    """With one free frame on each node above the watermark, two pages trade nodes by two calls, again and again."""
    arena = Arena.create([("fast", 64), ("slow", 64)], watermarks=(0, 0, 0))
    fast, slow = arena.alloc("fast", 63), arena.alloc("slow", 63)
    arena.cache_add(arena.new_mapping("file"), np.arange(126), [*fast, *slow])
    a, b = int(fast[0]), int(slow[0])
    bound = migrating(arena)
    for _ in range(5):
        a = int(bound.migrate([a], "slow").placed[0])
        b = int(bound.migrate([b], "fast").placed[0])
        a = int(bound.migrate([a], "fast").placed[0])
        b = int(bound.migrate([b], "slow").placed[0])
    assert free(arena) == [1, 1]
    assert check(arena) == []


@pytest.mark.parametrize("mode", ["sync-light", "sync"])
def test_who_may_wait_gets_a_page_that_somebody_lets_go(mode: Any) -> None:
    pages = Pages()
    pfns = made(pages)
    pages.arena.lock(pfns[1])
    timer = threading.Timer(0.05, lambda: pages.arena.unlock(pfns[1]))
    timer.start()
    result = migrating(pages.arena, mode=mode).migrate(pfns, SLOW)
    timer.join()
    assert result
    assert check(pages.arena) == []
    assert resting(pages.arena)


# ---- memory errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copier", COPIERS)
@pytest.mark.parametrize("order", [0, 3])
@pytest.mark.parametrize("at", [0, 2, 3])
def test_a_page_with_a_memory_error_stays_and_the_others_go(copier: str, order: int, at: int) -> None:
    pages = Pages(8 << order)
    arena = pages.arena
    pfns = made(pages, order)
    words = contents(arena, pfns, order)
    broken = int(pfns[at]) + (1 << order) - 1
    break_memory(arena, broken)
    result = migrating(arena, copier).migrate(pfns, SLOW)
    assert result.status.tolist() == [-EHWPOISON if i == at else 0 for i in range(4)]
    assert result.placed[at] == pfns[at]
    assert poisoned(arena) == sorted({int(pfns[at]), broken})
    rest = [i for i in range(4) if i != at]
    assert np.array_equal(contents(arena, result.placed[rest], order), words[rest])
    assert np.array_equal(arena.frames[pfns[at] : broken], words[at, :-1])
    assert check(arena) == []


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("part", [0, 5, -1])
def test_a_free_frame_with_a_memory_error_is_used_by_nobody_and_the_page_may_try_again(threads: int, part: int) -> None:
    pages = Pages(128)
    arena = pages.arena
    bound = migrating(arena)
    pfn = pages.page("file", FAST, 6)
    words = contents(arena, [pfn], 6)
    there = int(bound.migrate([pfn], SLOW).placed[0])
    pfn = int(bound.migrate([there], FAST).placed[0])
    broken = there + part % 64
    break_memory(arena, broken)
    refused = bound.migrate([pfn], SLOW, threads=threads)
    assert refused.status.tolist() == [EAGAIN]
    assert np.array_equal(contents(arena, [pfn], 6), words)
    assert arena.frame(broken).state == "offline"
    result = bound.migrate([pfn], SLOW, threads=threads)
    assert result
    assert np.array_equal(contents(arena, result.placed, 6), words)
    assert check(arena) == []


# ---- copiers that fail -----------------------------------------------------------------------------------------------


def _raises(pieces: Any, source: Any, target: Any) -> None:
    pieces[target[:1]] = pieces[source[:1]]
    raise ZeroDivisionError("half way")


def _leaves_one(pieces: Any, source: Any, target: Any) -> None:
    pieces[target[1:]] = pieces[source[1:]]


def _spoils_the_page(pieces: Any, source: Any, target: Any) -> None:
    pieces[target] = pieces[source]
    pieces[source[0], 7] += np.uint64(1)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (_raises, "ZeroDivisionError: half way"),
        (_leaves_one, "was not copied to piece"),
        (_spoils_the_page, "was not copied to piece .*, or was changed"),
    ],
)
def test_of_a_call_whose_copier_fails_every_page_is_where_it_was_and_no_frame_is_taken(
    function: Callable[..., None], says: str
) -> None:
    pages = Pages()
    arena = pages.arena
    pfns = made(pages, 2)
    bound = migrating(arena, function)
    before = picture(arena, scratch=True)
    with pytest.raises(PluginError, match=says) as caught:
        bound.migrate(pfns, SLOW)
    assert caught.value.status.tolist() == [-errno.EBADMSG] * 4  # type: ignore[attr-defined]
    assert caught.value.placed.tolist() == pfns.tolist()  # type: ignore[attr-defined]
    assert differences(before, picture(arena, scratch=True)) == []
    assert resting(arena)


def test_a_page_that_one_copier_refuses_goes_to_the_next() -> None:
    arena = (pages := Pages()).arena
    native = wrap(FolioCopy(), FaultPlan(errno.ENOMEM, every=2))
    bound = migrating(arena)
    chain = bound.built.copy[0]
    first = dataclasses.replace(chain, object=native)
    two = Strategy(arena, dataclasses.replace(bound.built, copy=(first, dataclasses.replace(chain, plugin="second"))))
    pfns = made(pages)
    words = contents(arena, pfns)
    for node in (SLOW, FAST):  # the free frame is the higher one of the pair, and the lower one
        result = two.migrate(pfns, node)
        assert result
        assert result.moved == {"folio-copy": 2, "second": 2}
        pfns = result.placed
        assert np.array_equal(contents(arena, pfns), words)
        assert check(arena) == []


# ---- the call --------------------------------------------------------------------------------------------------------


def test_a_strategy_does_one_of_both() -> None:
    pages = Pages()
    pair = pages.pair()
    migrates, exchanges = migrating(pages.arena), strategy(pages.arena)
    assert migrates.built.spec.migrates
    assert not exchanges.built.spec.migrates
    with pytest.raises(ValueError, match=r"strategy 'migrate' migrates: call migrate\(pfns, node\)"):
        migrates.exchange([pair])
    with pytest.raises(ValueError, match=r"strategy 'list-exchange' exchanges: call exchange\(pairs\)"):
        exchanges.migrate(pair[:1], SLOW)
    with pytest.raises(ValueError, match="a chain of data movers exchanges, one of data copiers migrates"):
        migrates._native.exchange(np.array([pair]), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="node 2: there are 2"):
        migrates._native.migrate(np.array([pair]), np.zeros(1, np.int32), 2)
    assert resting(pages.arena)


WRONG: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "floats": ([1.0], SLOW, TypeError, "pfns: want an array of integers"),
    "pairs": ([[1, 2]], SLOW, ValueError, r"pfns: want shape \(n,\)"),
    "no such node": ([1], "middle", LookupError, "node 'middle': unknown; choose one of fast, slow"),
    "a number of no node": ([1], 2, LookupError, "node 2: unknown"),
}


@pytest.mark.parametrize(("pfns", "node", "error", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_list_of_pages_is_an_error(pfns: Any, node: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        migrating(Pages().arena).migrate(pfns, node)


def test_pages_are_named_in_any_form() -> None:
    pages = Pages()
    arena, other = pages.arena, Pages().arena
    bound = migrating(arena)
    one = pages.page("file", FAST)
    assert bound.migrate(one, SLOW)
    assert bound.migrate(np.uint64(pages.page("file", FAST)), SLOW)
    assert bound.migrate(arena.frame(pages.page("anon", FAST)), SLOW)
    mixed = bound.migrate([arena.frame(pages.page("anon", FAST)), other.frame(3), 1 << 70], SLOW)
    assert mixed.status.tolist() == [0, -errno.EXDEV, EFAULT]
    assert not bound.migrate([], SLOW).migrated
    assert bound.migrate([], SLOW)


def test_a_result_says_what_became_of_each_page_and_can_be_kept() -> None:
    pages = Pages()
    pfns = [pages.page("file", FAST), -1]
    out = np.full(2, 77, np.int32)
    result = migrating(pages.arena).migrate(pfns, SLOW, out=out)
    assert result.status is out
    assert not result
    assert repr(result).startswith("<MigrationResult 2 pages: 1 migrated, 1 refused (EFAULT 1); ")
    assert result.pfns.tolist() == pfns
    assert result.failed.tolist() == [1]
    assert result.refused == {"EFAULT": 1}
    assert result.ns["total"] > 0
    for kept in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert isinstance(kept, MigrationResult)
        assert kept == result
        assert kept.placed.tolist() == result.placed.tolist()
    with pytest.raises(TypeError, match=r"made by Arena\.migrate"):
        MigrationResult()
    with pytest.raises(ValueError, match=r"out: want an int32\[2\] array"):
        migrating(pages.arena).migrate(pfns, SLOW, out=np.zeros(3, np.int32))


class Watcher:
    def __init__(self) -> None:
        self.told: list[Any] = []

    @hookimpl
    def exchange_started(self, pairs: Any) -> None:
        self.told.append(pairs)

    @hookimpl
    def exchange_finished(self, pairs: Any, statuses: Any) -> None:
        self.told += [pairs, statuses]


def test_observers_are_told_where_pages_were_and_where_they_are() -> None:
    pages = Pages()
    pfns = made(pages)
    watcher = Watcher()
    hooks = manager()
    hooks.register(watcher)
    built = dataclasses.replace(migrating(pages.arena).built, hook=hooks.hook)
    result = Strategy(pages.arena, built).migrate(pfns, SLOW)
    started, finished, statuses = watcher.told
    assert started.tolist() == [[pfn, pfn] for pfn in pfns]
    assert finished.tolist() == np.column_stack([pfns, result.placed]).tolist()
    assert statuses.tolist() == [0] * 4
    assert not started.flags.writeable
    assert not finished.flags.writeable


# ---- beside others ---------------------------------------------------------------------------------------------------


def test_a_call_and_a_migration_that_want_what_the_other_has_both_go_on() -> None:
    """The free frame is had by the migration before the page, the page by the call before the free frame."""
    arena = Arena.create([("fast", 8), ("slow", 8)], watermarks=(0, 0, 0))
    page = int(arena.alloc("fast", 1)[0])
    target = int(arena.alloc("slow", 8)[-1])
    arena.free(target)
    assert arena.lock(page)
    results: list[MigrationResult] = []
    bound = migrating(arena, mode="sync", timeout=60.0)
    moving = threading.Thread(target=lambda: results.append(bound.migrate([page], "slow")))
    moving.start()
    until(lambda: bool(arena.entries["owner"][target]), "the migration has taken no frame")
    kept = int(arena.entries["owner"][page])
    failed: list[ArenaBusyError] = []

    def mark() -> None:
        try:
            arena.set_flags([page, target], ["referenced"])
        except ArenaBusyError as error:
            failed.append(error)

    marking = threading.Thread(target=mark)
    marking.start()
    until(lambda: int(arena.entries["owner"][page]) != kept, "the call has not entered the page")
    arena.unlock(page)
    for thread in (marking, moving):
        thread.join()
    assert failed == []
    assert results[0].status.tolist() == [0]
    assert check(arena) == []


def test_migrations_exchanges_and_readers_beside_each_other_lose_and_tear_no_page() -> None:
    arena = Arena.create([("fast", 512), ("slow", 512)], workers=8)
    n = 300
    pfns = arena.alloc("fast", n)
    file = arena.new_mapping("file")
    arena.cache_add(file, np.arange(n), pfns)
    arena.frames[pfns] = (np.arange(n, dtype=np.uint64) + np.uint64(1))[:, None]
    there, back, trade = migrating(arena), migrating(arena, "streaming-copy"), strategy(arena)
    unknown: list[int] = []
    torn: list[int] = []
    known = {0, EAGAIN, EBUSY, ENOENT, EINVAL, ENOMEM}

    def work(call: Callable[[np.random.Generator, Pfns], Any], seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(150):
            chosen = np.asarray(arena.cache_load(file, random.choice(n, 40, replace=False)))
            unknown.extend(set(call(random, chosen).status.tolist()) - known)

    calls = [
        lambda random, chosen: there.migrate(chosen, int(random.integers(2))),
        lambda random, chosen: back.migrate(chosen, int(random.integers(2)), threads=2),
        lambda random, chosen: trade.exchange(chosen.reshape(-1, 2)),
        lambda random, chosen: trade.exchange(np.column_stack([chosen, random.integers(0, 1024, len(chosen))])),
    ]
    over = threading.Event()

    def read() -> None:
        """By a look-up that may be old by now: who has a reference, and looks again, has the page."""
        random = np.random.default_rng(9)
        while not over.is_set():
            page = int(random.integers(n))
            pfn = arena.cache_load(file, page)
            if pfn >= 0 and arena.get(pfn):
                if arena.cache_load(file, page) == pfn and (arena.frames[pfn] != page + 1).any():
                    torn.append(page)
                arena.put(pfn)

    reader = threading.Thread(target=read)
    reader.start()
    threads = [threading.Thread(target=work, args=(call, seed)) for seed, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    reader.join()
    assert (unknown, torn) == ([], [])
    found = arena.frames[arena.cache_load(file, np.arange(n))]
    assert (found == (np.arange(n, dtype=np.uint64) + np.uint64(1))[:, None]).all()
    assert sum(free(arena)) == 1024 - n
    assert check(arena) == []
    assert resting(arena)


@pytest.mark.parametrize("copier", ["folio-copy", "numpy-copy"])
def test_a_process_that_is_killed_in_the_middle_of_lists_leaves_each_page_whole_and_takes_no_frame(
    copier: str, tmp_path: Path
) -> None:
    frames = 512
    words = np.arange(MOVING, dtype=np.uint64) + np.uint64(1)
    survivor = Pages(frames).arena
    uuid = f.read(survivor).header["uuid"].copy()
    for number in range(5):
        survivor.memory[:] = _killed(tmp_path / str(number), frames, copier)
        f.read(survivor).header["uuid"] = uuid
        survivor.recover()
        found = survivor.cache_load(1, np.arange(MOVING))
        assert (survivor.frames[found] == words[:, None]).all()
        assert sum(free(survivor)) == 2 * frames - MOVING
        assert check(survivor) == []
        assert resting(survivor)


def _killed(path: Path, frames: int, copier: str) -> NDArray[np.uint8]:
    """What a process has left in an arena's file that was killed while it migrated the pages of a file to and fro."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            arena = Pages(frames, path=path).arena
            pfns = arena.alloc("fast", MOVING)
            arena.cache_add(1, np.arange(MOVING), pfns)
            arena.frames[pfns] = (np.arange(MOVING, dtype=np.uint64) + np.uint64(1))[:, None]
            bound, node = migrating(arena, copier), SLOW
            while True:
                pfns = bound.migrate(pfns, node).placed
                node = 1 - node
                os.write(writing, b".")
        finally:
            os._exit(1)
    os.close(writing)
    os.read(reading, 1)  # it is under way
    os.kill(pid, signal.SIGKILL)
    os.close(reading)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    return np.fromfile(path, np.uint8)
