"""Every reason to refuse a pair: its status and its message, the rest of the list done, nothing of it changed."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest

from pagexchange.arena.strategy import Strategy
from pagexchange.model.config import Mode
from pagexchange.model.statuses import EHWPOISON, errno_name, reason
from pagexchange.oracle import check
from pagexchange.oracle import format as oracle_format
from pagexchange_native.arena.region import STATES
from tests.core.pages import Pages, differences, picture, resting, strategy

MODES: tuple[Mode, ...] = ("async", "sync-light", "sync")
TIMEOUT = 0.02
EBUSY, EAGAIN = errno.EBUSY, errno.EAGAIN


class Row(NamedTuple):
    make: Callable[[Pages], list[int]]
    """Makes the pair that is refused."""
    codes: tuple[int, int, int]
    """errno in each of MODES."""
    says: str
    """What the message says besides the pair, its frames and the errno."""
    strategy: str = "list-exchange"


def always(code: int) -> tuple[int, int, int]:
    return code, code, code


def spoiled(kinds: tuple[str, str] = ("file", "anon"), side: int = 0, **how: Any) -> Callable[[Pages], list[int]]:
    """A pair with one thing wrong about one of its pages: a method of the arena called on it, or flags set."""

    def make(pages: Pages) -> list[int]:
        pair: list[int] = pages.pair(kinds)
        for name, value in how.items():
            if name == "flags":
                word = np.uint64(pages.arena.layout.word(*value))
                pages.arena.flags[pair[side]] |= word  # past the arena's own checks
            elif name == "call":
                getattr(pages.arena, value)(pair[side])
            else:
                pages.arena.entries[name][pair[side]] = value
        return pair

    return make


def of_file(aops: str, *flags: str, private: bool = False) -> Callable[[Pages], list[int]]:
    """A page of a mapping with such operations, against an anonymous one."""

    def make(pages: Pages) -> list[int]:
        pages.mappings[0] = pages.arena.new_mapping("special", aops=aops)
        pair: list[int] = pages.pair()
        pages.flag(pair[0], *flags)
        if private:
            pages.arena.set_private(pair[0], 77)
        return pair

    return make


def orders(first: int, second: int) -> Callable[[Pages], list[int]]:
    return lambda pages: [pages.page("anon", 0, first), pages.page("anon", 1, second)]


def tail(pages: Pages) -> list[int]:
    return [pages.page("anon", 0, 2) + 3, pages.page("anon", 1)]


def freed(*sides: int) -> Callable[[Pages], list[int]]:
    def make(pages: Pages) -> list[int]:
        pair: list[int] = pages.pair(("raw", "raw"))
        for side in sides:
            pages.arena.free(pair[side])
        return pair

    return make


def no_slot(pages: Pages) -> list[int]:
    """The file's position names another frame than the one that says it is there."""
    pair: list[int] = pages.pair()
    pages.arena.entries["index"][pair[0]] += 1
    return pair


def no_mapping(pages: Pages) -> list[int]:
    pair: list[int] = pages.pair()
    pages.arena.entries["mapping"][pair[0]] = 60 << 2
    return pair


def given_up(pages: Pages) -> list[int]:
    """The mapping is none any more; what its pages could do is still there."""
    pair: list[int] = pages.pair()
    mapping = pages.arena.new_mapping("gone")
    pages.arena.remove_mapping(mapping)
    oracle_format.read(pages.arena).mappings["aops"][mapping] = 2  # unmovable
    pages.arena.entries["mapping"][pair[0]] = (mapping + 1) << 2
    return pair


def wrong_pte(pages: Pages) -> list[int]:
    """The reverse map leads to a page-table entry of another page."""
    pair: list[int] = pages.pair()
    pages.arena.entries["rmap"][pair[1]] += 1
    return pair


