"""B24 to B32: bytes that are lost, exchanged twice, or exchanged outside of the pair."""

import threading
from typing import Any

import numpy as np
import pytest

from pagexchange.oracle import Oracle
from pagexchange_native.movers.mover import shares
from tests.core.pages import Pages, Pfns, strategy

FOLIO = 64 << 12  # order 6


def whole_after(pages: Pages, pairs: Any, threads: int, name: str = "list-exchange") -> bool:
    """Exchange; every byte of every page is where it must be, and every other byte of the arena unchanged."""
    before = Oracle.before(pages.arena, stamped=True)
    result = strategy(pages.arena, name).exchange(pairs, threads=threads)
    return bool(result.ok and before.after(result._pairs, result.status).kind == "exact")


@pytest.mark.parametrize("order", [0, 1, 3, 6, 9])
def test_b24_no_remainder_is_lost_whatever_the_number_of_threads(order: int) -> None:
    pages = Pages(frames=1024, workers=33)
    pair = pages.pair(("anon", "anon"), order)
    for threads in range(1, 33):
        if order in (0, 9) and threads not in (1, 2, 3, 6, 7, 31, 32):
            continue
        assert whole_after(pages, [pair], threads), threads


@pytest.mark.parametrize("size", [4096, 8192, 12288, FOLIO, 2 << 20])
def test_b25_shares_are_whole_lines_and_meet_without_gap_or_overlap(size: int) -> None:
    for threads in range(1, 65):
        bounds = shares(size, threads)
        assert bounds[0] == 0
        assert bounds[-1] == size
        assert bounds == sorted(bounds)
        assert all(bound % 64 == 0 for bound in bounds)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("order", [0, 6])
def test_b26_nothing_is_written_beside_the_pair(order: int, threads: int) -> None:
    pages = Pages(frames=512)
    for _ in range(2):
        pages.page("anon", 0, order)
    pair = pages.pair(("anon", "anon"), order)
    for _ in range(2):
        pages.page("anon", 1, order)
    inside = np.concatenate([np.arange(pfn, pfn + (1 << order)) for pfn in pair])
    outside = np.setdiff1d(np.arange(pages.arena.nframes), inside)
    before = pages.arena.frames[outside]
    assert strategy(pages.arena).exchange([pair], threads=threads).ok
    assert np.array_equal(pages.arena.frames[outside], before)


@pytest.mark.parametrize("name", ["list-exchange", "word-swap", "copy-page", "rfc-2019", "numpy"])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_b27_each_pair_is_exchanged_exactly_once(name: str, threads: int) -> None:
    pages = Pages(frames=256)
    pairs = np.array([pages.pair(("anon", "anon")) for _ in range(100)])
    contents = pages.arena.frames[pairs.ravel()].reshape(100, 2, -1)
    assert strategy(pages.arena, name).exchange(pairs, threads=threads).ok
    assert np.array_equal(pages.arena.frames[pairs.ravel()].reshape(100, 2, -1), contents[:, ::-1])


def test_b27_a_chain_of_movers_exchanges_a_pair_once() -> None:
    """Pairs that the first mover has no frame for are the second's, and only those."""
    pages = Pages(frames=64)
    pairs = [pages.pair(("anon", "anon")) for _ in range(20)]
    for node in ("fast", "slow"):
        left = next(int(one["free"]) for one in pages.arena.nodes if one["name"] == node)
        pages.arena.reserve_frames(pages.arena.alloc(node, left - 3))
    before = Oracle.before(pages.arena, stamped=True)
    asked = strategy(pages.arena, "copy-page")
    refused = asked.exchange(pairs)
    again = strategy(pages.arena, "word-swap").exchange(np.array(pairs)[refused.failed])
    assert 0 < refused.exchanged < 20
    assert again.ok
    assert before.after(refused._pairs, np.zeros(20, dtype=np.int32)).kind == "exact"


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 31])
@pytest.mark.parametrize("threads", [1, 2, 5, 8, 32])
def test_b28_any_number_of_pages_by_any_number_of_threads(n: int, threads: int) -> None:
    pages = Pages(frames=64, workers=33)
    pairs = [pages.pair(("anon", "anon")) for _ in range(n)]
    assert whole_after(pages, pairs, threads)


def test_b29_nobody_waits_for_anothers_work() -> None:
    pages = Pages()
    slow, quick = pages.pair(), pages.pair()
    inside, leave = threading.Event(), threading.Event()

    def mover(pieces: Any, a: Pfns, b: Pfns) -> None:
        inside.set()
        assert leave.wait(60)
        pieces[a], pieces[b] = pieces[b], pieces[a]

    results: list[bool] = []
    blocked = strategy(pages.arena, data=mover)
    thread = threading.Thread(target=lambda: results.append(blocked.exchange([slow]).ok))
    thread.start()
    assert inside.wait(60)
    assert strategy(pages.arena).exchange([quick], threads=2).ok  # while the other is in the middle of its own
    assert results == []
    leave.set()
    thread.join(60)
    assert results == [True]


def test_b30_the_number_of_threads_that_is_reported_is_the_number_that_worked() -> None:
    pages = Pages(workers=3)
    pairs = [pages.pair() for _ in range(40)]
    assert [strategy(pages.arena).exchange(pairs, threads=n).workers for n in (1, 2, 3)] == [1, 2, 3]
    result = strategy(pages.arena).exchange(pairs, threads=32)  # more than the arena has slots for
    assert result.ok
    assert result.workers == 3


@pytest.mark.parametrize("word", [0, 1, 255, 511])
@pytest.mark.parametrize("side", [0, 1])
def test_b32_one_wrong_word_anywhere_is_found(pages: Pages, word: int, side: int) -> None:
    """The judge itself is judged: it is shown an exchange that lost 8 bytes of one page."""
    pair = pages.pair()
    before = Oracle.before(pages.arena, stamped=True)
    result = pages.arena.exchange([pair])
    assert result.ok
    pages.arena.frames[pair[side], word] ^= np.uint64(1 << 40)
    assert before.after(result._pairs, result.status).kind == "wrong"
