"""Exchanges beside each other and beside those who use the pages: nobody waits for ever, nothing is lost or torn."""

import errno
import os
import threading
import time
import warnings
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.errors import ForkedArenaError, PluginError
from pagexchange.host.watchdog import published
from pagexchange.model.config import Mode
from pagexchange.oracle import check
from tests.core.library import WATCHDOG, Crew, Library, N, crew, held, until
from tests.core.pages import Pages, Pfns, strategy

IDLE, INTENT, DATA, META = range(4)  # phases of a worker's record
BUSY = {0, -errno.EAGAIN, -errno.EBUSY}


@pytest.mark.parametrize("mode", ["async", "sync-light", "sync"])
@pytest.mark.parametrize("name", ["list-exchange", "copy-page"])
def test_opposite_orders_do_not_wait_for_each_other(mode: Mode, name: str) -> None:
    """Lists that share frames, backwards and crosswise, over files of one mapping and of two (B1, B2, B7).

    Who may wait gets every lock in the end, since nobody keeps one: a timeout would mean two that wait for each other.
    """
    library = Library()
    bound = strategy(library.arena, name, mode, timeout=WATCHDOG / 4)
    first, second = library.shuffled(1), library.shuffled(2)
    exchanged: list[int] = []

    def work(pairs: Pfns, threads: int) -> None:
        result = bound.exchange(pairs, threads=threads)
        assert {int(code) for code in np.unique(result.status)} <= (BUSY if mode == "async" else {0})
        exchanged.append(result.exchanged)

    with crew() as busy:
        for pairs, threads in ((first, 1), (first[::-1, ::-1], 1), (second, 2), (second[::-1], 1)):
            busy.hire(lambda pairs=pairs, threads=threads: work(pairs, threads), rounds=15)  # type: ignore[misc]
    assert len(exchanged) == 60
    assert sum(exchanged) > N
    library.check()


def test_a_tree_keeps_its_shape_until_the_slots_that_were_found_in_it_are_stored_to() -> None:
    """A page alone at index 0 is in the tree's head itself; one more page moves it down into a node."""
    pages = Pages()
    arena = pages.arena
    file = arena.new_mapping("alone")
    alone, other, second = (int(pfn) for pfn in arena.alloc(0, 3))
    arena.cache_add(file, 0, alone)
    inside, added = threading.Event(), threading.Event()
    early: list[bool] = []

    def mover(pieces: Any, a: Any, b: Any) -> None:
        inside.set()
        early.append(added.wait(0.1))
        pieces[a], pieces[b] = pieces[b], pieces[a]

    def add() -> None:
        assert inside.wait(WATCHDOG)
        arena.cache_add(file, 70, second)
        added.set()

    with crew() as busy:
        busy.hire(add, rounds=1)
        assert strategy(arena, data=mover).exchange([(alone, other)]).ok
    assert early == [False]
    assert (arena.cache_load(file, 0), arena.cache_load(file, 70)) == (other, second)
    assert check(arena) == []


def exchanging(busy: Crew, library: Library, seed: int, name: str = "list-exchange", rounds: int | None = 150) -> None:
    """Hire one who exchanges all the pages, in other pairs each time."""
    bound = strategy(library.arena, name)
    seeds = iter(range(seed, seed + 10_000))
    busy.hire(lambda: bound.exchange(library.shuffled(next(seeds))), rounds)


@pytest.mark.parametrize("name", ["list-exchange", "copy-page", "rfc-2019", "numpy"])
def test_a_reader_sees_whole_pages(name: str) -> None:
    """The slot never leads to bytes of another page (B20); a reference holds the page where it is (B21)."""
    library = Library()
    rng = np.random.default_rng(3)

    def read() -> None:
        page = int(rng.choice(library.everyone))
        pfn = held(library, page)
        seen = library.arena.frames[pfn].copy()
        library.arena.put(pfn)
        assert (seen == page).all(), f"page {page} shows {np.unique(seen)}"

    with crew() as busy:
        exchanging(busy, library, 10, name, rounds=60)
        busy.hire(read, rounds=300)
    library.check()


