"""Changes of structure: under one lock, each word saved before it is stored to, so that a death in between undoes them.

    ("structure",)      the structure lock: None or a slot
    ("saves", slot)     how many words are saved: the publish word of the undo record; 0: the change counts
    ("saved", slot, n)  (word, what was there)
    ("tree", slot)      True while the slot's change may have the tree as its writer
    ("tree lock",)      bits: one for each slot that holds the tree, WRITER

Two writers change the same words, each word twice; or one changes while the other one holds the tree, as exchanges do.
"""

from typing import ClassVar

from tests.protocol.checker import Look, Model, Program, Thread, Word, cas, load, peek, store, until
from tests.protocol.slots import Slots, free_or_left, left_by_dead

WRITER = 1 << 63
CHANGES = (("x", 1), ("y", 1), ("x", 10), ("y", 10))


def free_of_holders(look: Look, slots: tuple[int, ...]) -> int | None:
    """-1 when nobody holds the tree; else the slot of a dead holder. None: wait."""
    word = look["tree lock",]
    if word == 0:
        return -1
    for slot in slots:
        if word >> slot & 1 and left_by_dead(look, slot):
            return slot
    return None


def free_of_writers(look: Look, me: int, slot: int) -> int | None:
    return free_or_left(look, ("structure",), me, slot) if look["tree lock",] & WRITER else -1


class Structure(Slots):
    works: ClassVar = {"change change": 2, "change hold": 2}
    mistakes: ClassVar = {
        "stored before it is saved": "change change",
        "number published before the word is saved": "change change",
        "undone in the order of the stores": "change change",
        "unlocked before the change counts": "change change",
        "unlocked before it is undone": "change change",
        "the number is left as it was after undoing": "change change",
        "counted down before the word is written back": "change change",
    }

    def model(self, work: str = "change change", crashes: int = 2) -> Model:
        self.jobs = work.split()
        self.slots = tuple(range(len(self.jobs)))
        memory: dict[Word, object] = {("structure",): None, ("tree lock",): 0, ("x",): 0, ("y",): 0}
        for slot in self.slots:
            memory |= {("claim", slot): slot, ("saves", slot): 0, ("tree", slot): False}
            memory |= {("state", slot): "IDLE"}
            memory |= {("saved", slot, n): (None, None) for n in range(len(CHANGES))}
        threads = [Thread(p, self.live, (p, p, self.slots), self.live_again) for p in self.slots]
        return Model(memory, threads, self.always, self.at_rest, crashes)

    def always(self, look: Look) -> str | None:
        if look["structure",] is None:
            if look["x",] != look["y",]:
                return "a change of structure is half done, and nobody has the lock"
            if look["tree lock",] & WRITER:
                return "a tree has a writer, and nobody has the structure lock"
        if look["tree lock",] & WRITER and look["tree lock",] != WRITER:
            return "a tree has a writer and a holder"
        return None

    def at_rest(self, look: Look) -> str | None:
        if look["structure",] is not None or look["tree lock",]:
            return "a lock is left"
        if any(look["saves", slot] or look["tree", slot] for slot in self.slots):
            return "an undo record is left"
        return None

    def work(self, me: int, slot: int) -> Program:
        if self.jobs[slot] == "hold":
            yield from self.hold(me, slot)
        else:
            yield from self.change(me, slot)

    def hold(self, me: int, slot: int) -> Program:
        yield store(("state", slot), "INTENT")
        while True:
            left = yield until(free_of_writers, me, slot)
            if left >= 0:
                yield from self.finish_for(me, left)
                continue
            word = yield load(("tree lock",))
            won = False
            if not word & WRITER:
                won = yield cas(("tree lock",), word, word | 1 << slot)
            if won:
                break
        yield from self.let_go(slot)

    def let_go(self, slot: int) -> Program:
        """Take the slot's bit away, whether or not it is there."""
        while True:
            word = yield load(("tree lock",))
            won = yield cas(("tree lock",), word, word & ~(1 << slot))
            if won:
                break
        yield store(("state", slot), "IDLE")

    def change(self, me: int, slot: int) -> Program:
        while True:
            yield from self.lock(me, slot, ("structure",))
            if "hold" not in self.jobs:
                break
            yield store(("tree", slot), True)
            won = yield cas(("tree lock",), 0, WRITER)
            if won:
                break
            yield store(("tree", slot), False)
            yield store(("structure",), None)
            left = yield until(free_of_holders, self.slots)
            if left >= 0:
                yield from self.finish_for(me, left)
        for n, (name, more) in enumerate(CHANGES):
            yield from self.put(slot, n, (name,), more)
        if self.mistake == "unlocked before the change counts":
            yield store(("structure",), None)
            yield store(("saves", slot), 0)
            return
        yield store(("saves", slot), 0)
        yield from self.unlock(slot)

    def put(self, slot: int, n: int, word: Word, more: int) -> Program:
        old = yield peek(word)
        if self.mistake == "stored before it is saved":
            yield store(word, old + more)
        if self.mistake == "number published before the word is saved":
            yield store(("saves", slot), n + 1)
        yield store(("saved", slot, n), (word, old))
        if self.mistake != "number published before the word is saved":
            yield store(("saves", slot), n + 1)
        if self.mistake != "stored before it is saved":
            yield store(word, old + more)

    def unlock(self, slot: int) -> Program:
        named = yield peek(("tree", slot))
        if named:
            word = yield peek(("tree lock",))
            if word & WRITER:
                yield store(("tree lock",), 0)
            yield store(("tree", slot), False)
        yield store(("structure",), None)

    def recover(self, me: int, slot: int) -> Program:
        mine = yield load(("structure",))
        if mine == slot:
            if self.mistake == "unlocked before it is undone":
                yield store(("structure",), None)
            yield from self.undo(slot)
            yield from self.unlock(slot)
        phase = yield peek(("state", slot))
        if phase == "INTENT":
            yield from self.let_go(slot)

    def undo(self, slot: int) -> Program:
        count = yield peek(("saves", slot))
        if self.mistake == "undone in the order of the stores":
            for n in range(count):
                word, old = yield peek(("saved", slot, n))
                yield store(word, old)
            yield store(("saves", slot), 0)
            return
        for n in range(count - 1, -1, -1):
            if self.mistake == "counted down before the word is written back":
                yield store(("saves", slot), n)
            word, old = yield peek(("saved", slot, n))
            yield store(word, old)
            if self.mistake != "the number is left as it was after undoing":
                yield store(("saves", slot), n)
