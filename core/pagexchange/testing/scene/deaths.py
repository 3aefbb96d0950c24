"""Kills a process after the stores that an exchange or a migration makes, from the questions on; the next one recovers.

The child is a fork with an arena of its own, in a file. It runs at full speed until the flag policy is asked, which is
the suite's own and stops it; from there on it goes one instruction at a time: the mover takes what it needs, the bytes
move, the tables follow. Each state is recovered twice, by the oracle, which shares no code with the engine, and by the
engine, in another arena of the same size. It must be as before or as after, for every user of the arena.
"""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.hookspecs import Words
from pagexchange.oracle import check
from pagexchange.oracle.essence import essence
from pagexchange.oracle.format import CALL_SLOTS, PHASES, SLOT, Dump, read
from pagexchange.oracle.recovery import recover
from pagexchange.testing.candidates.partners import swapped
from pagexchange.testing.scene.cells import Cell
from pagexchange.testing.scene.scene import FAST, SLOW, Scene
from pagexchange.testing.scene.stepping import Stepped, forked
from pagexchange.testing.scene.watching import Remembered, Watch, without_logs
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.engine.python_objects import PythonFlags
from pagexchange_native.movers.copier import DataCopier
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.policies.find_slot import XArrayCursor

CELL: Final = Cell(left="anon", right="file", pairs=3)
"""The first pair is refused, so that the number of a move in the mover's list is not that of its pair."""
WORKER: Final = 1
"""The slot of an exchange that nobody competes with."""
EVERY: Final = ((2000, 23), (1 << 62, 400))
"""(up to, one in): how many of the states are recovered that differ in the bytes of pages and logs alone. Where the log
is not enough for these, `a-stopped-mover-can-be-finished` says so of each; a processor may copy byte by byte."""

Memory = NDArray[np.uint8]
Movers = Callable[[Arena], Sequence[Any]]
"""Makes the objects to be judged, for an arena."""
Work = Callable[[Exchanger, Scene], Callable[[int], object]]
"""Makes what is called three times, with the number of the call: there, back, there."""
_WHERE: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def not_finished(movers: Movers) -> list[str]:
    """Say after which stores of an exchange a death cannot be finished or undone. Skips where no mover is native."""
    return _not_finished(movers, DataMover, _exchange)


def migration_not_finished(copiers: Movers) -> list[str]:
    """Say the same of a migration."""
    return _not_finished(copiers, DataCopier, _migrate)


def _not_finished(movers: Movers, kind: type, work: Work) -> list[str]:
    survivor = Scene(CELL, workers=WORKER)
    made = movers(survivor.arena)
    native = [place for place, mover in enumerate(made) if isinstance(mover, kind)]
    if not native:
        pytest.skip("in Python: it writes no record, and what the engine writes for it is not its matter")
    return [
        line
        for place in native
        for line in _judge(
            lambda path, place=place: _traced(movers, place, path, work),  # type: ignore[misc]
            made[place].name,
            survivor.arena,
        )
    ]


def _judge(traced: Callable[[Path], None], name: str, survivor: Arena) -> list[str]:
    verdict = Remembered(_verdict, without_logs(read(survivor)))
    ends: set[bytes | str] = set()
    tried: list[tuple[str, str, bytes | str]] = []
    last = None
    for number, (memory, at_rest) in enumerate(_states(traced, name)):
        if at_rest:
            ends.add(essence(memory))
            continue
        now = _told(memory)
        if now != last or number % next(every for end, every in EVERY if number < end) == 0:
            state = f"killed after store {number}, in phase {_phase(memory)}"
            tried.append((state, "the oracle", verdict(_by_oracle(memory))))
            tried.append((state, "the engine", verdict(_by_engine(memory, survivor))))
        last = now
    if len(ends) == 1:
        return []  # it refuses every pair: another clause's matter
    lost = [each for each in tried if each[2] not in ends]
    if not lost:
        return []
    state, who, said = lost[0]
    said = said if isinstance(said, str) else "the arena is neither as before nor as after"
    count = len({state for state, *_ in lost})
    return [f"{name}: {state}, and recovered by {who}: {said}; so in {count} of {len(tried) // 2} states"]