def test_what_workers_publish_is_read_beside_them() -> None:
    """The watchdog looks while they work, and takes no lock: words that were published, none made of two."""
    library = Library()
    slots = library.arena.workers  # those of exchanges
    seen: set[int] = set()

    def look() -> None:
        words = np.frombuffer(published(library.arena), dtype=np.uint64)
        assert len(words) == slots
        seen.update((words & np.uint64(0xFF)).tolist())

    with crew() as busy:
        exchanging(busy, library, 70, rounds=None)
        busy.hire(look)
        until(lambda: {IDLE, DATA} <= seen or bool(busy.errors), "a worker that moves data was never seen")
    assert seen <= {IDLE, INTENT, DATA, META}
    library.check()


def test_a_flag_set_by_one_who_holds_the_page_goes_with_the_page() -> None:
    library = Library()
    words = {name: np.uint64(library.arena.layout.word(name)) for name in ("referenced", "dirty", "workingset")}
    given: set[tuple[int, str]] = set()
    rng = np.random.default_rng(4)

    def mark() -> None:
        page, name = int(rng.choice(library.everyone)), str(rng.choice(list(words)))
        pfn = held(library, page)
        library.arena.set_flags(pfn, words[name])
        given.add((page, name))
        library.arena.put(pfn)

    with crew() as busy:
        exchanging(busy, library, 20)
        busy.hire(mark, rounds=300)
    has = {(p, name) for p in library.everyone.tolist() for name in library.arena.frame(library.at(p)).flags}
    assert {one for one in has if one[1] in words} == given
    library.check()


def test_a_flag_of_the_frame_is_kept_whoever_sets_it_whenever() -> None:
    """`waiters` is set without a reference, on a page that an exchange has: plain stores would lose it (B18i)."""
    library = Library()
    waiters = np.uint64(library.arena.layout.word("waiters"))
    given: set[int] = set()
    rng = np.random.default_rng(5)

    def wait() -> None:
        some = rng.choice(library.everyone, 40, replace=False)
        library.arena.set_flags(some, waiters)
        given.update(some.tolist())
        gone = rng.choice(library.everyone, 10, replace=False)
        library.arena.clear_flags(gone, waiters)
        given.difference_update(gone.tolist())

    with crew() as busy:
        exchanging(busy, library, 30)
        exchanging(busy, library, 5000)
        busy.hire(wait)
    assert set(np.flatnonzero(library.arena.flags & waiters).tolist()) == given
    library.check()


@pytest.mark.parametrize(("order", "n"), [(9, 1), (4, 16), (0, 128)])
def test_a_flag_of_the_page_is_kept_whoever_sets_it_whenever(order: int, n: int) -> None:
    """`dirty` is set without a reference, on pages that an exchange has: it stored the bit as it was before the
    data moved, in a quarter to a third of the tries, and the nodes' counts of dirty pages were wrong for ever.
    """
    arena = Arena.create([("fast", (n + 1) << order), ("slow", (n + 1) << order)])
    pairs = np.stack([arena.alloc(0, n, order), arena.alloc(1, n, order)], axis=1)
    arena.cache_add(arena.new_mapping(), np.arange(2 * n) << order, pairs.ravel())
    bound = strategy(arena)
    exchanged = [0]

    def exchange() -> None:
        exchanged[0] += bound.exchange(pairs).exchanged

    def change() -> None:
        for on in (True, False):
            (arena.set_flags if on else arena.clear_flags)(pairs[0], "dirty")
            time.sleep(0.0007)
            seen = (arena.flags[pairs[0]] & np.uint64(arena.layout.word("dirty"))) != 0
            assert seen.tolist() == [on, on]

    with crew() as busy:
        busy.hire(exchange)
        busy.hire(change, rounds=100)
    assert exchanged[0] > 20
    assert [node["counters"]["dirty"] for node in arena.nodes] == [0, 0]
    assert check(arena) == []
    arena.close()


