"""A migration: a free frame under the record, the page frozen, copied, published, what it left freed; or back.

    ("word", frame)            references and owner, one word: ("free", references); ("locked", slot, references), as a
                               frame that was taken is; ("taken", slot), frozen and locked by an exchange
    ("used", frame), ("page", frame), ("data", frame)    state, identity and contents: the page is "A"
    ("where",)                 what leads to the page: the slot of its tree, or its page-table entry
    ("node",)                  the lock of a node, here one for all frames; ("head",), ("next", frame), ("free",)
    ("temp", slot)             the free frame that the record names for the pair
    ("state", slot)            IDLE, INTENT, (DATA, step), META; behind it ("pair", slot), ("record", slot): the
                               page that moves, ("log", slot)
    ("node saves", slot), ("node saved", slot, n)    the undo record of a section of the allocator, see `sections.py`
    ("pin", slot)              a reference by `get`

Slots "migrate" the page from where they have seen it last, "write" to it under a reference by `get`, or "have" what is
in the frame where they have seen it for a moment, as an exchange that is refused.
"""

from typing import ClassVar

from tests.protocol.checker import Look, Model, Program, Thread, Word, cas, choose, load, peek, store
from tests.protocol.sections import FRAMES, WORDS, Sections, free_list, wrong_list

IDLE, INTENT, DATA, META = "IDLE", "INTENT", "DATA", "META"
REFERENCES = {"A": 2, None: 1}


