"""A folio whose data step is shared by helper threads, each with a slot and a range of its own.

Slot 0 is the parent's. Process 0 exchanges the folio, with slots 1 and 2 for its helpers, and all its threads die with
it. Then process 1 claims slot 0 and exchanges the folio again, with slots 3 and 4.

    ("state", slot)    (phase, step); the parent's step: 0 nothing is done, HANDS its helpers have the pair, NEXT
    ("parent", slot)   of a helper: the parent's slot
    ("a", range), ("b", range), ("log", slot), ("own log", range)    one chunk of one word each
    ("status",), ("target",), ("times",)    of the parent's record: dropped; what `times` is to be; exchanges that count
"""

from typing import ClassVar

from tests.protocol.checker import Look, Model, Program, Thread, Word, at_once, choose, load, peek, store, until
from tests.protocol.slots import NOBODY, Slots, claim, claim_of_dead, left_by_dead

IDLE, DATA, HELP, BACK = "IDLE", "DATA", "HELP", "BACK"
HANDS, NEXT = 1 << 39, 1 << 48
PARENT = 0
RANGES = (0, 1)
HELPERS = {0: (1, 2), 1: (3, 4)}  # slots of each process, by range
SLOTS = tuple(range(5))


def told_to_go(look: Look, me: int) -> bool | None:
    return True if look["private", me, "go"] else None


def all_done(look: Look, me: int) -> tuple[str, ...] | None:
    """How each range ended: "done", "back"; None while one is under way."""
    ends = tuple(look["private", me, "end", k] for k in RANGES)
    return None if None in ends else ends


def in_hands(look: Look, slot: int) -> bool:
    return look["state", slot][0] in (HELP, BACK) and look["parent", slot] == PARENT


def to_recover(look: Look, by_itself: bool) -> int | None:
    """A slot of the dead. A helper's belongs to whoever has the parent's."""
    for slot in SLOTS:
        if left_by_dead(look, slot) and (by_itself or not in_hands(look, slot)):
            return slot
    return None


to_recover.idle = True  # type: ignore[attr-defined] # who waits here is done, and not stuck


def old_claim(look: Look, me: int, by_itself: bool) -> int | None:
    """A slot that this byte has claimed; -1: none any more. None: its helpers' slots wait for who has the parent's."""
    mine = [slot for slot in SLOTS if look["claim", slot] == me]
    free = [slot for slot in mine if by_itself or not in_hands(look, slot)]
    if free or not mine:
        return free[0] if free else -1
    return PARENT if left_by_dead(look, PARENT) else None


