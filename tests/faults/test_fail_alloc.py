"""The n-th thing that the arena gives out is missing - a frame, an XArray node, a page table - for every n."""

import errno
from collections.abc import Callable

import numpy as np
import pytest

from pagexchange.errors import ArenaFullError
from pagexchange.oracle import check
from pagexchange.pages import fill
from tests.core.pages import NATIVE, Pages, differences, picture, resting, strategy

FAR = np.array([0, 63, 64, 4096, 1 << 30, 1 << 55])


def frames(pages: Pages) -> None:
    pages.arena.alloc("fast", 9)


def folios(pages: Pages) -> None:
    pages.arena.alloc("slow", 3, 3)


def positions(pages: Pages) -> None:
    pages.arena.cache_add(pages.mappings[0], FAR, np.arange(6))


def large_position(pages: Pages) -> None:
    pages.arena.cache_add(pages.mappings[1], 8 << 20, 8)


def addresses(pages: Pages) -> None:
    pages.arena.map(pages.spaces[0], [0, 63, 64, 4096, 1 << 20, 1 << 33], np.arange(6))


# what is done: (the call, how many allocations it makes at least)
CALLS: dict[str, tuple[Callable[[Pages], None], int]] = {
    "alloc": (frames, 9),
    "alloc of folios": (folios, 3),
    "cache_add": (positions, 10),
    "cache_add of a folio": (large_position, 4),
    "map": (addresses, 3),
}


def refusal(call: Callable[[], object]) -> ArenaFullError | None:
    try:
        call()
    except ArenaFullError as error:
        return error
    return None


@pytest.mark.parametrize("what", CALLS)
def test_a_call_gets_all_that_it_needs_or_changes_nothing(what: str) -> None:
    call, least = CALLS[what]
    pages = Pages()
    assert pages.arena.alloc("fast", 6).tolist() == list(range(6))
    assert pages.arena.alloc("fast", 1, 3).tolist() == [8]
    nth = 1
    while True:
        before = bytes_of(pages)
        pages.arena.fail_alloc = nth
        refused = refusal(lambda: call(pages))
        if refused is None:
            break
        assert (pages.arena.fail_alloc, refused.errno) == (0, errno.ENOMEM)
        assert differences(before, bytes_of(pages)) == []
        assert check(pages.arena) == []
        nth += 1
    assert pages.arena.fail_alloc > 0
    assert nth > least
    assert check(pages.arena) == []


def bytes_of(pages: Pages) -> np.ndarray:
    """The arena's bytes, without the order of free lists and what lies in nodes that nobody has."""
    raw = picture(pages.arena, scratch=True)
    for part in ("xanodes", "tables"):
        offset, count, size = pages.arena.geometry()[part]
        rows = raw[offset : offset + count * size].reshape(count, size)
        rows[rows[:, 3] == 0 if part == "xanodes" else rows[:, :4].view(np.uint32)[:, 0] == 0] = 0
    raw[:4096] = 0  # the header with the pools' free lists; check() counts them
    for part, size in (("mappings", 128), ("spaces", 128)):
        offset, count, _ = pages.arena.geometry()[part]
        raw[offset : offset + count * size].reshape(count, size)[:, 8:20] = 0  # lock and sequence: bumped by each try
    return raw


@pytest.mark.parametrize("name", NATIVE)
def test_an_exchange_costs_the_pair_that_finds_no_frame(name: str) -> None:
    """Strategies in place allocate nothing: nothing can fail."""
    nth = 1
    pages = Pages()
    pairs = np.array([pages.pair((kind, other)) for kind in ("file", "anon") for other in ("shmem", "raw")])
    before = picture(pages.arena, scratch=True)
    while True:
        pages.arena.fail_alloc = nth
        status = strategy(pages.arena, name).exchange(pairs).status
        injected = pages.arena.fail_alloc == 0
        pages.arena.fail_alloc = 0
        assert set(status.tolist()) <= {0, -errno.ENOMEM}
        assert strategy(pages.arena).exchange(pairs[status == 0]).ok
        assert differences(before, picture(pages.arena, scratch=True)) == []
        assert resting(pages.arena)
        if not injected:
            break
        nth += 1
    assert (nth > 4) == (name == "copy-page")
    assert check(pages.arena) == []


def test_filling_an_arena_ends_with_an_error_and_a_sound_arena() -> None:
    nth = 1
    while True:
        pages = Pages(frames=48)
        pages.arena.fail_alloc = nth
        refused = refusal(lambda pages=pages: fill(pages.arena, 0.5, seed=3))  # type: ignore[misc]
        if refused is None:
            break
        assert refused.errno == errno.ENOMEM
        pages.arena.fail_alloc = 0
        assert check(pages.arena) == []
        nth += 3
    assert nth > 10
