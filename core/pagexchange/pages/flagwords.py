"""Makes flags words of a layout: from /proc/kpageflags words, by the name of each bit, or at random."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.model.layout import Layout
from pagexchange.pages.snapshot.proc import kpageflags

Words = NDArray[np.uint64]

_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "ERROR": ("error",), "REFERENCED": ("referenced",), "UPTODATE": ("uptodate",), "DIRTY": ("dirty",), "LRU": ("lru",),
    "ACTIVE": ("active",), "WRITEBACK": ("writeback",), "RECLAIM": ("reclaim",), "SWAPBACKED": ("swapbacked",),
    "UNEVICTABLE": ("unevictable",), "HWPOISON": ("hwpoison",), "IDLE": ("idle",), "MLOCKED": ("mlocked",),
    "OWNER_2": ("owner_2",), "PRIVATE": ("private",), "PRIVATE_2": ("private_2",),
    "OWNER_PRIVATE": ("owner_priv_1",), "ARCH": ("arch_1",), "ARCH_2": ("arch_2",), "ARCH_3": ("arch_3",),
    "UNCACHED": ("uncached",),
}  # fmt: skip
"""kpageflags name to the layout's. LOCKED is left out, as no one would unlock it. HEAD and TAIL are the arena's own."""
_FILES_ONLY: Final[dict[str, str]] = {"OWNER_2": "mappedtodisk"}
"""Before Linux had owner_2, its bit meant this, for pages of files."""
REFUSED: Final = ("WRITEBACK", "HWPOISON", "PRIVATE_2")
"""Pages with these stay as they are; exchanges of them are refused, unless a layout says otherwise."""


def from_kpageflags(words: Words, anon: NDArray[np.bool_], layout: Layout) -> tuple[Words, dict[str, int]]:
    """The layout's words for these pages, and how often a bit was set that has no place in it, by name.

    An arena has no swap cache: SWAPCACHE of anonymous pages is dropped and counted, with the bit that it shares, and so
    is private data of theirs.

    Parameters
    ----------
    words : uint64[n]
        From /proc/kpageflags.
    anon : bool[n]
        Which pages are anonymous.
    layout : Layout

    Returns
    -------
    uint64[n], dict
    """
    out = np.zeros(len(words), dtype=np.uint64)
    dropped: dict[str, int] = {}
    swap_cache = (words & kpageflags.mask("SWAPCACHE")) != 0
    for bit, name in kpageflags.NAMES.items():
        has = (words >> np.uint64(bit) & np.uint64(1)) != 0
        take = has
        if name == "OWNER_PRIVATE":  # the bit that Linux uses as swapcache, too
            take = has & ~(anon & swap_cache)
        elif name == "PRIVATE":
            take = has & ~anon
        elif name in ("LOCKED", "SWAPCACHE", "SOFTDIRTY"):
            take = np.zeros_like(has)
        elif name not in _NAMES:  # no flag of a page
            continue
        # The first name that the layout knows; of an older Linux it may be another one, for pages of files only.
        target = next((flag for flag in _NAMES.get(name, ()) if flag in layout), None)
        if target is None and _FILES_ONLY.get(name) in layout:
            target, take = _FILES_ONLY[name], has & ~anon
        if target is None:
            take = np.zeros_like(has)
        else:
            out[take] |= np.uint64(layout.flag(target).mask)
        lost = int((has & ~take).sum())
        if lost:
            dropped[name] = lost
    return out, dropped


def refuses(layout: Layout, name: str) -> bool:
    """Whether a page with this bit of /proc/kpageflags is refused by this layout."""
    return any(flag in layout and layout.flag(flag).policy == "refuse" for flag in _NAMES[name])


def word(layout: Layout, *names: str) -> int:
    """The word with these flags set, as far as the layout has them."""
    return layout.word(*(name for name in names if name in layout))


def at_random(n: int, layout: Layout, random: np.random.Generator) -> Words:
    """Words in which every bit that may differ is drawn: those that move, and those of the frame that nothing rests on.

    Never set are the bits that an exchange refuses or that the arena keeps itself: locked, waiters, head, private.
    """
    allowed = layout.mask("swap")
    for flag in layout.flags:
        if flag.policy == "stay":
            allowed |= flag.mask
    # swapbacked says of a page of a file that it is shared memory: the kind decides it, not chance
    for name in ("locked", "waiters", "head", "private", "swapbacked"):
        if name in layout:
            allowed &= ~layout.flag(name).mask
    return random.integers(0, 1 << 64, n, dtype=np.uint64) & np.uint64(allowed)
