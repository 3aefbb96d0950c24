"""B1 to B12: locks that are taken in no order, kept, or let go twice."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pagexchange.exchange import Mode
from pagexchange.oracle import check
from tests.core.pages import EAGAIN, EBUSY, EINVAL, Pages, differences, picture, strategy

WATCHDOG = 60.0  # seconds; a deadlock, not a slow machine
MODES: tuple[Mode, ...] = ("async", "sync-light", "sync")


def together(*works: Callable[[], Any], times: int = 300) -> None:
    """Run each in a thread of its own, again and again; fail if one never comes back."""
    failures: list[BaseException] = []

    def repeat(work: Callable[[], Any]) -> None:
        try:
            for _ in range(times):
                work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=repeat, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WATCHDOG)
    assert not any(thread.is_alive() for thread in threads), "deadlock"
    assert failures == []


def unlocked(pages: Pages) -> bool:
    arena = pages.arena
    return not arena.entries["owner"].any() and not any("locked" in arena.frame(n).flags for n in range(arena.nframes))


@pytest.mark.parametrize("mode", MODES)
def test_b1_a_pair_and_its_mirror_image_never_deadlock(pages: Pages, mode: Mode) -> None:
    pair = pages.pair()
    bound = strategy(pages.arena, mode=mode)
    together(lambda: bound.exchange([pair]), lambda: bound.exchange([pair[::-1]]))
    assert unlocked(pages)
    assert check(pages.arena) == []


@pytest.mark.parametrize("mode", MODES)
def test_b2_lists_in_opposite_orders_never_deadlock(pages: Pages, mode: Mode) -> None:
    pairs = [pages.pair() for _ in range(8)]
    bound = strategy(pages.arena, mode=mode)
    together(lambda: bound.exchange(pairs), lambda: bound.exchange(pairs[::-1]), times=100)
    assert unlocked(pages)
    assert check(pages.arena) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [0, 1])
def test_b3_b11_a_page_that_somebody_has_locked_keeps_its_lock_and_the_other_gets_none(
    pages: Pages, mode: Mode, side: int
) -> None:
    pair = pages.pair()
    assert pages.arena.lock(pair[side])
    before = picture(pages.arena)
    result = strategy(pages.arena, mode=mode, timeout=0.01).exchange([pair])
    assert result.status.tolist() == [EAGAIN]
    assert differences(before, picture(pages.arena)) == []
    pages.arena.unlock(pair[side])
    assert unlocked(pages)
    assert pages.arena.exchange([pair]).ok


def test_b11_a_refused_pair_unlocks_nothing_that_it_did_not_lock(pages: Pages) -> None:
    pair, other = pages.pair(), pages.pair()
    assert pages.arena.lock(other[0])
    assert pages.arena.exchange([pair, other]).status.tolist() == [0, EAGAIN]
    assert not pages.arena.lock(other[0])
    pages.arena.unlock(other[0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [0, 1])
def test_b4_a_pair_refused_for_write_back_leaves_neither_locked(pages: Pages, mode: Mode, side: int) -> None:
    pair = pages.pair(("file", "file"))
    pages.flag(pair[side], "writeback")
    assert not strategy(pages.arena, mode=mode, timeout=0.01).exchange([pair]).ok
    assert unlocked(pages)


def test_b5_async_never_waits(pages: Pages) -> None:
    pair = pages.pair()
    assert pages.arena.lock(pair[1])  # and nobody will unlock it
    bound = strategy(pages.arena, mode="async", timeout=3600)
    together(lambda: bound.exchange([pair]), times=1)
    assert bound.exchange([pair]).status.tolist() == [EAGAIN]


@pytest.mark.parametrize("name", ["list-exchange", "word-swap", "copy-page"])
def test_b6_write_back_inside_a_list_refuses_one_pair(pages: Pages, name: str) -> None:
    pairs = [pages.pair(("file", "anon")) for _ in range(5)]
    pages.flag(pairs[2][0], "writeback")
    assert pages.arena.exchange(pairs, name).status.tolist() == [0, 0, EBUSY, 0, 0]
    assert "writeback" in pages.arena.frame(pairs[2][0]).flags


@pytest.mark.parametrize("mappings", [(0, 0), (0, 1)], ids=["one file", "two files"])
def test_b7_pages_of_files_in_both_orders_at_once(pages: Pages, mappings: tuple[int, int]) -> None:
    pair = pages.pair(("file", "file"), mappings=mappings)
    other = pages.pair(("file", "file"), mappings=(mappings[1], mappings[0]))
    bound = strategy(pages.arena, mode="sync")
    together(lambda: bound.exchange([pair, other]), lambda: bound.exchange([other[::-1], pair[::-1]]), times=100)
    assert check(pages.arena) == []


def test_b8_a_page_against_itself_or_twice_in_a_list_is_a_status(pages: Pages) -> None:
    a, b = pages.pair()
    c, d = pages.pair()
    status = pages.arena.exchange([[a, a], [b, c], [c, d], [d, b], [b, c]]).status
    assert status.tolist() == [EINVAL, 0, EINVAL, EINVAL, EINVAL]
    assert pages.arena.exchange([[a, b], [b, c], [c, a]], order="sequential").ok


def test_b9_a_second_freeze_that_fails_lets_go_of_the_first(pages: Pages) -> None:
    pair = pages.pair(("file", "file"))
    pages.arena.set_private(pair, [7, 8])
    assert pages.arena.get(pair[1])
    before = picture(pages.arena)
    assert pages.arena.exchange([pair]).status.tolist() == [EAGAIN]
    assert differences(before, picture(pages.arena)) == []
    pages.arena.put(pair[1])
    assert pages.arena.exchange([pair]).ok


@pytest.mark.parametrize("mode", MODES)
def test_b10_private_data_can_make_no_pair_fail_after_the_point_of_no_return(pages: Pages, mode: Mode) -> None:
    """When the mover is called, all that can fail is over: the rest of the list is exchanged whatever it meets."""
    pairs = [pages.pair(("file", "file")) for _ in range(4)]
    for n, pair in enumerate(pairs):
        pages.arena.set_private(pair, [n, n + 100])
    assert pages.arena.get(pairs[2][0])
    moved: list[int] = []

    def mover(pieces: Any, a: Any, b: Any) -> None:
        moved.extend(a.tolist())
        pieces[a], pieces[b] = pieces[b], pieces[a]

    status = strategy(pages.arena, mode=mode, data=mover).exchange(pairs).status
    assert np.flatnonzero(status).tolist() == [2]
    assert moved == [pairs[n][0] for n in (0, 1, 3)]


def test_b12_locks_are_let_go_between_two_batches() -> None:
    pages = Pages(frames=400)
    pairs = np.array([pages.pair(("file", "raw")) for _ in range(300)])
    locked: list[int] = []

    def mover(pieces: Any, a: Any, b: Any) -> None:
        locked.append(int(np.count_nonzero(pages.arena.entries["owner"])))
        pieces[a], pieces[b] = pieces[b], pieces[a]

    assert strategy(pages.arena, data=mover).exchange(pairs).ok
    assert set(locked) == {256, 2 * (300 - 256)}
