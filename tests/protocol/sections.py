"""A section of the allocator: its undo record, and the free list that it changes. What models that take frames share.

("head",), ("next", frame)      the free list; ("free",) its length
("node saves", slot), ("node saved", slot, n)    the undo record; its first entry is ("taken", frame) or
                                ("freed", frame). With that alone left, a frame that is not used is freed for good:
                                only its lock is still to go
"""

from collections.abc import Iterator

from tests.protocol.checker import Look, Program, Word, peek, store
from tests.protocol.slots import Slots

FRAMES = (0, 1, 2)
WORDS = 7
"""Of a section's undo record."""


def free_list(look: Look) -> Iterator[int]:
    frame = look["head",]
    for _ in FRAMES:
        if frame is None:
            return
        yield frame
        frame = look["next", frame]


def wrong_list(look: Look) -> str | None:
    """What is wrong with the free list, while nobody changes it."""
    listed = list(free_list(look))
    if len(listed) != look["free",] or len(set(listed)) != len(listed):
        return f"the free list has {listed}, and its length says {look['free',]}"
    return None


class Sections(Slots):
    def put(self, slot: int, n: int, word: Word, value: object) -> Program:
        old = yield peek(word)
        if self.mistake == "free list change not undone" and word == ("head",):
            old = value
        yield store(("node saved", slot, n), (word, old))
        yield store(("node saves", slot), n + 1)
        yield store(word, value)

    def undo_section(self, slot: int) -> Program:
        count = yield peek(("node saves", slot))
        for n in range(count - 1, 0, -1):
            word, old = yield peek(("node saved", slot, n))
            yield store(word, old)
            yield store(("node saves", slot), n)
        if count:
            _, frame = yield peek(("node saved", slot, 0))
            yield from self.let_go(slot, frame)
            yield store(("node saves", slot), 0)

    def let_go(self, slot: int, frame: int) -> Program:
        """Let go of a section's frame, if it is not used and the slot's."""
        raise NotImplementedError
