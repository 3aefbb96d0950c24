"""A call dies between two instructions: once its slot was recovered, it was made as a whole, or not at all."""

import mmap
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.oracle import check
from pagexchange.oracle import format as f
from pagexchange.oracle.recovery import recover
from tests.stepping import Stepped

pytestmark = pytest.mark.slow

CHILD = Path(__file__).with_name("calls_child.py")
PAGE = ["flags", "refs", "owner", "mapping", "index", "private", "mapcount", "rmap", "head", "order", "state", "held"]
BYTE = np.uint64(0xFF)
CALLS = ["alloc", "put", "add", "add beside", "remove", "map", "unmap", "flags", "private"]


@dataclass
class Holder:
    """An arena that stands where another one stood."""

    memory: NDArray[np.uint8]


def seen(memory: NDArray[np.uint8]) -> bytes:
    """What is in the arena, for whoever may not look at the slots: not how the free lists and pools are ordered."""
    raw = f.read(Holder(memory))
    words = [np.where((raw.entries["state"] == f.FREE) & (name == "order"), 0, raw.entries[name]) for name in PAGE]
    words += [raw.mappings["nr_pages"], raw.spaces["nr_ptes"], raw.spaces["nr_anon"], raw.nodes["free"]]
    words += [raw.header["xanodes"]["free"], raw.header["tables"]["free"], f.counters_of(raw.slots, len(raw.nodes))]
    return b"".join(np.ascontiguousarray(word).tobytes() for word in words)


@pytest.mark.plain_build
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_dies_was_made_or_not(tmp_path: Path, call: str) -> None:
    folder = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    path = folder / f"pagexchange-call-{os.getpid()}"
    try:
        ends, torn = _step(path, call)
    finally:
        path.unlink(missing_ok=True)
    assert len(ends) == 2
    assert torn  # a control: as it lies it is neither


def _step(path: Path, call: str) -> tuple[Counter[bytes], int]:
    """What the arena is after recovery, and how often; how many states were neither before it."""
    states: list[NDArray[np.uint8]] = []
    with Stepped(CHILD, str(path), call) as child:
        with path.open("rb") as file:
            live = np.frombuffer(mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ), np.uint8)
        raw = f.read(Holder(live))
        metadata, claim, mine = raw.metadata, raw.slots["claim"], raw.slots["claim"].copy()
        states.append(live.copy())
        last = metadata.copy()
        while np.array_equal(claim & BYTE, mine & BYTE):  # until the call has a slot
            assert child.step()
        while not np.array_equal(claim & BYTE, mine & BYTE):
            assert child.step()
            if not np.array_equal(last, metadata):
                last = metadata.copy()
                states.append(live.copy())
        child.end()
    ends: Counter[bytes] = Counter()
    whole = {seen(states[0]), seen(states[-1])}
    torn = 0
    for number, memory in enumerate(states):
        torn += seen(memory) not in whole
        claims = f.read(Holder(memory)).slots["claim"]
        for slot in np.flatnonzero((claims & BYTE != 0) & (mine & BYTE == 0)).tolist():
            assert recover(memory, slot).done == "recovered", number
        assert [finding for finding in check(Holder(memory)) if finding.what != "pin"] == [], number
        assert seen(memory) in whole, f"state {number} is neither of before and after"
        ends[seen(memory)] += 1
    return ends, torn
