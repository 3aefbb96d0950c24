"""For each clause a plug-in that breaks it and nothing else. Run by test_broken.py; not collected by itself.

Many misbehave only in calls of a certain length, or for one kind of page, so that one clause alone can see it. Some
look into the engine's own variables: what they do is not possible otherwise, and the suite must see it all the same.
"""

import ctypes
import dataclasses
import errno
import struct
import sys
import threading
import time
from types import FrameType
from typing import Any

import numpy as np
import pytest

from pagexchange import Arena
from pagexchange.errors import PluginError
from pagexchange.host.discovery import Registry
from pagexchange.host.read import load
from pagexchange.oracle.format import FREE, read
from pagexchange.testing import (
    DataMoverContract,
    FlagPolicyContract,
    MappingUpdaterContract,
    PairingContract,
    StrategyContract,
)
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.candidates.partners import entry_of, slot_of, swapped
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.movers.temp_page import TempPage
from pagexchange_native.movers.word_swap import WordSwap

# ---- flags ----------------------------------------------------------------------------------------------------------


class Flags(FlagPolicyContract):
    """A right policy; subclasses spoil what it returns."""

    def make(self, arena) -> Any:
        self.layout = arena.layout
        calls = 0

        def policy(a, b):
            nonlocal calls
            calls += 1
            new_a, new_b = swapped(arena.layout, a, b)
            self.spoil(a, b, new_a, new_b, calls)
            return new_a, new_b

        return policy

    def spoil(self, a, b, new_a, new_b, calls): ...

    def bit(self, name):
        return np.uint64(self.layout.flag(name).mask)

    def never_exchanged(self, words):
        """A page in the swap cache: the engine refuses it, so that no exchange shows what happens to its flags."""
        both = self.bit("swapcache") | self.bit("swapbacked")
        return words & both == both


class TestRightPolicy(Flags):
    breaks = ()


class TestForgetsAFlag(Flags):
    """As someone who wrote a list of flags: wrong by itself and in every exchange."""

    breaks = ("flags-swap-what-swaps", "the-flags-move")

    def spoil(self, a, b, new_a, new_b, calls):
        bit = self.bit("workingset")
        new_a[:] = new_a & ~bit | a & bit
        new_b[:] = new_b & ~bit | b & bit


class TestForgetsAFlagOfFour(Flags):
    breaks = ("the-flags-move",)

    def spoil(self, a, b, new_a, new_b, calls):
        if len(a) == 4:
            bit = self.bit("workingset")
            new_a[:] = new_a & ~bit | a & bit
            new_b[:] = new_b & ~bit | b & bit


class TestForgetsWhatNoExchangeShows(Flags):
    breaks = ("flags-swap-what-swaps",)

    def spoil(self, a, b, new_a, new_b, calls):
        for new, old in ((new_a, b), (new_b, a)):
            new[self.never_exchanged(old)] &= ~self.bit("workingset")


class TestForgetsNewFlags(Flags):
    """Written for the layouts of its day."""

    breaks = ("a-flag-nobody-knew-moves",)

    def spoil(self, a, b, new_a, new_b, calls):
        if len(a) == 4 and "added_later" in self.layout:
            new_a[:] = new_a & ~self.bit("added_later") | a & self.bit("added_later")


class TestForgetsNewFlagsOfLargePages(Flags):
    breaks = ("a-flag-nobody-knew-moves",)

    def spoil(self, a, b, new_a, new_b, calls):
        if len(a) == 2 and "added_later" in self.layout:
            new_a[:] = new_a & ~self.bit("added_later") | a & self.bit("added_later")


class TestMovesWhatStays(Flags):
    breaks = ("flags-leave-what-stays",)

    def spoil(self, a, b, new_a, new_b, calls):
        new_a[self.never_exchanged(b)] ^= self.bit("arch_1")
        new_b[self.never_exchanged(a)] ^= self.bit("arch_1")


