"""The base class of native pairings: who trades places with whom, from a view of the tier."""

import numpy as np
from numpy.typing import NDArray

from pagexchange_native.plugin import NativeObject
from pagexchange_native.tier.view import TierView

class Pairing(NativeObject):
    """Says which block of the slow node trades places with which of the fast node; a subclass fills in `ops`."""

    def __call__(self, view: TierView) -> NDArray[np.int64]: ...
