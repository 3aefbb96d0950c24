"""How hot each page is: by Linux's flags, by idle page tracking, or by a user's file; and what of it cannot be known.

With the classic LRU lists ACTIVE and REFERENCED say it. The multi-generational LRU keeps a generation instead, in bits
that /proc/kpageflags does not show, and takes ACTIVE from every page that is on a list: by flags no page is hot then.
Of the generations only sums are to be had: those of the two youngest ones are what /proc/zoneinfo calls active, by node
and kind, and /sys/kernel/debug/lru_gen has all of them; neither says which pages these are. Where somebody marks pages
as idle, those that are not idle any more were used since, whatever the lists say.
"""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot.facts import Facts
from pagexchange.pages.snapshot.proc import kpageflags, reader, zoneinfo
from pagexchange.pages.snapshot.proc.tree import Tree
from pagexchange_native import procfs

HOTTEST: Final = 7
IDLE_BITMAP: Final = "kernel/mm/page_idle/bitmap"
LRU_GEN: Final = "kernel/mm/lru_gen/enabled"
_LINE: Final = re.compile(rb"\s*(0[xX][0-9a-fA-F]{1,13}|\d{1,16})(?:-(0[xX][0-9a-fA-F]{1,13}|\d{1,16}))?\s+(\S+)\s*")


def refresh(tree: Tree) -> None:
    """Let Linux look which pages that are marked as idle were used since: only a read of the bitmap makes it look."""
    if not tree.live or tree.sys is None:
        return
    with suppress(OSError), reader.Words(tree.sys / IDLE_BITMAP) as bitmap:
        at = 0
        while read := len(bitmap.read(at, reader.STEP)):
            at += read


def note(tree: Tree, flags: NDArray[np.uint64], facts: Facts, notes: list[str], *, everything: bool) -> None:
    """Put into the facts by what heat is known, and into the notes what of it is not.

    Parameters
    ----------
    flags : uint64[n]
        Of the pages.
    everything : bool
        Whether these are all pages of the machine.
    """
    active = zoneinfo.active(tree.text("zoneinfo") or "")
    on = _lru_gen(tree)
    if on is None and everything and tree.sys is None:
        # Linux counts more active pages than it shows: they are the youngest generations
        lists = (flags & kpageflags.mask("LRU")) != 0
        on = int((lists & ((flags & kpageflags.mask("ACTIVE")) != 0)).sum()) * 2 < sum(active) > 0
    if on is not None:
        facts["lru_gen"] = on
    idle = bool(on) and bool((flags & kpageflags.mask("IDLE")).any())
    facts["heat"] = "idle" if idle else "flags"
    if on and not idle:
        young = (
            f" Of {sum(active)} pages Linux says that they are young, and not which they are." if sum(active) else ""
        )
        notes.append(
            "the multi-generational LRU is on, and never sets ACTIVE on a page that is on a list: flags hardly tell "
            f"hot pages from cold ones.{young} REFERENCED pages are taken as the warmer ones; idle page tracking or "
            "--heat would tell more."
        )


def _lru_gen(tree: Tree) -> bool | None:
    """Whether the multi-generational LRU is on; None where the tree does not say."""
    text = tree.sys_text(LRU_GEN)
    try:
        return None if text is None else bool(int(text, 16) & 1)
    except ValueError:
        return None


def read(path: str | os.PathLike[str], pfn: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The heat of these frames as a user's file says it: lines of a frame number, or FIRST-LAST, and a number.

    Numbers from 0 (cold) to 7 are taken as they are. Where one is larger, as counts of accesses are, all are put on
    that scale by their logarithm. Frames that the file does not name are cold; of two lines for one the last counts.

    Parameters
    ----------
    path : path
        Frame numbers are decimal or begin with 0x. What follows a `#` is left out.
    pfn : uint64[n], ascending

    Returns
    -------
    uint8[n]

    Raises
    ------
    SnapshotError
        The file cannot be read, a line is wrong, or it names none of the frames.
    """
    value = np.zeros(len(pfn), dtype=np.float64)
    named = np.zeros(len(pfn), dtype=bool)
    try:
        lines = procfs.lines(Path(path))
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read: {error.strerror or error}") from error
    for number, line in enumerate(lines, 1):
        line = line.partition(b"#")[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        heat = _heat(match.group(3)) if match else None
        first, last = (_frame(match.group(1)), _frame(match.group(2) or match.group(1))) if match else (0, 0)
        if heat is None or last < first:
            wanted = "a frame number, or FIRST-LAST, and a number of 0 or more are expected"
            raise SnapshotError(f"{path}:{number}: {procfs.text(line)[:60]!r}: {wanted}")
        rows = slice(*np.searchsorted(pfn, np.array([first, last + 1], dtype=np.uint64)).tolist())
        value[rows], named[rows] = heat, True
    if not named.any():
        raise SnapshotError(
            f"{path}: none of the {len(pfn)} pages is named in it; are these frame numbers of this machine?"
        )
    return _scaled(value)


def _frame(text: bytes) -> int:
    return int(text, 16 if text[:2].lower() == b"0x" else 10)


def _heat(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None


def _scaled(value: NDArray[np.float64]) -> NDArray[np.uint8]:
    """uint8[n]: 0 to 7, in the order of the values."""
    most = float(value.max())
    if most > HOTTEST:
        value = np.log1p(value) * (HOTTEST / math.log1p(most))
    return np.ceil(np.minimum(value, HOTTEST)).astype(np.uint8)