class TestRemembers(Flags):
    breaks = ("flags-follow-the-words-alone",)

    def spoil(self, a, b, new_a, new_b, calls):
        if calls > 2:
            new_a[self.never_exchanged(b)] &= ~self.bit("workingset")


class TestFailsOneByOne(Flags):
    breaks = ("flags-follow-the-words-alone",)

    def spoil(self, a, b, new_a, new_b, calls):
        if len(a) == 1 and self.never_exchanged(b).any():
            raise ZeroDivisionError("one word")


class TestAnswersWithOneArray(Flags):
    breaks = ("flags-follow-the-words-alone",)

    def make(self, arena):
        right = super().make(arena)

        def policy(a, b):
            both = right(a, b)
            return both[0] if len(a) == 1 and self.never_exchanged(b).any() else both

        return policy


class TestAnswersInAnotherType(Flags):
    breaks = ("flags-follow-the-words-alone",)

    def make(self, arena):
        right = super().make(arena)
        calls = 0

        def policy(a, b):
            nonlocal calls
            calls += 1
            spoilt = calls == 3 and self.never_exchanged(b).any()
            return tuple(words.astype(np.int64) if spoilt else words for words in right(a, b))

        return policy


class TestPrefersOneFrame(Flags):
    breaks = ("flags-treat-both-frames-alike",)
    expect = "loses"

    def spoil(self, a, b, new_a, new_b, calls):
        new_a[:] = new_a & ~self.bit("workingset")


class TestLosesNothingAndSaysItDoes(Flags):
    breaks = ("the-declaration-is-true",)
    expect = "loses"


class TestExchangesAndSaysItRefuses(Flags):
    breaks = ("the-declaration-is-true",)
    expect = "refused"


# ---- data -----------------------------------------------------------------------------------------------------------


class Data(DataMoverContract):
    """A right mover; subclasses do something besides. `arena` is None in direct calls."""

    def make(self, arena) -> Any:
        self.arena: Any = arena if isinstance(arena, Arena) else None
        self.calls: list[list[int]] = []

        def move(pieces, a, b):
            self.calls.append(a.tolist())
            self.move(pieces, a, b)
            self.besides(pieces, a, b)

        return move

    def move(self, pieces, a, b):
        pieces[a], pieces[b] = pieces[b], pieces[a]

    def besides(self, pieces, a, b):
        if self.arena is not None and len(a) == 4:
            self.spoil(pieces, a, b)

    def spoil(self, pieces, a, b): ...

    def kinds(self, pfns):
        """Tagged mapping words of frames."""
        return self.arena.entries["mapping"][np.asarray(pfns)]

    def orders(self, order):
        """Whether there is a page of an order."""
        return (self.arena.entries["order"] == order).any()


class TestRightMover(Data):
    breaks = ()


class TestForgetsTheLastByte(Data):
    breaks = ("data-exchanges-every-byte",)

    def besides(self, pieces, a, b):
        if self.arena is None and len(a) == 2:
            pieces.view(np.uint8)[a[-1], -1] ^= 1


class TestFailsInDirectCalls(Data):
    """No mistake of the suite's: it is the clause that is broken."""

    breaks = ("data-exchanges-every-byte", "data-touches-nothing-else")

    def besides(self, pieces, a, b):
        if self.arena is None and len(a) == 15:
            raise SystemExit("fifteen are too many")


class TestSkipsEqualWords(Data):
    """Whose first words are equal are taken for equal."""

    breaks = ("data-exchanges-every-byte",)
    words = slice(1)

    def move(self, pieces, a, b):
        if self.arena is None and len(a) == 7:
            other = (pieces[a, self.words] != pieces[b, self.words]).any(axis=1)
            a, b = a[other], b[other]
        super().move(pieces, a, b)


class TestSkipsEqualCacheLines(TestSkipsEqualWords):
    words = slice(8)


class TestSkipsEqualEnds(TestSkipsEqualWords):
    words = slice(504, None)


