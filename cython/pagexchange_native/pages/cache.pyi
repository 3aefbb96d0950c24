"""The page cache: which frame holds which page of a mapping."""

from collections.abc import Iterable
from typing import SupportsIndex

from numpy.typing import ArrayLike

from pagexchange_native.arena.region import Region

def add(
    arena: Region, mapping: int, indexes: ArrayLike | Iterable[SupportsIndex], pfns: ArrayLike | Iterable[SupportsIndex]
) -> None: ...
def load(arena: Region, mapping: int, index: int) -> int: ...
def remove(arena: Region, mapping: int, index: int) -> int: ...
def set_private(arena: Region, pfns: ArrayLike, values: ArrayLike) -> None: ...
