"""What came of a tier's step: numbers. Its list of moves is made when it is asked for: most callers want none."""

from typing import Final, final

import numpy as np
from numpy.typing import NDArray

NUMBERS: Final[tuple[str, ...]]
MADE: Final[tuple[str, ...]]

def frames_of(pairs: NDArray[np.int64], run: int) -> NDArray[np.int64]: ...

@final
class TierStep:
    """What came of a step of a tier. Pages are folios: a block of `run` frames has as many."""

    asked: Final[int]
    done: Final[int]
    refused: Final[int]
    left: Final[int]
    promoted: Final[int]
    demoted: Final[int]
    stalls: Final[int]
    frames_taken: Final[int]
    back_and_forth: Final[int]
    bytes: Final[int]
    choose_ns: Final[int]
    move_ns: Final[int]
    cpu_ns: Final[int]
    def __init__(
        self,
        moves: NDArray[np.int64] | None = None,
        *,
        asked: int = 0,
        done: int = 0,
        refused: int = 0,
        left: int = 0,
        promoted: int = 0,
        demoted: int = 0,
        stalls: int = 0,
        frames_taken: int = 0,
        back_and_forth: int = 0,
        bytes: int = 0,
        cpu_ns: int = 0,
    ) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def numbers(self) -> dict[str, int]: ...
    @property
    def moves(self) -> NDArray[np.int64]: ...
