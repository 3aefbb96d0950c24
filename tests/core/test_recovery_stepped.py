"""The engine dies between two instructions: what the recoverer in Python makes of it is exactly before or after."""

import json
import mmap
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.oracle import Oracle
from pagexchange.oracle import format as f
from pagexchange.oracle.recovery import recover
from tests.stepping import Stepped

pytestmark = pytest.mark.slow

CHILD = Path(__file__).with_name("recovered_child.py")
SAMPLE, OTHERS = 150, 6
"""Of the states of a data step, and of the others, every so manieth is looked at; `make steps` looks at all."""
ROWS = {
    "file, anonymous; word swap": ("word-swap", 0, ["file-anon"]),
    "shared memory, raw; list": ("list-exchange", 0, ["shmem-raw"]),
    "two pairs; temporary page": ("copy-page", 0, ["file-anon", "raw-file"]),
    "folios with tails; list": ("list-exchange", 3, ["anon-file", "file-shmem"]),
}


@dataclass
class Holder:
    """An arena that stands where another one stood."""

    memory: NDArray[np.uint8]


@pytest.mark.plain_build
@pytest.mark.parametrize(("name", "order", "kinds"), ROWS.values(), ids=ROWS)
def test_what_a_dead_worker_leaves_is_recovered(tmp_path: Path, name: str, order: int, kinds: list[str]) -> None:
    folder = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    path = folder / f"pagexchange-recovered-{os.getpid()}"
    try:
        states, ends, torn = _step(path, name, order, kinds)
    finally:
        path.unlink(missing_ok=True)
    n = len(kinds)
    assert ends == {"0" * n, "1" * n}
    assert {"INTENT", "DATA", "META"} <= states.keys()
    assert torn  # a control: as it lies it is neither


def _step(path: Path, name: str, order: int, kinds: list[str]) -> tuple[Counter[str], set[str], int]:
    """How many states of each phase were looked at, what became of the pairs, and how many states were torn before."""
    states: Counter[str] = Counter()
    ends: set[str] = set()
    torn = 0
    with Stepped(CHILD, str(path), name, str(order), *kinds) as child:
        pairs = json.loads(child.line())
        with path.open("rb") as file:
            live = np.frombuffer(mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ), np.uint8)
        holder = Holder(live.copy())
        first = f.read(holder).entries.copy()
        oracle = Oracle.before(holder, stamped=False)
        assert not oracle.unsound.kept

        def judge(memory: NDArray[np.uint8]) -> str:
            holder.memory = memory
            now = f.read(holder).entries
            done = [any(first[field][a] != now[field][a] for field in ("mapping", "index")) for a, _ in pairs]
            verdict = oracle.after(pairs, [0 if did else -11 for did in done])
            return "".join(str(int(did)) for did in done) if verdict.kind == "exact" else str(verdict)

        record = f.read(Holder(live)).slots[1:2]
        words, stores = live.view(np.uint64), 0
        last = live.copy()
        while child.step():
            if np.array_equal(last.view(np.uint64), words):
                continue
            last, stores = live.copy(), stores + 1
            phase = f.PHASES[int(record["state"][0]) & 0xFF]
            if stores % (SAMPLE if phase in ("DATA", "BACK") else OTHERS):
                continue
            states[phase] += 1
            if states[phase] == 3:
                torn += not set(judge(last.copy())) <= {"0", "1"}
            memory = last.copy()
            outcome = recover(memory, 1)
            assert outcome.done in ("recovered", "free"), (stores, phase, outcome.why)
            end = judge(memory)
            assert set(end) <= {"0", "1"}, (stores, phase, end)
            ends.add(end)
        assert json.loads(child.end()) == [0] * len(kinds)
    return states, ends, torn
