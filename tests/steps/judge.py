"""Whether a state of an arena, after somebody has recovered it, is what was before the work or what was after it."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.oracle import check
from pagexchange.oracle import format as f
from pagexchange.oracle.essence import essence
from pagexchange.oracle.recovery import recover as recover_in_python
from pagexchange_native.recovery.recover import recover
from tests.steps.rows import NO_PAGES, Row

Memory = NDArray[np.uint8]
HELPS = (f.PHASES.index("HELP"), f.PHASES.index("BACK"))


def phase(memory: Memory) -> str:
    """In what phase a state is: that of the exchange, or whether a change has words saved that do not count.

    Of an exchange whose folio is in its helpers' hands: theirs. Of two exchanges: the first one's that is not at rest.
    """
    slots = f.read(f.Dump(memory)).slots
    workers = slots[1 : len(slots) - f.CALL_SLOTS]
    phases = workers["state"] & np.uint64(0xFF)
    helping = (workers["parent"] != 0) & np.isin(phases, HELPS)
    if helping.any():
        return f.PHASES[int(phases[helping].max())].lower()
    if phases.any():
        return f.PHASES[int(phases[phases != 0][0])].lower()
    if slots["saves"].any() or slots["node_saves"].any():
        return "undo"
    return "idle"


def unmarked(memory: Memory) -> Memory:
    """A copy in which no memory is marked as broken."""
    memory = memory.copy()
    raw = f.read(f.Dump(memory))
    raw.entries["flags"] &= ~np.uint64(raw.layout["hwpoison"])
    return memory


def verdict(memory: Memory) -> bytes | str:
    """The essence of a sound arena at rest, or what is not sound."""
    if (now := phase(memory)) != "idle":  # the check would find this and more, in twenty times as long
        return f"a record is in phase {now}"
    kept = ("pin", f"mapping {NO_PAGES} ")  # by the process that is alive; of a tree that is no file's
    found = [each for each in check(f.Dump(memory)) if each.what != kept[0] and not str(each).startswith(kept[1])]
    return str(found[0]) if found else essence(memory)


class Survivor(Protocol):
    """Who makes of an arena's bytes what a survivor would."""

    def recovered(self, memory: Memory) -> Memory:
        """The bytes afterwards, until it is asked again; those that are given stay."""
        ...


class Nobody:
    """The control: nothing is recovered."""

    def recovered(self, memory: Memory) -> Memory:
        return memory


class Native:
    """Another process's arena of the same geometry, in which the state is put and recovered."""

    def __init__(self, row: Row, path: Path | None = None) -> None:
        capacities = row.capacities
        frames = capacities.pop("frames")
        self.arena: Any = Arena.create(
            [("fast", frames), ("slow", frames)], layout="linux-6.18", path=path, **capacities
        )
        self.uuid = f.read(self.arena).header["uuid"].copy()

    def put(self, memory: Memory) -> None:
        """Make the arena what these bytes say; its identity stays."""
        self.arena.memory[:] = memory
        f.read(self.arena).header["uuid"] = self.uuid

    def recovered(self, memory: Memory) -> Memory:
        self.put(memory)
        recover(self.arena)
        recovered: Memory = self.arena.memory
        return recovered


class Python:
    """The oracle's recoverer: every slot but that of the process."""

    def recovered(self, memory: Memory) -> Memory:
        memory = memory.copy()
        slots = f.read(f.Dump(memory)).slots
        own = len(slots) - f.CALL_SLOTS
        left = [slot for slot in np.flatnonzero(slots["claim"] & np.uint64(0xFF)).tolist() if slot != own]
        while left:
            waiting = [slot for slot in left if recover_in_python(memory, slot).done == "waits"]
            if waiting == left:
                break
            left = waiting
        return memory
