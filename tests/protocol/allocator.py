"""A node's free list: temporary frames enter and leave the record inside its section, and a page loses its last user.

    ("node",)                       the node's lock: None or a slot
    ("head",), ("next", frame)      the free list; ("free",) its length
    ("used", frame), ("refs", frame), ("owner", frame), ("content", frame)
    ("temp", slot, pair)            the frame that the record names for a pair
    ("state", slot)                 INTENT, (DATA, pair), META, IDLE
    ("node saves", slot), ("node saved", slot, n)    the undo record of a section of the allocator, see `sections.py`
    ("saves", slot), ("saved", slot)    the undo record of the change that takes a page's last reference
    ("give", slot)                  the page that such a change is about to free

Slots exchange a pair through a temporary frame ("exchange") or two through one ("share"), or "put" the page in frame 2.
"""

from typing import ClassVar

from tests.protocol.checker import Look, Model, Program, Thread, Word, cas, choose, load, peek, store
from tests.protocol.sections import FRAMES, WORDS, Sections, free_list, wrong_list

IDLE, INTENT, DATA, META = "IDLE", "INTENT", "DATA", "META"
PAGE = 2
PAIRS = (0, 1)


class Allocator(Sections):
    works: ClassVar = {"exchange exchange": 1, "share put": 1, "share": 3, "put": 3}
    mistakes: ClassVar = {
        "record cleared before the free": "share",
        "record written after the frame is taken": "share",
        "free list change not undone": "share",
        "the free counts before the frame's lock is gone": "share",
        "node unlocked before the change counts": "share put",
        "freed without a look whether the frame is the slot's": "share",
        "a shared frame goes with the first pair that names it": "share",
        "a page is freed before the change that gives it up counts": "put",
        "a page is named after the change that gives it up counts": "put",
        "a page is freed without a look at its references": "put",
        "a new process waits for a lock that its own byte's claim has": "share put",
    }

    def model(self, work: str = "exchange exchange", crashes: int = 1) -> Model:
        self.jobs = work.split()
        self.slots = tuple(range(len(self.jobs)))
        self.free = FRAMES[:2]
        memory: dict[Word, object] = {("node",): None, ("head",): 0, ("free",): 2, ("put",): False}
        for frame in FRAMES:
            memory |= {("next", frame): 1 if frame == 0 else None, ("owner", frame): None, ("content", frame): None}
            memory |= {("used", frame): frame == PAGE, ("refs", frame): int(frame == PAGE)}
        for slot in self.slots:
            memory |= {("claim", slot): slot, ("state", slot): (IDLE, 0), ("node saves", slot): 0, ("saves", slot): 0}
            memory |= {("give", slot): None, ("saved", slot): None}
            memory |= {("temp", slot, pair): None for pair in PAIRS}
            memory |= {("node saved", slot, n): None for n in range(WORDS)}
        threads = [Thread(p, self.live, (p, p, self.slots), self.live_again) for p in self.slots]
        return Model(memory, threads, self.always, self.at_rest, crashes)

    # ---- invariants ----

    def always(self, look: Look) -> str | None:
        for slot in self.slots:
            phase, pair = look["state", slot]
            frame = look["temp", slot, pair]
            if phase == DATA and (
                frame is None or look["owner", frame] != slot or look["content", frame] not in (None, slot)
            ):
                return f"slot {slot} has lost the frame that is its log"
        if look["node",] is not None:
            return None
        if wrong := wrong_list(look):
            return wrong
        listed = list(free_list(look))
        if any(look["used", frame] for frame in listed):
            return "a frame in use is on the free list"
        lost = [f for f in FRAMES if f not in listed and not look["used", f]]
        return f"frames {lost} are neither in use nor free" if lost else None

    def at_rest(self, look: Look) -> str | None:
        if look["node",] is not None or any(look["owner", frame] is not None for frame in FRAMES):
            return "a lock is left"
        listed = set(free_list(look))
        used = {frame for frame in FRAMES if look["used", frame]}
        if used != ({PAGE} if look["refs", PAGE] else set()) or listed != set(FRAMES) - used:
            return f"frames {sorted(used)} are in use, and the references of the page are {look['refs', PAGE]}"
        return None

    # ---- the allocator's sections ----

    def end_section(self, slot: int) -> Program:
        early = self.mistake == "node unlocked before the change counts"
        if early:
            yield store(("node",), None)
        yield store(("node saves", slot), 0)
        if not early:
            yield store(("node",), None)

    def take(self, me: int, slot: int, pair: int) -> Program:
        yield from self.lock(me, slot, ("node",))
        frame = yield peek(("head",))
        if frame is None:
            yield store(("node",), None)
            return False
        yield store(("node saved", slot, 0), ("taken", frame))
        yield store(("node saves", slot), 1)
        yield cas(("owner", frame), None, slot)
        after, free = yield peek(("next", frame), ("free",))
        yield from self.put(slot, 1, ("head",), after)
        late = self.mistake == "record written after the frame is taken"
        if not late:
            yield from self.put(slot, 2, ("temp", slot, pair), frame)
        yield from self.put(slot, 2 if late else 3, ("free",), free - 1)
        yield from self.put(slot, 3 if late else 4, ("used", frame), True)
        yield from self.end_section(slot)
        if late:
            yield store(("temp", slot, pair), frame)
        return True

    def give_back(self, me: int, slot: int, pair: int) -> Program:
        frame = yield peek(("temp", slot, pair))
        if frame is None:
            return
        if self.mistake != "freed without a look whether the frame is the slot's":
            used, owner = yield load(("used", frame), ("owner", frame))
            if not used or owner != slot:
                yield store(("temp", slot, pair), None)
                return
        early = self.mistake == "record cleared before the free"
        if early:
            yield store(("temp", slot, pair), None)
        yield from self.lock(me, slot, ("node",))
        yield from self.free_frame(slot, frame, None if early else ("temp", slot, pair))
        yield from self.end_section(slot)

    def free_frame(self, slot: int, frame: int, where: Word) -> Program:
        yield store(("node saved", slot, 0), ("freed", frame))
        yield store(("node saves", slot), 1)
        yield from self.put(slot, 1, ("used", frame), False)
        head, free = yield peek(("head",), ("free",))
        yield from self.put(slot, 2, ("next", frame), head)
        yield from self.put(slot, 3, ("head",), frame)
        yield from self.put(slot, 4, ("free",), free + 1)
        if where is not None:
            yield from self.put(slot, 5, where, None)
        early = self.mistake == "the free counts before the frame's lock is gone"
        yield store(("node saves", slot), 0 if early else 1)
        yield store(("owner", frame), None)
        yield store(("node saves", slot), 0)

    def let_go(self, slot: int, frame: int) -> Program:
        used, owner = yield peek(("used", frame), ("owner", frame))
        if owner == slot and not used:
            yield store(("owner", frame), None)

    # ---- what a slot does ----

    def work(self, me: int, slot: int) -> Program:
        if self.jobs[slot] == "put":
            yield from self.put_page(me, slot)
        else:
            yield from self.exchange(me, slot, self.jobs[slot] == "share")

    def exchange(self, me: int, slot: int, share: bool) -> Program:
        yield store(("state", slot), (INTENT, 0))
        got = yield from self.take(me, slot, 0)
        if got and share:
            frame = yield peek(("temp", slot, 0))
            yield store(("temp", slot, 1), frame)
        if got:
            yield from self.data(me, slot, 0, share, (0, 1) if share else (0,))
            yield store(("state", slot), (META, 0))
        yield from self.finish(me, slot)

    def data(self, me: int, slot: int, pair: int, share: bool, errors: tuple[int, ...]) -> Program:
        """The pairs from this one on, through their frames."""
        for at in range(pair, 2 if share else 1):
            yield store(("state", slot), (DATA, at))
            frame = yield peek(("temp", slot, at))
            broken = yield choose(*(errors if at == 0 else (0,)))
            if broken:
                yield store(("state", slot), (DATA, 1))
                yield from self.drop(me, slot)
                continue
            yield store(("content", frame), slot)
            yield store(("content", frame), None)

    def drop(self, me: int, slot: int) -> Program:
        """Pair 0 met broken memory. Its frame is pair 1's too, which still needs it."""
        if self.mistake == "a shared frame goes with the first pair that names it":
            yield from self.give_back(me, slot, 0)
        else:
            yield store(("temp", slot, 0), None)

    def finish(self, me: int, slot: int) -> Program:
        for pair in PAIRS:
            yield from self.give_back(me, slot, pair)
        yield store(("state", slot), (IDLE, 0))

    def put_page(self, me: int, slot: int) -> Program:
        """The last reference of the page goes, under its lock and under the node's."""
        yield cas(("owner", PAGE), None, slot)
        yield from self.lock(me, slot, ("node",))
        yield store(("saved", slot), (("refs", PAGE), 1))
        yield store(("saves", slot), 1)
        yield store(("refs", PAGE), 0)
        if self.mistake != "a page is named after the change that gives it up counts":
            yield store(("give", slot), PAGE)
        if self.mistake == "a page is freed before the change that gives it up counts":
            yield from self.free_frame(slot, PAGE, None)
            yield store(("saves", slot), 0)
        else:
            yield store(("saves", slot), 0)
            if self.mistake == "a page is named after the change that gives it up counts":
                yield store(("give", slot), PAGE)
            yield from self.free_frame(slot, PAGE, None)
        yield store(("give", slot), None)
        yield store(("node",), None)

    # ---- recovery ----

    def recover(self, me: int, slot: int) -> Program:
        yield from self.undo_section(slot)
        saves = yield peek(("saves", slot))
        if saves:
            word, old = yield peek(("saved", slot))
            yield store(word, old)
            yield store(("saves", slot), 0)
        node = yield load(("node",))
        if node == slot:
            yield store(("node",), None)
        yield from self.give(me, slot)
        phase, pair = yield peek(("state", slot))
        if phase == DATA:
            yield from self.data(me, slot, pair, self.jobs[slot] == "share", (0,))
            yield store(("state", slot), (META, 0))
        if phase != IDLE:
            yield from self.finish(me, slot)
        owner = yield load(("owner", PAGE))
        if owner == slot:
            yield store(("owner", PAGE), None)

    def give(self, me: int, slot: int) -> Program:
        frame = yield peek(("give", slot))
        if frame is None:
            return
        used, owner, refs = yield load(("used", frame), ("owner", frame), ("refs", frame))
        looks = self.mistake != "a page is freed without a look at its references"
        if used and owner == slot and (refs == 0 or not looks):
            yield from self.lock(me, slot, ("node",))
            yield from self.free_frame(slot, frame, None)
            yield store(("node",), None)
        yield store(("give", slot), None)