def _verdict(memory: Memory) -> bytes | str:
    found = [each for each in check(Dump(memory)) if each.what != "pin"]  # of the process that is alive
    return str(found[0]) if found else essence(memory)


def _by_oracle(state: Memory) -> Memory:
    memory = state.copy()
    slots = read(Dump(memory)).slots
    own = len(slots) - CALL_SLOTS  # of the process that is alive
    for slot in np.flatnonzero(slots["claim"] & np.uint64(0xFF)).tolist():
        if slot != own:
            recover(memory, slot)
    return memory


def _by_engine(state: Memory, survivor: Arena) -> Memory:
    uuid = read(survivor).header["uuid"].copy()
    survivor.memory[:] = state
    read(survivor).header["uuid"] = uuid
    survivor.recover()
    return survivor.memory


def _phase(state: Memory) -> str:
    number = int(read(Dump(state)).slots["state"][WORKER]) & 0xFF
    return PHASES[number] if number < len(PHASES) else str(number)


def _told(state: Memory) -> bytes:
    """All that a state has in front of the pages, but for the logs."""
    raw = read(Dump(state))
    slot = raw.slots[WORKER : WORKER + 1].copy()
    slot["log"] = 0
    return slot.tobytes() + raw.nodes.tobytes() + raw.metadata[raw.offset["mappings"] :].tobytes()


def _states(traced: Callable[[Path], None], name: str) -> Iterator[tuple[Memory, bool]]:
    """Yield the arena before the call, after each of its stores from the questions on, and after it.

    And whether it is not begun, or at its end. The memory is the child's, which goes on with the next one.
    """
    with tempfile.TemporaryDirectory(dir=_WHERE) as folder:
        path = Path(folder) / "arena"
        with forked(lambda: traced(path)) as child:
            try:
                child.run()
                memory = np.memmap(path, np.uint8, "r")
                yield memory, True
                child.run()
                yield from ((memory, False) for _ in _stepped(child, memory))
                child.run()
                yield memory, True
            except ChildProcessError as error:
                pytest.fail(f"{name} ended the process that exchanged ({error})", pytrace=False)


def _traced(movers: Movers, place: int, path: Path, work: Work) -> None:
    """In the child: move there and back; then once more, stopping before it and when the flag policy is asked."""
    scene = Scene(CELL, path=path, workers=WORKER)
    scene.arena.set_flags(scene.pairs[0], ["writeback"])
    arena, rounds = scene.arena, 0

    def flags(a: Words, b: Words) -> tuple[Words, Words]:
        words = swapped(arena.layout, a, b)
        if rounds == 2:
            os.kill(os.getpid(), signal.SIGSTOP)
        return words

    once = work(Exchanger(arena, PythonFlags(flags, arena), [movers(arena)[place]], XArrayCursor()), scene)
    for rounds in range(3):
        if rounds == 2:
            os.kill(os.getpid(), signal.SIGSTOP)
        once(rounds)
    os.kill(os.getpid(), signal.SIGSTOP)  # the arena is closed behind this


def _exchange(exchanger: Exchanger, scene: Scene) -> Callable[[int], object]:
    status = np.zeros(len(scene.pairs), np.int32)
    return lambda _: exchanger.exchange(scene.pairs, status)


def _migrate(exchanger: Exchanger, scene: Scene) -> Callable[[int], object]:
    status = np.zeros(len(scene.pairs), np.int32)
    pages = np.repeat(scene.pairs[:, :1], 2, axis=1)

    def once(number: int) -> None:
        pages[:, 0] = pages[:, 1]
        exchanger.migrate(pages, status, SLOW if number == 1 else FAST)

    return once


def _stepped(child: Stepped, memory: Memory) -> Iterator[None]:
    """Step until the call's record says that nothing is under way."""
    raw = read(Dump(memory))
    state, first = raw.slots["state"][WORKER:], raw.offset["slots"] + WORKER * SLOT.itemsize
    ranges = [(0, raw.offset["slots"]), (first, first + SLOT.itemsize), (raw.offset["mappings"], len(memory))]
    watch = Watch(memory, ranges)
    yield
    while int(state[0]) & 0xFF:
        child.step()
        if watch.changed():
            yield