ROWS = {
    "P1 beyond the last frame": Row(lambda p: [p.page("anon", 0), 128], always(errno.EFAULT), "0 to nframes - 1"),
    "P1 far beyond": Row(lambda p: [1 << 40, p.page("anon", 0)], always(errno.EFAULT), "out of range"),
    "P1 negative": Row(lambda p: [-1, p.page("anon", 0)], always(errno.EFAULT), "out of range"),
    "P2 with itself": Row(lambda p: [p.page("file", 0)] * 2, always(errno.EINVAL), "frame {0} with itself"),
    "P5 orders": Row(orders(0, 3), always(errno.EINVAL), "order 0 against order 3"),
    "P5 orders, the other way round": Row(orders(2, 1), always(errno.EINVAL), "order 2 against order 1"),
    "P5 tail": Row(tail, always(errno.EINVAL), "frame {0} is a tail; the folio starts at frame 4"),
    "P6 free": Row(freed(0), always(errno.ENOENT), "a free frame"),
    "P6 free, the other": Row(freed(1), always(errno.ENOENT), "a free frame"),
    "P6 both free": Row(freed(0, 1), always(errno.ENOENT), "a free frame"),
    "P7 reserved": Row(spoiled(("raw", "anon"), call="reserve_frames"), always(EBUSY), "frame {0} is reserved"),
    "P7 reserved by its flag": Row(spoiled(flags=["reserved"]), always(EBUSY), "is reserved, and never moves"),
    "P7 offline": Row(
        spoiled(("raw", "anon"), state=STATES["offline"]), always(errno.ENXIO), "an offline frame"
    ),
    "P8 pinned": Row(spoiled(call="pin"), always(EBUSY), "frame {0} is pinned; retry when"),
    "P8 pinned, the other": Row(spoiled(side=1, call="pin"), always(EBUSY), "frame {1} is pinned; retry when"),
    "P9 write-back": Row(
        spoiled(flags=["writeback"]), (EBUSY, EBUSY, errno.ETIMEDOUT), "frame {0} is under write-back; retry"
    ),
    "P9 write-back, the other": Row(
        spoiled(side=1, flags=["writeback"]), (EBUSY, EBUSY, errno.ETIMEDOUT), "frame {1} is under write-back; retry"
    ),
    "P9 written to a cache": Row(
        spoiled(flags=["private_2"]), (EBUSY, EBUSY, errno.ETIMEDOUT), "is being written to a cache (private_2)"
    ),
    "P10 poisoned": Row(spoiled(flags=["hwpoison"]), always(EHWPOISON), "memory error"),
    "P10 poisoned, the other": Row(spoiled(side=1, flags=["hwpoison"]), always(EHWPOISON), "memory error"),
    "P12 locked": Row(spoiled(call="lock"), always(EAGAIN), "frame {0} is locked; retry"),
    "P12 locked, the other": Row(spoiled(side=1, call="lock"), always(EAGAIN), "frame {1} is locked; retry"),
    "P12 locked by its flag": Row(spoiled(flags=["locked"]), always(EAGAIN), "frame {0} is locked; retry"),
    "P14 referenced": Row(spoiled(call="get"), (EAGAIN, EAGAIN, EBUSY), "frame {0} has 2 references, 1 at rest; retry"),
    "P14 referenced, the other": Row(
        spoiled(side=1, call="get"), (EAGAIN, EAGAIN, EBUSY), "frame {1} has 3 references, 2 at rest; retry"
    ),
    "P15 cut off": Row(spoiled(mapping=0, index=0), (EAGAIN, EAGAIN, EBUSY), "frame {0} has 1 references, 0 at rest"),
    "P16 slot of another": Row(no_slot, always(errno.EUCLEAN), "check"),
    "P16 no such mapping": Row(no_mapping, always(errno.EUCLEAN), "check"),
    "P16 mapping given up": Row(given_up, always(errno.EUCLEAN), "check"),
    "P16 mapped nowhere": Row(spoiled(side=1, rmap=0), always(errno.EUCLEAN), "check"),
    "P16 reverse map of another": Row(wrong_pte, always(errno.EUCLEAN), "check"),
    "P17 unmovable": Row(of_file("unmovable"), always(errno.EOPNOTSUPP), "unmovable mapping"),
    "P17 of no known kind": Row(spoiled(side=1, mapping=1 << 2 | 3), always(errno.EOPNOTSUPP), "an unmovable mapping"),
    "P17 private data": Row(of_file("none", private=True), always(errno.EOPNOTSUPP), "private data"),
    "P17 private data of nobody": Row(
        spoiled(("raw", "anon"), flags=["private"]), always(errno.EOPNOTSUPP), "private data"
    ),
    "P17 private data, anonymous": Row(spoiled(side=1, flags=["private"]), always(errno.EOPNOTSUPP), "private data"),
    "P18 in the swap cache": Row(
        spoiled(side=1, flags=["swapcache", "swapbacked"]), always(errno.EOPNOTSUPP), "frame {1} is in the swap cache"
    ),
    "P18 dirty without a writer": Row(of_file("none", "dirty"), always(EBUSY), "it stays until somebody cleans it"),
    "flags touched": Row(lambda p: p.pair(), always(errno.EBADMSG), "the flag policy touched node", "whole-word"),
}  # fmt: skip


