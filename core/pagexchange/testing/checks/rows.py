"""Rows of plain memory that a mover or a copier is called with, and what is wrong with them afterwards."""

import threading
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.host.build import Facts
from pagexchange.host.built import Served
from pagexchange.oracle.format import piece_of
from pagexchange.strangers import kind, said
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.scene.cells import NEWEST
from pagexchange.testing.scene.layouts import layout_named
from pagexchange.testing.verdict.judge import answers, ask, breaks, raised
from pagexchange_native.movers.copier import DataCopier
from pagexchange_native.movers.mover import DataMover

Bytes = NDArray[np.uint8]

_TURNS: Final = 15
_LARGEST: Final = 16
"""Pieces that a mover in Python gets at once, at most."""


@dataclass(frozen=True)
class Load:
    """A call: how many pairs of rows, and how large a row."""

    rows: int
    size: int = 4096

    def __str__(self) -> str:
        return f"{self.rows}x{self.size >> 10}KiB"


LOADS: Final = (
    Load(3, 1 << 10),
    Load(5, 2 << 10),
    Load(1),
    Load(2),
    Load(3),
    Load(7),
    Load(15),
    Load(_LARGEST),
    Load(5, 16 << 10),
    Load(3, 64 << 10),
    Load(1, 2 << 20),
)


_DIFFER: Final = (None, slice(8, None), slice(64, None), slice(-8, None), slice(-1, None), slice(8), slice(256, 264))
"""Bytes in which the rows of a pair differ, None: all, at random. Who compares before it moves must compare all."""


class Rows:
    """Memory with rows to move among rows that nobody may touch: every other row is a guard.

    `copies`: the rows of a are copied to those of b, and stay as they are; else the two are exchanged.
    """

    def __init__(self, load: Load, copies: bool = False, seed: int = 0) -> None:
        self.load, self.copies = load, copies
        # guard, the a rows, guard, the b rows, guard: so a row too many, on either side, is written to a guard
        piece = piece_of(load.size)
        per = load.size // piece
        self.pieces = np.random.default_rng(seed).integers(
            0, 1 << 64, (per * (2 * load.rows + 3), piece // 8), dtype=np.uint64
        )
        middle = per * (load.rows + 2)
        self.a = np.arange(per, per * (load.rows + 1))
        self.b = np.arange(middle, middle + per * load.rows)
        # Pairs that are equal but for a few bytes: for a mover that compares, and skips what it takes for equal.
        for a, b, differ in zip(self._bytes(self.a), self._bytes(self.b), cycle(_DIFFER), strict=False):
            if differ is not None:
                a[:] = b
                a[differ] ^= 255
        self.before = self.pieces.copy()

    def call(self, mover: Any) -> None:  # noqa: ANN401 - native or a callable
        """Call the mover once, in the way of its kind."""
        if isinstance(mover, DataCopier):
            mover.copy_rows(self._bytes(self.a), self._bytes(self.b))
            return
        if not isinstance(mover, DataMover):
            # One permutation for both sides: the pieces of a pair are found by position, not by neighbourhood.
            a, b = (np.random.default_rng(1).permutation(side) for side in (self.a, self.b))
            for first in range(0, len(a), _LARGEST):
                mover(self.pieces, a[first : first + _LARGEST].copy(), b[first : first + _LARGEST].copy())
            return
        # Only a mover with a log of that kind is handed a temporary page: another one that used it would crash here.
        temp = np.zeros(self.load.size, np.uint8) if mover.log == "temp" else None
        mover.move_rows(self._bytes(self.a), self._bytes(self.b), temp)

    def _bytes(self, side: NDArray[np.int64]) -> Bytes:
        return self.pieces[side[0] : side[-1] + 1].view(np.uint8).reshape(self.load.rows, self.load.size)

    def not_moved(self) -> list[str]:
        """Say which of the rows do not hold what the other side held; those of a callable are drawn in one order."""
        want = self.before.copy()
        want[self.b] = self.before[self.a]
        if not self.copies:
            want[self.a] = self.before[self.b]
        return self._differences(want, self._written, "not the other row's")

    def touched(self) -> list[str]:
        """Say which of the other rows were written to."""
        others = np.setdiff1d(np.arange(len(self.pieces)), self._written)
        fault = "written to, and no copy goes there" if self.copies else "written to, and belongs to no pair"
        return self._differences(self.before, others, fault)

    @property
    def _written(self) -> NDArray[np.int64]:
        return self.b if self.copies else np.concatenate([self.a, self.b])

    def _differences(self, want: NDArray[np.uint64], rows: NDArray[np.int64], fault: str) -> list[str]:
        differences = []
        for row in rows.tolist():
            bad = np.flatnonzero(want[row].view(np.uint8) != self.pieces[row].view(np.uint8))
            if len(bad):
                size = self.before.shape[1] * 8
                differences.append(
                    f"{self.load}, piece {row}: {len(bad)} of {size} bytes, from byte {bad[0]} on: {fault}"
                )
        return differences


def every_byte(clause: str, candidate: Candidate, question: str, load: Load) -> None:
    """Judge whether all bytes arrive."""
    for mover in _movers(candidate, question):
        _show(clause, mover, _called(clause, mover, load).not_moved())


def nothing_else(clause: str, candidate: Candidate, question: str, load: Load) -> None:
    """Judge whether all other bytes stay."""
    for mover in _movers(candidate, question):
        _show(clause, mover, _called(clause, mover, load).touched())


def two_threads(clause: str, candidate: Candidate, question: str) -> None:
    """Judge whether two workers may call one mover, each for its own pages, an odd number of times."""
    for mover in _movers(candidate, question):
        both = [Rows(Load(8), question == "copy", seed) for seed in range(2)]
        failures: list[str] = []

        # Arguments with defaults bind this round's mover and list; a closure would see those of the last round.
        def work(rows: Rows, mover: Served = mover, failures: list[str] = failures) -> None:
            try:
                for _ in range(_TURNS):
                    rows.call(mover.object)
            except BaseException as error:  # a thread cannot fail a test
                failures.append(raised(mover, error))

        threads = [threading.Thread(target=work, args=(rows,)) for rows in both]
        # An odd number of turns: in the end the rows must be exchanged, not back where they were.
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _show(clause, mover, [*failures, *(line for rows in both for line in (*rows.not_moved(), *rows.touched()))])


def describes(clause: str, candidate: Candidate, question: str) -> None:
    """Judge what `describe()` returns."""
    for mover in _movers(candidate, question):
        describe = ask(clause, mover, getattr, mover.object, "describe", None)
        if not callable(describe):
            continue
        description = ask(clause, mover, describe)
        if not isinstance(description, dict) or not all(
            isinstance(x, str) for item in description.items() for x in item
        ):
            breaks(clause, [f"{_name(mover)}: describe() returned {said(description, repr, 200)}"])


def _called(clause: str, mover: Served, load: Load) -> Rows:
    """Rows that a mover was called with once; if it raises, it breaks the clause."""
    rows = Rows(load, mover.question == "copy")
    ask(clause, mover, rows.call, mover.object)
    return rows


def _show(clause: str, mover: Served, wrong: list[str]) -> None:
    if wrong:
        breaks(clause, [f"{_name(mover)}: {line}" for line in wrong])


def _movers(candidate: Candidate, question: str) -> list[Served]:
    return answers(candidate, question, Facts(layout_named(NEWEST)))


def _name(mover: Served) -> str:
    def name(target: Any) -> str:  # noqa: ANN401 - native or a callable
        return str(getattr(target, "name", getattr(target, "__name__", kind(target))))

    return said(mover.object, name)
