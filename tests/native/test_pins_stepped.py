"""A page that is pinned for long while an exchange looks through the pins is refused, at whichever instruction."""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.testing.scene.stepping import Stepped, stop_for_parent
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord

pytestmark = pytest.mark.plain_build

OTHERS = 30  # references between the two places, so that it takes a while to come from one to the other
EVERY = 150  # instructions
LONG, ONCE, FROZEN = 1 << 63, 1 << 32, 1 << 31


def exchange(there: int) -> None:
    """In the child: an exchange of a page that this process has by `get`; written to `there` is where its words are."""
    arena = Arena.create([("fast", 64), ("slow", 64)], watermarks=(0, 0, 0))
    others, pair = arena.alloc(0, OTHERS), np.array([[arena.alloc(0)[0], arena.alloc(1)[0]]])
    for pfn in [*others, pair[0, 0]]:
        assert arena.get(pfn)
    arena.put(others[0])  # the lowest place is free
    engine = Exchanger(arena, MaskedWord(arena.layout.native()["swap"]), [WordSwap()], XArrayCursor())
    status = np.ones(1, np.int32)
    engine.exchange(pair, status)
    assert status == -errno.EAGAIN  # everything is warm
    status[:] = 1
    first, processes, _ = arena.geometry()["pins"]
    pins = arena.memory.ctypes.data + first + 4 * processes
    refs = arena.entries["refs"][pair[0, 0] :].ctypes.data
    os.write(there, np.array([pins, refs, status.ctypes.data, pair[0, 0]], np.uint64).tobytes())
    stop_for_parent()
    engine.exchange(pair, status)
    os.kill(os.getpid(), signal.SIGSTOP)


@contextmanager
def stepped() -> Iterator[tuple[Stepped, int, list[int]]]:
    """Such a child, its memory as an open file, and what it wrote."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            exchange(there)
        finally:
            os._exit(1)
    with Stepped(pid) as child:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        try:
            yield child, memory, np.frombuffer(os.read(here, 32), np.uint64).tolist()
        finally:
            for fd in (memory, here, there):
                os.close(fd)


def word(memory: int, address: int, size: int = 8) -> int:
    return int.from_bytes(os.pread(memory, size, address), sys.byteorder)


def pinned_after(instructions: int) -> int | None:
    """The status where a page is pinned for long, then put, so many instructions after its freeze. None: too late."""
    with stepped() as (child, memory, (pins, refs, status, pfn)):
        assert word(memory, pins) == 0
        assert word(memory, pins + 8 * OTHERS) == ONCE | pfn + 1
        while not word(memory, refs, 4) & FROZEN:
            assert child.step()
        for _ in range(instructions):
            child.step()
        if not word(memory, refs, 4) & FROZEN:
            return None
        os.pwrite(memory, (LONG | ONCE | pfn + 1).to_bytes(8, sys.byteorder), pins)
        os.pwrite(memory, bytes(8), pins + 8 * OTHERS)
        while child.step():
            pass
        return word(memory, status, 4)


def test_a_page_that_is_pinned_and_put_while_the_pins_are_looked_through_is_not_exchanged() -> None:
    """Its pin was in a place that had been passed, and its reference had gone when its own place was looked at."""
    statuses, at = [], 0
    while (status := pinned_after(at)) is not None:
        statuses.append(np.uint32(status).astype(np.int32))
        at += EVERY
    assert len(statuses) > 4
    assert set(statuses) <= {-errno.EAGAIN, -errno.EBUSY}
