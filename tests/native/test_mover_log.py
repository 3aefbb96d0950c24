"""A mover may be stopped at any instruction: what its record says is enough to finish both pages, byte by byte."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pagexchange_native.movers.mover import available_isas, resume_rows

CHILD = Path(__file__).with_name("stepped_child.py")
RECORD, CHUNK, ROWS, SIZE = 640, 256, 3, 1024
DATA = 2


class Image:
    """A copy of everything the child writes to, cut into its parts."""

    def __init__(self, memory: bytes) -> None:
        self.memory = np.frombuffer(bytearray(memory), dtype=np.uint8)
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
    image = Image(bytes(RECORD + SIZE * (1 + 2 * ROWS)))
    rng = np.random.default_rng(5)
    image.memory[:] = rng.integers(0, 256, image.memory.size, dtype=np.uint8)
    image.record[:8].view(np.uint64)[0] = DATA  # row 0, step 0: what the engine publishes before it calls the mover
    return image


def stepped(tmp_path: Path, what: str, isa: str, start: Image) -> Iterator[bytes]:
    """Yield the shared memory as it is after each instruction of the child that changed it."""
    path = tmp_path / "shared"
    path.write_bytes(start.memory.tobytes())
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    command = [sys.executable, str(CHILD), str(path), what, isa, str(ROWS), str(SIZE)]
    with subprocess.Popen(command) as child, path.open("rb") as file:
        try:
            _, status = os.waitpid(child.pid, 0)
            if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 77:
                child.returncode = 77
                pytest.skip("processes may not be traced here (ptrace is refused)")
            assert os.WIFSTOPPED(status)
            assert os.WSTOPSIG(status) == signal.SIGSTOP
            last = start.memory.tobytes()
            while True:
                assert libc.ptrace(9, child.pid, None, None) == 0  # PTRACE_SINGLESTEP
                _, status = os.waitpid(child.pid, 0)
                assert os.WIFSTOPPED(status), status
                now = os.pread(file.fileno(), len(last), 0)
                if now != last:
                    yield now
                    last = now
                if os.WSTOPSIG(status) == signal.SIGSTOP:
                    return
        finally:
            if child.returncode is None:
                child.kill()


def boundaries_lost(tmp_path: Path, what: str, isa: str) -> tuple[int, int]:
    """Count the states seen, and those from which either recovery does not give both pages exchanged."""
    start = stamped()
    seen = lost = 0
    for memory in stepped(tmp_path, what, isa, start):
        image, again = Image(memory), Image(memory)
        temp = what == "temp"
        (image.recover_temp if temp else image.recover_undo)()
        resume_rows(again.a, again.b, again.record, again.temp if temp else None, isa)
        seen += 1
        lost += not all(np.array_equal(end.a, start.b) and np.array_equal(end.b, start.a) for end in (image, again))
    return seen, lost


@pytest.mark.parametrize("isa", available_isas())
def test_a_word_swap_can_be_stopped_at_any_instruction(tmp_path: Path, isa: str) -> None:
    seen, lost = boundaries_lost(tmp_path, "word", isa)
    assert lost == 0
    assert seen >= ROWS * SIZE // 64 * 3  # it was stepped through: at least one state per store


def test_a_list_exchange_can_be_stopped_at_any_instruction(tmp_path: Path) -> None:
    seen, lost = boundaries_lost(tmp_path, "list", available_isas()[0])
    assert lost == 0
    assert seen >= ROWS * SIZE // 64 * 3


def test_a_temporary_page_can_be_stopped_at_any_instruction(tmp_path: Path) -> None:
    seen, lost = boundaries_lost(tmp_path, "temp", "auto")
    assert lost == 0
    assert seen >= ROWS * 3 * 2


def test_a_mover_without_a_log_is_found_out(tmp_path: Path) -> None:
    seen, lost = boundaries_lost(tmp_path, "careless", "auto")
    assert lost > seen // 2


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