def test_pages_come_and_go_beside_an_exchange() -> None:
    """Adding to and removing from a mapping changes the trees that slots are found in."""
    library = Library()
    arena = library.arena
    count = [0]

    def come_and_go() -> None:
        index = 100_000 + count[0] % 3000
        pfn = int(arena.alloc(0)[0])
        arena.cache_add(library.pages.mappings[0], index, pfn)
        assert arena.cache_remove(library.pages.mappings[0], index) == pfn
        count[0] += 1

    with crew() as busy:
        exchanging(busy, library, 40)
        busy.hire(come_and_go, rounds=100)
    library.check()


def test_pages_come_and_go_in_several_threads_at_once() -> None:
    """They meet in the same tree, space, node and free lists; what is counted there adds up in the end."""
    library = Library()
    arena = library.arena
    file, space = library.pages.mappings[0], arena.new_space("busy")

    def in_a_file(index: int) -> None:
        pfn = int(arena.alloc(0)[0])
        arena.cache_add(file, index, pfn)
        arena.set_private(pfn, index)
        assert arena.cache_remove(file, index) == pfn

    def in_a_space(vpn: int) -> None:
        pfn = int(arena.alloc(0)[0])
        arena.map(space, vpn, pfn)
        assert arena.get(pfn)
        arena.put(pfn)
        assert arena.unmap(space, vpn) == pfn

    with crew() as busy:
        exchanging(busy, library, 60, rounds=60)
        for k in range(2):
            busy.hire(lambda k=k: in_a_file(100_000 + 4000 * k), rounds=300)  # type: ignore[misc]
            busy.hire(lambda k=k: in_a_space(1_000_000 + k), rounds=300)  # type: ignore[misc]
    library.check()


def test_one_strategy_serves_two_threads_and_errors_go_to_the_caller_whose_they_are() -> None:
    pages = Pages()
    arena = pages.arena
    good, bad, slow = (pages.pair(("raw", "raw")) for _ in range(3))
    failed, done = threading.Event(), threading.Event()

    def mover(pieces: Any, a: Any, b: Any) -> None:
        if a[0] == bad[0]:
            failed.set()
            raise ZeroDivisionError
        if a[0] == slow[0]:
            done.wait(0.3)  # the failed call goes on here while the other one is made
        pieces[a], pieces[b] = pieces[b], pieces[a]

    bound = strategy(arena, data=mover)
    caught: list[PluginError] = []

    def fails() -> None:
        with pytest.raises(PluginError) as error:
            bound.exchange([bad, slow], threads=2)
        caught.append(error.value)

    with crew() as busy:
        busy.hire(fails, rounds=1)
        assert failed.wait(20)
        assert bound.exchange([good]).ok
        done.set()
    assert [error.plugin for error in caught] == ["mine"]
    assert check(arena) == []


def test_a_fork_in_between_gives_the_child_an_error_and_the_parent_nothing() -> None:
    library = Library()
    pair = [library.files[0], library.anon[0]]
    bound = strategy(library.arena)
    with crew() as busy:
        exchanging(busy, library, 50)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the child of threads does next to nothing
            child = os.fork()
        if child == 0:
            code = 1
            try:
                for call in (lambda: bound.exchange([pair]), lambda: library.arena.exchange([pair])):
                    try:
                        call()
                    except ForkedArenaError as error:
                        code = 0 if "fork" in str(error) else 2
                    else:
                        code = 3
            finally:
                os._exit(code)
    end = time.monotonic() + WATCHDOG
    while (state := os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < end, "the child hangs"
        time.sleep(0.005)
    assert os.waitstatus_to_exitcode(state[1]) == 0
    library.check()
    assert bound.exchange([[library.at(p) for p in pair]]).ok
