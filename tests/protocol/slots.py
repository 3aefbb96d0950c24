"""What a process does about slots of the dead: the part that all models share.

    ("claim", slot)    the process that has claimed the slot; NOBODY: it is free

`claim.py` has the claim word as it is, with a generation, read and changed in several steps. There it is shown that
whoever changes it successfully changes what it has read; so here a claim is one step.
"""

from typing import Any, ClassVar

from tests.protocol.checker import Look, Model, Program, Word, at_once, cas, store, until

NOBODY = None


def claim(look: Look, me: int, slot: int) -> tuple[bool, Word, int] | None:
    """Claim what is free (answers False: nothing to recover), of one's own byte, or of the dead (True). Else wait."""
    owner = look["claim", slot]
    if owner is NOBODY:
        return False, ("claim", slot), me
    return (True, ("claim", slot), me) if owner == me or look.dead(owner) else None


def claim_of_dead(look: Look, me: int, slot: int) -> tuple[bool, Word, Any]:
    """Claim a slot of the dead, this byte's former owners among them: True, unless somebody else did."""
    owner = look["claim", slot]
    if owner is not NOBODY and (owner == me or look.dead(owner)):
        return True, ("claim", slot), me
    return False, ("claim", slot), owner


def orphan(look: Look, slots: tuple[int, ...]) -> int | None:
    """A slot that is claimed by the dead."""
    for slot in slots:
        owner = look["claim", slot]
        if owner is not NOBODY and look.dead(owner):
            return slot
    return None


orphan.idle = True  # type: ignore[attr-defined] # who waits here is done, and not stuck


def ours(look: Look, me: int, slots: tuple[int, ...]) -> int:
    """A slot that is claimed by one's own byte; -1: none."""
    return next((slot for slot in slots if look["claim", slot] == me), -1)


def left_by_dead(look: Look, slot: int) -> bool:
    owner = look["claim", slot]
    return owner is not NOBODY and look.dead(owner)


def free_or_left(look: Look, word: Word, me: int | None, slot: int) -> int | None:
    """Of a lock-like word (None or a slot): -1 free; its slot when the owner of that is dead. None: held, wait.

    A new process may have claims of two slots by its byte, and need for one of them what the other one holds.
    """
    holder = look[word]
    if holder is None:
        return -1
    mine = look["claim", holder] == me and holder != slot
    return holder if mine or left_by_dead(look, holder) else None


class Protocol:
    """What a model is made of; `mistake` names what is done wrong on purpose, None: nothing."""

    works: ClassVar[dict[str, int]] = {"": 2}
    """What the processes do, one model each, and how many of them die in the quick mode."""
    mistakes: ClassVar[dict[str, str]] = {}
    """What can be done wrong, and the work in which it shows."""

    def __init__(self, mistake: str | None = None) -> None:
        assert mistake is None or mistake in self.mistakes
        self.mistake = mistake

    def model(self, work: str = "", crashes: int = 2) -> Model:
        """The processes at work; at most so many deaths."""
        raise NotImplementedError


class Slots(Protocol):
    """Processes that have claimed a slot each."""

    def recover(self, me: int, slot: int) -> Program:
        """Finish or undo what the record of a slot says, which this process has claimed."""
        raise NotImplementedError

    def work(self, me: int, slot: int) -> Program:
        """What a process does with its slot, which it has claimed."""
        raise NotImplementedError

    def finish_for(self, me: int, slot: int) -> Program:
        """Recover the slot of a dead process, unless somebody else does."""
        won = yield at_once(claim_of_dead, me, slot)
        if won:
            yield from self.recover(me, slot)
            yield store(("claim", slot), NOBODY)

    def lock(self, me: int, slot: int, word: Word) -> Program:
        """Wait for a lock-like word, with a look at its owner, and take it for a slot."""
        while True:
            waits = self.mistake == "a new process waits for a lock that its own byte's claim has"
            left = yield until(free_or_left, word, NOBODY if waits else me, slot)
            if left >= 0:
                yield from self.finish_for(me, left)
                continue
            won = yield cas(word, None, slot)
            if won:
                return

    def live(self, me: int, slot: int, slots: tuple[int, ...]) -> Program:
        """A process's life, its slot claimed: work, then whatever the dead leave."""
        yield from self.work(me, slot)
        yield store(("claim", slot), NOBODY)
        yield from self.wait_for_deaths(me, slots)

    def live_again(self, me: int, slot: int, slots: tuple[int, ...]) -> Program:
        """The life of a new process that got the byte: the slots claimed by that, then whatever the dead leave."""
        while True:
            old = yield until(ours, me, slots)
            if old < 0:
                break
            yield from self.recover(me, old)
            yield store(("claim", old), NOBODY)
        yield from self.wait_for_deaths(me, slots)

    def wait_for_deaths(self, me: int, slots: tuple[int, ...]) -> Program:
        while True:
            left = yield until(orphan, slots)
            yield from self.finish_for(me, left)
