"""The flag policies: pure functions on flags words, the four answers of the 2019 thread."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pagexchange_native.plugin import NativeObject

class FlagPolicy(NativeObject):
    """Computes the flags words of a pair after its exchange; a subclass fills in `ops`."""

    def __call__(self, a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]: ...

class MaskedWord(FlagPolicy):
    """Exchanges all bits of a mask at once, and no other."""

    def __init__(self, swap: int) -> None: ...

class WholeWord(FlagPolicy):
    """Exchanges the whole words, node and zone included."""

    def __init__(self) -> None: ...

class PerFlag(FlagPolicy):
    """Exchanges a fixed list of flags one by one, as the 2019 RFC."""

    def __init__(self, masks: Mapping[str, int]) -> None: ...
    @staticmethod
    def names() -> tuple[str, ...]: ...

class TwoPass(FlagPolicy):
    """Calls today's state-migration helper through a scratch word, extended so that nothing is lost."""

    def __init__(self, masks: Mapping[str, int], swap: int) -> None: ...
    @staticmethod
    def names() -> tuple[str, ...]: ...
    @property
    def added(self) -> int: ...
