"""A process that exchanges pages of an arena in a file, and is stepped through it."""

import json
import os
import signal
import sys

import numpy as np

from pagexchange.testing.scene.stepping import stop_for_parent
from tests.core.pages import Pages, strategy


def main(path: str, name: str, order: int, *kinds: str) -> None:
    pages = Pages(frames=128, path=path, workers=2, mappings=4, spaces=2, xa_nodes=64, page_tables=32)
    arena = pages.arena
    pairs = np.array([pages.pair((a, b), order) for a, b in (kind.split("-") for kind in kinds)])
    for (pfn, _), kind in zip(pairs, kinds, strict=True):
        if kind.startswith("file"):
            pages.flag(pfn, "dirty")
            arena.set_private(pfn, 7)
    for pfn in pairs.ravel()[::2] if order else ():
        arena.set_flags(pfn + 1 + np.arange((1 << order) - 1), np.uint64(arena.layout.tail_mask("swap")))
    native, status = strategy(arena, name)._native, np.zeros(len(pairs), np.int32)
    native.exchange(pairs, status)
    native.exchange(pairs, status)  # everything is bound, warm, and back in its place
    assert not status.any()
    print(json.dumps(pairs.tolist()), flush=True)
    stop_for_parent()
    native.exchange(pairs, status)
    os.kill(os.getpid(), signal.SIGSTOP)
    print(json.dumps(status.tolist()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
