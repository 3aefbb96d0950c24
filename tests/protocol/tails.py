"""TAILS: words of a folio's later frames are exchanged after the data, chunk by chunk, under the two halves of the log.

("state",)                    (phase, pair, chunk, half): the half has the words that the chunk's tails are to have
("a", pair, chunk), ("b", ...)    the words of a chunk's tails, as one word; ("log", half, side)
"""

from typing import ClassVar

from tests.protocol.checker import Look, Model, Program, Thread, Word, load, peek, store
from tests.protocol.slots import Slots

IDLE, DATA, TAILS, META = "IDLE", "DATA", "TAILS", "META"
SLOT = 0


class Tails(Slots):
    """Folios of one chunk, two chunks, one chunk."""

    mistakes: ClassVar = {
        "each folio begins with the same half": "",
        "publish before log": "",
        "the chunks behind the open one are forgotten": "",
    }

    def model(self, work: str = "", crashes: int = 2) -> Model:
        self.chunks = ((0, 0), (1, 0), (1, 1), (2, 0))
        memory: dict[Word, object] = {("claim", SLOT): 0, ("state",): (IDLE, 0, 0, 0)}
        memory |= {(side, *at): (side, *at) for at in self.chunks for side in "ab"}
        memory |= {("log", half, side): "-" for half in (0, 1) for side in "ab"}
        return Model(memory, [Thread(0, self.live, (0, SLOT, (SLOT,)), self.live_again)], self.always, crashes=crashes)

    def always(self, look: Look) -> str | None:
        if look["state",][0] is not META:
            return None
        wrong = [at for at in self.chunks if (look["a", *at], look["b", *at]) != (("b", *at), ("a", *at))]
        return f"folio {wrong[0][0]}, chunk {wrong[0][1]} has the words of {look['a', *wrong[0]]}" if wrong else None

    def work(self, me: int, slot: int) -> Program:
        yield store(("state",), (DATA, 0, 0, 0))
        yield from self.from_chunk(0, 0)

    def from_chunk(self, first: int, half: int) -> Program:
        for n in range(first, len(self.chunks)):
            at = self.chunks[n]
            if self.mistake == "each folio begins with the same half":
                half = at[1] & 1
            if self.mistake == "publish before log":
                yield store(("state",), (TAILS, *at, half))
            a, b = yield peek(("a", *at), ("b", *at))
            yield store(("log", half, "a"), b)
            yield store(("log", half, "b"), a)
            yield store(("state",), (TAILS, *at, half))
            yield from self.store_chunk(at, half)
            half ^= 1
        yield store(("state",), (META, 0, 0, 0))
        yield store(("state",), (IDLE, 0, 0, 0))

    def store_chunk(self, at: tuple[int, int], half: int) -> Program:
        a, b = yield peek(("log", half, "a"), ("log", half, "b"))
        yield store(("a", *at), a)
        yield store(("b", *at), b)

    def recover(self, me: int, slot: int) -> Program:
        phase, pair, chunk, half = yield load(("state",))
        if phase is DATA:
            yield from self.from_chunk(0, 0)
        elif phase is TAILS:
            yield from self.store_chunk((pair, chunk), half)
            forgotten = self.mistake == "the chunks behind the open one are forgotten"
            yield from self.from_chunk(
                len(self.chunks) if forgotten else self.chunks.index((pair, chunk)) + 1, half ^ 1
            )
        elif phase is META:
            yield store(("state",), (IDLE, 0, 0, 0))
