"""Wrappers around native objects: they measure, or make fail, what the wrapped one does, without Python."""

from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from pagexchange_native.movers.copier import DataCopier
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.plugin import NativeObject
from pagexchange_native.policies.find_slot import MappingUpdater
from pagexchange_native.policies.flag_policy import FlagPolicy
from pagexchange_native.tier.pairing import Pairing

RECORD: Final[np.dtype[np.void]]

@overload
def wrap(inner: FlagPolicy, watch: Meter | FaultPlan) -> WrappedFlags: ...
@overload
def wrap(inner: DataMover, watch: Meter | FaultPlan) -> WrappedMover: ...
@overload
def wrap(inner: DataCopier, watch: Meter | FaultPlan) -> WrappedCopier: ...
@overload
def wrap(inner: MappingUpdater, watch: Meter | FaultPlan) -> WrappedUpdater: ...
@overload
def wrap(inner: Pairing, watch: Meter | FaultPlan) -> WrappedPairing: ...
@overload
def wrap(
    inner: NativeObject, watch: Meter | FaultPlan
) -> WrappedFlags | WrappedMover | WrappedCopier | WrappedUpdater | WrappedPairing: ...

class Meter:
    """Counts calls, items and ns, and keeps the last `keep` calls."""

    def __init__(self, keep: int = 0) -> None: ...
    def counts(self) -> dict[str, int]: ...
    def records(self) -> NDArray[Any]: ...

class FaultPlan:
    """Which pairs or pages fail, and with which errno."""

    def __init__(self, error: int, nth: int = 0, every: int = 0) -> None: ...
    @property
    def failed(self) -> int: ...

class WrappedFlags(FlagPolicy):
    inner: FlagPolicy
    def __init__(self, inner: FlagPolicy, watch: Meter | FaultPlan) -> None: ...

class WrappedMover(DataMover):
    inner: DataMover
    def __init__(self, inner: DataMover, watch: Meter | FaultPlan) -> None: ...

class WrappedCopier(DataCopier):
    inner: DataCopier
    def __init__(self, inner: DataCopier, watch: Meter | FaultPlan) -> None: ...

class WrappedUpdater(MappingUpdater):
    inner: MappingUpdater
    def __init__(self, inner: MappingUpdater, watch: Meter | FaultPlan) -> None: ...

class WrappedPairing(Pairing):
    inner: Pairing
    def __init__(self, inner: Pairing, watch: Meter | FaultPlan) -> None: ...
