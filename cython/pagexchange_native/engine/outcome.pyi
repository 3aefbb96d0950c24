"""A call's list and what became of it, kept as numbers: one block of memory and one struct."""

from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from pagexchange_native.arena.region import Region
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.engine.steps import Numbers

_Outcome = TypeVar("_Outcome", bound=Outcome)

class Outcome:
    """A list of pairs and what became of it; made by `begin`, filled by `run`."""

    @property
    def _about(self) -> object: ...
    @property
    def status(self) -> NDArray[np.int32]: ...
    @property
    def _pairs(self) -> NDArray[np.int64]: ...
    @property
    def _numbers(self) -> Numbers: ...
    @property
    def workers(self) -> int: ...
    @property
    def frames_asked(self) -> int: ...
    @property
    def frames_got(self) -> int: ...
    @property
    def retries(self) -> int: ...
    def __copy__(self) -> Self: ...

def begin(
    cls: type[_Outcome],
    about: object,
    pairs: object,
    out: object = None,
    arena: Region | None = None,
) -> _Outcome | None: ...
def begin_pages(
    cls: type[_Outcome],
    about: object,
    pfns: object,
    out: object = None,
    arena: Region | None = None,
) -> _Outcome | None: ...
def run(
    outcome: Outcome, engine: Exchanger, sequential: bool = False, threads: int | None = None, node: int = -1
) -> None: ...
def restore(
    cls: type[_Outcome],
    about: object,
    pairs: NDArray[np.int64],
    status: NDArray[np.int32],
    numbers: Numbers,
    out: object = None,
) -> _Outcome: ...
