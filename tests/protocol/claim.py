"""Claims: who may work on a slot. Several processes want the same one; each does a little work under a lock and a pin.

"claim"                      (generation, process); process NOBODY: free. Changed by compare and swap only
"lock", "pin"                what the slot's owner has locked and pinned
("private", p, "at work")    True while process p believes that the slot is its
"""

from typing import ClassVar

from tests.protocol.checker import Look, Model, Program, Thread, Word, cas, dead, load, peek, store, until
from tests.protocol.slots import NOBODY, Protocol


class Claim(Protocol):
    mistakes: ClassVar = {
        "claim without generation": "",
        "asks whether the owner lives before it reads the claim": "",
        "a new process does not look for claims of its byte": "",
        "a new process keeps the claims of its byte as they are": "",
        "pin of a free slot kept": "",
    }

    def model(self, work: str = "", crashes: int = 2, processes: int = 2) -> Model:
        memory: dict[Word, object] = {"claim": (0, NOBODY), "lock": False, "pin": None}
        memory |= {("private", p, "at work"): False for p in range(processes)}
        threads = [Thread(p, self.live, (p,)) for p in range(processes)]
        self.processes = range(processes)
        return Model(memory, threads, self.always, self.at_rest, crashes)

    def always(self, look: Look) -> str | None:
        at_work = [p for p in self.processes if look["private", p, "at work"]]
        return "two processes are at work on one slot" if len(at_work) > 1 else None

    def at_rest(self, look: Look) -> str | None:
        if look["claim"][1] is not NOBODY:
            return "a slot stays claimed"
        if look["pin"] is not None:
            return "a free slot has a pin"
        return "a free slot has a lock" if look["lock"] else None

    def after(self, generation: int) -> int:
        return 0 if self.mistake == "claim without generation" else generation + 1

    def claim(self, me: int) -> Program:
        """Claim the slot, and recover it if its claim was a dead one's: True; or somebody else was quicker."""
        word = yield load("claim")
        if word[1] is not NOBODY and word[1] != me:
            gone = yield dead(word[1])
            if not gone:
                return False
            if self.mistake == "asks whether the owner lives before it reads the claim":
                word = yield load("claim")
        if word[1] == me and self.mistake == "a new process keeps the claims of its byte as they are":
            won = True
        else:
            won = yield cas("claim", word, (self.after(word[0]), me))
        if won:
            yield store(("private", me, "at work"), True)
            if word[1] is not NOBODY:
                yield from self.recover()
        return won

    def release(self, me: int) -> Program:
        yield store(("private", me, "at work"), False)
        word = yield load("claim")
        if word[1] == me:
            yield cas("claim", word, (self.after(word[0]), NOBODY))

    def recover(self) -> Program:
        mark = yield peek("lock")
        if mark:
            yield store("lock", False)
        if self.mistake != "pin of a free slot kept":
            yield store("pin", None)

    def work(self) -> Program:
        yield store("pin", 7)
        yield store("lock", True)
        yield store("lock", False)
        yield store("pin", None)

    def live(self, me: int) -> Program:
        waiting_for = takeable
        if self.mistake == "a new process does not look for claims of its byte":
            waiting_for = takeable_by_others
        while True:
            yield until(waiting_for, me)
            won = yield from self.claim(me)
            if won:
                break
        yield from self.work()
        yield from self.release(me)
        while True:
            yield until(orphaned)
            won = yield from self.claim(me)
            if won:
                yield from self.release(me)


def takeable_by_others(look: Look, me: int) -> bool | None:
    owner = look["claim"][1]
    return True if owner is NOBODY or look.dead(owner) else None


def takeable(look: Look, me: int) -> bool | None:
    return True if look["claim"][1] == me else takeable_by_others(look, me)


def orphaned(look: Look) -> bool | None:
    owner = look["claim"][1]
    return True if owner is not NOBODY and look.dead(owner) else None


orphaned.idle = True  # type: ignore[attr-defined] # who waits here is done, and not stuck
