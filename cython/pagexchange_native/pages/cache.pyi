"""The page cache: which frame holds which page of a mapping."""

from collections.abc import Iterable
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pagexchange_native.arena.region import Region
from pagexchange_native.pages.refusals import Places

POSITIONS: Places

def add(
    arena: Region, mapping: int, indexes: ArrayLike | Iterable[SupportsIndex], pfns: ArrayLike | Iterable[SupportsIndex]
) -> None: ...
@overload
def load(arena: Region, mapping: int, index: int | np.integer[Any]) -> int: ...
@overload
def load(arena: Region, mapping: int, index: NDArray[Any] | Iterable[Any]) -> NDArray[np.int64]: ...
def remove(arena: Region, mapping: int, index: int) -> int: ...
def remove_mapping(arena: Region, mapping: int) -> None: ...
def set_private(arena: Region, pfns: ArrayLike, values: ArrayLike) -> None: ...
