"""The recoverer in Python: a worker of a toy arena dies at each of its stores, and nothing is lost and nothing held."""

import contextlib
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.oracle import Oracle
from pagexchange.oracle import format as f
from pagexchange.oracle.recovery import StoppedError, recover
from pagexchange.oracle.recovery.pairs import read_pairs
from tests.core.test_oracle import BIG_A, BIG_B, OTHER, REFUSED, A, B, flag
from tests.core.toy_arena import LAYOUT, Page, Toy
from tests.core.toy_worker import Worker, break_off

UNDO, TEMP, WHOLE = 1, 2, 3
RAW = 72


@dataclass
class Holder:
    """An arena that stands where another one stood."""

    memory: NDArray[np.uint8]


def make(page_size: int) -> Toy:
    """Pages of every kind and orders 0, 1 and 3."""
    tail = LAYOUT.tail_mask("swap")
    toy = Toy(
        [
            Page(A, mapping=0, index=7, marks=1, flags=flag("uptodate", "dirty", "lru"), maps=[(0, 300), (2, 9)]),
            Page(B, maps=[(0, 64), (1, 64), (2, 64)], flags=flag("swapbacked", "uptodate", "active")),
            Page(OTHER, mapping=0, index=8, flags=flag("uptodate", "referenced")),
            Page(REFUSED[0], mapping=1, index=0, flags=flag("swapbacked", "dirty"), marks=5),
            Page(9, mapping=2, index=0, flags=flag("private"), private=0xABCD),
            Page(RAW, held=1),
            Page(BIG_A, order=3, mapping=3, index=8, marks=1, flags=flag("dirty")),
            Page(BIG_B, order=3, mapping=3, index=512, maps=[(0, 1024), (1, 2048)], flags=flag("uptodate")),
            Page(32, order=1, mapping=4, index=100_000),
            Page(90, order=1, maps=[(0, 4096)], flags=flag("swapbacked")),
        ],
        page_size=page_size,
    )
    for pfn in (BIG_A + 2, BIG_B + 3, BIG_B + 7, 33):
        toy.raw.entries["flags"][pfn] |= np.uint64(tail)
    return toy


PAIRS = {
    "file, anonymous": [(A, B)],
    "shared memory, raw": [(REFUSED[0], RAW)],
    "private data, file": [(9, OTHER)],
    "folios": [(BIG_A, BIG_B)],
    "two small folios, one page": [(32, 90), (A, RAW)],
}


@dataclass
class Judge:
    """An arena before, and what another one is by comparison."""

    pairs: list[tuple[int, int]]
    page_size: int = 512

    def __post_init__(self) -> None:
        self.toy = make(self.page_size)
        self.holder = Holder(self.toy.memory)
        self.oracle = Oracle.before(self.holder, layout=LAYOUT, seed=3)
        assert not self.oracle.unsound.kept

    def of(self, memory: NDArray[np.uint8]) -> str:
        """Which pairs have been exchanged, as 0 and 1; or what is wrong."""
        self.holder.memory = memory
        first, now = self.toy.raw.entries, f.read(self.holder).entries
        done = [any(first[name][a] != now[name][a] for name in ("mapping", "index")) for a, _ in self.pairs]
        verdict = self.oracle.after(self.pairs, [0 if did else -11 for did in done])
        return "".join(str(int(did)) for did in done) if verdict.kind == "exact" else str(verdict)


