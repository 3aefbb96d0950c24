"""What a survivor pays to finish a dead worker's batch, against what it may: 20 us, 2 us a pair, and the bytes again.

The state is real but for two words: a batch is copied while its mover, one in Python, has it, and then says that the
data step of a logged mover has just begun. That is the most that can be left to do.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.rounds import Sample, interleave
from pagexchange.bench.scenes import Pairs, Scene, Setting
from pagexchange.oracle import format as f
from pagexchange_native.bench import time_loop
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.engine.python_objects import PythonMover
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord

BATCH = 32
"""Pairs: what an exchange of a long list has under way at a time."""
SLOT_NS, PAIR_NS = 20_000, 2_000
SIZE = 1 << 20
"""Bytes of pages in pairs."""
_DEAD = 7 << 8 | 6
"""A claim by a process that is not here."""
_UNDO = 1
"""PGX_LOG_UNDO of arena.h."""
Memory = NDArray[np.uint8]


def left_behind(scene: Scene, pairs: Pairs) -> tuple[Memory, int]:
    """Return an arena's bytes as a process leaves them that dies as the data step begins, and the slot's number."""
    arena = scene.arena
    seen: list[Memory] = []

    def move(pieces: NDArray[np.uint64], a: Pairs, b: Pairs) -> None:
        if not seen:
            seen.append(arena.memory.copy())
        pieces[a], pieces[b] = pieces[b], pieces[a]

    flags = MaskedWord(arena.layout.native()["swap"])
    Exchanger(arena, flags, [PythonMover(move)], XArrayCursor()).exchange(pairs, np.empty(len(pairs), np.int32))
    memory = seen[0]
    offset, count, size = arena.geometry()["slots"]
    slots = memory[offset : offset + count * size].view(f.SLOT)
    (slot,) = np.flatnonzero(slots["state"]).tolist()
    slots["state"][slot] = f.PHASES.index("DATA")
    slots["claim"][slot] = _DEAD
    slots["pair"]["kind"][slot, : len(pairs)] = _UNDO
    return memory, slot


def recovery(rounds: int, repeats: int, seed: int) -> tuple[list[float], list[float]]:
    """Return ns of one recovery, and what it may take, by round."""
    scene = Scene(Setting("half", SIZE), seed)
    pairs = scene.draw_one(BATCH)
    memory, slot = left_behind(scene, pairs)
    arena = scene.arena

    def recovered() -> float:
        arena.memory[:] = memory
        start = time.thread_time_ns()
        (found,) = arena.recover(slot)
        spent = time.thread_time_ns() - start
        if (found.outcome, found.phase) != ("recovered", "data"):
            raise RuntimeError(f"the dead worker's batch was not finished: {found}")
        return spent

    def copied() -> float:
        return time_loop("undo", arena.frames, pairs, prefetch=False, order=0)[0]

    cells: dict[str, Sample] = {"recovery": recovered, "copy": copied}
    medians = interleave(cells, rounds, repeats, f"{seed}/recovery")
    return medians["recovery"], [SLOT_NS + PAIR_NS * BATCH + copy for copy in medians["copy"]]
