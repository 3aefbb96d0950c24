"""All states of one row, one after each store, and what each survivor makes of them."""

import mmap
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from pagexchange.oracle import format as f
from pagexchange.testing.scene.stepping import Stepped, forked
from pagexchange.testing.scene.watching import Ranges, Remembered, Watch, without_logs
from tests.steps.child import do_recovery, do_work
from tests.steps.judge import Memory, Native, Nobody, Python, Survivor, phase, unmarked, verdict
from tests.steps.rows import ROWS, Row
from tests.steps.together import Together

CONTROL = "nobody"
AGAIN = "again"
"""Instead of a phase: a state in which a recovery died."""
SPARSE = ("data", "help", "back")
"""Phases of which a share is looked at; of all others every state up to MANY, of a Python mover's stores."""
MANY = 200


@dataclass
class Deaths:
    """What became of the states of one row."""

    seen: Counter[str] = field(default_factory=Counter)
    """All states, by phase."""
    tried: Counter[str] = field(default_factory=Counter)
    """Those that were recovered."""
    lost: dict[str, Counter[str]] = field(default_factory=dict)
    """By survivor: those that are neither as before nor as after."""
    reasons: list[str] = field(default_factory=list)
    """Of some that are lost: state, survivor, what is wrong."""


_WHERE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
Verdict = Callable[[Memory], bytes | str]


def changing(memory: Memory, exchange: bool) -> Ranges:
    """The parts of an arena that a row can change; a look at all of them is several times as long.

    Of a call neither frames nor the log of a Python mover; of slots those that a row claims.
    """
    raw = f.read(f.Dump(memory))
    size = f.SLOT.itemsize
    claimed = raw.offset["slots"], raw.offset["slots"] + (raw.workers + 4) * size
    end = len(memory) if exchange else raw.offset["frames"]
    log = raw.offset["pieces"] if exchange else raw.offset["mappings"]
    return [(0, raw.offset["slots"]), claimed, (raw.offset["pins"], raw.offset["pieces"]), (log, end)]


def states(exchange: bool, child: Stepped, path: Path) -> Iterator[Memory]:
    """The arena of a child before its work, after each store, the last one after the work; it changes with the next."""
    child.handles = {signal.SIGBUS}
    child.run()  # up to the stop before the work
    with path.open("rb") as file:
        memory = np.frombuffer(mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ), np.uint8)
    watch = Watch(memory, changing(memory, exchange))
    yield memory
    running = True
    while running:
        running = child.step()
        if watch.changed():
            yield memory


def states_of_recovery(row: Row, left: Memory) -> Iterator[Memory]:
    """The arena of a process that recovers what another one has left, after each of its stores."""
    with tempfile.TemporaryDirectory(dir=_WHERE) as folder:
        path = Path(folder) / "arena"
        with forked(lambda: do_recovery(row, left, path)) as child:
            yield from states(True, child, path)


