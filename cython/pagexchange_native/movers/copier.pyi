"""The data copier's base class: it moves the bytes of a page one way, to a free frame."""

import numpy as np
from numpy.typing import NDArray

from pagexchange_native.plugin import NativeObject

class DataCopier(NativeObject):
    """Copies the bytes of folios to free frames."""

    @property
    def threads(self) -> int: ...
    def copy_rows(self, source: NDArray[np.uint8], target: NDArray[np.uint8]) -> None: ...
