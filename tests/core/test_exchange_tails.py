"""The words of a large folio's later frames: what moves with the page, what stays, and what refuses the folio."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagexchange.model.config import Mode
from pagexchange.model.statuses import EHWPOISON
from pagexchange.oracle import Oracle
from tests.core.pages import NATIVE, Pages, Pfns, differences, picture, resting, strategy
from tests.stepping import Stepped

MODES: tuple[Mode, ...] = ("async", "sync-light", "sync")
CHILD = Path(__file__).with_name("stepped_tails_child.py")
TAILS = 6  # the phase, as docs/architecture.md has it
BY_CHUNK = 16  # tails whose words one chunk of the log holds


@pytest.fixture
def pages() -> Pages:
    return Pages(frames=1024)


def tails(pfn: int, order: int) -> Pfns:
    return pfn + np.arange(1, 1 << order)


def draw(pages: Pages, pfns: list[int], order: int, seed: int = 1) -> None:
    """Every bit that a tail may have, drawn: of the page and of the frame."""
    layout, random = pages.arena.layout, np.random.default_rng(seed)
    free = np.uint64(layout.word(*(f.name for f in layout.flags if f.tail != "refuse" and f.name not in NOT_OURS)))
    for pfn in pfns:
        words = random.integers(0, 1 << 64, (1 << order) - 1, dtype=np.uint64) & free
        pages.arena.set_flags(tails(pfn, order), words)


NOT_OURS = ("locked", "waiters", "head", "private")


@pytest.mark.parametrize("layout", ["linux-5.0", "linux-6.18"])
@pytest.mark.parametrize("order", [1, 4, 9])
@pytest.mark.parametrize("name", [*NATIVE, "numpy"])
def test_what_tails_say_of_the_page_goes_with_it_and_the_rest_stays(name: str, order: int, layout: str) -> None:
    pages = Pages(frames=2048, layout=layout)
    pair = pages.pair(("file", "anon"), order)
    draw(pages, pair, order)
    arena = pages.arena
    mask = np.uint64(arena.layout.tail_mask("swap"))
    assert mask
    before = [arena.flags[tails(pfn, order)] for pfn in pair]
    oracle = Oracle.before(arena)
    result = strategy(arena, name).exchange([pair])
    assert result.ok, result.messages()
    for mine, other, pfn in zip(before, before[::-1], pair, strict=True):
        assert (arena.flags[tails(pfn, order)] == (mine & ~mask) | (other & mask)).all()
    assert oracle.after([pair], result.status).kind in ("exact", "loses")
    assert strategy(arena, name).exchange([pair]).ok
    assert all((arena.flags[tails(pfn, order)] == words).all() for pfn, words in zip(pair, before, strict=True))


def test_tails_of_every_folio_of_a_list_and_of_a_chain(pages: Pages) -> None:
    pairs = [pages.pair(("anon", "file"), order) for order in (3, 0, 1, 2, 6, 0)]
    for number, pair in enumerate(pairs):
        order = int(pages.arena.entries["order"][pair[0]])
        if order:
            draw(pages, pair, order, number)
    chain = [*pairs, *pairs[:1], pairs[4]]
    oracle = Oracle.before(pages.arena)
    result = pages.arena.exchange(chain, order="sequential")
    assert result.ok
    assert oracle.after(chain, result.status, "sequential").kind == "exact"


REFUSED: dict[str, tuple[str, str, Callable[[int], int], int, str]] = {
    "broken": ("linux-6.18", "hwpoison", lambda size: size - 1, EHWPOISON, "frame {tail} of the folio at {head} has a"),
    "broken, of 5.0": ("linux-5.0", "hwpoison", lambda size: 1, EHWPOISON, "frame {tail} of the folio at {head} has a"),
    "broken, by the first tail": ("linux-6.18", "has_hwpoisoned", lambda size: 1, EHWPOISON, "a memory error"),
    "partially mapped": (
        "linux-6.18", "partially_mapped", lambda size: 1, errno.EOPNOTSUPP,
        "frame {tail} of the folio at {head} has the flag reclaim (partially_mapped)",
    ),
    "reserved": ("linux-6.18", "reserved", lambda size: size // 2, errno.EBUSY, "frame {head} is reserved"),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("order", [1, 4, 9])
@pytest.mark.parametrize("side", [0, 1])
def test_a_tail_that_cannot_move_refuses_its_folio(row: Any, order: int, side: int) -> None:
    layout, name, place, code, says = row
    pages = Pages(frames=2048, layout=layout)
    pair, good = pages.pair(("file", "anon"), order), pages.pair(("anon", "file"), order)
    tail = pair[side] + place(1 << order)
    pages.flag(tail, name)
    before = picture(pages.arena)
    for mode in MODES:
        result = strategy(pages.arena, mode=mode, timeout=0.02).exchange([pair])
        assert result.status.tolist() == [-code], mode
        assert differences(before, picture(pages.arena)) == []
        assert resting(pages.arena)
        (message,) = result.messages()
        assert says.format(tail=tail, head=pair[side]) in message
        assert "retry" not in message
    assert pages.arena.exchange([pair, good]).status.tolist() == [-code, 0]
    pages.arena.clear_flags(tail, pages.arena.layout.word(name))
    assert pages.arena.exchange([pair]).ok


def test_all_broken_frames_of_a_folio_are_named(pages: Pages) -> None:
    pair = pages.pair(("anon", "anon"), 3)
    pages.flag(pair[0] + 2, "hwpoison")
    pages.flag(pair[0] + 5, "hwpoison")
    (message,) = pages.arena.exchange([pair]).messages()
    frames = f"frames {pair[0] + 2}, {pair[0] + 5} of the folio at {pair[0]}"
    assert message.endswith(f"EHWPOISON: {frames} have a memory error; free the folio, and they go offline")


def test_a_tail_that_breaks_after_the_check_keeps_its_mark_and_moves_the_rest(pages: Pages) -> None:
    """The mark is the frame's: it is neither lost nor moved, and the next exchange is refused."""
    arena, order = pages.arena, 4
    pair = pages.pair(("anon", "anon"), order)
    broken, exclusive = (np.uint64(arena.layout.word(name)) for name in ("hwpoison", "anon_exclusive"))
    arena.set_flags(pair[0] + 3, exclusive)

    def policy(a: Any, b: Any) -> Any:  # asked after the check
        arena.flags[pair[0] + 3] |= broken
        swap = np.uint64(arena.layout.mask("swap"))
        return a & ~swap | b & swap, b & ~swap | a & swap

    assert strategy(arena, flags=policy).exchange([pair]).ok
    assert [bool(arena.flags[pfn + 3] & broken) for pfn in pair] == [True, False]
    assert [bool(arena.flags[pfn + 3] & exclusive) for pfn in pair] == [False, True]
    assert arena.exchange([pair]).status.tolist() == [-EHWPOISON]