class TestWritesToAnotherRow(Data):
    breaks = ("data-touches-nothing-else",)

    def besides(self, pieces, a, b):
        if self.arena is None and len(a) == 1:
            pieces[0, 0] ^= np.uint64(1)


class TestSharesAScratch(Data):
    breaks = ("data-serves-two-threads",)
    scratch = np.zeros((16, 512), np.uint64)  # rows of the largest pieces

    def move(self, pieces, a, b):
        if self.arena is not None:
            super().move(pieces, a, b)
            return
        n = len(a)
        self.scratch[:n, : pieces.shape[1]] = pieces[a]
        time.sleep(0.001)
        pieces[a] = pieces[b]
        pieces[b] = self.scratch[:n, : pieces.shape[1]]


class TestFailsInTwoThreads(Data):
    breaks = ("data-serves-two-threads",)

    def besides(self, pieces, a, b):
        if self.arena is None and threading.current_thread() is not threading.main_thread():
            raise ValueError("not the main thread")


class TestDescribesInNumbers(Data):
    breaks = ("data-says-what-it-chose",)

    def make(self, arena):
        right = super().make(arena)

        class Mover:
            def __call__(self, pieces, a, b):
                right(pieces, a, b)

            def describe(self):
                return {"frames": 0}

        return Mover()


class TestRaisesForSomeArenas(Data):
    breaks = ("a-plug-in-serves-or-declines",)

    def make(self, arena):
        if arena.page_size == 65536:
            raise ZeroDivisionError("half a page")
        return super().make(arena)


class TestDeclinesSomeArenas(Data):
    """No fault: it says so, in either way."""

    breaks = ()

    def make(self, arena):
        if arena.page_size == 65536:
            raise PluginError("serves no frames of 64 KiB")
        return super().make(arena) if arena.page_size == 4096 else None


class TestFailsForSomePages(Data):
    breaks = ("every-pair-is-exchanged",)

    def spoil(self, pieces, a, b):
        if self.arena.layout.name == "linux-5.0" and (self.kinds(b) == 0).any():
            raise ValueError("a page without a mapping")


class TestFailsForThree(Data):
    """So many are left when one of four is busy."""

    breaks = ("waiting-is-asked-for",)

    def besides(self, pieces, a, b):
        if self.arena is not None and len(a) == 3 and threading.current_thread() is threading.main_thread():
            raise ValueError("three pages")


class TestComesBackToEarlierPages(Data):
    """What the engine has compared already is written to in a later call."""

    breaks = ("the-contents-move",)

    def besides(self, pieces, a, b):
        shmem = 3 << 2
        if self.arena is not None and len(self.calls) > 1 and len(a) == 16 and (self.kinds(b) == shmem).any():
            pieces[self.calls[-2][0], 0] ^= np.uint64(1)


class TestMakesPagesReadOnly(Data):
    breaks = ("the-identity-moves",)

    def spoil(self, pieces, a, b):
        entries = read(self.arena).tables["pte"]["pte"]
        table, slot = (int(where[0]) for where in np.nonzero(entries))
        entries[table, slot] ^= np.uint64(1 << 9)


def miscount(arena):
    """Change what the exchange that is under way counts of shared memory on node 0, in its own slot."""
    slots = read(arena).slots
    slots["counter"][slots["state"] != 0, 1] ^= np.int64(1 << 20)


class TestMiscounts(Data):
    breaks = ("the-counts-move",)

    def spoil(self, pieces, a, b):
        miscount(self.arena)


class TestMarksTheFrame(Data):
    breaks = ("the-frame-keeps-its-own",)

    def spoil(self, pieces, a, b):
        self.arena.entries["flags"][a[0]] ^= np.uint64(self.arena.layout.flag("arch_1").mask)


class TestLocksABystander(Data):
    breaks = ("nothing-stays-held",)

    def spoil(self, pieces, a, b):
        self.arena.entries["owner"][0] ^= np.uint32(3)


