"""An exchange around its data step: locks, holders of the tree, the record, META frame by frame, counters by slot.

    ("word", frame)            references and owner, one word: ("free", references) or ("taken", slot), frozen and
                               locked by an exchange; ("called", slot), locked by another call
    ("page", frame)            identity of the page that is in the frame; ("dirty", frame), ("data", frame): what is its
    ("where", page)            the tree's slot of the page: a frame
    ("tree lock",)             one bit for each slot that holds the tree
    ("counter", slot, node)    dirty pages that the slot's owners have added to a node; the sum over slots counts
    ("state", slot)            the publish word; behind it lie ("pair", slot), ("mapping", slot), ("record", slot),
                               ("target", slot, node), ("log", slot)
    ("saves", slot), ("saved", slot, n)    the undo record of a call that changes a page under its lock

Two exchanges have a frame in common; or an exchange meets a call that makes one of its pages dirty.
"""

from typing import ClassVar

from tests.protocol.checker import Look, Model, Program, Thread, Word, at_once, cas, load, peek, store, until
from tests.protocol.slots import Slots, left_by_dead

PAGES = ("A", "B", "C")
REFERENCES = {"A": 1, "B": 2, "C": 3}
NODE = (0, 1, 1)  # of each frame
FRAMES = range(3)
IDLE, INTENT, DATA, META = "IDLE", "INTENT", "DATA", "META"


def unlocked_or_left(look: Look, frame: int) -> int | None:
    """-1: the frame is free; the slot of the dead that have it; None: wait."""
    kind, slot = look["word", frame]
    if kind == "free":
        return -1
    return slot if left_by_dead(look, slot) else None


def bit_set(look: Look, slot: int) -> tuple[None, Word, int]:
    return None, ("tree lock",), look["tree lock",] | 1 << slot


def bit_cleared(look: Look, slot: int) -> tuple[None, Word, int]:
    return None, ("tree lock",), look["tree lock",] & ~(1 << slot)


def one_more(look: Look, slot: int) -> tuple[None, Word, int]:
    return None, ("tree lock",), look["tree lock",] + 1


def one_less(look: Look, slot: int) -> tuple[None, Word, int]:
    return None, ("tree lock",), look["tree lock",] - 1


