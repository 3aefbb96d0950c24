"""B13 to B17m: pages that are lost, left behind or reported wrongly."""

import errno
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.strategy import Strategy
from pagexchange.errors import PluginError
from pagexchange.oracle import Oracle, check
from pagexchange_native.pages import space
from tests.core.pages import EAGAIN, EBUSY, EFAULT, EINVAL, ENOMEM, Pages, differences, picture, resting, strategy

ENOENT, EBADMSG, EUCLEAN = -errno.ENOENT, -errno.EBADMSG, -errno.EUCLEAN


def locked(pages: Pages, pair: list[int]) -> Strategy:
    pages.arena.lock(pair[1])
    return strategy(pages.arena)


def under_write_back(pages: Pages, pair: list[int]) -> Strategy:
    pages.flag(pair[1], "writeback")
    return strategy(pages.arena)


def referenced(pages: Pages, pair: list[int]) -> Strategy:
    pages.arena.get(pair[1])
    return strategy(pages.arena)


def pinned(pages: Pages, pair: list[int]) -> Strategy:
    pages.arena.pin(pair[1])
    return strategy(pages.arena)


def touching(pages: Pages, pair: list[int]) -> Strategy:
    return strategy(pages.arena, "whole-word")


def without_slot(pages: Pages, pair: list[int]) -> Strategy:
    pages.arena.entries["index"][pair[1]] += 1
    return strategy(pages.arena)


STEPS: dict[str, tuple[Callable[[Pages, list[int]], Strategy], int]] = {
    "lock": (locked, EAGAIN),
    "check": (under_write_back, EBUSY),
    "freeze": (referenced, EAGAIN),
    "pin": (pinned, EBUSY),
    "flags": (touching, EBADMSG),
    "mapping": (without_slot, EUCLEAN),
}


@pytest.mark.parametrize("step", STEPS)
def test_b13_a_pair_that_fails_at_any_step_is_mapped_as_before(pages: Pages, step: str) -> None:
    pair = pages.pair(("anon", "file"))
    make, code = STEPS[step]
    bound = make(pages, pair)
    before = picture(pages.arena)
    assert bound.exchange([pair]).status.tolist() == [code]
    assert differences(before, picture(pages.arena)) == []
    assert resting(pages.arena)


def test_b13_a_pair_that_fails_in_the_data_step_is_mapped_as_before(pages: Pages) -> None:
    pair = pages.pair(("anon", "file"))

    def mover(pieces: Any, a: Any, b: Any) -> None:
        pieces[a] = pieces[b]
        raise RuntimeError("half way")

    before = picture(pages.arena)
    with pytest.raises(PluginError, match="half way"):
        strategy(pages.arena, data=mover).exchange([pair])
    assert differences(before, picture(pages.arena)) == []
    assert resting(pages.arena)


@pytest.mark.parametrize("bad", [[0], [3], [6], [0, 1, 2, 3, 4, 5, 6], [0, 6]], ids=str)
def test_b14_an_error_stays_where_it_belongs(pages: Pages, bad: list[int]) -> None:
    pairs = [pages.pair() for _ in range(7)]
    for n in bad:
        pages.arena.pin(pairs[n][0])
    assert pages.arena.exchange(pairs).status.tolist() == [EBUSY if n in bad else 0 for n in range(7)]


@pytest.mark.parametrize("bad", [0, 100, 127, 128, 299])
def test_b15_an_error_does_not_end_the_list(bad: int) -> None:
    pages = Pages(frames=320)
    pairs = [pages.pair(("file", "raw")) for _ in range(300)]
    pages.arena.pin(pairs[bad][1])
    status = np.full(300, 77, dtype=np.int32)
    result = pages.arena.exchange(pairs, out=status)
    assert status.tolist() == [EBUSY if n == bad else 0 for n in range(300)]
    assert result.refused == {"EBUSY": 1}


def test_b16_a_huge_page_against_a_base_page_is_not_exchanged_and_says_so() -> None:
    pages = Pages(frames=1024)
    huge, base = pages.page("anon", 0, 9), pages.page("anon", 1)
    before = picture(pages.arena)
    assert pages.arena.exchange([[huge, base], [base, huge]]).status.tolist() == [EINVAL, EINVAL]
    assert differences(before, picture(pages.arena)) == []