def in_each_mode(pages: Pages, row: Row) -> Iterator[tuple[Mode, Strategy, int]]:
    """The row's strategy in each mode, and the status that its pair must get."""
    built = strategy(pages.arena, row.strategy).built
    for mode, code in zip(MODES, row.codes, strict=True):
        yield mode, Strategy(pages.arena, built, mode, TIMEOUT), -code


rows = pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])


@rows
def test_the_status_is_its_own_and_the_message_says_which_and_why(pages: Pages, row: Row) -> None:
    good = pages.pair(("anon", "file")), pages.pair(("file", "anon"), mappings=(1, 1))
    bad = row.make(pages)
    for mode, bound, code in in_each_mode(pages, row):
        swapped = np.concatenate([pages.arena.frames[pair[::-1]] for pair in good])
        result = bound.exchange([good[0], bad, good[1]])
        others = code if row.strategy == "whole-word" else 0
        assert result.status.tolist() == [others, code, others], mode
        if not others:
            assert (np.concatenate([pages.arena.frames[pair] for pair in good]) == swapped).all(), mode
        (message,) = [text for text in result.messages() if text.startswith("pair 1 ")]
        name = errno_name(code)
        assert message.startswith(f"pair 1 (pfn {bad[0]} <-> {bad[1]}): {name}: "), mode
        assert row.says.format(*bad) in message, mode
        assert result.refused == {name: 3 if others else 1}, mode


CURED = ("P8", "P9", "P12", "P14", "P15")
"""What a retry may cure: the rows whose names begin so."""


@pytest.mark.parametrize("name", ROWS)
def test_a_retry_is_advised_where_it_may_help_and_nowhere_else(pages: Pages, name: str) -> None:
    row = ROWS[name]
    bad = row.make(pages)
    for mode, bound, _ in in_each_mode(pages, row):
        (message,) = bound.exchange([bad]).messages()
        assert ("retry" in message) == name.startswith(CURED), mode
        assert ("mode='sync'" not in message) or mode != "sync"


def test_of_two_reasons_one_that_stays_makes_a_retry_useless(pages: Pages) -> None:
    pair = pages.pair(("file", "anon"))
    pages.arena.pin(pair[0])
    pages.flag(pair[1], "writeback")
    assert "retry, or pass mode='sync'" in pages.arena.exchange([pair]).messages()[0]
    pages.flag(pair[1], "reserved")
    (message,) = pages.arena.exchange([pair]).messages()
    assert "is pinned" in message
    assert f"frame {pair[1]} is reserved, and never moves" in message
    assert "retry" not in message


@pytest.mark.parametrize("spoil", ["writeback", "locked"])
def test_a_reason_that_is_over_when_it_is_asked_for_is_not_made_up(pages: Pages, spoil: str) -> None:
    pair = pages.pair()
    if spoil == "locked":
        assert pages.arena.lock(pair[1])
    else:
        pages.flag(pair[1], spoil)
    result = pages.arena.exchange([pair])
    (while_so,) = result.messages()
    if spoil == "locked":
        pages.arena.unlock(pair[1])
    else:
        pages.arena.clear_flags(pair[1], spoil)
    (afterwards,) = result.messages()
    assert f"frame {pair[1]} is " in while_so
    code = -int(result.status[0])
    assert afterwards == f"pair 0 (pfn {pair[0]} <-> {pair[1]}): {errno_name(code)}: {reason(code)}"