class Deaths:
    """Looks after a sample of a worker's stores: what would be if that had been its last."""

    def __init__(self, judge: Judge, sample: int = 9, others: int = 3) -> None:
        self.judge, self.sample, self.others = judge, sample, others
        self.memory = judge.toy.memory.copy()
        self.stores = self.torn = 0
        self.phases: dict[str, int] = {}
        self.ends: set[str] = set()
        self.worker = Worker(self.memory, self.look)

    def look(self) -> None:
        self.stores += 1
        phase = f.PHASES[self.worker.record.phase]
        if self.stores % (self.sample if phase in ("DATA", "BACK") else self.others):
            return
        self.phases[phase] = self.phases.get(phase, 0) + 1
        if self.phases[phase] == 4:
            self.torn += len(set(self.judge.of(self.memory.copy()))) > 1
        memory = self.memory.copy()
        outcomes = [outcome for outcome in (recover(memory, slot) for slot in SLOTS) if outcome.done != "free"]
        assert {outcome.done for outcome in outcomes} <= {"recovered"}, (self.stores, outcomes)
        end = self.judge.of(memory)
        assert set(end) <= {"0", "1"}, (self.stores, phase, end)
        self.ends.add(end)
        self.again(memory)

    def again(self, memory: NDArray[np.uint8]) -> None:
        """A recovery that dies itself, somewhere, and is begun again, comes to the same end."""
        other = self.memory.copy()
        with contextlib.suppress(StoppedError):
            recover(other, 1, stores=self.stores * 37 % 61)
        for slot in SLOTS:
            assert recover(other, slot).done in ("recovered", "free"), self.stores
        end = [image.copy() for image in (memory, other)]
        for image in end:  # what may be otherwise: logs, and how often a tree was said to change
            f.read(Holder(image)).slots[:] = 0
            f.read(Holder(image)).mappings["pages"]["seq"] = 0
        assert np.array_equal(end[0], end[1]), self.stores


SLOTS = (1, 2)


@pytest.mark.parametrize("kind", [UNDO, TEMP], ids=["undo", "temp"])
@pytest.mark.parametrize("pairs", PAIRS.values(), ids=PAIRS)
def test_a_worker_that_dies_at_any_store_loses_nothing(pairs: list[tuple[int, int]], kind: int) -> None:
    deaths = Deaths(Judge(pairs), 37 if BIG_A in pairs[0] and kind == UNDO else 3)
    worker = deaths.worker
    worker.end(worker.begin(pairs, kind))
    assert deaths.ends == {"0" * len(pairs), "1" * len(pairs)}
    assert {"IDLE", "INTENT", "DATA", "META"} <= deaths.phases.keys()
    assert deaths.torn > 1  # a control: as it lies it is neither


@pytest.mark.parametrize("fails", [0, 1, -1])
@pytest.mark.parametrize("page_size", [1024, 4096, 8192])
def test_pages_that_a_mover_in_python_has_moved_are_put_back(page_size: int, fails: int) -> None:
    pairs = [(BIG_A, BIG_B), (A, B), (OTHER, RAW), (32, 90), (9, REFUSED[0])]
    sample = 7 if page_size < 8192 else 29
    deaths = Deaths(Judge(pairs, page_size), sample, 9)
    worker = deaths.worker
    found = worker.begin(pairs, WHOLE)
    worker.move_whole(found, fails)
    if fails >= 0:
        worker.end(found)
    assert deaths.ends == {"0" * len(pairs)}


@pytest.mark.parametrize("fails", [False, True], ids=["whole", "broken"])
def test_helpers_of_a_large_folio_count_only_while_their_parents_step_says_so(fails: bool) -> None:
    pairs = [(BIG_A, BIG_B)]
    deaths = Deaths(Judge(pairs, f.PIECE), 41, 7)
    worker = deaths.worker
    (pair,) = worker.begin(pairs)
    worker.split(pair, (2,), fails)
    worker.end(read_pairs(worker.record, recorded=True))
    assert deaths.ends == ({"0"} if fails else {"0", "1"})
    assert "HELP" not in deaths.phases  # the worker's own word says DATA


@pytest.mark.parametrize("kind", [UNDO, TEMP], ids=["undo", "temp"])
@pytest.mark.parametrize("step", [1, 2])
def test_a_pair_that_meets_broken_memory_is_put_back_and_the_next_goes_on(kind: int, step: int) -> None:
    pairs = [(A, B), (OTHER, RAW)]
    deaths = Deaths(Judge(pairs), 1, 1 << 30)
    worker = deaths.worker
    found = worker.begin(pairs, kind)
    deaths.ends.clear()
    break_off(worker, found[0], step + (2 if kind == UNDO else 0))
    assert deaths.ends <= {"01", "11"}
    deaths.sample, deaths.others = 5, 5
    worker.end(read_pairs(worker.record, recorded=True))
    assert "BACK" in deaths.phases
    assert "01" in deaths.ends
