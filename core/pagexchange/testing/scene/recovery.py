"""Runs a native mover one instruction at a time, and finishes its work from what its log says after each of them.

The rules are the documented ones (docs/architecture.md, the record), written again in Python: nothing of the engine's
recovery is used. The child is a fork, so that any object can be stepped, and touches nothing but what it shares.
"""

import mmap
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.testing.scene.stepping import forked, states
from pagexchange_native.movers.mover import DataMover

_RECORD, _LOG, _CHUNK = 640, 64, 256
_ROWS, _SIZE = 2, 1024
_DATA: Final = 2

Bytes = NDArray[np.uint8]


class Image:
    """Everything that a mover writes to, cut into its parts: record, temporary page, both sides."""

    def __init__(self, memory: Any) -> None:  # noqa: ANN401 - bytes, or a shared mapping
        self.memory: Bytes = np.frombuffer(memory, dtype=np.uint8)
        self.record, self.temp, self.a, self.b = self.parts(self.memory)

    @staticmethod
    def parts(memory: Bytes) -> tuple[Bytes, Bytes, Bytes, Bytes]:
        """Return record, temporary page, rows of a, rows of b."""
        rows = memory[_RECORD + _SIZE :].reshape(2, _ROWS, _SIZE)
        return memory[:_RECORD], memory[_RECORD : _RECORD + _SIZE], rows[0], rows[1]

    @property
    def state(self) -> int:
        """The publish word."""
        return int(self.record[:8].view(np.uint64)[0])

    @property
    def row(self) -> int:
        """The row that the publish word names."""
        return self.state >> 48

    # The rules once more, from their description and not from the engine's code, which may be the one that is wrong.
    def finish(self, log: str) -> str:
        """Do what recovery would; return what is wrong with the publish word, if anything."""
        word = self.state
        row, step = self.row, (word >> 8) & ((1 << 40) - 1)
        last = 2 if log == "temp" else 2 * _SIZE // _CHUNK
        if word & 0xFF != _DATA or row >= _ROWS or step > last:
            return f"the publish word {word:#x} names no step of the move"
        (self._finish_temp if log == "temp" else self._finish_undo)(row, step)
        # Rows before this one are done, this one is finished from the log, and those behind it are untouched.
        for later in range(row + 1, _ROWS):
            self._swap(later, slice(0, _SIZE))
        return ""

    def _finish_undo(self, row: int, step: int) -> None:
        if not step:
            self._swap(row, slice(0, _SIZE))
            return
        chunk = (step - 1) // 2
        place = slice(chunk * _CHUNK, (chunk + 1) * _CHUNK)
        if step % 2:
            self.a[row, place] = self.b[row, place]
        self.b[row, place] = self.record[_LOG + chunk % 2 * _CHUNK :][:_CHUNK]
        self._swap(row, slice(place.stop, _SIZE))

    def _finish_temp(self, row: int, step: int) -> None:
        if step == 0:
            self.temp[:] = self.a[row]
        if step <= 1:
            self.a[row] = self.b[row]
        self.b[row] = self.temp

    def _swap(self, row: int, place: slice) -> None:
        self.a[row, place], self.b[row, place] = self.b[row, place].copy(), self.a[row, place].copy()


def not_recovered(movers: Sequence[Any]) -> list[str]:
    """Step through each native mover; say after which instructions its log was not enough. Skips what cannot be."""
    # A mover in Python has no log to read: before it is called the engine copies whole pages.
    native = [mover for mover in movers if isinstance(mover, DataMover)]
    if not native:
        pytest.skip("in Python: runs under a log of whole pages that the engine writes")
    wrong = []
    for mover in native:
        if mover.log not in ("undo", "temp"):
            wrong.append(f"{mover.name}: its log is {mover.log!r}, from which nothing can be finished")
            continue
        states = lost = furthest = 0
        first = order = ""
        for number, memory in enumerate(_states(mover)):
            image, start = Image(bytearray(memory)), _start()
            if image.row < furthest:
                order = f"; it went back from pair {furthest} to pair {image.row}: pairs are taken in ascending order"
            furthest = max(furthest, image.row)
            fault = image.finish(mover.log)
            states += 1
            if fault or not (np.array_equal(image.a, start.b) and np.array_equal(image.b, start.a)):
                lost += 1
                first = first or f"write {number}: {fault or f'publish word {image.state:#x} leaves the pages torn'}"
        if not states:
            wrong.append(f"{mover.name}: it wrote nothing")
        elif lost:
            wrong.append(f"{mover.name}: from {lost} of {states} states the pages cannot be finished; {first}{order}")
    return wrong


def _start() -> Image:
    image = Image(bytearray(_RECORD + _SIZE * (1 + 2 * _ROWS)))
    image.memory[:] = np.random.default_rng(5).integers(0, 256, image.memory.size, dtype=np.uint8)
    image.record[:8].view(np.uint64)[0] = _DATA  # row 0, step 0: published before a mover is called
    return image


def _states(mover: DataMover) -> Iterator[bytes]:
    """Yield the shared memory as it is after each instruction that changed it."""
    start = _start().memory.tobytes()
    shared = mmap.mmap(-1, len(start))
    shared[:] = start
    arguments = _arguments(mover, Image(shared))
    mover.move_rows(*_arguments(mover, Image(bytearray(start))))  # everything is bound and warm
    with forked(lambda: mover.move_rows(*arguments)) as child:
        try:
            yield from states(child, lambda: shared[:])
        except ChildProcessError as error:
            pytest.fail(f"{mover.name} ended the process that moved ({error})", pytrace=False)


def _arguments(mover: DataMover, image: Image) -> tuple[Bytes, Bytes, Bytes | None, Bytes]:
    return image.a, image.b, image.temp if mover.log == "temp" else None, image.record
