"""The clauses of a data mover, judged by calling it with rows of plain memory."""

import threading
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.host.build import Facts
from pagexchange.host.built import Served
from pagexchange.strangers import kind, said
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.serves import ServesChecks
from pagexchange.testing.scene.cells import NEWEST
from pagexchange.testing.scene.layouts import layout_named
from pagexchange.testing.session.axes import over
from pagexchange.testing.verdict.judge import answers, ask, breaks, raised
from pagexchange_native.movers.mover import DataMover

Bytes = NDArray[np.uint8]

_PIECE: Final = 4096
_TURNS: Final = 15
_LARGEST: Final = 16
"""Pieces that a mover in Python gets at once, at most."""


@dataclass(frozen=True)
class Load:
    """A call: how many pairs of rows, and how large a row."""

    rows: int
    size: int = _PIECE

    def __str__(self) -> str:
        return f"{self.rows}x{self.size >> 10}KiB"


_LOADS: Final = (
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


class DataChecks(ServesChecks):
    """Tests of the data movers of a `candidate`, each named after its clause."""

    @over("load", _LOADS)
    def test_data_exchanges_every_byte(self, candidate: Candidate, load: Load) -> None:
        """All bytes of both folios, of any size and number."""
        clause = "data-exchanges-every-byte"
        for mover in _movers(candidate):
            rows = Rows(load)
            rows.move(clause, mover)
            wrong = rows.not_exchanged()
            if wrong:
                breaks(clause, [f"{_name(mover)}: {line}" for line in wrong])

    @over("load", _LOADS)
    def test_data_touches_nothing_else(self, candidate: Candidate, load: Load) -> None:
        """Rows before, between and behind keep every byte."""
        clause = "data-touches-nothing-else"
        for mover in _movers(candidate):
            rows = Rows(load)
            rows.move(clause, mover)
            wrong = rows.touched()
            if wrong:
                breaks(clause, [f"{_name(mover)}: {line}" for line in wrong])

    def test_data_serves_two_threads(self, candidate: Candidate) -> None:
        """Two workers call one mover at a time, each for its own pages, an odd number of times."""
        for mover in _movers(candidate):
            both = [Rows(Load(8), seed) for seed in range(2)]
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
            wrong = [*failures, *(line for rows in both for line in (*rows.not_exchanged(), *rows.touched()))]
            if wrong:
                breaks("data-serves-two-threads", [f"{_name(mover)}: {line}" for line in wrong])

    def test_data_says_what_it_chose(self, candidate: Candidate) -> None:
        """`describe()`, if there is one, returns texts by topic; a native mover's log has a name."""
        for mover in _movers(candidate):
            clause = "data-says-what-it-chose"
            describe = ask(clause, mover, getattr, mover.object, "describe", None)
            if not callable(describe):
                continue
            description = ask(clause, mover, describe)
            if not isinstance(description, dict) or not all(
                isinstance(x, str) for item in description.items() for x in item
            ):
                breaks(clause, [f"{_name(mover)}: describe() returned {said(description, repr, 200)}"])


class Rows:
    """Memory with rows to exchange among rows that no mover may touch: every other row is a guard."""

    def __init__(self, load: Load, seed: int = 0) -> None:
        self.load = load
        # guard, the a rows, guard, the b rows, guard: so a row too many, on either side, is written to a guard
        per = load.size // _PIECE
        self.pieces = np.random.default_rng(seed).integers(
            0, 1 << 64, (per * (2 * load.rows + 3), _PIECE // 8), dtype=np.uint64
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

    def move(self, clause: str, mover: Served) -> None:
        """Call the mover once; if it raises, it breaks the clause."""
        ask(clause, mover, self.call, mover.object)

    def call(self, mover: Any) -> None:  # noqa: ANN401 - native or a callable
        """Call the mover once, in the way of its kind."""
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

    def not_exchanged(self) -> list[str]:
        """Say which of the rows do not hold what the other side held; those of a callable are drawn in one order."""
        want = self.before.copy()
        want[self.a], want[self.b] = self.before[self.b], self.before[self.a]
        return self._differences(want, np.concatenate([self.a, self.b]), "not the other row's")

    def touched(self) -> list[str]:
        """Say which of the other rows were written to."""
        others = np.setdiff1d(np.arange(len(self.pieces)), np.concatenate([self.a, self.b]))
        return self._differences(self.before, others, "written to, and belongs to no pair")

    def _differences(self, want: NDArray[np.uint64], rows: NDArray[np.int64], fault: str) -> list[str]:
        differences = []
        for row in rows.tolist():
            bad = np.flatnonzero(want[row].view(np.uint8) != self.pieces[row].view(np.uint8))
            if len(bad):
                differences.append(
                    f"{self.load}, piece {row}: {len(bad)} of {_PIECE} bytes, from byte {bad[0]} on: {fault}"
                )
        return differences


def _movers(candidate: Candidate) -> list[Served]:
    return answers(candidate, "data", Facts(layout_named(NEWEST)))


def _name(mover: Served) -> str:
    def name(target: Any) -> str:  # noqa: ANN401 - native or a callable
        return str(getattr(target, "name", getattr(target, "__name__", kind(target))))

    return said(mover.object, name)
