"""The mapping updaters: they find the XArray word that points at a page. The core stores it."""

import numpy as np
from numpy.typing import NDArray

from pagexchange_native.arena.region import Region
from pagexchange_native.plugin import NativeObject

class MappingUpdater(NativeObject):
    """Finds the slots that point at pages; a subclass fills in `ops`."""

    def __call__(self, pages: NDArray[np.void], arena: Region) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]: ...

class XArrayCursor(MappingUpdater):
    """Looks up through a cursor (XA_STATE): a neighbour in the same node is found without a walk."""

    def __init__(self) -> None: ...

class RadixTree(MappingUpdater):
    """Walks from the top for each page and hands back a slot pointer, as in the 2019 RFC."""

    def __init__(self) -> None: ...