def test_a_freed_folio_leaves_nothing_of_its_page_in_the_words_of_its_tails(pages: Pages) -> None:
    arena, order = pages.arena, 3
    (folio,) = arena.alloc("fast", 1, order)
    draw(pages, [int(folio)], order)
    arena.set_flags(folio + 1, arena.layout.word("partially_mapped", "has_hwpoisoned"))
    layout = arena.layout
    of_page = np.uint64(layout.mask("swap") | layout.mask("refuse") | layout.tail_mask("refuse") | layout.word("head"))
    frames = np.append(folio, tails(int(folio), order))
    stays = arena.flags[frames] & ~of_page
    arena.free([folio])
    assert (arena.flags[frames] == stays).all()
    arena.set_flags(frames, arena.layout.word("anon_exclusive"))  # and who makes a folio of free frames finds none
    assert arena.alloc("fast", 1, order).tolist() == [folio]
    assert not (arena.flags[tails(int(folio), order)] & of_page).any()


@pytest.mark.parametrize("order", [0, 3])
def test_a_broken_frame_that_was_free_is_no_whole_one_when_it_is_handed_out(pages: Pages, order: int) -> None:
    arena = pages.arena
    arena.set_flags(np.arange(1024), arena.layout.word("hwpoison"))  # all frames of the node
    pair = pages.pair(("anon", "anon"), order)
    assert arena.exchange([pair]).status.tolist() == [-EHWPOISON]
    arena.unmap(pages.spaces[0], int(arena.entries["index"][pair[0]]))
    arena.unmap(pages.spaces[1], int(arena.entries["index"][pair[0]]))
    assert {arena.frame(pair[0] + k).state for k in range(1 << order)} == {"offline"}


def test_whoever_finds_an_unfinished_exchange_of_tails_can_finish_it_from_the_record() -> None:
    """After each instruction of the phase: the words, the log and the step say all that is left to do."""
    with Stepped(CHILD) as child:
        facts = json.loads(child.line())
        mask, size, want = facts["mask"], facts["size"], facts["want"]
        seen: set[int] = set()
        while child.word(facts["state"]) & 0xFF != TAILS:
            assert child.step()
        while (state := child.word(facts["state"])) & 0xFF == TAILS:
            pair, step = state >> 48, state >> 8 & (1 << 40) - 1
            chunk, half = step >> 1, step & 1
            assert pair == 0
            seen.add(chunk)
            words = [[child.word(at + 64 * k) for k in range(size)] for at in facts["flags"]]
            log = [child.word(facts["log"] + 256 * half + 8 * k) for k in range(2 * BY_CHUNK)]
            for k in range(max(1, BY_CHUNK * chunk), size):
                if k < BY_CHUNK * (chunk + 1):
                    new = log[2 * (k - BY_CHUNK * chunk)], log[2 * (k - BY_CHUNK * chunk) + 1]
                else:
                    new = words[1][k], words[0][k]
                for side in range(2):
                    words[side][k] = words[side][k] & ~mask | new[side] & mask
            assert [side[1:] for side in words] == [side[1:] for side in want], f"in chunk {chunk}"
            assert child.step()
        assert seen == set(range(-(-size // BY_CHUNK)))
        child.end()
