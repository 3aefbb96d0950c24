"""The bits of a /proc/kpageflags word, and the few questions that are asked of them.

Bits 0-26 are Linux's ABI (include/uapi/linux/kernel-page-flags.h), 32 and above are for kernel hackers and may change.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

NAMES: Final[dict[int, str]] = {
    0: "LOCKED", 1: "ERROR", 2: "REFERENCED", 3: "UPTODATE", 4: "DIRTY", 5: "LRU", 6: "ACTIVE", 7: "SLAB",
    8: "WRITEBACK", 9: "RECLAIM", 10: "BUDDY", 11: "MMAP", 12: "ANON", 13: "SWAPCACHE", 14: "SWAPBACKED",
    15: "COMPOUND_HEAD", 16: "COMPOUND_TAIL", 17: "HUGE", 18: "UNEVICTABLE", 19: "HWPOISON", 20: "NOPAGE", 21: "KSM",
    22: "THP", 23: "OFFLINE", 24: "ZERO_PAGE", 25: "IDLE", 26: "PGTABLE",
    32: "RESERVED", 33: "MLOCKED", 34: "OWNER_2", 35: "PRIVATE", 36: "PRIVATE_2", 37: "OWNER_PRIVATE", 38: "ARCH",
    39: "UNCACHED", 40: "SOFTDIRTY", 41: "ARCH_2", 42: "ARCH_3",
}  # fmt: skip
"""Bit number to name, as in tools/mm/page-types.c."""

BITS: Final[dict[str, int]] = {name: bit for bit, name in NAMES.items()}


def mask(*names: str) -> np.uint64:
    """The word in which the bits of these names are set."""
    return np.uint64(sum(1 << BITS[name] for name in names))


BUDDY: Final = mask("BUDDY")
ANON: Final = mask("ANON")
TAIL: Final = mask("COMPOUND_TAIL")
HEAD: Final = mask("COMPOUND_HEAD")
SWAPBACKED: Final = mask("SWAPBACKED")
# Frames of Linux itself, or no frame at all. SLAB words may carry ANON or MMAP by accident (the field is shared).
NOT_A_PAGE: Final = mask("SLAB", "BUDDY", "NOPAGE", "OFFLINE", "ZERO_PAGE", "PGTABLE", "RESERVED")
# A page that migration could move has a list to be on, or is hugetlb's, or is a process's anonymous memory.
OWNED: Final = mask("LRU", "ANON", "HUGE", "SWAPBACKED", "UNEVICTABLE")
MAPPED: Final = mask("MMAP", "UPTODATE")  # or it is on its way to a list; a driver's mapped memory is not UPTODATE


def is_page(flags: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which words belong to a user's page, anonymous or of a file: those that an exchange is about."""
    owned = ((flags & OWNED) != 0) | ((flags & MAPPED) == MAPPED)
    page: NDArray[np.bool_] = owned & ((flags & NOT_A_PAGE) == 0)
    return page


def is_free(flags: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which words belong to a frame that the buddy allocator holds."""
    free: NDArray[np.bool_] = (flags & BUDDY) != 0
    return free


def heat(flags: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """How hot each page looks, 0 (cold) to 7: ACTIVE counts 4, REFERENCED 2, not IDLE 1.

    ACTIVE and REFERENCED are the page's place on the LRU lists. IDLE is set by what tracks idle pages and cleared by
    an access; where nothing tracks them, it is clear in all words and says nothing.
    """
    score: NDArray[np.uint8] = ((flags & mask("ACTIVE")) != 0).astype(np.uint8) * 4
    score += ((flags & mask("REFERENCED")) != 0).astype(np.uint8) * 2
    score += ((flags & mask("IDLE")) == 0).astype(np.uint8)
    return score


def describe(word: int) -> str:
    """Names of the bits that are set, joined with `|`; unknown bits by number."""
    return "|".join(NAMES.get(bit, f"bit{bit}") for bit in range(64) if word >> bit & 1) or "none"


def folios(pfn: NDArray[np.uint64], flags: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Row of the first frame of each row's folio.

    A tail belongs to the row before it when their frame numbers are neighbours; a tail without its head (the folio
    changed while it was read) stands alone.

    Parameters
    ----------
    pfn : uint64[n], ascending
    flags : uint64[n]

    Returns
    -------
    int64[n]
    """
    n = len(pfn)
    first = np.ones(n, dtype=bool)
    if n > 1:
        joined = ((flags[1:] & TAIL) != 0) & (pfn[1:] == pfn[:-1] + np.uint64(1))
        joined &= (flags[:-1] & (TAIL | HEAD)) != 0
        first[1:] = ~joined
    # The number of the last row that begins a folio, carried forward over its tails.
    return np.maximum.accumulate(np.where(first, np.arange(n), 0)).astype(np.int64)
