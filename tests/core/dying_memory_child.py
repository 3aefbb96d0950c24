"""A process that exchanges two pairs while its parent, between two instructions, breaks the memory of one frame."""

import os
import signal
import sys

import numpy as np

import pagexchange
from pagexchange.testing.scene.stepping import stop_for_parent
from tests.core.test_memory_error import content, holds, lay_over, make, poisoned


def torn(piece: np.ndarray, whole: np.ndarray) -> bool:
    """Whether anything but whole chunks of the page, or zeros, is there."""
    chunks, wanted = piece.reshape(-1, 32), whole.reshape(-1, 32)
    return not all((c == w).all() or not c.any() for c, w in zip(chunks, wanted, strict=True))


def main(path: str, strategy: str, side: str) -> None:
    arena, fast, slow = make(n=2)
    broken, whole = (fast[0], slow[0]) if side == "fast" else (slow[0], fast[0])
    with open(path, "r+b") as file:  # noqa: PTH123 - its descriptor is what is wanted
        file.write(content(arena, broken).tobytes())
        file.flush()
        lay_over(arena, broken, 0, file.fileno())
    native = pagexchange.strategy(strategy, arena)._native
    pairs = np.ascontiguousarray(np.column_stack([fast, slow]))
    status = np.zeros(2, dtype=np.int32)
    native.exchange(pairs, status)
    native.exchange(pairs, status)  # everything is bound, warm, and back in its place
    stop_for_parent()
    native.exchange(pairs, status)
    os.kill(os.getpid(), signal.SIGSTOP)
    assert holds(arena, fast[1], slow[1])
    assert holds(arena, slow[1], fast[1])
    marked = poisoned(arena)
    if status[0] == 0:
        assert marked == []
        assert holds(arena, whole, broken)
    elif whole in marked:
        assert not torn(arena.frames[whole], content(arena, whole)[0])
    else:
        assert marked == [broken]
        assert holds(arena, whole, whole)
    print(int(status[0]), len(marked))


if __name__ == "__main__":
    main(*sys.argv[1:])