@rows
def test_a_refused_pair_leaves_every_byte_of_the_arena(pages: Pages, row: Row) -> None:
    bad = row.make(pages)
    before = picture(pages.arena)
    for mode, bound, code in in_each_mode(pages, row):
        for pair in (bad, bad[::-1]):
            assert bound.exchange([pair]).status.tolist() == [code], mode
            assert differences(before, picture(pages.arena)) == [], mode
            assert resting(pages.arena), mode


@pytest.mark.parametrize(
    "again",
    [lambda a, b: [a, b], lambda a, b: [b, a], lambda a, b: [a, 100], lambda a, b: [100, b], lambda a, b: [a, a]],
    ids=["P4 the same pair", "P4 the other way round", "P3 the first frame", "P3 the second frame", "P2 with itself"],
)
def test_a_frame_of_an_earlier_pair_is_refused(pages: Pages, again: Callable[[int, int], list[int]]) -> None:
    pair = pages.pair()
    pages.arena.alloc(1, 63)  # frame 100 has a page too
    other = pages.arena.frames[100].copy()
    swapped = pages.arena.frames[pair[::-1]]
    result = pages.arena.exchange([pair, again(*pair)])
    assert result.status.tolist() == [0, -errno.EINVAL]
    assert (pages.arena.frames[pair] == swapped).all()
    assert (pages.arena.frames[100] == other).all()
    assert ("itself" if again(1, 2) == [1, 1] else "pass order='sequential'") in result.messages()[0]


def test_a_refused_pair_uses_its_frames_up_all_the_same(pages: Pages) -> None:
    """Which pairs are done must not hang on who is locked: P3 is found before any lock."""
    pair = pages.pair()
    other = pages.page("anon", 1)
    pages.arena.lock(pair[1])
    assert pages.arena.exchange([pair, [pair[0], other]]).status.tolist() == [-EAGAIN, -errno.EINVAL]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("tail", [1, 3])
def test_p8_a_pinned_tail_keeps_its_folio(pages: Pages, side: int, tail: int) -> None:
    pair = [pages.page("anon", node, 2) for node in (0, 1)]
    pages.arena.pin(pair[side] + tail)
    before = picture(pages.arena)
    for mode in MODES:
        bound = strategy(pages.arena, "list-exchange", mode=mode)
        assert bound.exchange([pair]).status.tolist() == [-EBUSY], mode
        assert differences(before, picture(pages.arena)) == [], mode
    pages.arena.unpin(pair[side] + tail)
    assert strategy(pages.arena, "list-exchange").exchange([pair]).ok


def test_a_pair_that_is_refused_already_keeps_its_status_where_a_page_is_pinned(pages: Pages) -> None:
    pair, good = pages.pair(), pages.pair()
    pages.arena.pin(pair[0])
    for mode in MODES:
        bound = strategy(pages.arena, "list-exchange", mode=mode)
        assert bound.exchange([[pair[0], 100], good]).status.tolist() == [-errno.ENOENT, 0], mode


def test_a_pair_that_is_refused_for_its_flags_keeps_that_status_where_its_slot_is_not_found(pages: Pages) -> None:
    pair = no_slot(pages)
    assert strategy(pages.arena, "whole-word").exchange([pair]).status.tolist() == [-errno.EBADMSG]


def test_p19_a_frame_of_another_arena(pages: Pages) -> None:
    strange = Pages()
    pair, good = pages.pair(), pages.pair()
    theirs = strange.pair()
    before, their_before = picture(pages.arena), picture(strange.arena)
    mixed = [pages.arena.frame(pair[0]), strange.arena.frame(theirs[1])]
    result = pages.arena.exchange([mixed, mixed[::-1], [strange.arena.frame(p) for p in theirs]])
    assert result.status.tolist() == [-errno.EXDEV] * 3
    assert "EXDEV: frames of different arenas" in result.messages()[0]
    assert differences(before, picture(pages.arena)) == []
    assert differences(their_before, picture(strange.arena)) == []
    frames = [pages.arena.frame(p) for p in good]
    assert pages.arena.exchange([mixed, frames]).status.tolist() == [-errno.EXDEV, 0]


