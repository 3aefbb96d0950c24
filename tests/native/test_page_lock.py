"""Calls that change a page beside an exchange that has it: they wait, not for ever, and change all or nothing."""

import errno
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.errors import PluginError
from pagexchange_native.arena import region
from pagexchange_native.errors import ArenaBusyError, ArenaError, ArenaFullError
from pagexchange_native.xarray.array import XArray
from tests.core.library import crew
from tests.core.pages import Pages, strategy
from tests.native.arena_state import sound, unchanged

CALL = 1 << 31  # of the word `owner`, as arena.h says
SELF = 9 + 1  # names the slot of a process, the first behind those of 8 workers; `lock` stores it in the second byte
LONG = 60.0


class Slow:
    """An exchange of one pair by a mover in Python that goes on when it is told to."""

    def __init__(self, pages: Pages, pair: list[int]) -> None:
        self.arena, self.pair = pages.arena, pair
        self.inside, self.go_on = threading.Event(), threading.Event()
        self.bound = strategy(pages.arena, data=self.move)
        self.thread = threading.Thread(target=lambda: self.results.append(self.bound.exchange([pair])))
        self.results: list[Any] = []

    def move(self, pieces: Any, a: Any, b: Any) -> None:
        self.inside.set()
        assert self.go_on.wait(LONG)
        pieces[a], pieces[b] = pieces[b], pieces[a]

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Around what is done while the exchange has the pages."""
        self.thread.start()
        assert self.inside.wait(LONG)
        try:
            yield
        finally:
            self.go_on.set()
            self.thread.join(LONG)
            assert self.results[0].ok


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region, "PATIENCE", 0.02)


def word(arena: Arena, *names: str) -> np.uint64:
    return np.uint64(arena.layout.word(*names))


# ---- flags that move -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize("on", [True, False])
def test_a_flag_that_moves_is_changed_after_the_exchange_that_has_the_page(order: int, on: bool) -> None:
    """It was overwritten with what was computed before the data moved, and the counts of dirty pages were wrong."""
    pages = Pages()
    arena, dirty = pages.arena, word(pages.arena, "dirty")
    pair = pages.pair(("file", "file"), order)
    frames = [pfn + (1 << order) - 1 for pfn in pair]  # a folio's last frame: the lock is that of the first
    if not on:
        arena.set_flags(frames, dirty)
    change = arena.set_flags if on else arena.clear_flags
    slow = Slow(pages, pair)
    with crew() as busy, slow.under_way():
        busy.hire(lambda: change(frames, dirty), rounds=1)
        time.sleep(0.05)
        assert ((arena.flags[frames] & dirty) != 0).tolist() == [not on] * len(frames)
    assert ((arena.flags[frames] & dirty) != 0).tolist() == [on] * len(frames)
    if order == 0:
        assert [node["counters"]["dirty"] for node in arena.nodes] == [int(on)] * 2
        sound(arena, at_rest=True)


def test_a_flag_that_forbids_the_exchange_waits_for_one_that_is_under_way_and_its_end_does_not(impatient: None) -> None:
    pages = Pages()
    arena, writeback, broken = pages.arena, word(pages.arena, "writeback"), word(pages.arena, "hwpoison")
    pair = pages.pair()
    with Slow(pages, pair).under_way():
        with pytest.raises(ArenaBusyError):
            arena.set_flags(pair, writeback)
        arena.clear_flags(pair, writeback)
        arena.set_flags(pair[0], word(arena, "waiters", "lru"))  # the frame's
        arena.set_flags(pair[1], broken)  # and so is its memory
        arena.clear_flags(pair[1], broken)
    arena.set_flags(pair, writeback)
    assert [arena.frame(pfn).flags for pfn in pair] == [
        ["writeback", "lru", "waiters", "swapbacked"], ["writeback"]
    ]  # fmt: skip


def test_who_has_locked_a_page_sets_its_flags() -> None:
    with Arena.create([("fast", 8), ("slow", 8)]) as arena:
        pfns = arena.alloc(0, 3)
        assert arena.lock(pfns[1])
        arena.set_flags(pfns, word(arena, "dirty", "writeback"))
        arena.clear_flags(pfns[::-1], word(arena, "writeback"))
        assert [arena.frame(pfn).flags for pfn in pfns] == [["dirty"], ["locked", "dirty"], ["dirty"]]
        assert arena.entries["owner"][pfns].tolist() == [0, SELF << 8, 0]
        assert not arena.lock(pfns[1])
        arena.unlock(pfns[1])
        sound(arena)


def test_unlock_does_not_wait_for_who_changes_flags_of_the_page() -> None:
    with Arena.create([("fast", 8), ("slow", 8)]) as arena:
        (pfn,) = arena.alloc(0)
        arena.lock(pfn)
        owner = arena.entries["owner"]
        owner[pfn] = SELF << 8 | CALL | 12  # as it stands while a call of another thread is in there
        assert not arena.lock(pfn)
        arena.unlock(pfn)
        assert (int(owner[pfn]), arena.frame(pfn).flags) == (CALL | 12, [])
        with pytest.raises(ValueError, match="not locked by lock"):
            arena.unlock(pfn)
        owner[pfn] = 0
        del owner


def test_any_order_and_any_frame_twice_is_changed_once() -> None:
    with Arena.create([("fast", 64), ("slow", 8)]) as arena:
        pfns = arena.alloc(0, 20)
        asked = np.concatenate([pfns[::-1], pfns[::3], pfns])
        arena.cache_add(arena.new_mapping(), np.arange(20), pfns)
        arena.set_flags(asked, word(arena, "dirty"))
        assert arena.nodes[0]["counters"]["dirty"] == 20
        assert not arena.entries["owner"].any()
        arena.set_flags([], word(arena, "dirty"))
        sound(arena, at_rest=True)


# ---- not for ever ----------------------------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[Pages, int, int], object]] = {
    "set_flags": lambda p, pfn, other: p.arena.set_flags([other, pfn], word(p.arena, "dirty")),
    "clear_flags": lambda p, pfn, other: p.arena.clear_flags([other, pfn], word(p.arena, "uptodate")),
    "free": lambda p, pfn, other: p.arena.free([other, pfn]),
    "put": lambda p, pfn, other: p.arena.put(pfn),
    "reserve_frames": lambda p, pfn, other: p.arena.reserve_frames([other, pfn]),
    "cache_add": lambda p, pfn, other: p.arena.cache_add(0, [700, 701], [other, pfn]),
    "map": lambda p, pfn, other: p.arena.map(0, [700, 701], [other, pfn]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_page_that_an_exchange_keeps_is_refused_and_nothing_was_changed(impatient: None, name: str) -> None:
    pages = Pages()
    arena = pages.arena
    other = int(arena.alloc(0)[0])
    pair = pages.pair(("raw", "raw"))
    assert other < pair[0]  # so the call has it by then
    for pfn in (other, *pair):
        arena.set_flags(pfn, word(arena, "uptodate"))
    with Slow(pages, pair).under_way():
        with unchanged(arena, is_sound=False), pytest.raises(ArenaBusyError, match=str(pair[0])) as caught:
            CHANGES[name](pages, pair[0], other)
        assert caught.value.errno == errno.EAGAIN
        assert isinstance(caught.value, BlockingIOError)
    CHANGES[name](pages, pair[0], other)
    sound(arena, at_rest=True)


def test_pages_of_files_and_spaces_that_an_exchange_keeps_are_not_taken_out(impatient: None) -> None:
    pages = Pages()
    arena = pages.arena
    file, anon = pages.pair(("file", "anon"))
    index, vpn = (int(arena.entries["index"][pfn]) for pfn in (file, anon))
    calls = [
        lambda: arena.cache_remove(0, index), lambda: arena.set_private([file], 7), lambda: arena.unmap(0, vpn),
        lambda: arena.translate(0, vpn), lambda: arena.pin(anon),
    ]  # fmt: skip
    with Slow(pages, [file, anon]).under_way():
        for call in calls[:3]:
            with unchanged(arena, is_sound=False), pytest.raises(ArenaBusyError):
                call()
        for call in calls[3:]:
            with unchanged(arena, is_sound=False), pytest.raises(ArenaBusyError, match="an exchange has it"):
                call()
    assert arena.cache_remove(0, index) == anon
    assert arena.unmap(0, vpn) == file
    sound(arena)


@pytest.mark.parametrize("name", CHANGES)
def test_an_exchange_that_ends_is_waited_for(name: str) -> None:
    pages = Pages()
    pair = pages.pair(("raw", "raw"))
    other = int(pages.arena.alloc(0)[0])
    with crew() as busy, Slow(pages, pair).under_way():
        busy.hire(lambda: CHANGES[name](pages, pair[0], other), rounds=1)
        time.sleep(0.02)
    sound(pages.arena, at_rest=True)


def test_a_signal_is_answered_while_a_call_waits() -> None:
    pages = Pages()
    arena = pages.arena
    pair = pages.pair()
    other = int(arena.alloc(0)[0])

    def alarm(*_: object) -> None:
        raise InterruptedError("enough")

    before = signal.signal(signal.SIGALRM, alarm)
    try:
        with Slow(pages, pair).under_way():
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            begun = time.monotonic()
            with pytest.raises(InterruptedError, match="enough"):
                arena.set_flags([other, pair[0]], word(arena, "dirty"))
            assert time.monotonic() - begun < 3
            assert arena.frame(other).flags == []
            assert arena.entries["owner"][other] == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    sound(arena)


def test_a_reference_by_get_is_dropped_at_once_beside_a_call_that_has_the_page(impatient: None) -> None:
    """An exchange that came after the call, and waited for the reference or write-back, waited for its whole time."""
    with Arena.create([("fast", 8), ("slow", 8)]) as arena:
        (pfn,) = arena.alloc(0)
        assert arena.get(pfn)
        owner = arena.entries["owner"]
        owner[pfn] = CALL | 12  # as it stands while a call of another thread is in there
        arena.put(pfn)
        with unchanged(arena, is_sound=False), pytest.raises(ArenaBusyError):
            arena.put(pfn)
        owner[pfn] = 0
        del owner
        arena.put(pfn)
        assert arena.nodes[0]["free"] == 8


def test_a_page_whose_last_user_goes_while_its_reference_is_dropped_is_freed_by_one_of_the_two() -> None:
    with Arena.create([("fast", 8), ("slow", 8)]) as arena:
        mapping, (pfn,) = arena.new_mapping(), arena.alloc(0)
        both = threading.Barrier(2)

        def put() -> None:
            both.wait(LONG)
            arena.put(pfn)
            both.wait(LONG)

        with crew() as busy:
            busy.hire(put, rounds=3000)
            for _ in range(3000):
                arena.cache_add(mapping, 0, pfn)
                assert arena.get(pfn)
                both.wait(LONG)
                arena.cache_remove(mapping, 0)
                both.wait(LONG)
                assert arena.nodes[0]["free"] == 8
                (pfn,) = arena.alloc(0)
        sound(arena, at_rest=True)


def test_a_page_that_is_had_by_get_can_be_pinned_while_an_exchange_that_waits_has_it_frozen() -> None:
    pages = Pages()
    arena = pages.arena
    pair, other = pages.pair(), pages.pair()
    writeback = word(arena, "writeback")
    arena.set_flags(other[0], writeback)
    assert arena.get(pair[0])
    bound = strategy(arena, mode="sync", timeout=LONG)
    results: list[Any] = []
    exchange = threading.Thread(target=lambda: results.append(bound.exchange([pair, other])))
    exchange.start()
    try:
        while not int(arena.entries["refs"][pair[0]]) >> 31:
            time.sleep(0.001)
        arena.pin(pair[0])
        arena.put(pair[0])
    finally:
        arena.clear_flags(other[0], writeback)
        exchange.join(LONG)
    assert results[0].status.tolist() == [-errno.EBUSY, 0]
    arena.unpin(pair[0])
    sound(arena)


# ---- in a plug-in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda p, pair: p.arena.set_flags(pair, word(p.arena, "dirty")),
        lambda p, pair: p.arena.clear_flags(pair[1], word(p.arena, "uptodate")),
        lambda p, pair: p.arena.set_private(pair[0], 3),
        lambda p, pair: p.arena.unmap(0, int(p.arena.entries["index"][pair[1]])),
        lambda p, pair: XArray(p.arena, 0).store(3, 4),
    ],
)
def test_a_plug_in_does_not_wait_for_the_exchange_that_calls_it(call: Callable[[Pages, list[int]], object]) -> None:
    """It would wait for itself."""
    pages = Pages()
    arena = pages.arena
    pair, other = pages.pair(("file", "anon")), int(arena.alloc(0)[0])
    seen: list[float] = []

    def mover(pieces: Any, a: Any, b: Any) -> None:
        begun = time.monotonic()
        arena.set_flags(other, word(arena, "dirty"))  # nobody has that one
        arena.set_flags(pair[0], word(arena, "waiters"))  # nor needs the lock for this
        try:
            call(pages, pair)
        finally:
            seen.append(time.monotonic() - begun)

    with pytest.raises(PluginError, match=r"cannot wait for its end|has the page") as caught:
        strategy(arena, data=mover).exchange([pair])
    assert isinstance(caught.value.__cause__, ArenaBusyError)
    assert seen[0] < region.PATIENCE / 2
    assert (arena.frame(other).flags, arena.frame(pair[0]).flags) == (["dirty"], ["waiters"])
    sound(arena)


# ---- who makes mappings and spaces -----------------------------------------------------------------------------------


class SlowName:
    """A name, and a truth, that other threads come between."""

    def __str__(self) -> str:
        time.sleep(0.01)
        return "slow"

    def __bool__(self) -> bool:
        time.sleep(0.01)
        return True


@pytest.mark.parametrize("what", ["new_mapping", "new_space"])
def test_threads_that_make_mappings_and_spaces_get_different_ones(what: str) -> None:
    with Arena.create([("fast", 8), ("slow", 8)], mappings=24, spaces=24) as arena:
        numbers: list[int] = []

        def work() -> None:
            numbers.append(arena.new_mapping("n", SlowName()) if what == "new_mapping" else arena.new_space(SlowName()))  # type: ignore[arg-type]

        with crew() as busy:
            for _ in range(8):
                busy.hire(work, rounds=3)
        assert sorted(numbers) == list(range(24))
        with pytest.raises(ArenaFullError):
            getattr(arena, what)()


# ---- workers ---------------------------------------------------------------------------------------------------------


def test_a_call_waits_for_a_worker() -> None:
    """Eight callers of an arena with two workers: none is refused, however they meet."""
    pages = Pages(frames=200, workers=2)
    pairs = [pages.pair(("raw", "raw")) for _ in range(64)]
    bounds = [strategy(pages.arena, timeout=LONG) for _ in range(8)]
    with crew() as busy:
        for k, bound in enumerate(bounds):
            mine = pairs[k::8]
            busy.hire(lambda bound=bound, mine=mine: bound.exchange(mine, threads=2).raise_for_status(), rounds=200)  # type: ignore[misc]
    sound(pages.arena, at_rest=True)


def test_a_call_that_gets_no_worker_in_time_says_so() -> None:
    pages = Pages(workers=1)
    pair, other = pages.pair(), pages.pair()
    bound = strategy(pages.arena, timeout=0.05)
    with Slow(pages, pair).under_way():
        with pytest.raises(
            ArenaFullError, match=r"all 1 workers of the arena were busy for 0\.05 s; .*timeout="
        ) as caught:
            bound.exchange([other])
        assert caught.value.errno == errno.EUSERS
    assert bound.exchange([other]).ok
    assert isinstance(caught.value, ArenaError)
