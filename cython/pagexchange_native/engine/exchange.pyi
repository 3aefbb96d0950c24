"""The engine's face: takes a list of pairs, cuts it into batches, runs them on one or more workers, gives statuses."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange_native.arena.region import Region
from pagexchange_native.engine.steps import Numbers
from pagexchange_native.movers.copier import DataCopier
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.policies.find_slot import MappingUpdater
from pagexchange_native.policies.flag_policy import FlagPolicy

MODES: Final[dict[str, int]]
MAX_THREADS: Final[int]

class Exchanger:
    """A flag policy, a chain of data movers and a mapping updater, bound to an arena."""

    arena: Region
    flags: FlagPolicy
    mapping: MappingUpdater
    movers: list[DataMover | DataCopier]
    def __new__(
        cls,
        arena: Region,
        flags: FlagPolicy,
        movers: Sequence[DataMover | DataCopier],
        mapping: MappingUpdater,
        *,
        mode: str = "async",
        timeout: float = 1.0,
        threads: int = 1,
    ) -> Exchanger: ...
    @property
    def native(self) -> bool: ...
    def exchange(
        self,
        pairs: NDArray[np.int64],
        status: NDArray[np.int32],
        *,
        sequential: bool = False,
        threads: int | None = None,
    ) -> Numbers: ...
    def migrate(
        self,
        pairs: NDArray[np.int64],
        status: NDArray[np.int32],
        node: int,
        *,
        threads: int | None = None,
    ) -> Numbers: ...
