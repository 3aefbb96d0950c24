"""The bits of a /proc/kpageflags word, and the few questions that are asked of them.

Bits 0-26 are Linux's ABI (include/uapi/linux/kernel-page-flags.h), 32 and above are for kernel hackers and may change.

Nothing here rests on KSM: 6.12.117 sets it on every anonymous page (it asks whether any of the low bits of `mapping` is
set, not whether all are); 6.1 and 6.18 do not.
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
# What Linux says of a tail, whatever it says of its folio; the rest of a tail's state is its head's.
TAILS_OWN: Final = mask("MMAP", "ANON", "COMPOUND_TAIL", "HWPOISON", "KSM")
# anon_exclusive has the bit of owner_2 and is one page's; for a page of a file the bit is its folio's
ANON_EXCLUSIVE: Final = mask("OWNER_2")
# A page that migration could move has a list to be on, or is hugetlb's, or is a process's anonymous memory.
OWNED: Final = mask("LRU", "ANON", "HUGE", "SWAPBACKED", "UNEVICTABLE")
MAPPED: Final = mask("MMAP", "UPTODATE")  # or it is on its way to a list; a driver's mapped memory is not UPTODATE


def is_page(flags: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which words belong to a user's page, anonymous or of a file: those that an exchange is about."""
    owned = ((flags & OWNED) != 0) | ((flags & MAPPED) == MAPPED)
    page: NDArray[np.bool_] = owned & ((flags & NOT_A_PAGE) == 0)
    return page


def with_heads(words: NDArray[np.uint64], before: int = 0) -> NDArray[np.uint64]:
    """These words of neighbouring frames, with the state of its folio in each tail's word.

    Before Linux 6.10 a tail shows its own word, which has hardly a flag: of a tail of shared memory it is MMAP, THP and
    COMPOUND_TAIL. Since then it shows its folio's flags, and nothing is changed here.

    Parameters
    ----------
    words : uint64[n]
        Of neighbouring frames.
    before : int
        The word of the frame before the first one, with its head's state; 0 where it is not known.

    Returns
    -------
    uint64[n]
        A new array. A tail after something that is no head (the folio changed while it was read) keeps its word.
    """
    tail = (words & TAIL) != 0
    # the last row that is no tail, carried forward; -1 in front of the first one
    owner = np.maximum.accumulate(np.where(tail, -1, np.arange(len(words))))
    head = np.where(owner >= 0, words[owner], np.uint64(before))
    own = np.where((words & ANON) != 0, TAILS_OWN | ANON_EXCLUSIVE, TAILS_OWN)
    whole = words & (own | NOT_A_PAGE) | head & ~(own | HEAD)
    return np.where(tail & ((head & (HEAD | TAIL)) != 0), whole, words)


def is_free(flags: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which words belong to a frame that the buddy allocator holds."""
    free: NDArray[np.bool_] = (flags & BUDDY) != 0
    return free


def reasons(words: NDArray[np.uint64]) -> dict[str, int]:
    """Why the frames with these words are no pages of users, free ones aside: how many for each reason.

    Of several reasons the first one counts; the sum is the number of words.
    """
    left = np.ones(len(words), dtype=bool)
    counts: dict[str, int] = {}
    for reason, bits in _REASONS.items():
        has = left & ((words & bits) != 0)
        left &= ~has
        counts[reason] = int(has.sum())
    counts["no_flags"] = int((words[left] == 0).sum())
    counts["unknown"] = int(left.sum()) - counts["no_flags"]
    return {reason: count for reason, count in counts.items() if count}


_REASONS: Final[dict[str, np.uint64]] = {
    "no_frame": mask("NOPAGE"), "offline": mask("OFFLINE"), "zero_page": mask("ZERO_PAGE"), "slab": mask("SLAB"),
    "page_tables": mask("PGTABLE"), "reserved": mask("RESERVED"), "hwpoison": mask("HWPOISON"),
    "on_no_list": mask("UPTODATE"), "mapped_by_a_driver": mask("MMAP"), "large_of_linux": HEAD | TAIL,
}  # fmt: skip
"""Reason -> the bits of which one is enough. `on_no_list`: written or read in, but on no LRU list (yet), so that nobody
could move it."""


def heat(flags: NDArray[np.uint64], *, by_idle: bool = False) -> NDArray[np.uint8]:
    """How hot each page looks, 0 to 7: ACTIVE counts 4, REFERENCED 2, not IDLE 1. `by_idle`: not IDLE 4, ACTIVE 1.

    ACTIVE and REFERENCED are the page's place on the LRU lists. IDLE is set by what tracks idle pages and cleared by
    an access; where nothing tracks them, it is clear in all words and says nothing. With the multi-generational LRU
    ACTIVE says nothing either, see `snapshot.heat`.
    """
    active, used = (4, 1) if not by_idle else (1, 4)
    score: NDArray[np.uint8] = ((flags & mask("ACTIVE")) != 0).astype(np.uint8) * np.uint8(active)
    score += ((flags & mask("REFERENCED")) != 0).astype(np.uint8) * 2
    score += ((flags & mask("IDLE")) == 0).astype(np.uint8) * np.uint8(used)
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