@dataclass
class Judged:
    """One row while its states come in."""

    row: Row
    survivors: dict[str, Survivor]
    random: np.random.Generator
    share: float
    deaths: Deaths
    verdict: Verdict
    ends: set[bytes | str] = field(default_factory=set)
    """What the arena may be in the end."""
    made: list[tuple[str, str, str, bytes | str]] = field(default_factory=list)
    """State, phase or AGAIN, survivor, what the oracle says."""
    kept: dict[str, Memory] = field(default_factory=dict)
    """A state of each phase."""

    @classmethod
    def of(cls, name: str, survivors: dict[str, Survivor], share: float, random: np.random.Generator) -> "Judged":
        deaths = Deaths(lost={who: Counter() for who in survivors})
        return cls(ROWS[name], survivors, random, share, deaths, verdict)

    def judge(self, number: str, where: str, memory: Memory) -> None:
        """Let each survivor recover a state; of long phases now and then."""
        self.deaths.seen[where] += 1
        many = phase(memory) in SPARSE or self.deaths.seen[where] > MANY
        if many and self.deaths.seen[where] > 1 and self.random.random() >= self.share:
            return
        self.deaths.tried[where] += 1
        for who, one in self.survivors.items():
            self.made.append((number, where, who, self.verdict(one.recovered(memory))))

    def work(self) -> None:
        """Judge the states of the row's work."""
        with tempfile.TemporaryDirectory(dir=_WHERE) as folder:
            path = Path(folder) / "arena"
            seed = int(self.random.integers(1 << 32))
            kind: Callable[[int], Stepped] = partial(Together, seed=seed) if self.row.threads > 1 else Stepped
            with forked(lambda: do_work(self.row, path), kind) as child:
                found = states(self.row.exchange, child, path)
                memory = next(found)
                self._begin(memory, path)
                for number, memory in enumerate(found, 1):
                    self._go_on(number, memory)
                self._end(memory)
            assert not isinstance(child, Together) or child.most == self.row.threads

    def _begin(self, memory: Memory, path: Path) -> None:
        said = (lambda memory: verdict(unmarked(memory))) if self.row.breaks else verdict
        self.verdict = Remembered(said, without_logs(f.read(f.Dump(memory))))
        parts = [np.fromfile(part, np.uint8) for part in sorted(path.parent.glob("arena.*"))]
        self.ends = {self.verdict(each) for each in (memory, *parts)}
        assert len(self.ends) == 1 + len(parts)

    def _go_on(self, number: int, memory: Memory) -> None:
        where = phase(memory)
        self.judge(str(number), where, memory)
        if self.random.random() * self.deaths.seen[where] < 1:  # each of them with the same probability
            self.kept[where] = memory.copy()

    def _end(self, memory: Memory) -> None:
        ends = len(self.ends)
        self.ends.add(self._forward() if self.row.breaks else self.verdict(memory))
        assert all(isinstance(end, bytes) for end in self.ends), self.ends
        assert len(self.ends) == ends + (not self.row.undone)

    def _forward(self) -> bytes | str:
        """What all survivors make of the first state in DATA."""
        first = [each for each in self.made if each[1] == "data" and each[2] != CONTROL][: len(self.survivors) - 1]
        assert len({said for *_, said in first}) == 1, first
        return first[0][3]

    def again(self) -> None:
        """Judge the states of the recovery from one state of each phase."""
        for where, left in self.kept.items():
            if where == "idle":
                continue
            for number, memory in enumerate(states_of_recovery(self.row, left)):
                self.judge(f"{number} of the recovery from {where}", AGAIN, memory)

    def counted(self) -> Deaths:
        """What became of them all."""
        for state, where, who, said in self.made:
            if said not in self.ends:
                self.deaths.lost[who][where] += 1
                reason = said if isinstance(said, str) else "neither as before nor as after"
                self.deaths.reasons.append(f"{self.row.name}: state {state}, {where}, {who}: {reason}")
        return self.deaths


def die(
    name: str, survivors: dict[str, Survivor], share: float, random: np.random.Generator, *, again: bool = False
) -> Deaths:
    """Let a row's process die after each store, and each survivor recover a copy of what it left.

    `again`: of each phase one state is recovered by a process that dies, too, after each of its own stores.
    """
    judged = Judged.of(name, survivors, share, random)
    judged.work()
    if again:
        judged.again()
    return judged.counted()


def die_by_seed(name: str, seed: int, share: float, again: bool) -> tuple[Deaths, float]:
    """The same with all survivors and the control, alike in any order of rows; and how long it took, s."""
    start = time.monotonic()
    survivors: dict[str, Survivor] = {"native": Native(ROWS[name]), "python": Python(), CONTROL: Nobody()}
    deaths = die(name, survivors, share, np.random.default_rng([seed, list(ROWS).index(name)]), again=again)
    return deaths, time.monotonic() - start