def failing_at_every_allocation(kinds: tuple[str, str]) -> int:
    """Exchange five pairs through a temporary page, the n-th allocation failing, until none is left to fail."""
    nth = 0
    while True:
        nth += 1
        pages = Pages()
        pairs = [pages.pair(kinds) for _ in range(5)]
        before = Oracle.before(pages.arena, stamped=True)
        pages.arena.fail_alloc = nth
        result = strategy(pages.arena, "copy-page").exchange(pairs)
        injected = pages.arena.fail_alloc == 0
        pages.arena.fail_alloc = 0
        assert before.after(result._pairs, result.status).kind == "exact"
        assert check(pages.arena) == []
        pages.arena.close()
        if not injected:
            assert result.ok
            return nth - 1
        assert set(result.status.tolist()) <= {0, ENOMEM}


@pytest.mark.parametrize("kinds", [("anon", "anon"), ("file", "anon"), ("file", "file")], ids="-".join)
def test_b17_b17c_b17d_no_allocation_that_fails_is_a_success_or_half_an_exchange(kinds: tuple[str, str]) -> None:
    assert failing_at_every_allocation(kinds) >= 5


def free(pages: Pages) -> list[int]:
    return [int(node["free"]) for node in pages.arena.nodes]


def test_b17_without_a_free_frame_every_pair_says_so(pages: Pages) -> None:
    pairs = [pages.pair() for _ in range(3)]
    for node, frames in enumerate(free(pages)):
        pages.arena.reserve_frames(pages.arena.alloc(node, frames))
    before = picture(pages.arena)
    assert strategy(pages.arena, "copy-page").exchange(pairs).status.tolist() == [ENOMEM] * 3
    assert differences(before, picture(pages.arena)) == []
    assert strategy(pages.arena, "word-swap").exchange(pairs).ok


def test_b17a_every_step_reports_on_its_own_pair(pages: Pages) -> None:
    pairs = [pages.pair(("anon", "file")) for _ in range(8)]
    arena = pages.arena
    arena.lock(pairs[0][0])
    pages.flag(pairs[1][1], "writeback")
    arena.get(pairs[2][0])
    arena.pin(pairs[3][1])
    arena.entries["index"][pairs[4][1]] += 1
    pages.flag(pairs[5][0], "reserved")
    listed = [*pairs, [0, arena.nframes]]
    assert arena.exchange(listed).status.tolist() == [EAGAIN, EBUSY, EAGAIN, EBUSY, EUCLEAN, EBUSY, 0, 0, EFAULT]


def test_b17b_a_busy_pair_is_put_back_and_can_be_exchanged_later(pages: Pages) -> None:
    pairs = [pages.pair() for _ in range(3)]
    pages.arena.get(pairs[1][0])
    assert pages.arena.exchange(pairs).status.tolist() == [0, EAGAIN, 0]
    pages.arena.put(pairs[1][0])
    assert check(pages.arena) == []
    assert pages.arena.exchange(pairs).ok


def test_b17c_no_memory_leaves_no_migration_entry(pages: Pages) -> None:
    pair = pages.pair(("anon", "anon"))
    for node, frames in enumerate(free(pages)):
        pages.arena.reserve_frames(pages.arena.alloc(node, frames))
    entries = [space.entry(pages.arena, number, place(pages, pfn)) for number in pages.spaces for pfn in pair]
    assert strategy(pages.arena, "copy-page").exchange([pair]).status.tolist() == [ENOMEM]
    assert [space.entry(pages.arena, number, place(pages, pfn)) for number in pages.spaces for pfn in pair] == entries
    assert all(entry & 3 == 1 for entry in entries)  # present, not migrating


def place(pages: Pages, pfn: int) -> int:
    return int(pages.arena.entries["index"][pfn])


def test_b17d_each_page_is_read_where_its_owner_looks_for_it(pages: Pages) -> None:
    pairs = [pages.pair(("anon", "file")) for _ in range(4)]
    contents = {pfn: pages.arena.frames[pfn].copy() for pair in pairs for pfn in pair}
    spaces = {pair[0]: int(pages.arena.entries["index"][pair[0]]) for pair in pairs}
    pages.arena.fail_alloc = 2
    status = strategy(pages.arena, "copy-page").exchange(pairs).status
    pages.arena.fail_alloc = 0
    assert set(status.tolist()) <= {0, ENOMEM}
    for anon, _ in pairs:
        at = pages.arena.translate(pages.spaces[0], spaces[anon])
        assert np.array_equal(pages.arena.frames[at], contents[anon])


