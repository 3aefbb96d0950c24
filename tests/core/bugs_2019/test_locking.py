"""B1 to B12: locks that are taken in no order, kept, or let go twice."""

import time
from typing import Any

import numpy as np
import pytest

from pagexchange.model.config import Mode
from pagexchange.oracle import check
from tests.core.library import WATCHDOG, crew, until
from tests.core.pages import EAGAIN, EBUSY, EINVAL, Pages, differences, picture, strategy

MODES: tuple[Mode, ...] = ("async", "sync-light", "sync")
WAITING: tuple[Mode, ...] = ("sync-light", "sync")
FOR_EVER = WATCHDOG / 2
"""Seconds that a batch may wait: who gets EAGAIN after so long has waited for somebody who waited for him."""


def unlocked(pages: Pages) -> bool:
    arena = pages.arena
    return not arena.entries["owner"].any() and not any("locked" in arena.frame(n).flags for n in range(arena.nframes))


def locked(pages: Pages) -> set[int]:
    return set(np.flatnonzero(pages.arena.entries["owner"]).tolist())


def against_each_other(pages: Pages, mode: Mode, *lists: Any) -> None:
    """Each list by a thread of its own, again and again. Who may wait gets every lock, since nobody keeps one.

    One more thread locks a page in the middle for a moment: those who wait for it go on at the same time.
    """
    bound = strategy(pages.arena, mode=mode, timeout=FOR_EVER)
    middle = lists[0][len(lists[0]) // 2][0]

    def work(pairs: Any) -> None:
        assert set(bound.exchange(pairs).status.tolist()) <= ({0, EAGAIN} if mode == "async" else {0})

    def hinder() -> None:
        if pages.arena.lock(middle):
            time.sleep(0.0005)
            pages.arena.unlock(middle)
        time.sleep(0.0005)

    with crew() as busy:
        for pairs in lists:
            busy.hire(lambda pairs=pairs: work(pairs))  # type: ignore[misc]
        busy.hire(hinder, rounds=100)
    assert unlocked(pages)
    assert check(pages.arena) == []


@pytest.mark.parametrize("mode", MODES)
def test_b1_a_pair_and_its_mirror_image_never_deadlock(pages: Pages, mode: Mode) -> None:
    pair = pages.pair()
    against_each_other(pages, mode, [pair], [pair[::-1]])


def test_b1_both_pages_are_locked_while_their_data_move(pages: Pages) -> None:
    pair, seen = pages.pair(), []

    def mover(pieces: Any, a: Any, b: Any) -> None:
        seen.append(locked(pages))
        pieces[a], pieces[b] = pieces[b], pieces[a]

    assert strategy(pages.arena, data=mover).exchange([pair]).ok
    assert seen == [set(pair)]


@pytest.mark.parametrize("mode", WAITING)
@pytest.mark.parametrize("turn", [1, -1])
def test_b1_whoever_waits_has_the_lower_frame_and_waits_for_the_higher(pages: Pages, mode: Mode, turn: int) -> None:
    """Whatever the order of the arguments: then no two can wait for each other."""
    low, high = pair = pages.pair()
    bound = strategy(pages.arena, mode=mode, timeout=FOR_EVER)
    assert pages.arena.lock(high)
    done: list[bool] = []
    with crew() as busy:
        busy.hire(lambda: done.append(bound.exchange([pair[::turn]]).ok), rounds=1)
        try:
            until(lambda: low in locked(pages), "it waits for the higher frame and leaves the lower one alone")
        finally:
            pages.arena.unlock(high)
    assert done == [True]


@pytest.mark.parametrize("mode", MODES)
def test_b2_lists_in_opposite_orders_never_deadlock(pages: Pages, mode: Mode) -> None:
    pairs = [pages.pair() for _ in range(8)]
    against_each_other(pages, mode, pairs, pairs[::-1])


@pytest.mark.parametrize("mode", WAITING)
@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("side", [0, 1])
def test_b2_whoever_waits_has_locked_no_higher_frame_of_any_pair(
    pages: Pages, mode: Mode, turn: int, side: int
) -> None:
    """Just what lies below the frame that it waits for, in whatever order the list names the pairs."""
    pairs = [pages.pair() for _ in range(3)]
    held = pairs[1][side]
    bound = strategy(pages.arena, mode=mode, timeout=FOR_EVER)
    assert pages.arena.lock(held)
    done: list[bool] = []
    with crew() as busy:
        busy.hire(lambda: done.append(bound.exchange(pairs[::turn]).ok), rounds=1)
        below = {pfn for pair in pairs for pfn in pair if pfn <= held}
        try:
            until(lambda: locked(pages) == below, f"it waits for frame {held} and has not locked just {below}")
        finally:
            pages.arena.unlock(held)
    assert done == [True]


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
    status: list[int] = []
    with crew() as busy:
        busy.hire(lambda: status.extend(bound.exchange([pair]).status.tolist()), rounds=1)
    assert status == [EAGAIN]


@pytest.mark.parametrize("name", ["list-exchange", "word-swap", "copy-page"])
def test_b6_write_back_inside_a_list_refuses_one_pair(pages: Pages, name: str) -> None:
    pairs = [pages.pair(("file", "anon")) for _ in range(5)]
    pages.flag(pairs[2][0], "writeback")
    assert pages.arena.exchange(pairs, name).status.tolist() == [0, 0, EBUSY, 0, 0]
    assert "writeback" in pages.arena.frame(pairs[2][0]).flags


TWO_FILES = pytest.mark.parametrize("mappings", [(0, 0), (0, 1)], ids=["one file", "two files"])


@TWO_FILES
def test_b7_pages_of_files_in_both_orders_at_once(pages: Pages, mappings: tuple[int, int]) -> None:
    pair = pages.pair(("file", "file"), mappings=mappings)
    other = pages.pair(("file", "file"), mappings=(mappings[1], mappings[0]))
    against_each_other(pages, "sync", [pair, other], [other[::-1], pair[::-1]])


@TWO_FILES
def test_b7_nobody_waits_for_one_who_has_the_tree_of_a_file(pages: Pages, mappings: tuple[int, int]) -> None:
    """Neither for himself nor for another: so that in which order trees are taken does not matter."""
    pairs = [pages.pair(("file", "file"), mappings=order) for order in (mappings, (mappings[1], mappings[0]))]
    other = strategy(pages.arena, mode="sync", timeout=FOR_EVER)
    done: list[bool] = []

    def mover(pieces: Any, a: Any, b: Any) -> None:  # whoever calls it has the trees of both pages
        with crew() as busy:
            busy.hire(lambda: done.append(other.exchange([pairs[1]]).ok), rounds=1)
        pieces[a], pieces[b] = pieces[b], pieces[a]

    assert strategy(pages.arena, mode="sync", timeout=FOR_EVER, data=mover).exchange([pairs[0]]).ok
    assert done == [True]


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
    assert set(locked) == {2 * 32, 2 * (300 % 32)}  # batches of a long list are of 32 pairs
