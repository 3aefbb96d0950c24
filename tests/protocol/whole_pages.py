"""The log of whole pages: a Python mover exchanges groups of pieces as it likes, above the point of no return.

("state",)    (phase, step)
("a", group), ("b", group), ("log", "a"), ("log", "b")    the log holds one group

DATA 2g + 1   group g is saved and being moved; back: each side from its own half of the log
DATA 2g       the groups below g are exchanged
BACK 2g + 1   group g, exchanged, is saved and being exchanged back: each side from the other's half
BACK 2g       the groups below g are still exchanged
"""

from typing import ClassVar

from tests.protocol.checker import Look, Model, Program, Thread, Word, choose, load, peek, store
from tests.protocol.slots import Slots

IDLE, INTENT, DATA, BACK, META = "IDLE", "INTENT", "DATA", "BACK", "META"
SLOT = 0
GROUPS = 2


class WholePages(Slots):
    mistakes: ClassVar = {
        "publish before log": "",
        "a group that goes back is stored as one that was being moved": "",
        "groups below the open one are forgotten": "",
        "a group goes back without being saved": "",
    }

    def model(self, work: str = "", crashes: int = 2) -> Model:
        memory: dict[Word, object] = {("claim", SLOT): 0, ("state",): (IDLE, 0), ("log", "a"): "-", ("log", "b"): "-"}
        memory |= {(side, group): (side, group) for side in "ab" for group in range(GROUPS)}
        return Model(memory, [Thread(0, self.live, (0, SLOT, (SLOT,)), self.live_again)], self.always, crashes=crashes)

    def always(self, look: Look) -> str | None:
        phase = look["state",][0]
        if phase in (DATA, BACK):
            return None
        sides = "ba" if phase is META else "ab"
        for group in range(GROUPS):
            if (look["a", group], look["b", group]) != ((sides[0], group), (sides[1], group)):
                return f"lost: group {group} is {look['a', group]}, {look['b', group]} in {phase}"
        return None

    def work(self, me: int, slot: int) -> Program:
        yield store(("state",), (INTENT, 0))
        for group in range(GROUPS):
            yield from self.save(group, DATA)
            failed = yield choose("before", "half way", "never")
            if failed != "before":
                b = yield peek(("b", group))
                yield store(("a", group), b)
            if failed == "never":
                a = yield peek(("log", "a"))
                yield store(("b", group), a)
                yield store(("state",), (DATA, 2 * group + 2))
                continue
            yield from self.back(2 * group + 1)
            return
        yield store(("state",), (META, 0))

    def save(self, group: int, phase: str) -> Program:
        early = self.mistake == "publish before log"
        if early:
            yield store(("state",), (phase, 2 * group + 1))
        for side in "ab":
            value = yield peek((side, group))
            yield store(("log", side), value)
        if not early:
            yield store(("state",), (phase, 2 * group + 1))

    def back(self, step: int) -> Program:
        """From a step of DATA."""
        if step & 1:
            for side in "ab":
                value = yield peek(("log", side))
                yield store((side, step >> 1), value)
        yield store(("state",), (BACK, step & ~1))
        yield from self.further_back(step >> 1)

    def further_back(self, below: int) -> Program:
        if self.mistake == "groups below the open one are forgotten":
            below = 0
        for group in range(below - 1, -1, -1):
            if self.mistake == "a group goes back without being saved":
                a, b = yield peek(("a", group), ("b", group))
                yield store(("a", group), b)
                yield store(("b", group), a)
            else:
                yield from self.save(group, BACK)
                yield from self.crosswise(group)
            yield store(("state",), (BACK, 2 * group))
        yield store(("state",), (INTENT, 0))

    def crosswise(self, group: int) -> Program:
        for side, other in ("ab", "ba"):
            value = yield peek(("log", other))
            yield store((side, group), value)

    def recover(self, me: int, slot: int) -> Program:
        phase, step = yield load(("state",))
        if phase is DATA or (
            phase is BACK
            and step & 1
            and self.mistake == "a group that goes back is stored as one that was being moved"
        ):
            yield from self.back(step)
        elif phase is BACK:
            if step & 1:
                yield from self.crosswise(step >> 1)
                yield store(("state",), (BACK, step - 1))
            yield from self.further_back(step >> 1)
