"""The table that every file becomes: who was accessed when, how often, and how. It knows of no file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

ACCESS: Final = np.dtype(
    [("time", "<i8"), ("page", "<i8"), ("pages", "<i8"), ("heat", "<f4"), ("write", "i1"), ("node", "<i2")]
)
"""One row: `pages` pages from `page` on were accessed `heat` times each, as the file counts, until `time`.

time: ns from the first record. page: a frame number, a virtual page number, or the number of a block. write: 1, 0, or
-1 where the file does not say. node: -1 where it does not say."""

Access: TypeAlias = NDArray[np.void]
"""An array of `ACCESS`."""
Numbers: TypeAlias = Literal["pfn", "vpn", "block"]
"""What the numbers of pages are: of frames, of pages of an address space, or of blocks of the file's own."""
Kind: TypeAlias = Literal["accesses", "state"]
"""Accesses over time, or how memory was at one time: all rows of a state have time 0."""

MAX_PAGE: Final = 1 << 52
"""Numbers of pages lie below this."""
MAX_TIME: Final = 1 << 62


def table(
    time: ArrayLike,
    page: ArrayLike,
    pages: ArrayLike = 1,
    heat: ArrayLike = 1,
    write: ArrayLike = -1,
    node: ArrayLike = -1,
) -> Access:
    """Rows of these columns; what is one value is the same in all of them. OverflowError: a number is out of range."""
    columns = np.broadcast_arrays(time, page, pages, heat, write, node)
    rows = np.empty(columns[0].shape, dtype=ACCESS)
    for name, column in zip(ACCESS.names or (), columns, strict=True):
        rows[name] = column
        if name != "heat" and not np.array_equal(rows[name], column):  # an array is cut to size without a word
            raise OverflowError(f"{name}: a number that is out of range")
    return rows


def fault(rows: Access) -> str:
    """What is wrong with rows that a stranger's file gave, or nothing."""
    checks: Sequence[tuple[str, NDArray[np.bool_]]] = (
        ("a time that is out of range", (rows["time"] < 0) | (rows["time"] >= MAX_TIME)),
        ("a page number that is out of range", (rows["page"] < 0) | (rows["page"] >= MAX_PAGE)),
        ("a number of pages that is out of range", (rows["pages"] < 1) | (rows["pages"] > MAX_PAGE - rows["page"])),
        ("accesses that are no number of 0 or more", ~((rows["heat"] >= 0) & (rows["heat"] < np.inf))),
        ("a value of write that is none of 1, 0 and -1", (rows["write"] < -1) | (rows["write"] > 1)),
        ("a node below -1", rows["node"] < -1),
    )
    return "; ".join(what for what, wrong in checks if wrong.any())
