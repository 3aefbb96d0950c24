"""Bare loops over many pairs, timed without Python in between: what the strategies are compared with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOOPS: dict[str, str]
USES_ISA: tuple[str, ...]

def time_loop(
    loop: str,
    frames: NDArray[Any],
    pairs: NDArray[np.int64],
    *,
    isa: str = "auto",
    prefetch: bool = False,
    order: int = 0,
) -> tuple[int, int]: ...
def time_record(words: int, operations: int, *, save: bool) -> int: ...
def time_remap(pairs: NDArray[np.uint64], size: int, through: int) -> tuple[int, int]: ...
