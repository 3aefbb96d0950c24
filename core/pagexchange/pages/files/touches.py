"""Single accesses, one after the other, become rows: how often each page was accessed in a stretch of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.files.table import Access, table

STRETCH: Final = 1 << 14
"""Accesses that are counted together."""

Ints = NDArray[np.int64]


def rows(accesses: Iterable[tuple[Ints, Ints]]) -> Iterator[Access]:
    """Rows of accesses that have no time: the number of the last access of a stretch stands for it, as ns.

    Parameters
    ----------
    accesses : iterable of (int64[n], int64[n])
        Page and write of each; the arrays may be of any length.
    """
    done = 0
    for page, write in _stretches(accesses):
        done += len(page)
        yield counted(done, page, write)


def counted(time: int, page: Ints, write: Ints) -> Access:
    """Rows of the accesses of one stretch; neighbours that are alike are one row."""
    keys, heat = np.unique(np.stack([write, page]), axis=1, return_counts=True)
    write, page = keys
    new = np.ones(len(page), dtype=bool)
    new[1:] = (np.diff(page) != 1) | (np.diff(write) != 0) | (np.diff(heat) != 0)
    first = np.flatnonzero(new)
    return table(time, page[first], np.diff(first, append=len(page)), heat[first], write[first])


def _stretches(accesses: Iterable[tuple[Ints, Ints]]) -> Iterator[tuple[Ints, Ints]]:
    held_page, held_write = np.empty(0, np.int64), np.empty(0, np.int64)
    for page, write in accesses:
        held_page, held_write = np.concatenate([held_page, page]), np.concatenate([held_write, write])
        whole = len(held_page) // STRETCH * STRETCH
        for at in range(0, whole, STRETCH):
            yield held_page[at : at + STRETCH], held_write[at : at + STRETCH]
        held_page, held_write = held_page[whole:], held_write[whole:]
    if len(held_page):
        yield held_page, held_write
