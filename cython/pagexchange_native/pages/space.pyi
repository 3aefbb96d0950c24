"""Address spaces: page tables of 64 entries below an XArray, and the reverse map from a page to its entries."""

from collections.abc import Iterable
from typing import SupportsIndex

from numpy.typing import ArrayLike

from pagexchange_native.arena.region import Region

def map(
    arena: Region,
    space: int,
    vpns: ArrayLike | Iterable[SupportsIndex],
    pfns: ArrayLike | Iterable[SupportsIndex],
    write: bool = True,
) -> None: ...
def unmap(arena: Region, space: int, vpn: int) -> int: ...
def translate(arena: Region, space: int, vpn: int) -> int: ...
def entry(arena: Region, space: int, vpn: int) -> int: ...