class Helpers(Slots):
    works: ClassVar = {"": 1}
    mistakes: ClassVar = {
        "HELP counts before the parent's step": "",
        "helpers become IDLE before the parent's next step": "",
        "the parent's step comes before HELP": "",
        "a helper's slot is recovered by itself": "",
        "helpers are left when the parent's slot is given back": "",
        "ranges are finished although one goes back": "",
    }

    def model(self, work: str = "", crashes: int = 1) -> Model:
        self.errors = (0, 1)
        self.by_itself = self.mistake == "a helper's slot is recovered by itself"
        memory: dict[Word, object] = {("status",): 0, ("target",): 0, ("times",): 0}
        for slot in SLOTS:
            memory |= {("claim", slot): 1 if slot > 2 else 0, ("state", slot): (IDLE, 0)}
            memory |= {("parent", slot): None, ("log", slot): "-"}
        for k in RANGES:
            memory |= {("a", k): "a", ("b", k): "b", ("own log", k): "-"}
            memory |= {("private", 0, "end", k): None}
        memory |= {("private", 0, "go"): False}
        threads = [Thread(0, self.parent, (0,), self.again)]
        threads += [Thread(0, self.help, (0, k), self.nothing) for k in RANGES]
        threads += [Thread(1, self.parent, (1,), self.again)]
        return Model(memory, threads, self.always, self.at_rest, crashes)

    def always(self, look: Look) -> str | None:
        if look["state", PARENT][0] is not IDLE:
            return None
        for k in RANGES:
            if (look["a", k], look["b", k]) != (("b", "a") if look["times",] % 2 else ("a", "b")):
                return f"range {k} is {look['a', k]}, {look['b', k]} after {look['times',]} exchanges"
        return None

    def at_rest(self, look: Look) -> str | None:
        for slot in SLOTS:
            if look["claim", slot] is not NOBODY or look["state", slot][0] is not IDLE:
                return f"slot {slot} is not free"
        return None

    # ---- the parent ----

    def parent(self, me: int) -> Program:
        if me:
            while True:
                old = yield at_once(claim, me, PARENT)
                if not old:
                    break
                yield from self.recover(me, PARENT)
                yield store(("claim", PARENT), NOBODY)
        yield from self.exchange(me)
        for slot in HELPERS[me]:
            yield store(("claim", slot), NOBODY)
        yield store(("claim", PARENT), NOBODY)
        yield from self.watch(me)

    def exchange(self, me: int) -> Program:
        times = yield peek(("times",))
        yield store(("status",), 0)
        yield store(("target",), times + 1)
        yield store(("state", PARENT), (DATA, 0))
        if self.mistake == "the parent's step comes before HELP":
            yield store(("state", PARENT), (DATA, HANDS))
        for slot in HELPERS[me]:
            yield store(("parent", slot), PARENT)
            yield store(("state", slot), (HELP, 0))
        yield store(("state", PARENT), (DATA, HANDS))
        if me == 0:
            yield store(("private", me, "go"), True)
            ends = yield until(all_done, me)
        else:
            for k in RANGES:
                yield from self.forward(HELPERS[me][k], k, 0)
            ends = ("done", "done")
        if "back" in ends:
            for k in RANGES:
                if ends[k] == "done":
                    yield from self.back(HELPERS[me][k], k, 2)
            yield store(("status",), 1)
        yield from self.next_pair(HELPERS[me])

    def next_pair(self, helpers: tuple[int, ...]) -> Program:
        early = self.mistake == "helpers become IDLE before the parent's next step"
        if not early:
            yield store(("state", PARENT), (DATA, NEXT))
        for slot in helpers:
            yield store(("state", slot), (IDLE, 0))
        if early:
            yield store(("state", PARENT), (DATA, NEXT))
        status, target = yield peek(("status",), ("target",))
        if status == 0:
            yield store(("times",), target)
        yield store(("state", PARENT), (IDLE, 0))

    # ---- a range ----

    def help(self, me: int, k: int) -> Program:
        yield until(told_to_go, me)
        slot = HELPERS[me][k]
        broken = yield choose(*(self.errors if k == 1 else (0,)))
        if broken:
            yield store(("log", slot), "half")
            yield store(("private", me, "end", k), "back")
            return
        broken = yield from self.forward(slot, k, 0, self.errors if k == 1 else (0,))
        if broken:
            yield from self.back(slot, k, 1)
        yield store(("private", me, "end", k), "back" if broken else "done")

    def forward(self, slot: int, k: int, step: int, errors: tuple[int, ...] = (0,)) -> Program:
        """From a step to the end: 1 if memory fails in step 1."""
        if step == 0:
            old = yield peek(("a", k))
            yield store(("log", slot), old)
            yield store(("state", slot), (HELP, 1))
        if step <= 1:
            new = yield peek(("b", k))
            yield store(("a", k), new)
            broken = yield choose(*errors)
            if broken:
                return 1
            yield store(("state", slot), (HELP, 2))
        old = yield peek(("log", slot))
        yield store(("b", k), old)
        return 0

    def back(self, slot: int, k: int, step: int) -> Program:
        """What HELP has done up to a step is put back."""
        if step == 2:
            yield store(("state", slot), (BACK, 1))
        yield from self.further_back(slot, k, 1 if step == 2 else 0)

    def further_back(self, slot: int, k: int, step: int) -> Program:
        if step:
            new = yield peek(("a", k))
            yield store(("b", k), new)
        yield store(("state", slot), (BACK, 0))
        old = yield peek(("log", slot))
        yield store(("a", k), old)

    # ---- recovery ----

    def nothing(self, me: int, k: int) -> Program:
        yield from ()

    def again(self, me: int) -> Program:
        while True:
            old = yield until(old_claim, me, self.by_itself)
            if old < 0:
                break
            won = True
            if old == PARENT:
                won = yield at_once(claim_own_or_dead, me, PARENT)
            if won:
                yield from self.recover(me, old)
                yield store(("claim", old), NOBODY)
        yield from self.watch(me)

    def watch(self, me: int) -> Program:
        while True:
            left = yield until(to_recover, self.by_itself)
            yield from self.finish_for(me, left)

    def recover(self, me: int, slot: int) -> Program:
        phase, step = yield load(("state", slot))
        if slot != PARENT:
            if phase != IDLE:
                yield store(("state", slot), (IDLE, 0))
            return
        states = yield load(*(("state", s) for s in SLOTS))
        parents = yield peek(*(("parent", s) for s in SLOTS))
        helpers = tuple(s for s in SLOTS if states[s][0] in (HELP, BACK) and parents[s] == PARENT)
        if phase == DATA and (step == HANDS or (helpers and self.mistake == "HELP counts before the parent's step")):
            yield from self.finish_ranges(helpers)
            if step != HANDS and len(helpers) < 2:
                yield from self.alone(step)
        elif phase == DATA and step != NEXT:
            yield from self.alone(step)
        if self.mistake == "helpers are left when the parent's slot is given back":
            helpers = ()
        if phase == DATA:
            yield from self.next_pair(helpers)
        for helper in helpers:
            yield from self.finish_for(me, helper)

    def finish_ranges(self, helpers: tuple[int, ...]) -> Program:
        states = yield load(*(("state", s) for s in SLOTS))
        goes_back = (
            any(states[s][0] == BACK for s in helpers) and self.mistake != "ranges are finished although one goes back"
        )
        for slot in helpers:
            k = (slot - 1) % 2
            phase, step = yield peek(("state", slot))
            if not goes_back:
                yield from self.forward(slot, k, step)
            elif phase == BACK:
                yield from self.further_back(slot, k, step)
            elif step:
                yield from self.back(slot, k, step)
        if goes_back:
            yield store(("status",), 1)

    def alone(self, step: int) -> Program:
        """The parent's own data step, under its own log."""
        for k in RANGES:
            if step > 2 * k + 2:
                continue
            if step <= 2 * k:
                old = yield peek(("a", k))
                yield store(("own log", k), old)
                yield store(("state", PARENT), (DATA, 2 * k + 1))
            if step <= 2 * k + 1:
                new = yield peek(("b", k))
                yield store(("a", k), new)
                yield store(("state", PARENT), (DATA, 2 * k + 2))
            old = yield peek(("own log", k))
            yield store(("b", k), old)


def claim_own_or_dead(look: Look, me: int, slot: int) -> tuple[bool, Word, int]:
    """Claim a slot that this byte has claimed already, or the dead: True."""
    if look["claim", slot] == me:
        return True, ("claim", slot), me
    return claim_of_dead(look, me, slot)