def test_p20_no_pair_at_all(pages: Pages) -> None:
    before = picture(pages.arena)
    result = pages.arena.exchange([])
    assert (result.ok, result.exchanged, result.messages(), result.status.shape) == (True, 0, [], (0,))
    assert differences(before, picture(pages.arena)) == []


def test_p22_no_frame_for_the_temporary_page() -> None:
    pages = Pages(frames=32)
    arena = pages.arena
    pairs = [pages.pair() for _ in range(6)]
    for node in (0, 1):
        free = arena.nodes[node]["free"] - arena.nodes[node]["min"]
        arena.alloc(node, free - (3 if node else 0))
    assert strategy(arena, "copy-page").exchange(pairs).status.tolist() == [0, 0, 0] + [-errno.ENOMEM] * 3
    arena.alloc(1, 3)
    before = picture(arena)
    result = strategy(arena, "copy-page").exchange(pairs)
    assert result.status.tolist() == [-errno.ENOMEM] * 6
    assert "needs a frame and found none above the min watermark" in result.messages()[0]
    assert (result.frames_asked, result.frames_got) == (6, 0)
    assert differences(before, picture(arena)) == []
    assert strategy(arena, "word-swap").exchange(pairs).ok


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_p22_an_allocation_that_fails_costs_its_pair_only(pages: Pages, nth: int) -> None:
    pairs = [pages.pair() for _ in range(3)]
    pages.arena.alloc(1, pages.arena.nodes[1]["free"] - pages.arena.nodes[1]["min"])  # only the first node has frames
    pages.arena.fail_alloc = nth
    status = strategy(pages.arena, "copy-page").exchange(pairs).status
    assert status.tolist() == [-errno.ENOMEM if i + 1 == nth else 0 for i in range(3)]


def test_a_flag_that_a_layout_refuses() -> None:
    pages = Pages(layout="linux-5.0")
    pair = pages.pair()
    pages.flag(pair[1], "slab")
    result = pages.arena.exchange([pair])
    assert result.status.tolist() == [-errno.EOPNOTSUPP]
    assert f"frame {pair[1]} has the flag slab, with which no page is moved" in result.messages()[0]


# ---- waiting -------------------------------------------------------------------------------------------------------


@contextmanager
def soon(do: Callable[[], object]) -> Iterator[None]:
    """Do something from another thread a moment after the block began."""
    thread = threading.Timer(0.02, do)
    thread.start()
    yield
    thread.join()


def test_p9_sync_waits_for_write_back(pages: Pages) -> None:
    pair = pages.pair()
    word = pages.arena.layout.word("writeback")
    pages.flag(pair[0], "writeback")
    waiting = strategy(pages.arena, mode="sync", timeout=20)
    with soon(lambda: pages.arena.clear_flags(pair[0], word)):
        assert waiting.exchange([pair]).ok
    assert not (pages.arena.flags[pair] & np.uint64(word)).any()


@pytest.mark.parametrize("mode", ["sync-light", "sync"])
@pytest.mark.parametrize("side", [0, 1])
def test_p12_all_but_async_wait_for_a_lock(pages: Pages, mode: Mode, side: int) -> None:
    pair, other = pages.pair(), pages.pair()
    pages.arena.lock(pair[side])
    waiting = strategy(pages.arena, mode=mode, timeout=20)
    with soon(lambda: pages.arena.unlock(pair[side])):
        result = waiting.exchange([other, pair])
    assert result.ok
    assert result.retries > 0


def test_p5_a_page_that_becomes_another_folio_before_it_is_locked(pages: Pages) -> None:
    """The orders were the same when the list was looked through; the worker waits for another page's lock meanwhile."""
    arena = pages.arena
    held, _, changes = (pages.page("raw", 0) for _ in range(3))
    pairs = [[held, pages.page("raw", 1)], [changes, pages.page("raw", 1)]]
    slots = oracle_format.read(arena).slots
    arena.lock(held)
    status: list[int] = []
    waiting = strategy(arena, mode="sync-light", timeout=20)
    worker = threading.Thread(target=lambda: status.extend(waiting.exchange(pairs).status))
    worker.start()
    try:
        end = time.monotonic() + 10
        while not (slots["state"] & np.uint64(0xFF)).any():  # until a record is open: all orders are known
            assert time.monotonic() < end
        arena.free([changes])
        assert arena.alloc(0, 1, order=1).tolist() == [changes]
    finally:
        arena.unlock(held)
        worker.join(20)
    assert status == [0, -errno.EINVAL]
    assert check(arena) == []


