"""Plug-ins in Python that fail or misbehave: every page of the batch is put back, the plug-in is named, all goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.strategy import Strategy
from pagexchange.errors import ArenaError, PluginContractError, PluginError
from pagexchange.oracle import check
from pagexchange_native.arena.region import BATCH
from tests.core.pages import LONG, Pages, Pfns, differences, picture, resting, strategy

GROUP = 16  # pieces that a mover gets at once
EBADMSG, ECANCELED, EINTR = -74, -125, -4


@pytest.fixture
def many() -> tuple[Pages, Pfns]:
    """Pages of every kind in eight batches and a bit, a folio among them."""
    pages = Pages(frames=512)
    kinds = ("file", "anon", "shmem", "raw")
    pairs = [pages.pair((kinds[i % 4], kinds[i % 3])) for i in range(2 * BATCH + 20)]
    pairs[20:20] = [pages.pair(("file", "anon"), order=3)]
    return pages, np.array(pairs)


def swap(pieces: Any, a: Any, b: Any) -> None:
    pieces[a], pieces[b] = pieces[b], pieces[a]


def of(pages: Pages, **functions: Any) -> Strategy:
    return strategy(pages.arena, **functions)


class Mover:
    """Exchanges as it should, until the call in which it misbehaves."""

    def __init__(self, bad_call: int, misbehave: Callable[[Any, Any, Any], object]) -> None:
        self.bad_call, self.misbehave = bad_call, misbehave
        self.calls = 0

    def __call__(self, pieces: Any, a: Any, b: Any) -> Any:
        self.calls += 1
        if self.calls == self.bad_call:
            return self.misbehave(pieces, a, b)
        return swap(pieces, a, b)


def raises(pieces: Any, a: Any, b: Any) -> None:
    raise ZeroDivisionError("on purpose")


def half_then_raises(pieces: Any, a: Any, b: Any) -> None:
    swap(pieces, a[: len(a) // 2], b[: len(a) // 2])
    pieces[a[-1]] = 0
    raise ZeroDivisionError("on purpose")


def half(pieces: Any, a: Any, b: Any) -> None:
    swap(pieces, a[:-1], b[:-1])


def nothing(pieces: Any, a: Any, b: Any) -> None:
    pass


@pytest.mark.parametrize("order", [0, 3])
@pytest.mark.parametrize("page_size", [1024, 2048, 4096, 16384])
def test_pages_of_every_size_go_through_a_mover_in_python(page_size: int, order: int) -> None:
    """A row is a frame, or 4 KiB of a larger one; what a call that fails has moved is put back from the log."""
    pages = Pages(frames=512, page_size=page_size)
    pairs = np.array([pages.pair(("file", "anon"), order) for _ in range(20)])
    frames = pages.arena.frames.copy()
    shapes = set()

    def move(pieces: Any, a: Any, b: Any) -> None:
        shapes.add((pieces.shape, len(a) <= GROUP))
        swap(pieces, a, b)

    assert of(pages, data=move).exchange(pairs).ok
    size = min(page_size, 4096)
    assert shapes == {((frames.nbytes // size, size // 8), True)}
    for a, b in pairs:
        assert np.array_equal(pages.arena.frames[a : a + (1 << order)], frames[b : b + (1 << order)])
        assert np.array_equal(pages.arena.frames[b : b + (1 << order)], frames[a : a + (1 << order)])
    moved = pages.arena.frames.copy()
    with pytest.raises(PluginError, match="as they were"):
        of(pages, data=Mover(2, half_then_raises)).exchange(pairs)
    assert np.array_equal(pages.arena.frames, moved)
    assert check(pages.arena) == []


def one_word_short(pieces: Any, a: Any, b: Any) -> None:
    swap(pieces, a, b)
    pieces[b[-1], -1] ^= np.uint64(1)


def copies(pieces: Any, a: Any, b: Any) -> None:
    pieces[a] = pieces[b]


def another_frame_of_its_group(pieces: Any, a: Any, b: Any) -> None:
    swap(pieces, a, b)
    pieces[a[0]] = pieces[a[1]]


def the_wrong_pairs(pieces: Any, a: Any, b: Any) -> None:
    swap(pieces, a, b[::-1])


BAD = [raises, half_then_raises, half, nothing, one_word_short, copies, another_frame_of_its_group, the_wrong_pairs]
CALLS = {"the first group": (1, 0), "a later group": (3, 0), "the second batch": (3 + 2, LONG)}


@pytest.mark.parametrize(("call", "done"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("misbehave", BAD)
def test_a_mover_that_fails_is_put_back(many: tuple[Pages, Pfns], misbehave: Any, call: int, done: int) -> None:
    pages, pairs = many
    arena = pages.arena
    if done:  # the oracle's word for the first batch: it stays exchanged
        assert arena.exchange(pairs[:done]).ok
        before = picture(arena)
        assert arena.exchange(pairs[:done]).ok
    else:
        before = picture(arena)
    mover = Mover(call, misbehave)
    out = np.full(len(pairs), 12345, np.int32)
    with pytest.raises(PluginError, match=r"plug-in 'mine' \(.*: .*the pages of its batch are as they were") as caught:
        strategy(arena, "numpy", data=mover).exchange(pairs, out=out)
    assert caught.value.plugin == "mine"
    assert isinstance(caught.value.__cause__, ZeroDivisionError if "raises" in misbehave.__name__ else RuntimeError)
    assert out.tolist() == [0] * done + [EBADMSG] * LONG + [ECANCELED] * (len(pairs) - done - LONG)
    assert caught.value.status is out  # type: ignore[attr-defined]
    assert mover.calls == call  # nothing is asked of it after that
    del caught
    assert differences(before, picture(arena)) == []
    assert resting(arena)
    assert check(arena) == []
    assert strategy(arena, "numpy").exchange(pairs).ok  # and the arena is as good as before


def test_what_a_mover_returns_is_nobodys_business(pages: Pages) -> None:
    def generous(pieces: Any, a: Any, b: Any) -> Any:
        swap(pieces, a, b)
        return {"pages": pieces[a].copy(), "more": object()}

    pair = pages.pair()
    want = pages.arena.frames[pair[::-1]]
    assert strategy(pages.arena, data=generous).exchange([pair]).ok
    assert (pages.arena.frames[pair] == want).all()


def test_a_mover_may_spoil_its_lists(many: tuple[Pages, Pfns]) -> None:
    """The numbers that it gets are copies: what it does with them changes nothing."""
    pages, pairs = many

    def careless(pieces: Any, a: Any, b: Any) -> None:
        swap(pieces, a, b)
        a[:] = -1
        b[:] = 1 << 40

    before = picture(pages.arena)
    careful = strategy(pages.arena, data=careless)
    assert careful.exchange(pairs).ok
    assert careful.exchange(pairs).ok
    assert differences(before, picture(pages.arena)) == []


def test_views_that_outlive_the_call_keep_the_arena_open(pages: Pages) -> None:
    kept: list[Any] = []

    def keeps(pieces: Any, a: Any, b: Any) -> None:
        swap(pieces, a, b)
        kept.append(pieces)

    pair = pages.pair()
    assert strategy(pages.arena, data=keeps).exchange([pair]).ok
    with pytest.raises(BufferError, match="still alive"):
        pages.arena.close()
    assert strategy(pages.arena).exchange([pair]).ok
    assert (kept[0][pair[0]] == pages.arena.frames[pair[0]]).all()
    kept.clear()


CALLBACKS: dict[str, Callable[[Pages, Any], object]] = {
    "exchange": lambda pages, pair: pages.arena.exchange([pair]),
    "exchange with itself": lambda pages, pair: pages.arena.exchange([pair], pages.arena.strategies["mine", None]),
    "exchange others": lambda pages, pair: pages.arena.exchange([pages.pair()]),
    "add to the mapping": lambda pages, pair: pages.page("file", 0),
    "remove from the mapping": lambda pages, pair: pages.arena.cache_remove(0, 60),
}


@pytest.mark.parametrize("question", ["data", "flags", "mapping"])
@pytest.mark.parametrize("call", CALLBACKS.values(), ids=CALLBACKS)
def test_a_plug_in_may_not_change_the_arena_it_is_called_for(
    pages: Pages, call: Callable[[Pages, Any], object], question: str
) -> None:
    """It would wait for locks that its own call holds: for ever."""
    pair, other = pages.pair(("file", "file")), pages.pair(("file", "file"))
    contents = pages.arena.frames.copy()

    def calls_back(*_: object) -> Any:
        call(pages, other)

    says = r"plug-in 'mine' \(.*\): ArenaError: a plug-in may not (exchange|add|remove) pages"
    bound = pages.arena.strategies["mine", None] = of(pages, **{question: calls_back})
    with pytest.raises(PluginError, match=says) as e:
        bound.exchange([pair])
    assert isinstance(e.value.__cause__, ArenaError)
    del e
    assert (pages.arena.frames == contents).all()
    assert pages.arena.exchange([pair, other]).ok


def test_a_mover_may_use_another_arena_and_is_still_watched_afterwards(pages: Pages) -> None:
    other = Pages()
    theirs, pair = other.pair(), pages.pair()
    inner = strategy(other.arena, "numpy")
    seen: list[bool] = []

    def nested(pieces: Any, a: Any, b: Any) -> None:
        seen.append(inner.exchange([theirs]).ok)
        pages.arena.exchange([pair])

    with pytest.raises(PluginError, match="may not exchange pages"):
        strategy(pages.arena, data=nested).exchange([pair])
    assert seen == [True]


def test_looking_is_allowed_and_shows_the_pages_locked_and_frozen(pages: Pages) -> None:
    pair = pages.pair()
    seen: dict[str, Any] = {}

    def curious(pieces: Any, a: Any, b: Any) -> None:
        seen["frames"] = [str(pages.arena.frame(pfn)) for pfn in pair]
        seen["reference"] = [pages.arena.get(pfn) for pfn in pair]
        seen["lock"] = [pages.arena.lock(pfn) for pfn in pair]
        seen["node"] = pages.arena.nodes[0]["free"]
        swap(pieces, a, b)

    assert strategy(pages.arena, data=curious).exchange([pair]).ok
    assert (seen["reference"], seen["lock"]) == ([False, False], [False, False])
    assert check(pages.arena) == []


# ---- interrupts ------------------------------------------------------------------------------------------------------


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C raises, also where a shell's `&` has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("question", ["data", "flags", "mapping"])
def test_an_interrupt_in_a_plug_in_is_an_interrupt(many: tuple[Pages, Pfns], question: str) -> None:
    pages, pairs = many
    before = picture(pages.arena)

    def interrupted(*_: object) -> Any:
        signal.raise_signal(signal.SIGINT)

    out = np.full(len(pairs), 12345, np.int32)
    with pytest.raises(KeyboardInterrupt):
        of(pages, **{question: interrupted}).exchange(pairs, out=out)
    assert {*out[:LONG].tolist()} <= {0, EBADMSG}
    assert EBADMSG in out[:LONG]
    assert (out[LONG:] == ECANCELED).all()
    assert pages.arena.exchange(pairs[out == 0]).ok  # what was done was done in full: back again
    assert differences(before, picture(pages.arena)) == []
    assert pages.arena.exchange(pairs).ok


def test_an_interrupt_ends_a_long_list_between_two_pairs(pages: Pages) -> None:
    """A native strategy looks for signals every few batches; what is done is done, the rest was not tried."""

    rung: list[bool] = []

    def ring(*_: object) -> None:
        if out[0] == 0 and not rung:  # not before the list has begun, and once
            rung.append(True)
            raise TimeoutError

    pair = pages.pair()
    asked = np.tile(pair, (1_000_000, 1))  # each a batch of its own, since the frames are the same
    out = np.full(len(asked), 12345, np.int32)
    contents = pages.arena.frames[pair]
    old = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
        with pytest.raises(TimeoutError):
            pages.arena.exchange(asked, order="sequential", out=out)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    done = int((out == 0).sum())
    assert 0 < done < len(asked)
    assert (out[:done] == 0).all()
    assert (out[done:] == EINTR).all()
    assert (pages.arena.frames[pair] == (contents[::-1] if done % 2 else contents)).all()
    assert check(pages.arena) == []


# ---- flag policies ---------------------------------------------------------------------------------------------------


ANSWERS: dict[str, Callable[[Any, Any], Any]] = {
    "None": lambda a, b: None,
    "one array": lambda a, b: a,
    "a list": lambda a, b: [b, a],
    "three": lambda a, b: (b, a, a),
    "signed": lambda a, b: (b.astype(np.int64), a),
    "the second signed": lambda a, b: (b, a.astype(np.int64)),
    "float": lambda a, b: (b.astype(float), a.astype(float)),
    "too short": lambda a, b: (b[:-1], a[:-1]),
    "too long": lambda a, b: (np.append(b, b[:1]), np.append(a, a[:1])),
    "a table": lambda a, b: (b.reshape(1, -1), a.reshape(1, -1)),
    "a number": lambda a, b: (np.uint64(1), np.uint64(1)),
    "objects": lambda a, b: (b.astype(object), a.astype(object)),
    "text": lambda a, b: ("b", "a"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("question", ["flags", "mapping"])
def test_an_answer_of_another_kind_breaks_the_contract(pages: Pages, answer: Any, question: str) -> None:
    def updater(wanted: Any, arena: Any) -> Any:
        return answer(wanted["index"], wanted["index"])

    pairs = [pages.pair(("file", "file")) for _ in range(3)]
    before = picture(pages.arena)
    out = np.full(3, 12345, np.int32)
    with pytest.raises(PluginContractError, match=r"plug-in 'mine'.*want .* got ") as caught:
        of(pages, **{question: answer if question == "flags" else updater}).exchange(pairs, out=out)
    assert caught.value.plugin == "mine"
    assert out.tolist() == [EBADMSG] * 3
    assert differences(before, picture(pages.arena)) == []
    assert resting(pages.arena)
    assert pages.arena.exchange(pairs).ok


STAY = (
    "locked",
    "lru",
    "head",
    "waiters",
    "arch_1",
    "arch_2",
    "writeback",
    "hwpoison",
    "reserved",
    "node",
    "zone",
    "private_2",
)


@pytest.mark.parametrize("name", STAY)
@pytest.mark.parametrize("side", [0, 1])
def test_a_policy_that_touches_what_stays_is_refused_by_name(pages: Pages, name: str, side: int) -> None:
    """Set or cleared, on either frame, in one pair of three: that pair alone, its message names the bit."""
    bit = np.uint64(pages.arena.layout.masks()[name] & -pages.arena.layout.masks()[name])

    def touches(a: Any, b: Any) -> Any:
        new = [a.copy(), b.copy()]
        new[side][1] ^= bit
        return tuple(new)

    pairs = [pages.pair() for _ in range(3)]
    refused = pages.arena.frames[pairs[1]]
    entries = pages.arena.entries[pairs[1]]
    result = of(pages, flags=touches).exchange(pairs)
    assert result.status.tolist() == [0, EBADMSG, 0]
    assert result.touched == (name,)
    assert result.messages() == [
        f"pair 1 (pfn {pairs[1][0]} <-> {pairs[1][1]}): EBADMSG: the flag policy touched {name}, "
        "which the layout says stays with the frame"
    ]
    assert (pages.arena.frames[pairs[1]] == refused).all()
    assert (pages.arena.entries[pairs[1]] == entries).all()


def test_a_policy_gets_copies(pages: Pages) -> None:
    pair = pages.pair()
    before = pages.arena.flags[pair]

    def scribbles(a: Any, b: Any) -> Any:
        new = a.copy(), b.copy()
        a[:] = 0
        b[:] = 0
        return new

    assert of(pages, flags=scribbles).exchange([pair]).ok
    assert (pages.arena.flags[pair] == before).all()


# ---- mapping updaters ------------------------------------------------------------------------------------------------

FOUND: dict[str, Callable[[Any, Any], Any]] = {
    "nowhere": lambda offset, found: (offset * np.uint64(0), found),
    "outside the arena": lambda offset, found: (offset + np.uint64(1 << 50), found),
    "the end of the number line": lambda offset, found: (offset | np.uint64((1 << 64) - 8), found),
    "between two words": lambda offset, found: (offset + np.uint64(4), found),
    "the other page's slot": lambda offset, found: (offset[::-1].copy(), found),
    "another word of the node": lambda offset, found: (offset - offset % np.uint64(64), found),
    "another entry": lambda offset, found: (offset, found + np.uint64(4)),
    "an empty slot": lambda offset, found: (offset, found * np.uint64(0)),
}


@pytest.mark.parametrize("wrong", FOUND.values(), ids=FOUND)
def test_a_slot_that_does_not_hold_the_page_is_never_stored_to(pages: Pages, wrong: Any) -> None:
    from tests.core.test_exchange_statuses import slot_of

    def find(wanted: Any, arena: Any) -> Any:
        offset = np.array([slot_of(pages, int(w["mapping"]), int(w["index"])) for w in wanted], np.uint64)
        return wrong(offset, (wanted["pfn"].astype(np.uint64) + np.uint64(1)) << np.uint64(2))

    pair = pages.pair(("file", "file"))
    before = picture(pages.arena)
    result = of(pages, mapping=find).exchange([pair])
    if wrong is FOUND["the other page's slot"]:  # asked again, one by one, it is right
        assert result.ok
        assert pages.arena.exchange([pair]).ok
    else:
        assert result.refused == {"EUCLEAN": 1}
    assert differences(before, picture(pages.arena)) == []
    assert resting(pages.arena)


def test_a_word_outside_the_trees_is_no_slot_even_if_it_looks_like_one(pages: Pages) -> None:
    """A frame's contents are the user's: an entry found there must not be replaced by the core."""
    start = pages.arena.geometry()["frames"][0]
    spare = pages.page("raw", 0)

    def find(wanted: Any, arena: Any) -> Any:
        offset = start + spare * 4096 + 8 * np.arange(len(wanted))
        return offset.astype(np.uint64), (wanted["pfn"].astype(np.uint64) + np.uint64(1)) << np.uint64(2)

    pair = pages.pair(("file", "file"))
    pages.arena.frames[spare, :2] = (np.sort(pair) + 1) << 2
    before = picture(pages.arena)
    assert of(pages, mapping=find).exchange([pair]).refused == {"EUCLEAN": 1}
    assert differences(before, picture(pages.arena)) == []


STRAY = """
import sys
import numpy as np
from tests.core.pages import Pages, strategy
for part in Pages().arena.geometry():
    print(part, flush=True)
    pages = Pages()
    pairs = [pages.pair((a, b), order) for order in (0, 2) for a in ("file", "anon", "shmem") for b in ("file", "anon")]

    def stray(pieces, a, b):
        start, count, size = pages.arena.geometry()[part]
        pages.arena.memory[start : start + count * size] = int(sys.argv[1])
        pieces[a], pieces[b] = pieces[b], pieces[a]

    bound = strategy(pages.arena, data=stray, mode="async", timeout=0.05)
    for _ in range(2):
        try:
            bound.exchange(pairs)
        except Exception as error:
            print(type(error).__name__)
print("alive")
"""


@pytest.mark.parametrize("byte", [0, 1, 0x41, 0x80, 0xFF])
def test_whatever_is_overwritten_in_the_middle_of_an_exchange_the_process_lives(byte: int) -> None:
    """What lies in the arena may be wrong afterwards; the engine never follows it out of the arena."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", STRAY, str(byte)], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.stdout.split()[-1:] == ["alive"], done.stdout + done.stderr
