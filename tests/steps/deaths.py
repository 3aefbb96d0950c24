"""All states of one row, one after each store, and what each survivor makes of them."""

import ctypes
import mmap
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from pagexchange.oracle import format as f
from tests.stepping import Stepped
from tests.steps.judge import Image, Memory, Survivor, phase, verdict
from tests.steps.rows import ROWS

CHILD = Path(__file__).with_name("child.py")
SPARSE = ("data", "back")
"""Phases of which a share is looked at: of all others every state."""


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
        raw = f.read(Image(memory))
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


def states(name: str) -> Iterator[Memory]:
    """The arena before the work, after each store, the last one after the work."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        path = Path(folder) / "arena"
        with Stepped(CHILD, str(path), name) as child:
            with path.open("rb") as file:
                memory = np.frombuffer(mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ), np.uint8)
            watch = Watch.of(memory, ROWS[name].exchange)
            yield watch.memory
            running = True
            while running:
                running = child.step()
                if watch.changed(memory):
                    watch.memory = memory.copy()
                    yield watch.memory


def die(name: str, survivors: dict[str, Survivor], share: float, random: np.random.Generator) -> Deaths:
    """Lets a row's process die after each store, and each survivor recover a copy of what it left."""
    deaths = Deaths(lost={who: Counter() for who in survivors})
    made: list[tuple[int, str, str, bytes | str]] = []
    before: bytes | str = ""
    memory: Memory
    for number, memory in enumerate(states(name)):
        if number == 0:
            before = verdict(memory)
            continue
        where = phase(memory)
        deaths.seen[where] += 1
        if where in SPARSE and random.random() >= share:
            continue
        deaths.tried[where] += 1
        made += [(number, where, who, verdict(one.recovered(memory.copy()))) for who, one in survivors.items()]
    after = verdict(memory)
    assert isinstance(before, bytes), before
    assert isinstance(after, bytes), after
    assert before != after
    for number, where, who, said in made:
        if said not in (before, after):
            deaths.lost[who][where] += 1
            reason = said if isinstance(said, str) else "neither as before nor as after"
            deaths.reasons.append(f"{name}: state {number}, {where}, {who}: {reason}")
    return deaths