class Frames(Slots):
    works: ClassVar = {"exchange exchange": 1, "exchange call": 1, "exchange": 3}
    mistakes: ClassVar = {
        "counter added in META": "exchange",
        "holders counted, given back in recovery": "exchange",
        "holders counted, kept in recovery": "exchange",
        "tree held before the record names it": "exchange",
        "tree let go after IDLE": "exchange",
        "META done again on a frame without the mark": "exchange exchange",
        "a frame is let go before its page's place in the tree is stored": "exchange exchange",
        "the place in the tree is stored with the frame that the page leaves": "exchange exchange",
        "locked before INTENT is published": "exchange",
        "rolled back without a look at the mark": "exchange exchange",
        "DATA published before the record is complete": "exchange exchange",
        "flags changed without the page's lock": "exchange call",
        "a call's page is unlocked before the change counts": "exchange call",
    }

    def model(self, work: str = "exchange exchange", crashes: int = 2) -> Model:
        self.jobs = work.split()
        self.slots = tuple(range(len(self.jobs)))
        memory: dict[Word, object] = {("tree lock",): 0}
        for frame, page in enumerate(PAGES):
            memory |= {("word", frame): ("free", REFERENCES[page]), ("page", frame): page, ("data", frame): page}
            memory |= {("dirty", frame): page == "A", ("where", page): frame}
        for slot in self.slots:
            memory |= {("claim", slot): slot, ("state", slot): (IDLE, 0), ("pair", slot): (slot, slot + 1)}
            memory |= {
                ("mapping", slot): False,
                ("record", slot): (("C", "C"), (False, False)),
                ("log", slot): None,
                ("saves", slot): 0,
            }
            memory |= {("saved", slot, n): None for n in range(2)}
            memory |= {(what, slot, node): 0 for what in ("counter", "target") for node in range(2)}
        memory |= {("counter", 0, 0): 1, ("called",): False}
        threads = [Thread(p, self.live, (p, p, self.slots), self.live_again) for p in self.slots]
        return Model(memory, threads, self.always, self.at_rest, crashes)

    # ---- invariants ----

    def always(self, look: Look) -> str | None:
        for frame in FRAMES:
            kind, references = look["word", frame]
            if kind != "free":
                continue
            page = look["page", frame]
            if look["where", page] != frame:
                return f"frame {frame} is free, has page {page}, and the tree has it in frame {look['where', page]}"
            if look["data", frame] != page:
                return f"frame {frame} is free, has page {page}, and the data of {look['data', frame]}"
            if references != REFERENCES[page]:
                return f"frame {frame} is free, has page {page}, and the references of another one"
        return "the tree's lock is damaged" if look["tree lock",] < 0 else None

    def at_rest(self, look: Look) -> str | None:
        if any(look["word", frame][0] != "free" for frame in FRAMES):
            return "a frame stays locked"
        if look["tree lock",]:
            return "the tree stays held"
        if {look["page", frame] for frame in FRAMES} != set(PAGES):
            return "a page is lost"
        for node in range(2):
            counted = sum(look["counter", slot, node] for slot in self.slots)
            there = sum(look["dirty", frame] for frame in FRAMES if NODE[frame] == node)
            if counted != there:
                return f"node {node} counts {counted} dirty pages and has {there}"
        if not look["dirty", look["where", "A"]]:
            return "A is not dirty any more"
        if look["called",] and not look["dirty", look["where", "B"]]:
            return "B is not dirty any more"
        return None

    # ---- an exchange ----

    def work(self, me: int, slot: int) -> Program:
        if self.jobs[slot] == "call":
            yield from self.make_dirty(me, slot)
        else:
            yield from self.exchange(me, slot)

    def take(self, me: int, slot: int, frame: int, how: str = "taken") -> Program:
        """Lock a frame, waiting for whoever has it."""
        while True:
            left = yield until(unlocked_or_left, frame)
            if left >= 0:
                yield from self.finish_for(me, left)
                continue
            word = yield load(("word", frame))
            won = False
            if word[0] == "free":
                won = yield cas(("word", frame), word, (how, slot))
            if won:
                return

    def exchange(self, me: int, slot: int) -> Program:
        a, b = slot, slot + 1
        if self.mistake == "locked before INTENT is published":
            yield from self.take(me, slot, a)
            yield store(("state", slot), (INTENT, 0))
        else:
            yield store(("state", slot), (INTENT, 0))
            yield from self.take(me, slot, a)
        yield from self.take(me, slot, b)
        if self.mistake != "tree held before the record names it":
            yield store(("mapping", slot), True)
        yield from self.hold(slot)
        if self.mistake == "tree held before the record names it":
            yield store(("mapping", slot), True)
        if self.mistake == "DATA published before the record is complete":
            yield store(("state", slot), (DATA, 0))
        yield from self.write_record(slot, a, b)
        if self.mistake != "DATA published before the record is complete":
            yield store(("state", slot), (DATA, 0))
        yield from self.go_on(slot, a, b, 0)

    def hold(self, slot: int) -> Program:
        yield at_once(one_more if self.counts else bit_set, slot)

    def let_go(self, slot: int) -> Program:
        yield at_once(one_less if self.counts else bit_cleared, slot)

    @property
    def counts(self) -> bool:
        return self.mistake is not None and self.mistake.startswith("holders counted")

    def write_record(self, slot: int, a: int, b: int) -> Program:
        pages = yield peek(("page", a), ("page", b))
        dirty = yield peek(("dirty", a), ("dirty", b))
        yield store(("record", slot), (pages, dirty))
        for node in (0, 1):
            row = yield peek(("counter", slot, node))
            yield store(("target", slot, node), row + self.change(node, a, b, dirty))

    def change(self, node: int, a: int, b: int, dirty: tuple[bool, bool]) -> int:
        """What an exchange changes of a node's number of dirty pages."""
        return (dirty[1] - dirty[0]) * ((NODE[a] == node) - (NODE[b] == node))

    def go_on(self, slot: int, a: int, b: int, step: int) -> Program:
        """From a step of DATA, whose open chunk is to be done, to the end. One chunk of one word."""
        if step == 0:
            old = yield peek(("data", a))
            yield store(("log", slot), old)
            yield store(("state", slot), (DATA, 1))
        if step <= 1:
            new = yield peek(("data", b))
            yield store(("data", a), new)
            yield store(("state", slot), (DATA, 2))
        old = yield peek(("log", slot))
        yield store(("data", b), old)
        yield store(("state", slot), (META, 0))
        yield from self.apply(slot, a, b)

    def apply(self, slot: int, a: int, b: int) -> Program:
        """META: the counters' new rows, then for each frame with the mark all that belongs to it and its release."""
        pages, dirty = yield peek(("record", slot))
        for node in (0, 1):
            if self.mistake == "counter added in META":
                row = yield peek(("counter", slot, node))
                yield store(("counter", slot, node), row + self.change(node, a, b, dirty))
            else:
                row = yield peek(("target", slot, node))
                yield store(("counter", slot, node), row)
        for side in (0, 1):
            frame, page = (a, b)[side], pages[1 - side]
            word = yield load(("word", frame))
            if word != ("taken", slot) and self.mistake != "META done again on a frame without the mark":
                continue
            yield store(("dirty", frame), dirty[1 - side])
            yield store(("page", frame), page)
            if self.mistake == "the place in the tree is stored with the frame that the page leaves":
                yield store(("where", pages[side]), (b, a)[side])
            elif self.mistake != "a frame is let go before its page's place in the tree is stored":
                yield store(("where", page), frame)
            yield cas(("word", frame), ("taken", slot), ("free", REFERENCES[page]))
            if self.mistake == "a frame is let go before its page's place in the tree is stored":
                yield store(("where", page), frame)
        if self.mistake == "tree let go after IDLE":
            yield store(("state", slot), (IDLE, 0))
            yield from self.let_go(slot)
            return
        yield from self.let_go(slot)
        yield store(("state", slot), (IDLE, 0))

    # ---- recovery ----

    def recover(self, me: int, slot: int) -> Program:
        phase, step = yield peek(("state", slot))
        pair = yield peek(("pair", slot))
        if phase == INTENT:
            yield from self.roll_back(slot, pair)
        elif phase == DATA:
            a, b = pair
            yield from self.go_on(slot, a, b, step)
        elif phase == META:
            yield from self.apply(slot, *pair)
        yield from self.undo_call(slot)

    def roll_back(self, slot: int, pair: tuple[int, int]) -> Program:
        for frame in pair:
            word = yield load(("word", frame))
            if word == ("taken", slot) or self.mistake == "rolled back without a look at the mark":
                page = yield peek(("page", frame))
                yield store(("word", frame), ("free", REFERENCES[page]))
        named = yield peek(("mapping", slot))
        if named and self.mistake != "holders counted, kept in recovery":
            yield from self.let_go(slot)
        yield store(("state", slot), (IDLE, 0))

    # ---- a call that changes a page under its lock, with an undo record ----

    def make_dirty(self, me: int, slot: int) -> Program:
        locks = self.mistake != "flags changed without the page's lock"
        while True:
            frame = yield load(("where", "B"))
            if locks:
                yield from self.take(me, slot, frame, "called")
            page = yield load(("page", frame))
            if page == "B":
                break
            if locks:
                yield store(("word", frame), ("free", REFERENCES[page]))
        row = yield peek(("counter", slot, NODE[frame]))
        yield store(("saved", slot, 0), (("counter", slot, NODE[frame]), row))
        yield store(("saves", slot), 1)
        yield store(("counter", slot, NODE[frame]), row + 1)
        yield store(("saved", slot, 1), (("dirty", frame), False))
        yield store(("saves", slot), 2)
        yield store(("dirty", frame), True)
        early = self.mistake == "a call's page is unlocked before the change counts"
        if early:
            yield store(("word", frame), ("free", REFERENCES["B"]))
        yield store(("saves", slot), 0)
        if locks and not early:
            yield store(("word", frame), ("free", REFERENCES["B"]))
        yield store(("called",), True)

    def undo_call(self, slot: int) -> Program:
        """Put back what a call has saved, then unlock the frames that name the slot, found by a scan."""
        count = yield peek(("saves", slot))
        for n in range(count - 1, -1, -1):
            word, old = yield peek(("saved", slot, n))
            yield store(word, old)
            yield store(("saves", slot), n)
        for frame in FRAMES:
            word = yield load(("word", frame))
            if word == ("called", slot):
                page = yield peek(("page", frame))
                yield store(("word", frame), ("free", REFERENCES[page]))