class TestWritesToABystander(Data):
    breaks = ("nothing-else-changes",)

    def spoil(self, pieces, a, b):
        pieces[0, 0] ^= np.uint64(1)


class TestWritesToAFreeFrame(Data):
    breaks = ("nothing-else-changes",)

    def spoil(self, pieces, a, b):
        free = np.flatnonzero(self.arena.entries["state"] == FREE)
        if len(free):
            pieces[free[-1] * (self.arena.page_size // 8 // pieces.shape[1]), 0] ^= np.uint64(1)


class TestWritesToPadding(Data):
    breaks = ("nothing-else-changes",)

    def spoil(self, pieces, a, b):
        read(self.arena).nodes["pad1"][0, 0] ^= np.uint64(1)


class TestKnowsNoLargePagesOfOldLayouts(Data):
    breaks = ("nothing-else-changes",)

    def besides(self, pieces, a, b):
        if self.arena is not None and self.arena.layout.name == "linux-5.0" and self.orders(9):
            pieces[0, 0] = 1


class TestMindsTheMode(Data):
    """Possible only by a look at the caller: a plug-in is not told."""

    breaks = ("nothing-else-changes",)

    def besides(self, pieces, a, b):
        if self.arena is not None and self.orders(1) and getattr(_of_caller("self"), "mode", "") == "sync":
            pieces[0, 0] = 1


class TestWritesToARefusedPage(Data):
    breaks = ("a-refused-pair-is-as-it-was",)

    def besides(self, pieces, a, b):
        if self.arena is not None:
            broken = self.arena.flags & np.uint64(self.arena.layout.flag("hwpoison").mask)
            pieces[np.flatnonzero(broken), 0] ^= np.uint64(1)


class TestWritesAStatus(Data):
    """Possible only from within the caller: the engine writes every status itself."""

    breaks = ("a-status-for-every-pair",)

    def besides(self, pieces, a, b):
        result = _of_caller("result")
        if result is not None and (result.status == -errno.EFAULT).any():
            status = result.status
            status[np.flatnonzero(status == 0)[:1]] = 7


class TestRemembersAList(Data):
    breaks = ("twice-is-the-identity",)

    def spoil(self, pieces, a, b):
        if self.calls.count(a.tolist()) == 2:
            pieces[0, 0] ^= np.uint64(1)


class TestFailsTheSecondTime(Data):
    breaks = ("twice-is-the-identity",)

    def spoil(self, pieces, a, b):
        if self.calls.count(a.tolist()) == 2:
            raise ValueError("the same list again")


class TestKnowsWhoIsFirst(Data):
    """Possible only by a look at the caller's list: the engine hands over the lower frame first."""

    breaks = ("either-way-round-is-the-same",)

    def spoil(self, pieces, a, b):
        result = _of_caller("result")
        if result is not None and result._pairs[0, 0] < result._pairs[0, 1]:
            pieces[0, 0] ^= np.uint64(1)


class TestDislikesSix(Data):
    breaks = ("a-batch-equals-its-pairs",)

    def besides(self, pieces, a, b):
        if self.arena is not None and len(a) == 6:
            pieces[0, 0] ^= np.uint64(1)


class TestDislikesOddLists(Data):
    breaks = ("a-batch-equals-its-pairs",)

    def besides(self, pieces, a, b):
        if self.arena is not None and len(a) == 11:
            pieces[0, 0] ^= np.uint64(1)


class TestMiscountsSix(Data):
    breaks = ("a-batch-equals-its-pairs",)

    def besides(self, pieces, a, b):
        if self.arena is not None and len(a) == 6:
            miscount(self.arena)


class TestMindsTheThread(Data):
    breaks = ("threads-change-nothing",)

    def besides(self, pieces, a, b):
        if self.arena is not None and threading.current_thread() is not threading.main_thread():
            pieces[0, 0] = 1


class TestFailsInThreads(Data):
    breaks = ("threads-change-nothing",)

    def besides(self, pieces, a, b):
        if self.arena is not None and threading.current_thread() is not threading.main_thread():
            raise ValueError("not the main thread")


class TestBorrowsAFrame(Data):
    """Somebody else's page is its scratch; it is put back, and everything is right in the end."""

    breaks = ("a-reader-sees-its-own-page",)

    def move(self, pieces, a, b):
        if self.arena is None or len(a) != 8:
            super().move(pieces, a, b)
            return
        files = np.flatnonzero((self.kinds(range(64)) > 1) & (self.kinds(range(64)) & np.uint64(3) == 0))
        borrowed = np.setdiff1d(files, np.concatenate([a, b]))[0]
        held = pieces[borrowed].copy()
        pieces[borrowed] = pieces[a[0]]
        time.sleep(0.002)
        super().move(pieces, a, b)
        pieces[borrowed] = held


class TestFailsWhileOthersRead(Data):
    breaks = ("a-reader-sees-its-own-page",)

    def besides(self, pieces, a, b):
        if _readers():
            raise ValueError("somebody reads")


class TestHidesPages(Data):
    """What it writes to the trees is put back, and everything is right in the end."""

    breaks = ("a-reader-sees-its-own-page",)
    instead = 0

    def move(self, pieces, a, b):
        if not _readers():
            super().move(pieces, a, b)
            return
        slots = read(self.arena).xanodes["slot"]
        held = slots.copy()
        slots[(held != 0) & (held & np.uint64(3) == 0)] = self.instead
        time.sleep(0.002)
        super().move(pieces, a, b)
        slots[:] = held


class TestPointsOutside(TestHidesPages):
    """The reader's own call fails: there is no such frame."""

    instead = entry_of(1 << 24)


class TestTakesAFrameInPlace(Data):
    breaks = ("in-place-takes-no-frame",)

    def besides(self, pieces, a, b):
        if self.arena is not None and len(a) == 8:
            self.arena.free(self.arena.alloc(0, 1))


class TestTakesNoFrameAndSaysItDoes(DataMoverContract):
    breaks = ("what-is-taken-is-shown",)

    def make(self):
        class Mover(WordSwap):
            @property
            def log(self):
                return "temp"

            def move_rows(self, a, b, temp=None, record=None):
                TempPage().move_rows(a, b, temp, record)

        return Mover()


class TestWritesNoLog(DataMoverContract):
    breaks = ("a-stopped-mover-can-be-finished",)

    def make(self):
        class Mover(WordSwap):
            def move_rows(self, a, b, temp=None, record=None):
                for left, right in zip(a, b, strict=True):
                    left ^= right
                    right ^= left
                    left ^= right

        return Mover()


class TestWritesNoLogInAnArena(DataMoverContract):
    breaks = ("a-dead-process-is-finished",)

    def make(self):
        class Mover(WordSwap):
            def move_rows(self, a, b, temp=None, record=None):
                WordSwap().move_rows(a, b, temp, record)

        mover = Mover()
        replace_move(mover, unlogged)
        return mover


class Move(ctypes.Structure):
    """A `pgx_move`."""

    _fields_ = (
        ("a", ctypes.c_void_p), ("b", ctypes.c_void_p), ("temp", ctypes.c_void_p), ("bytes", ctypes.c_uint64),
        ("pair", ctypes.c_uint64),
    )  # fmt: skip


@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Move), ctypes.c_size_t, ctypes.c_void_p)
def unlogged(ctx, moves, n, log):
    """Exchanges whole folios by way of private memory."""
    for i in range(n):
        kept = ctypes.string_at(moves[i].a, moves[i].bytes)
        ctypes.memmove(moves[i].a, moves[i].b, moves[i].bytes)
        ctypes.memmove(moves[i].b, kept, moves[i].bytes)


