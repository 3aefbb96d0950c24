"""The data step: chunks exchanged under a log of two halves, forwards; and backwards after a memory error.

("state",)      (phase, pair, step), published by one store
("a", pair, chunk, word), ("b", ...), ("log", half, word)    a chunk has two words, so that a copy can be torn

DATA 2k + 1   the log has A's chunk k; A's chunk k is being copied from B
DATA 2k + 2   B's chunk k is being copied from the log; then the next chunk is saved in the other half
BACK 2k + 1   the log has what A's chunk k is to be; B's chunk k is being copied from A
BACK 2k       A's chunk k is being copied from the log; the chunks below k are still exchanged
"""

from typing import ClassVar

from tests.protocol.checker import Look, Model, Program, Thread, Word, choose, load, peek, store
from tests.protocol.slots import Slots

IDLE, DATA, BACK = "IDLE", "DATA", "BACK"
SLOT = 0


class DataLog(Slots):
    """Two pairs of pages, one after the other; through a temporary page they are one chunk each, and it is the log."""

    works: ClassVar = {"chunks": 2, "temporary page": 2}
    mistakes: ClassVar = {
        "publish before log": "chunks",
        "B is copied before the step is published": "chunks",
        "one log half": "chunks",
        "the open chunk is not done again": "chunks",
        "the next pair is saved before its step is published": "temporary page",
        "a pair is let go before the next one is published": "chunks",
        "an open chunk that goes back is done again forwards": "chunks",
        "the log half of a chunk that goes back is saved before its step is published": "chunks",
    }

    def model(self, work: str = "chunks", crashes: int = 2) -> Model:
        self.through_temp = work == "temporary page"
        self.chunks = (1, 1) if self.through_temp else (3, 1)  # of each pair
        self.pairs = range(2)
        self.words = range(2)
        memory: dict[Word, object] = {("claim", SLOT): 0, ("state",): (IDLE, 0, 0)}
        memory |= {("status", pair): 0 for pair in self.pairs}
        memory |= {("let go", pair): False for pair in self.pairs}
        places = [
            (pair, chunk, word) for pair in self.pairs for chunk in range(self.chunks[pair]) for word in self.words
        ]
        memory |= {(side, *place): (side, *place) for side in "ab" for place in places}
        memory |= {("log", half, word): "-" for half in range(2) for word in self.words}
        memory |= {("done",): False}
        self.places = places
        return Model(
            memory, [Thread(0, self.live, (0, SLOT, (SLOT,)), self.live_again)], self.always, self.at_rest, crashes
        )

    def always(self, look: Look) -> str | None:
        for place in self.places:
            if look["let go", place[0]] and look["a", *place] != ("another", *place):
                return f"a page that was let go is written to: a of pair {place[0]} is {look['a', *place]}"
        if look["state",][0] is not IDLE or not look["done",]:
            return None
        for place in self.places:
            back = look["status", place[0]] != 0
            for side, other in ("ab", "ba"):
                if back and look[side, *place] == ("another", *place):
                    continue
                if look[side, *place] != (side if back else other, *place):
                    return f"lost: {side} of pair {place[0]}, chunk {place[1]} is {look[side, *place]}"
        return None

    def at_rest(self, look: Look) -> str | None:
        return None if look["state",][0] is IDLE else "a record is left"

    def half(self, chunk: int) -> int:
        return 0 if self.mistake == "one log half" or self.through_temp else chunk & 1

    def copy(self, pair: int, to: str, source: str, chunk: int) -> Program:
        for word in self.words:
            from_ = ("log", self.half(chunk), word) if source == "log" else (source, pair, chunk, word)
            value = yield peek(from_)
            yield store(("log", self.half(chunk), word) if to == "log" else (to, pair, chunk, word), value)

    def work(self, me: int, slot: int) -> Program:
        done = yield load(("done",))
        if not done:
            yield from self.forward(0, 0, 1)

    def forward(self, pair: int, chunk: int, errors: int) -> Program:
        """From a chunk to the end of the last pair."""
        while pair < len(self.pairs):
            status = yield peek(("status", pair))
            if chunk == 0 and status == 0 and self.mistake != "the next pair is saved before its step is published":
                yield store(("state",), (DATA, pair, 0))
            while chunk < self.chunks[pair] and status == 0:
                broken = yield choose(*((0, 1) if errors else (0,)))
                if broken:
                    yield from self.backward(pair, 2 * chunk)
                    status, errors = 1, errors - 1
                    continue
                failed = yield from self.chunk(pair, chunk, errors)
                if failed:
                    yield from self.backward(pair, failed)
                    status, errors = 1, errors - 1
                    continue
                chunk += 1
            pair, chunk = pair + 1, 0
        yield store(("done",), True)
        yield store(("state",), (IDLE, 0, 0))

    def chunk(self, pair: int, chunk: int, errors: int) -> Program:
        """0, or the step in which memory fails."""
        if self.mistake == "publish before log":
            yield store(("state",), (DATA, pair, 2 * chunk + 1))
        yield from self.copy(pair, "log", "a", chunk)
        if self.mistake != "publish before log":
            yield store(("state",), (DATA, pair, 2 * chunk + 1))
        yield from self.copy(pair, "a", "b", chunk)
        if self.mistake == "B is copied before the step is published":
            yield from self.copy(pair, "b", "log", chunk)
        broken = yield choose(*((0, 1) if errors else (0,)))
        if broken:
            return 2 * chunk + 1
        yield store(("state",), (DATA, pair, 2 * chunk + 2))
        yield from self.copy(pair, "b", "log", chunk)
        broken = yield choose(*((0, 1) if errors else (0,)))
        return 2 * chunk + 2 if broken else 0

    def backward(self, pair: int, step: int) -> Program:
        """Put back what a pair has done up to a step of DATA, then give it up."""
        if step:
            chunk = (step - 1) >> 1
            if not step & 1:
                yield store(("state",), (BACK, pair, 2 * chunk + 1))
                yield from self.copy(pair, "b", "a", chunk)
            yield store(("state",), (BACK, pair, 2 * chunk))
            yield from self.copy(pair, "a", "log", chunk)
            yield from self.further_back(pair, chunk)
        yield from self.give_up(pair)

    def further_back(self, pair: int, chunk: int) -> Program:
        while chunk:
            chunk -= 1
            early = self.mistake == "the log half of a chunk that goes back is saved before its step is published"
            if early:
                yield store(("state",), (BACK, pair, 2 * chunk + 1))
            yield from self.copy(pair, "log", "b", chunk)
            if not early:
                yield store(("state",), (BACK, pair, 2 * chunk + 1))
            yield from self.copy(pair, "b", "a", chunk)
            yield store(("state",), (BACK, pair, 2 * chunk))
            yield from self.copy(pair, "a", "log", chunk)

    def give_up(self, pair: int) -> Program:
        yield store(("status", pair), 1)
        early = self.mistake == "a pair is let go before the next one is published"
        if not early:
            yield store(("state",), (DATA, pair + 1, 0))
        yield from self.others_take(pair)
        if early:
            yield store(("state",), (DATA, pair + 1, 0))

    def others_take(self, pair: int) -> Program:
        """Another process exchanges A with some other page, now that its lock is free."""
        gone = yield peek(("let go", pair))
        for chunk in range(0 if gone else self.chunks[pair]):
            for word in self.words:
                yield store(("a", pair, chunk, word), ("another", pair, chunk, word))
        yield store(("let go", pair), True)

    def recover(self, me: int, slot: int) -> Program:
        phase, pair, step = yield peek(("state",))
        if phase is IDLE:
            return
        chunk = step >> 1 if phase is BACK or not step else (step - 1) >> 1
        if phase is BACK and self.mistake != "an open chunk that goes back is done again forwards":
            if step & 1:
                yield from self.copy(pair, "b", "a", chunk)
                yield store(("state",), (BACK, pair, 2 * chunk))
            yield from self.copy(pair, "a", "log", chunk)
            yield from self.further_back(pair, chunk)
            yield from self.give_up(pair)
            yield from self.forward(pair + 1, 0, 0)
            return
        if step and self.mistake != "the open chunk is not done again":
            if step & 1:
                yield from self.copy(pair, "a", "b", chunk)
                yield store(("state",), (DATA, pair, step + 1))
            yield from self.copy(pair, "b", "log", chunk)
        yield from self.forward(pair, chunk + (step > 0), 0)