@pytest.mark.parametrize("mode", MODES)
def test_the_other_pairs_of_a_batch_do_not_pay_for_a_wait(pages: Pages, mode: Mode) -> None:
    """One deadline for the batch: after a wait that was in vain the others are still done, before and behind it."""
    pairs = [pages.pair() for _ in range(5)]
    pages.arena.lock(pairs[2][0])
    pages.flag(pairs[3][1], "writeback")
    start = time.monotonic()
    status = strategy(pages.arena, mode=mode, timeout=TIMEOUT).exchange(pairs).status
    assert time.monotonic() - start < 10  # bounded
    assert status.tolist() == [0, 0, -EAGAIN, -(errno.ETIMEDOUT if mode == "sync" else EBUSY), 0]


@pytest.mark.parametrize(("mode", "tries"), [("async", 1), ("sync-light", 3), ("sync", 10)])
def test_p14_a_reference_is_looked_at_again_as_often_as_the_mode_says(pages: Pages, mode: Mode, tries: int) -> None:
    pair = pages.pair()
    pages.arena.get(pair[1])
    assert strategy(pages.arena, mode=mode).exchange([pair]).retries == tries


def test_p16_a_slot_that_is_not_found_is_looked_for_again(pages: Pages) -> None:
    """-EAGAIN once: an updater that reads a tree while it changes may be wrong for a moment."""
    arena = pages.arena
    pair, other = pages.pair(("file", "file")), pages.pair(("file", "file"), mappings=(1, 1))
    calls: list[int] = []

    def find(wanted: Any, _: object) -> tuple[Any, Any]:
        calls.append(len(wanted))
        offset = np.array([slot_of(pages, int(page["mapping"]), int(page["index"])) for page in wanted], np.uint64)
        found = (wanted["pfn"].astype(np.uint64) + np.uint64(1)) << np.uint64(2)
        if len(calls) == 1:
            found[1] += np.uint64(4)
        return offset, found

    result = strategy(arena, mapping=find).exchange([pair, other])
    assert result.status.tolist() == [0, 0]
    assert (calls, result.retries) == ([4, 1], 1)
    assert arena.exchange([pair, other]).ok


def slot_of(pages: Pages, mapping: int, index: int) -> int:
    """Byte offset of the word that holds an index, by a search through all nodes' slots for the frame's entry."""
    raw = oracle_format.read(pages.arena)
    entry = (pages.arena.cache_load(mapping, index) + 1) << 2
    node, slot = np.argwhere((raw.xanodes["slot"] == entry) & (raw.xanodes["used"] != 0)[:, None])[0]
    return int(raw.offset["xanodes"] + node * raw.xanodes.itemsize + 64 + slot * 8)


def test_p12_a_live_worker_has_it(pages: Pages) -> None:
    """Another thread's exchange holds its pairs locked and frozen while its mover runs."""
    pair, rest = pages.pair(), pages.pair()
    inside, go_on = threading.Event(), threading.Event()

    def slow(pieces: Any, a: Any, b: Any) -> None:
        inside.set()
        assert go_on.wait(20)
        pieces[a], pieces[b] = pieces[b], pieces[a]

    swapped = pages.arena.frames[pair[::-1]]
    status: list[int] = []
    worker = threading.Thread(target=lambda: status.extend(strategy(pages.arena, data=slow).exchange([pair]).status))
    worker.start()
    try:
        assert inside.wait(20)
        for mode in MODES:
            quick = strategy(pages.arena, mode=mode, timeout=TIMEOUT)
            result = quick.exchange([rest, pair[::-1]])
            assert result.status.tolist() == [0, -EAGAIN]
            assert f"frame {pair[1]} is locked" in result.messages()[0]
    finally:
        go_on.set()
        worker.join(20)
    assert status == [0]
    assert (pages.arena.frames[pair] == swapped).all()