def replace_move(mover, function):
    """Puts another function into a mover's table, which nothing but compiled code can do otherwise."""
    size = 16 + 4 * ctypes.sizeof(ctypes.c_void_p)
    head = struct.pack("II", 2, size)  # the ABI, and the table's size
    found = ctypes.string_at(id(mover), type(mover).__basicsize__).find(head)
    assert found > 0
    place = id(mover) + found + size - ctypes.sizeof(ctypes.c_void_p)
    ctypes.c_void_p.from_address(place).value = ctypes.cast(function, ctypes.c_void_p).value


class TestRightNativeMover(DataMoverContract):
    breaks = ()

    def make(self) -> DataMover:
        return WordSwap()


def _of_caller(name):
    """A variable of the function that called the engine."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_qualname == "Strategy.exchange":
            return frame.f_locals.get(name)
        frame = frame.f_back
    return None


def _readers():
    """Whether threads of the suite read pages just now."""
    return any(thread.daemon and type(thread).__name__ == "_Reader" for thread in threading.enumerate())


# ---- mapping --------------------------------------------------------------------------------------------------------


class Mapping(MappingUpdaterContract):
    """A right updater; subclasses spoil its answer. `direct` in calls without an exchange."""

    def make(self, arena):
        direct = len(arena.nodes) == 1

        def find(pages, arena):
            raw = read(arena)
            rows = [slot_of(raw, int(page["mapping"]), int(page["index"])) for page in pages]
            offset, entries = np.array(rows, dtype=np.uint64).reshape(-1, 2).T.copy()
            if direct:
                self.spoil(arena, pages, offset, entries)
            return offset, entries

        return find

    def spoil(self, arena, pages, offset, entries): ...


class TestRightUpdater(Mapping):
    breaks = ()


class TestDoesNotSeeFar(Mapping):
    breaks = ("mapping-finds-the-slot",)

    def spoil(self, arena, pages, offset, entries):
        offset[(pages["index"] >= 1 << 35) & (pages["index"] <= 1 << 36)] = 0


class TestDoesNotSeeVeryFar(Mapping):
    breaks = ("mapping-finds-the-slot",)

    def spoil(self, arena, pages, offset, entries):
        offset[pages["index"] > 1 << 45] = 0


class Remembers(Mapping):
    """From call to call, what it should look up each time."""

    def make(self, arena):
        self.known: dict[Any, Any] = {}
        return super().make(arena)


class TestRemembersPlaces(Remembers):
    breaks = ("mapping-finds-the-slot",)

    def spoil(self, arena, pages, offset, entries):
        for i, page in enumerate(pages[["mapping", "index"]].tolist()):
            offset[i] = self.known.setdefault(page, offset[i])


class TestRemembersPages(Remembers):
    breaks = ("mapping-misses-what-is-gone",)

    def spoil(self, arena, pages, offset, entries):
        for i, page in enumerate(pages[["mapping", "index"]].tolist()):
            entries[i] = entries[i] or self.known.get(page, 0)
            self.known[page] = entries[i]


class TestRemembersLists(Remembers):
    """As a cache does whose key is too short."""

    breaks = ("mapping-answers-in-any-order",)

    def spoil(self, arena, pages, offset, entries):
        if len(pages) > 2:
            offset[:] = self.known.setdefault(len(pages), offset.copy())


class TestFailsForNoPage(Mapping):
    breaks = ("mapping-answers-in-any-order",)

    def spoil(self, arena, pages, offset, entries):
        if not len(pages):
            raise IndexError("no page")


class TestStores(Mapping):
    breaks = ("mapping-stores-nothing",)

    def spoil(self, arena, pages, offset, entries):
        arena.frames[0, 0] += np.uint64(1)


class TestStoresInTheHeader(Mapping):
    breaks = ("mapping-stores-nothing",)

    def spoil(self, arena, pages, offset, entries):
        read(arena).header["uuid"] = b"another"


class TestEchoes(Mapping):
    breaks = ("mapping-misses-what-is-gone",)

    def spoil(self, arena, pages, offset, entries):
        entries[:] = [entry_of(int(pfn)) for pfn in pages["pfn"]]


class TestAnswersNoPageInAnotherType(Mapping):
    """As NumPy does where nobody says which."""

    breaks = ("mapping-answers-in-any-order",)

    def make(self, arena):
        right = super().make(arena)
        return lambda pages, arena: right(pages, arena) if len(pages) else (np.array([]), np.array([]))


class TestAnswersEachPageOnce(Mapping):
    breaks = ("mapping-answers-in-any-order",)

    def spoil(self, arena, pages, offset, entries):
        again = np.append(False, pages[1:] == pages[:-1])
        offset[again] = 0


# ---- pairings -------------------------------------------------------------------------------------------------------


class Pairing(PairingContract):
    """A right pairing, of any blocks; subclasses spoil its answer."""

    def make(self, arena):
        def pairing(view):
            n = min(view.limit, len(view.fast), 20)
            pairs = np.array([view.slow[:n], view.fast[:n]], np.int64).T.copy()
            return self.spoil(arena, view, pairs)

        return pairing

    def spoil(self, arena, view, pairs):
        return pairs


class TestRightPairing(Pairing):
    breaks = ()


class TestPairsTheWrongWayRound(Pairing):
    breaks = ("pairing-keeps-to-its-sides",)

    def spoil(self, arena, view, pairs):
        return pairs[:, ::-1].copy()


class TestPairsOneBlockTwice(Pairing):
    breaks = ("pairing-keeps-to-its-sides",)

    def spoil(self, arena, view, pairs):
        pairs[-1, 1] = pairs[0, 1]
        return pairs


class TestPairsMoreThanItMay(Pairing):
    breaks = ("pairing-keeps-to-its-sides",)

    def spoil(self, arena, view, pairs):
        return np.array([view.slow[:8], view.fast[:8]], np.int64).T.copy()


class TestPairsInAnotherType(Pairing):
    breaks = ("pairing-keeps-to-its-sides",)

    def spoil(self, arena, view, pairs):
        return pairs.tolist()


class TestRemembersHowOftenItWasAsked(Pairing):
    breaks = ("pairing-follows-the-view-alone",)

    def make(self, arena):
        right, asked = super().make(arena), [0]

        def pairing(view):
            asked[0] += 1
            return right(view)[asked[0] % 2 :]

        return pairing


class TestPairingMovesWhatItPairs(Pairing):
    breaks = ("pairing-changes-nothing",)

    def spoil(self, arena, view, pairs):
        arena.frames[pairs[0], 0] += np.uint64(1)
        return pairs


# ---- strategies -----------------------------------------------------------------------------------------------------


class TestRightStrategy(StrategyContract):
    breaks = ()
    strategy = "list-exchange"


class _NeverWaits(Candidate):
    def build(self, arena, *, mode="async", timeout=None):
        return super().build(arena)


class TestNeverWaits(StrategyContract):
    """No plug-in can: it is asked when all locks are held. So here the mode is lost on the way."""

    breaks = ("waiting-is-asked-for",)
    strategy = "list-exchange"

    @pytest.fixture(scope="class")
    def candidate(self):
        return _NeverWaits("never-waits", load().strategy(self.strategy), Registry())


# ---- engine ---------------------------------------------------------------------------------------------------------


def altered(result, status=None, frames_asked=None, frames_got=None):
    """A copy of a result that says something else."""
    restore, (kind, about, pairs, own, numbers) = result.__reduce__()
    said = list(numbers)
    for place, value in ((2, frames_asked), (3, frames_got)):
        if value is not None:
            said[place] = value
    return restore(kind, about, pairs, own if status is None else status, tuple(said))


@dataclasses.dataclass(frozen=True)
class _Meddled(Candidate):
    meddle: Any = None

    def build(self, arena, *, mode="async", timeout=None):
        strategy = super().build(arena, mode=mode, timeout=timeout)
        right = strategy.exchange

        def exchange(pairs, **how):
            result = right(pairs, **how)
            other = self.meddle(arena, pairs, result, how)
            return result if other is None else other  # a result with refused pairs is false

        strategy.exchange = exchange  # type: ignore[method-assign]
        return strategy


class Engine(StrategyContract):
    """A wrong engine under right plug-ins: they cannot do this, since it alone writes statuses and counts."""

    strategy = "list-exchange"

    @pytest.fixture(scope="class")
    def candidate(self):
        return _Meddled("meddled", load().strategy(self.strategy), Registry(), meddle=self.meddle)

    def meddle(self, arena, pairs, result, how): ...

    def poisoned(self, arena):
        """Only where each reason to refuse is tried."""
        return (arena.flags & np.uint64(arena.layout.flag("hwpoison").mask)).any()


class TestRightEngine(Engine):
    breaks = ()


class TestResultIsOfOtherStatuses(Engine):
    breaks = ("a-status-for-every-pair",)

    def meddle(self, arena, pairs, result, how):
        other = result.status.copy()
        if (other == -errno.EFAULT).sum() > 2:
            other[0] = 0
        return altered(result, status=other)


class TestRefusesForAnotherReason(Engine):
    breaks = ("a-refused-pair-is-as-it-was",)

    def meddle(self, arena, pairs, result, how):
        if self.poisoned(arena):
            result.status[result.status == -errno.EBUSY] = -errno.ENOENT


class TestSaysItRefusedWhatItExchanged(Engine):
    breaks = ("a-refused-pair-is-as-it-was",)

    def meddle(self, arena, pairs, result, how):
        if self.poisoned(arena):
            result.status[0] = -errno.EAGAIN


class TestSaysItExchangedARepeatedPair(Engine):
    breaks = ("a-batch-equals-its-pairs",)

    def meddle(self, arena, pairs, result, how):
        if not self.poisoned(arena):
            result.status[result.status == -errno.EINVAL] = 0


class TestSaysThatThreadsWereRefused(Engine):
    breaks = ("threads-change-nothing",)

    def meddle(self, arena, pairs, result, how):
        if (how.get("threads") or 1) > 1:
            result.status[-1] = -errno.EAGAIN


class TestLeavesBehindWhatTailsSayOfThePage(Engine):
    breaks = ("the-flags-move",)

    def meddle(self, arena, pairs, result, how):
        swap = np.uint64(arena.layout.tail_mask("swap"))
        for a, b in np.asarray(pairs)[result.status == 0].tolist():
            order = int(arena.entries["order"][a])
            if order > 1:
                x, y = arena.flags[a + 1], arena.flags[b + 1]
                differ = (x ^ y) & swap
                arena.flags[a + 1], arena.flags[b + 1] = x ^ differ, y ^ differ


class TestMovesWhatTailsSayOfTheFrame(Engine):
    breaks = ("the-frame-keeps-its-own",)

    def meddle(self, arena, pairs, result, how):
        stay = np.uint64(arena.layout.flag("uptodate").mask)
        for a, b in np.asarray(pairs)[result.status == 0].tolist():
            order = int(arena.entries["order"][a])
            if order > 1:
                x, y = arena.flags[a + 1], arena.flags[b + 1]
                differ = (x ^ y) & stay
                arena.flags[a + 1], arena.flags[b + 1] = x ^ differ, y ^ differ


class TestSaysItTookFrames(Engine):
    breaks = ("in-place-takes-no-frame",)

    def meddle(self, arena, pairs, result, how):
        return altered(result, frames_asked=1)


class TestSaysItTookNoFrames(Engine):
    breaks = ("what-is-taken-is-shown",)
    strategy = "copy-page"

    def meddle(self, arena, pairs, result, how):
        return altered(result, frames_got=0)


class TestKeepsAFrame(Engine):
    breaks = ("what-is-taken-is-shown",)
    strategy = "copy-page"

    def meddle(self, arena, pairs, result, how):
        if len(pairs) == 4 and arena.frame(int(pairs[0, 0])).order == 1 and arena.nodes[0]["free"]:
            arena.alloc(0, 1)
