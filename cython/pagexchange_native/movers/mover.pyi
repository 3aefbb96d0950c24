"""The data mover's base class, the loops by instruction set, and the mover that moves nothing."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange_native.plugin import NativeObject

_Bytes = NDArray[np.uint8]

NAMES: Final[tuple[str, ...]]
KINDS: Final[dict[int, str]]

def all_isas() -> list[str]: ...
def available_isas() -> list[str]: ...
def shares(size: int, threads: int) -> list[int]: ...
def resume_rows(a: _Bytes, b: _Bytes, record: _Bytes, temp: _Bytes | None = None, isa: str = "auto") -> None: ...

class DataMover(NativeObject):
    """Moves the bytes of two folios; a subclass fills in `ops`."""

    @property
    def log(self) -> str: ...
    @property
    def threads(self) -> int: ...
    def move_rows(self, a: _Bytes, b: _Bytes, temp: _Bytes | None = None, record: _Bytes | None = None) -> None: ...

class NullMover(DataMover):
    """Moves nothing: what everything but the data step costs."""
