"""How hot each block of a tier is, and when what lies in it came there: both follow the pages."""

import numpy as np
from numpy.typing import NDArray

from pagexchange_native.arena.region import Region
from pagexchange_native.tier.view import TierView

class Heat:
    """Heat and last move of blocks, 8 bytes for each and some for its group."""

    step: int
    def __init__(self, region: Region, *, fast: int, slow: int, run: int, half_life: float) -> None: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def free_fast(self) -> int: ...
    def accesses(self) -> NDArray[np.float32]: ...
    def touch(
        self,
        frames: NDArray[np.uint32] | NDArray[np.int64],
        writes: NDArray[np.bool_] | None = None,
        write_weight: float = 1.0,
    ) -> int: ...
    def view(self, *, limit: int, seconds: float, ns_per_pair: float) -> TierView: ...
    def wrong(self, pairs: NDArray[np.int64]) -> tuple[int, int] | None: ...
    def settle(
        self, pairs: NDArray[np.int64], statuses: NDArray[np.int32], soon: float
    ) -> tuple[NDArray[np.int64], int, int, int, int, int]: ...
    def grow(self) -> None: ...
