"""Python callables in the place of native objects: the GIL once per batch, and what they return is checked."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from pagexchange_native.arena.region import Region
from pagexchange_native.movers.copier import DataCopier
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.policies.find_slot import MappingUpdater
from pagexchange_native.policies.flag_policy import FlagPolicy

PAGE: Final[np.dtype[np.void]]

class PythonFlags(FlagPolicy):
    """Flag policy from a callable."""

    arena: Region
    error: BaseException | None
    function: Callable[..., Any]
    def __init__(self, function: Callable[..., Any], arena: Region) -> None: ...

class PythonMapping(MappingUpdater):
    """Mapping updater from a callable."""

    arena: Region
    error: BaseException | None
    function: Callable[..., Any]
    def __init__(self, function: Callable[..., Any], arena: Region) -> None: ...

class PythonMover(DataMover):
    """Data mover from a callable."""

    function: Callable[..., Any]
    def __init__(self, function: Callable[..., Any]) -> None: ...

class PythonCopier(DataCopier):
    """Data copier from a callable."""

    function: Callable[..., Any]
    def __init__(self, function: Callable[..., Any]) -> None: ...
