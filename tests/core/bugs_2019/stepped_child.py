"""A process that exchanges a file's page and an anonymous one; between two instructions its parent looks, or writes."""

import json
import os
import signal
import sys

import numpy as np

from pagexchange.oracle import format as oracle_format
from pagexchange.testing.scene.stepping import stop_for_parent
from tests.core.pages import Pages, strategy


def main(name: str) -> None:
    pages = Pages()
    arena = pages.arena
    pair = pages.pair(("file", "anon"))
    native = strategy(arena, name)._native
    pairs, status = np.array([pair]), np.zeros(1, np.int32)
    words = arena.memory.view(np.uint64)
    before = words.copy()
    native.exchange(pairs, status)
    changed = np.flatnonzero(words != before)
    native.exchange(pairs, status)  # everything is bound and warm
    assert (status == 0).all()

    def leading_to_pages(part: str) -> list[int]:
        """The words of a part that an exchange changes."""
        start, count, size = arena.geometry()[part]
        inside = changed[(changed >= start // 8) & (changed < (start + count * size) // 8)]
        return [words.ctypes.data + 8 * int(at) for at in inside]

    raw = oracle_format.read(arena)
    counted = oracle_format.counters_of(raw.slots, 2) - raw.slots["counter"][1, :8].reshape(2, 4)  # by other slots
    facts = {
        "state": raw.slots[1:].ctypes.data,  # the first worker's slot is number 1
        "tree": raw.mappings["pages"]["lock"][pages.mappings[0] :].ctypes.data,
        "counters": [raw.slots["counter"][1, 4 * node :].ctypes.data for node in range(2)],
        "of others": [raw.slots["counter"][2, 4 * node :].ctypes.data for node in range(2)],
        "counted": counted.tolist(),
        "owners": [arena.entries["owner"][pfn:].ctypes.data for pfn in pair],
        "flags": [arena.flags[pfn:].ctypes.data for pfn in pair],
        "refs": [arena.entries["refs"][pfn:].ctypes.data for pfn in pair],
        "frames": [arena.frames[pfn].ctypes.data for pfn in pair],
        "pfns": pair,
        "slots": leading_to_pages("xanodes"),
        "ptes": leading_to_pages("tables"),
    }
    print(json.dumps(facts), flush=True)
    stop_for_parent()
    native.exchange(pairs, status)
    os.kill(os.getpid(), signal.SIGSTOP)
    assert (status == 0).all()


if __name__ == "__main__":
    main(*sys.argv[1:])
