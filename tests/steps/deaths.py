"""All states of one row, one after each store, and what each survivor makes of them."""

import ctypes
import mmap
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from pagexchange.oracle import format as f
from tests.stepping import Stepped
from tests.steps.judge import Memory, Survivor, phase, unmarked, verdict
from tests.steps.rows import ROWS

CHILD = Path(__file__).with_name("child.py")
RECOVERING_CHILD = Path(__file__).with_name("recovering_child.py")
CONTROL = "nobody"
AGAIN = "again"
"""Instead of a phase: a state in which a recovery died."""
SPARSE = ("data", "back")
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
_libc = ctypes.CDLL(None)
_libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


@dataclass
class Watch:
    """A copy of the parts of an arena that a row can change; a look at all of them is two hundred times as long."""

    memory: Memory
    ranges: list[tuple[int, int]]

    @classmethod
    def of(cls, memory: Memory, exchange: bool) -> Self:
        """Of a call neither frames nor the log of a Python mover; of slots those that a row claims."""
        raw = f.read(f.Dump(memory))
        size = f.SLOT.itemsize
        claimed = raw.offset["slots"], raw.offset["slots"] + (raw.workers + 4) * size
        end = len(memory) if exchange else raw.offset["frames"]
        log = raw.offset["pieces"] if exchange else raw.offset["mappings"]
        ranges = [(0, raw.offset["slots"]), claimed, (raw.offset["pins"], raw.offset["pieces"]), (log, end)]
        return cls(memory.copy(), ranges)

    def changed(self, memory: Memory) -> bool:
        """Whether anything there differs from what was last kept."""
        there, kept = memory.ctypes.data, self.memory.ctypes.data
        return any(_libc.memcmp(there + start, kept + start, end - start) for start, end in self.ranges)


def states(exchange: bool, child_file: Path, *arguments: str) -> Iterator[Memory]:
    """The arena of a child before its work, after each store, the last one after the work."""
    with tempfile.TemporaryDirectory(dir=_WHERE) as folder:
        path = Path(folder) / "arena"
        with Stepped(child_file, str(path), *arguments) as child:
            child.handles = {signal.SIGBUS}
            with path.open("rb") as file:
                memory = np.frombuffer(mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ), np.uint8)
            watch = Watch.of(memory, exchange)
            yield watch.memory
            running = True
            while running:
                running = child.step()
                if watch.changed(memory):
                    watch.memory = memory.copy()
                    yield watch.memory


def states_of_recovery(left: Memory) -> Iterator[Memory]:
    """The arena of a process that recovers what another one has left, after each of its stores."""
    with tempfile.NamedTemporaryFile(dir=_WHERE) as file:
        left.tofile(file.name)
        yield from states(True, RECOVERING_CHILD, file.name)


@dataclass
class Row:
    """One row while its states come in."""

    name: str
    survivors: dict[str, Survivor]
    random: np.random.Generator
    share: float
    breaks: bool
    deaths: Deaths
    made: list[tuple[str, str, str, bytes | str]] = field(default_factory=list)
    """State, phase or AGAIN, survivor, what the oracle says."""

    def judge(self, number: str, where: str, memory: Memory) -> None:
        """Let each survivor recover a copy of a state; the states of long phases now and then."""
        self.deaths.seen[where] += 1
        many = phase(memory) in SPARSE or self.deaths.seen[where] > MANY
        if many and self.deaths.seen[where] > 1 and self.random.random() >= self.share:
            return
        self.deaths.tried[where] += 1
        for who, one in self.survivors.items():
            recovered = one.recovered(memory.copy())
            self.made.append((number, where, who, verdict(unmarked(recovered) if self.breaks else recovered)))

    def forward(self) -> bytes | str:
        """What all survivors make of the first state in DATA."""
        first = [each for each in self.made if each[1] == "data" and each[2] != CONTROL][: len(self.survivors) - 1]
        assert len({said for *_, said in first}) == 1, first
        return first[0][3]


def die(
    name: str, survivors: dict[str, Survivor], share: float, random: np.random.Generator, *, again: bool = False
) -> Deaths:
    """Let a row's process die after each store, and each survivor recover a copy of what it left.

    `again`: of each phase one state is recovered by a process that dies, too, after each of its own stores.
    """
    row = Row(name, survivors, random, share, ROWS[name].breaks, Deaths(lost={who: Counter() for who in survivors}))
    before: bytes | str = ""
    kept: dict[str, Memory] = {}
    memory: Memory = np.empty(0, np.uint8)
    for number, memory in enumerate(states(ROWS[name].exchange, CHILD, name)):
        if number == 0:
            before = verdict(unmarked(memory) if row.breaks else memory)
            continue
        where = phase(memory)
        row.judge(str(number), where, memory)
        if random.random() * row.deaths.seen[where] < 1:  # each of them with the same probability
            kept[where] = memory
    after = row.forward() if row.breaks else verdict(memory)
    assert isinstance(before, bytes), before
    assert isinstance(after, bytes), after
    assert before != after
    kept.pop("idle", None)
    for where, left in kept.items() if again else ():
        for number, memory in enumerate(states_of_recovery(left)):
            row.judge(f"{number} of the recovery from {where}", AGAIN, memory)
    for state, where, who, said in row.made:
        if said not in (before, after):
            row.deaths.lost[who][where] += 1
            reason = said if isinstance(said, str) else "neither as before nor as after"
            row.deaths.reasons.append(f"{name}: state {state}, {where}, {who}: {reason}")
    return row.deaths
