"""Address spaces: page tables of 64 entries below an XArray, and the reverse map from a page to its entries."""

from collections.abc import Iterable
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pagexchange_native.arena.region import Region
from pagexchange_native.pages.refusals import Places

ADDRESSES: Places

def map(
    arena: Region,
    space: int,
    vpns: ArrayLike | Iterable[SupportsIndex],
    pfns: ArrayLike | Iterable[SupportsIndex],
    write: bool = True,
) -> None: ...
def unmap(arena: Region, space: int, vpn: int) -> int: ...
@overload
def translate(arena: Region, space: int, vpn: int | np.integer[Any]) -> int: ...
@overload
def translate(arena: Region, space: int, vpn: NDArray[Any] | Iterable[Any]) -> NDArray[np.int64]: ...
def entry(arena: Region, space: int, vpn: int) -> int: ...
def remove_space(arena: Region, space: int) -> None: ...
