"""A mover may be stopped at any instruction: what its record says is enough to finish both pages, byte by byte."""

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pagexchange.testing.scene.stepping import forked, states
from pagexchange_native.movers.list_exchange import ListExchange
from pagexchange_native.movers.mover import DataMover, available_isas, resume_rows
from pagexchange_native.movers.temp_page import TempPage
from pagexchange_native.movers.word_swap import WordSwap

RECORD, CHUNK, ROWS, SIZE = 640, 256, 3, 1024
DATA = 2


class Careless(DataMover):
    """The control: exchanges without a log."""

    def move_rows(
        self, a: np.ndarray, b: np.ndarray, temp: np.ndarray | None = None, record: np.ndarray | None = None
    ) -> None:
        for i in range(len(a)):
            np.bitwise_xor(a[i], b[i], out=a[i])
            np.bitwise_xor(a[i], b[i], out=b[i])
            np.bitwise_xor(a[i], b[i], out=a[i])


class Image:
    """Everything that a mover writes to, cut into its parts."""

    def __init__(self, memory: Any) -> None:  # a writable buffer
        self.memory = np.frombuffer(memory, dtype=np.uint8)
        self.record = self.memory[:RECORD]
        self.temp = self.memory[RECORD : RECORD + SIZE]
        self.a = self.memory[RECORD + SIZE :][: ROWS * SIZE].reshape(ROWS, SIZE)
        self.b = self.memory[RECORD + SIZE + ROWS * SIZE :].reshape(ROWS, SIZE)

    @property
    def position(self) -> tuple[int, int]:
        word = int(self.record[:8].view(np.uint64)[0])
        assert word & 0xFF == DATA
        return word >> 48, (word >> 8) & ((1 << 40) - 1)

    def recover_undo(self) -> None:
        """The rule of the documentation, in Python: nothing of the loops under test is used."""
        row, step = self.position
        if step:
            chunk = (step - 1) // 2
            place = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
            if step % 2:
                self.a[row, place] = self.b[row, place]
            self.b[row, place] = self.record[64 + chunk % 2 * CHUNK :][:CHUNK]
            rest = slice((chunk + 1) * CHUNK, SIZE)
        else:
            rest = slice(0, SIZE)
        self.swap(row, rest)
        for later in range(row + 1, ROWS):
            self.swap(later, slice(0, SIZE))

    def recover_temp(self) -> None:
        row, step = self.position
        if step == 0:
            self.temp[:] = self.a[row]
        if step <= 1:
            self.a[row] = self.b[row]
        self.b[row] = self.temp
        for later in range(row + 1, ROWS):
            self.swap(later, slice(0, SIZE))

    def swap(self, row: int, place: slice) -> None:
        self.a[row, place], self.b[row, place] = self.b[row, place].copy(), self.a[row, place].copy()


def stamped() -> Image:
    image = Image(bytearray(RECORD + SIZE * (1 + 2 * ROWS)))
    rng = np.random.default_rng(5)
    image.memory[:] = rng.integers(0, 256, image.memory.size, dtype=np.uint8)
    image.record[:8].view(np.uint64)[0] = DATA  # row 0, step 0: what the engine publishes before it calls the mover
    return image


def stepped(mover: DataMover, start: Image) -> Iterator[bytes]:
    """Yield the memory as it is after each instruction of the mover that changed it."""
    warm = Image(bytearray(start.memory))
    mover.move_rows(warm.a, warm.b, warm.temp, warm.record)  # everything is bound
    shared = mmap.mmap(-1, start.memory.size)
    image = Image(shared)
    image.memory[:] = start.memory
    with forked(lambda: mover.move_rows(image.a, image.b, image.temp, image.record)) as child:
        yield from states(child, lambda: shared[:])


def boundaries_lost(mover: DataMover, isa: str = "auto") -> tuple[int, int]:
    """Count the states that were seen, and those from which either recovery does not give both pages exchanged."""
    start = stamped()
    number = lost = 0
    for memory in stepped(mover, start):
        image, again = Image(bytearray(memory)), Image(bytearray(memory))
        temp = mover.log == "temp"
        (image.recover_temp if temp else image.recover_undo)()
        resume_rows(again.a, again.b, again.record, again.temp if temp else None, isa)
        number += 1
        lost += not all(np.array_equal(end.a, start.b) and np.array_equal(end.b, start.a) for end in (image, again))
    return number, lost


@pytest.mark.parametrize("isa", available_isas())
def test_a_word_swap_can_be_stopped_at_any_instruction(isa: str) -> None:
    number, lost = boundaries_lost(WordSwap(isa), isa)
    assert lost == 0
    assert number >= ROWS * SIZE // 64 * 3  # it was stepped through: at least one state per store


def test_a_list_exchange_can_be_stopped_at_any_instruction() -> None:
    isa = available_isas()[0]
    number, lost = boundaries_lost(ListExchange(isa), isa)
    assert lost == 0
    assert number >= ROWS * SIZE // 64 * 3


def test_a_temporary_page_can_be_stopped_at_any_instruction() -> None:
    number, lost = boundaries_lost(TempPage())
    assert lost == 0
    assert number >= ROWS * 3 * 2


def test_a_mover_without_a_log_is_found_out() -> None:
    number, lost = boundaries_lost(Careless())
    assert lost > number // 2


@pytest.mark.parametrize("isa", available_isas())
def test_recovery_finishes_torn_chunks_at_every_step(isa: str) -> None:
    """Independent of tracing: states built by hand, the open chunk torn at a random byte."""
    rng = np.random.default_rng(9)
    for row in range(ROWS):
        for step in range(2 * SIZE // CHUNK + 1):
            start, image = stamped(), stamped()
            for done in range(row):
                image.swap(done, slice(0, SIZE))
            if step:
                chunk = (step - 1) // 2
                place = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
                image.swap(row, slice(0, chunk * CHUNK))
                image.record[64 + chunk % 2 * CHUNK :][:CHUNK] = start.a[row, place]
                torn = place.start + int(rng.integers(0, CHUNK + 1))
                image.a[row, place.start : torn if step % 2 else place.stop] = start.b[
                    row, place.start : torn if step % 2 else place.stop
                ]
                if step % 2 == 0:
                    image.b[row, place.start : torn] = start.a[row, place.start : torn]
                other = 64 + (chunk + 1) % 2 * CHUNK
                image.record[other : other + CHUNK] = 0xEE  # the other half may hold anything
            image.record[:8].view(np.uint64)[0] = (row << 48) | (step << 8) | DATA
            resume_rows(image.a, image.b, image.record, isa=isa)
            np.testing.assert_array_equal(image.a, start.b)
            np.testing.assert_array_equal(image.b, start.a)


@pytest.mark.parametrize(
    "word",
    [(ROWS << 48) | DATA, ((2 * SIZE // CHUNK + 1) << 8) | DATA, 3, (1 << 64) - 1, (0xFFFFFF << 8) | DATA],
)
def test_a_record_that_makes_no_sense_is_refused_and_nothing_is_touched(word: int) -> None:
    start, image = stamped(), stamped()
    image.record[:8].view(np.uint64)[0] = word
    with pytest.raises(OSError, match="state word"):
        resume_rows(image.a, image.b, image.record)
    np.testing.assert_array_equal(image.a, start.a)
    np.testing.assert_array_equal(image.b, start.b)
