"""What a step of a tier has done."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class TierStep(NamedTuple):
    """What came of a step. Pages are folios: a block of `run` frames has as many."""

    moves: NDArray[np.int64]
    """int64[m, 2]: (old frame, new frame) of each page that moved, by the first frame of its folio."""
    asked: int
    """Pairs of blocks that the pairing asked for."""
    done: int
    """Of these, whose pages have traded places; of migrations, whose hot page was promoted."""
    refused: int
    """Of these, that were refused: both blocks, of migrations the hot page, are as they were. Stalls are among them."""
    left: int
    """Of these, that were not reached in the time that the step had."""
    promoted: int
    """Pages that came to the fast node."""
    demoted: int
    """Pages that came to the slow node."""
    stalls: int
    """Pages that were to come to the fast node, and found no free frame there."""
    frames_taken: int
    """Frames that were allocated for it, as temporary pages or as the places of migrated ones."""
    back_and_forth: int
    """Pages that moved again within `half_life` steps of their last move."""
    bytes: int
    """Bytes of the pages that moved."""
    choose_ns: int
    """Wall time until the pairs were chosen and checked."""
    move_ns: int
    """Wall time of the exchanges or migrations, with what it takes for heat to follow the pages."""
    cpu_ns: int
    """CPU time of the whole step, of all threads."""
