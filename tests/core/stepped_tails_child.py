"""A process that exchanges two large folios whose tails differ; between two instructions its parent looks."""

import json
import os
import signal

import numpy as np

from pagexchange.oracle import format as oracle_format
from pagexchange.testing.scene.stepping import stop_for_parent
from tests.core.pages import Pages, strategy

ORDER = 5


def main() -> None:
    pages = Pages(frames=128)
    arena = pages.arena
    pair = pages.pair(("anon", "anon"), ORDER)
    size, mask = 1 << ORDER, np.uint64(arena.layout.tail_mask("swap"))
    random = np.random.default_rng(3)
    for pfn in pair:
        arena.set_flags(pfn + 1 + np.flatnonzero(random.random(size - 1) < 0.5), mask)
    native = strategy(arena)._native
    pairs, status = np.array([pair]), np.zeros(1, np.int32)
    native.exchange(pairs, status)
    native.exchange(pairs, status)  # everything is bound, warm, and back in its place
    words = [arena.flags[pfn : pfn + size].copy() for pfn in pair]
    want = [mine & ~mask | other & mask for mine, other in zip(words, words[::-1], strict=True)]
    slot = oracle_format.read(arena).slots[1:]  # the first worker's slot is number 1
    facts = {
        "state": slot.ctypes.data,
        "log": slot.ctypes.data + 64,
        "flags": [arena.flags[pfn:].ctypes.data for pfn in pair],
        "size": size,
        "mask": int(mask),
        "want": [side.tolist() for side in want],
    }
    print(json.dumps(facts), flush=True)
    stop_for_parent()
    native.exchange(pairs, status)
    os.kill(os.getpid(), signal.SIGSTOP)
    assert (status == 0).all()


if __name__ == "__main__":
    main()
