"""Peers that are called from Python: NumPy's fancy indexing, and BLAS, the swap that every scientist has installed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pagexchange.bench.contents import check_exchanged
from pagexchange.bench.scenes import Pairs, Scene
from pagexchange.bench.turn import Turn, timed

DSWAP: Final = (
    ("scipy_cblas_dswap64_", ctypes.c_int64), ("cblas_dswap64_", ctypes.c_int64),
    ("scipy_cblas_dswap", ctypes.c_int), ("cblas_dswap", ctypes.c_int),
)  # fmt: skip
"""Names that OpenBLAS has its `dswap` under, and what its integers are there."""


class CalledCell:
    """A function that exchanges the contents of a list's folios, and nothing else."""

    def __init__(self, scene: Scene, exchange: Callable[[Pairs], object]) -> None:
        self._scene, self._exchange = scene, exchange

    def turn(self, lists: Sequence[Pairs]) -> Turn:
        """One call for each list."""
        call_ns, cpu_ns = timed(self._exchange, lists)
        pairs = sum(map(len, lists))
        return Turn(
            calls=len(lists), pairs=pairs, exchanged=pairs, wall_ns=sum(call_ns), cpu_ns=cpu_ns, call_ns=call_ns
        )

    def check(self, pairs: Pairs) -> dict[str, Any]:
        """Contents."""
        check_exchanged(self._scene, pairs, lambda: self._exchange(pairs))
        return {}


def by_numpy(scene: Scene) -> CalledCell:
    """A copy of one side's folios, and two assignments: for the whole list at once."""
    order = scene.setting.order
    frames = scene.arena.frames
    folios = frames[: len(frames) >> order << order].reshape(len(frames) >> order, -1)

    def exchange(pairs: Pairs) -> None:
        a, b = (pairs >> order).T
        held = folios[a]
        folios[a] = folios[b]
        folios[b] = held

    return CalledCell(scene, exchange)


def by_blas(scene: Scene) -> CalledCell:
    """`dswap` for one pair after the other: a call from Python each, some 0.3 us of it.

    Raises
    ------
    LookupError
        There is no OpenBLAS: neither NumPy nor SciPy has brought one.
    """
    swap, _ = dswap()
    frames = scene.arena.frames
    base, size = frames.ctypes.data, frames.strides[0]
    doubles = size // 8 << scene.setting.order

    def exchange(pairs: Pairs) -> None:
        for a, b in (base + pairs * size).tolist():
            swap(doubles, a, 1, b, 1)

    return CalledCell(scene, exchange)


def dswap() -> tuple[Any, str]:
    """Return BLAS's function, and the file that it is in; LookupError if there is none."""
    for path in _libraries():
        library = ctypes.CDLL(str(path))
        for name, integer in DSWAP:
            function = getattr(library, name, None)
            if function is not None:
                function.argtypes = [integer, ctypes.c_void_p, integer, ctypes.c_void_p, integer]
                function.restype = None
                return function, path.name
    raise LookupError("no OpenBLAS was found beside NumPy or SciPy")


def _libraries() -> list[Path]:
    """OpenBLAS as NumPy's and SciPy's wheels bring it: NumPy has loaded its own already."""
    places = [Path(np.__file__).parent.parent / "numpy.libs"]
    places += [Path(folder) / "scipy.libs" for folder in sys.path if folder]
    return [path for place in places for path in sorted(place.glob("*openblas*.so*"))]