class Migration(Sections):
    works: ClassVar = {"migrate": 3, "migrate migrate": 0, "migrate write": 1, "migrate have": 1}
    mistakes: ClassVar = {
        "the frame that the page left is freed before the page is found in its new one": "migrate",
        "the record is cleared before that frame is freed": "migrate",
        "IDLE before that frame is freed": "migrate",
        "that frame is let go before it is freed": "migrate have",
        "the free frame is named after it was taken": "migrate",
        "the free frame is not locked": "migrate write",
        "the page is not frozen": "migrate write",
        "pins are looked at before the freeze": "migrate write",
        "put back, the free frame is let go": "migrate",
        "recovery frees what the record names": "migrate",
        "recovery exchanges without a log": "migrate",
        "recovery lets go of the frame that was left": "migrate",
    }

    def model(self, work: str = "migrate", crashes: int = 2) -> Model:
        self.jobs = work.split()
        self.slots = tuple(range(len(self.jobs)))
        memory: dict[Word, object] = {("node",): None, ("head",): 1, ("free",): 2, ("where",): 0}
        memory |= {("written",): False, ("torn",): False}
        for frame in FRAMES:
            page = None if frame else "A"
            memory |= {("word", frame): ("free", 0 if frame else REFERENCES["A"]), ("next", frame): {1: 2}.get(frame)}
            memory |= {("used", frame): not frame, ("page", frame): page, ("data", frame): page}
        for slot in self.slots:
            memory |= {("claim", slot): slot, ("state", slot): (IDLE, 0), ("pair", slot): None, ("temp", slot): None}
            memory |= {("record", slot): None, ("log", slot): None, ("node saves", slot): 0, ("pin", slot): None}
            memory |= {("node saved", slot, n): None for n in range(WORDS)}
        threads = [Thread(p, self.live, (p, p, self.slots), self.live_again) for p in self.slots]
        return Model(memory, threads, self.always, self.at_rest, crashes)

    # ---- invariants ----

    def always(self, look: Look) -> str | None:
        if look["torn",]:
            return "who has a reference sees foreign bytes"
        for frame in FRAMES:
            if look["word", frame] == ("free", REFERENCES["A"]) and look["where",] != frame:
                return f"frame {frame} has the page, which is looked for in frame {look['where',]}"
        if look["node",] is not None:
            return None
        if wrong := wrong_list(look):
            return wrong
        listed = list(free_list(look))
        used = [frame for frame in FRAMES if look["used", frame]]
        return None if sorted(listed + used) == list(FRAMES) else f"frames {listed} are free, {used} in use"

    def at_rest(self, look: Look) -> str | None:
        frame = look["where",]
        used = [f for f in FRAMES if look["used", f]]
        if used != [frame]:
            return f"frames {used} are in use, and the page is in frame {frame}"
        words = [look["word", f] for f in FRAMES]
        if words != [("free", REFERENCES["A"] if f == frame else 0) for f in FRAMES]:
            return f"at rest, references and owners are {words}"
        if look["page", frame] != "A" or look["data", frame] not in ("A+", "A")[: 2 - look["written",]]:
            return f"the page has become {look['page', frame]} with {look['data', frame]}"
        left = [look[name, slot] for name in ("temp", "pin") for slot in self.slots]
        return None if set(left) == {None} else "a record or a pin is left"

    # ---- the allocator's sections ----

    def take(self, me: int, slot: int) -> Program:
        """A free frame, locked, and named by the record; or None."""
        late = self.mistake == "the free frame is named after it was taken"
        yield from self.lock(me, slot, ("node",))
        frame = yield peek(("head",))
        if frame is None:
            yield store(("node",), None)
            return None
        yield store(("node saved", slot, 0), ("taken", frame))
        yield store(("node saves", slot), 1)
        locked = self.mistake != "the free frame is not locked"
        if locked:
            yield cas(("word", frame), ("free", 0), ("locked", slot, 0))
        after, free = yield peek(("next", frame), ("free",))
        yield from self.put(slot, 1, ("head",), after)
        yield from self.put(slot, 2, ("word", frame), ("locked", slot, 1) if locked else ("free", 1))
        if not late:
            yield from self.put(slot, 3, ("temp", slot), frame)
        yield from self.put(slot, 3 if late else 4, ("free",), free - 1)
        yield from self.put(slot, 4 if late else 5, ("used", frame), True)
        yield store(("node saves", slot), 0)
        yield store(("node",), None)
        if late:
            yield store(("temp", slot), frame)
        return frame

    def free_frame(self, me: int, slot: int, frame: int, *, named: bool = True) -> Program:
        """With `temp`; the frame may be frozen."""
        yield from self.lock(me, slot, ("node",))
        yield store(("node saved", slot, 0), ("freed", frame))
        yield store(("node saves", slot), 1)
        yield from self.put(slot, 1, ("used", frame), False)
        yield from self.put(slot, 2, ("word", frame), ("locked", slot, 0))
        head, free = yield peek(("head",), ("free",))
        yield from self.put(slot, 3, ("next", frame), head)
        yield from self.put(slot, 4, ("head",), frame)
        yield from self.put(slot, 5, ("free",), free + 1)
        if named:
            yield from self.put(slot, 6, ("temp", slot), None)
        yield store(("node saves", slot), 1)
        yield store(("word", frame), ("free", 0))
        yield store(("node saves", slot), 0)
        yield store(("node",), None)

    def give_back(self, me: int, slot: int) -> Program:
        """What the record names, if the slot has it."""
        frame = yield peek(("temp", slot))
        if frame is None:
            return
        used, word, page = yield load(("used", frame), ("word", frame), ("page", frame))
        if used and page is None and word == ("locked", slot, 1):
            yield from self.free_frame(me, slot, frame)
        else:
            yield store(("temp", slot), None)

    def let_go(self, slot: int, frame: int) -> Program:
        used, word = yield peek(("used", frame), ("word", frame))
        if not used and word == ("locked", slot, 0):
            yield store(("word", frame), ("free", 0))

    # ---- what a slot does ----

    def work(self, me: int, slot: int) -> Program:
        if self.jobs[slot] == "write":
            yield from self.write(slot)
        elif self.jobs[slot] == "have":
            yield from self.have(slot)
        else:
            yield from self.migrate(me, slot)

    def migrate(self, me: int, slot: int) -> Program:
        here = yield load(("where",))
        there = yield from self.take(me, slot)
        if there is None:
            return
        if there == here:  # by then; an arena's free frame is on another node than the page
            yield from self.give_back(me, slot)
            return
        yield store(("pair", slot), (here, there))
        yield store(("state", slot), (INTENT, 0))
        claimed = yield from self.claim_pair(slot, here, there)
        if not claimed:
            yield from self.give_back(me, slot)
            yield store(("state", slot), (IDLE, 0))
            return
        page = yield peek(("page", here))
        yield store(("record", slot), page)
        yield store(("state", slot), (DATA, 0))
        data = yield peek(("data", here))
        yield store(("data", there), data)
        yield store(("state", slot), (META, 0))
        yield from self.finish(me, slot, here, there)

    def claim_pair(self, slot: int, here: int, there: int) -> Program:
        """Lock and freeze page and free frame; then look for references by `get`. Or everything is as it was."""
        early = self.mistake == "pins are looked at before the freeze"
        pins: tuple[object, ...] = ()
        if early:
            pins = yield load(*(("pin", s) for s in self.slots), ("state", slot))
        page, word = yield load(("page", here), ("word", here))
        rest = ("free", REFERENCES[page])
        if word != rest:
            return False
        mark = ("locked", slot, REFERENCES[page]) if self.mistake == "the page is not frozen" else ("taken", slot)
        won = yield cas(("word", here), rest, mark)
        if not won:
            return False
        taken = ("free", 1) if self.mistake == "the free frame is not locked" else ("locked", slot, 1)
        won = yield cas(("word", there), taken, ("taken", slot))
        if not won:
            yield store(("word", here), rest)
            return False
        again = yield load(("page", here))
        if not early:
            pins = yield load(*(("pin", s) for s in self.slots), ("state", slot))
        if again == page and here not in pins[:-1] and there not in pins[:-1]:
            return True
        yield store(("word", there), taken)
        yield store(("word", here), rest)
        return False

    def finish(self, me: int, slot: int, here: int, there: int) -> Program:
        """META: the page is in its new frame; the one that it has left keeps the mark until it is freed."""
        early = self.mistake == "the frame that the page left is freed before the page is found in its new one"
        page = yield peek(("record", slot))
        yield store(("page", there), page)
        yield store(("page", here), None)
        if page is not None and not early:
            yield store(("where",), there)
        yield store(("word", there), ("free", REFERENCES[page]))
        if self.mistake == "IDLE before that frame is freed":
            yield store(("state", slot), (IDLE, 0))
        if self.mistake == "that frame is let go before it is freed":
            yield store(("word", here), ("free", 1))
        cleared = self.mistake == "the record is cleared before that frame is freed"
        if cleared:
            yield store(("temp", slot), None)
        node = yield choose("had", "busy")
        if node == "had":
            yield from self.free_frame(me, slot, here, named=not cleared)
        else:  # it is what was taken for the pair instead, and is given back by the next batch
            yield store(("temp", slot), here)
            yield store(("word", here), ("locked", slot, 1))
        if page is not None and early:
            yield store(("where",), there)
        yield store(("state", slot), (IDLE, 0))
        yield from self.give_back(me, slot)

    def write(self, slot: int) -> Program:
        """Look up, take a reference, look again; the whole page is one word."""
        frame = yield load(("where",))
        yield store(("pin", slot), frame)
        used, word = yield load(("used", frame), ("word", frame))
        if used and word[0] != "taken":
            again = yield load(("where",))
            if again == frame:
                data = yield load(("data", frame))
                if data != "A":
                    yield store(("torn",), True)
                yield store(("data", frame), "A+")
                yield store(("written",), True)
        yield store(("pin", slot), None)

    def have(self, slot: int) -> Program:
        frame = yield load(("where",))
        yield store(("pair", slot), (frame, frame))
        yield store(("state", slot), (INTENT, 0))
        page, word = yield load(("page", frame), ("word", frame))
        if word == ("free", REFERENCES[page]):
            won = yield cas(("word", frame), word, ("taken", slot))
            if won:
                yield store(("word", frame), word)
        yield store(("state", slot), (IDLE, 0))

    # ---- recovery ----

    def recover(self, me: int, slot: int) -> Program:
        yield from self.undo_section(slot)
        node = yield load(("node",))
        if node == slot:
            yield store(("node",), None)
        phase, step = yield peek(("state", slot))
        pair = yield peek(("pair", slot))
        if phase == INTENT:
            yield from self.put_back(slot, pair)
        elif phase == DATA:
            yield from self.go_on(slot, pair, step)
        if phase in (DATA, META):
            yield from self.finish_marked(me, slot, pair)
        yield from self.give_back(me, slot)
        yield store(("state", slot), (IDLE, 0))
        yield store(("pin", slot), None)

    def put_back(self, slot: int, pair: tuple[int, int]) -> Program:
        """What was taken stays locked: it is given back then."""
        temp = yield peek(("temp", slot))
        for frame in pair:
            page, word = yield load(("page", frame), ("word", frame))
            if word in (("taken", slot), ("locked", slot, REFERENCES[page])):
                kept = frame == temp and self.mistake != "put back, the free frame is let go"
                yield store(("word", frame), ("locked", slot, 1) if kept else ("free", REFERENCES[page]))

    def go_on(self, slot: int, pair: tuple[int, int], step: int) -> Program:
        """Recovery knows no copy: it exchanges, from the beginning, under the log. One chunk of one word."""
        here, there = pair
        logs = self.mistake != "recovery exchanges without a log"
        if step == 0:
            old = yield peek(("data", there))
            yield store(("log", slot), old)
            if logs:
                yield store(("state", slot), (DATA, 1))
        if step <= 1:
            new = yield peek(("data", here))
            yield store(("data", there), new)
            if logs:
                yield store(("state", slot), (DATA, 2))
        old = yield peek(("log", slot))
        yield store(("data", here), old)
        yield store(("state", slot), (META, 0))

    def finish_marked(self, me: int, slot: int, pair: tuple[int, int]) -> Program:
        """The page arrives in the frame that was taken, which is let go first; what keeps the mark then was left."""
        temp, page = yield peek(("temp", slot), ("record", slot))
        marks = yield load(*(("word", frame) for frame in pair))
        if marks == (("taken", slot),) * 2:
            yield store(("page", temp), page)
            if page is not None:
                yield store(("where",), temp)
            yield store(("word", temp), ("free", REFERENCES[page]))
        for frame in pair:
            word = yield load(("word", frame))
            if word != ("taken", slot):
                continue
            yield store(("page", frame), None)
            # Of a pair that no temporary frame is named for, both sides are pages.
            if temp not in pair or self.mistake == "recovery lets go of the frame that was left":
                yield store(("word", frame), ("free", 1))
            elif self.mistake == "recovery frees what the record names" and temp is not None:
                yield from self.free_frame(me, slot, temp)
            else:
                yield from self.free_frame(me, slot, frame)