def test_b17e_nothing_is_used_up_by_pairs_that_are_refused(pages: Pages) -> None:
    pairs = [pages.pair() for _ in range(4)]
    pages.arena.pin(pairs[1][0])
    pages.arena.get(pairs[2][1])
    names = ("list-exchange", "copy-page", "numpy", "whole-word")
    bounds = [strategy(pages.arena, name) for name in names]
    start = free(pages)
    for _ in range(50):
        for bound in bounds:
            bound.exchange(pairs)
    assert free(pages) == start
    assert resting(pages.arena)
    pages.arena.unpin(pairs[1][0])
    pages.arena.put(pairs[2][1])
    assert check(pages.arena) == []


def test_b17f_the_result_follows_from_the_statuses(pages: Pages) -> None:
    pairs = [pages.pair() for _ in range(6)]
    pages.arena.pin(pairs[4][0])
    result = pages.arena.exchange(pairs, threads=3)
    assert not result.ok
    assert result.exchanged == 5
    assert result.failed.tolist() == [4]
    assert sum(result.refused.values()) == 1
    pages.arena.unpin(pairs[4][0])
    again = pages.arena.exchange(pairs, threads=3)
    assert again.ok
    again.raise_for_status()


@pytest.mark.parametrize("name", ["list-exchange", "copy-page", "rfc-2019"])
def test_b17g_the_second_of_a_pair_may_be_the_file_page(pages: Pages, name: str) -> None:
    anon, file = pages.pair(("anon", "file"))
    assert pages.arena.exchange([[anon, file]], name).ok
    assert [pages.arena.frame(pfn).kind for pfn in (anon, file)] == ["file", "anon"]


def test_b17h_a_second_page_that_cannot_be_had_costs_the_first_nothing(pages: Pages) -> None:
    first = pages.page("anon", 0)
    gone = int(pages.arena.alloc("slow", 1)[0])
    pages.arena.free([gone])
    before = picture(pages.arena)
    assert pages.arena.exchange([[first, gone], [first, first]]).status.tolist() == [ENOENT, EINVAL]
    assert differences(before, picture(pages.arena)) == []
    assert pages.arena.entries["refs"][first] == pages.arena.expected_refs(first)


def counters(pages: Pages) -> list[dict[str, int]]:
    return [node["counters"] for node in pages.arena.nodes]


@pytest.mark.parametrize("order", [0, 1, 4, 9])
def test_b17i_counters_move_by_the_size_of_the_folio_and_come_back(order: int) -> None:
    pages = Pages(frames=1024)
    pair = pages.pair(("file", "anon"), order)
    pages.flag(pair[0], "dirty")
    size = 1 << order
    for anon, file in ((1, 0), (0, 1)):
        assert pages.arena.exchange([pair]).ok
        assert [node["anon"] for node in counters(pages)] == [anon * size, file * size]
        assert [node["file"] for node in counters(pages)] == [file * size, anon * size]
        assert check(pages.arena) == []  # which recounts the dirty ones too


def test_b17j_every_reference_is_accounted_for_afterwards(pages: Pages) -> None:
    pairs = [pages.pair(kinds) for kinds in [("anon", "file"), ("file", "shmem"), ("raw", "anon")]]
    assert pages.arena.exchange(pairs).ok
    for pfn in np.ravel(pairs):
        assert pages.arena.entries["refs"][pfn] == pages.arena.expected_refs(pfn)


def test_b17k_shared_memory_against_a_file_page_keeps_each_kind_in_its_counter(pages: Pages) -> None:
    pair = pages.pair(("shmem", "file"))
    pages.flag(pair[0], "swapbacked")
    start = counters(pages)
    assert start[0] != start[1]
    assert pages.arena.exchange([pair]).ok
    assert counters(pages) == start[::-1]


@pytest.mark.parametrize(("mode", "tries"), [("async", 1), ("sync-light", 1 + 1 + 3), ("sync", 1 + 1 + 10)])
def test_b17l_retries_are_bounded_and_reported(pages: Pages, mode: Any, tries: int) -> None:
    pair = pages.pair()
    pages.arena.entries["refs"][pair[0]] += 1  # of somebody whom no entry and no pin names
    assert pages.arena.exchange([pair], mode=mode).retries == tries


@pytest.mark.parametrize("gone", [[0], [1], [0, 1]], ids=str)
def test_b17m_a_free_frame_is_never_a_success(pages: Pages, gone: list[int]) -> None:
    pair = pages.pair(("raw", "raw"))
    pages.arena.free([pair[side] for side in gone])
    assert pages.arena.exchange([pair]).status.tolist() == [ENOENT]
