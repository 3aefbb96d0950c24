"""Reads what Linux says about frames: the flags and counts of all that hold a user's page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot.proc import kpageflags, reader
from pagexchange_native.arena import backing

SCAN: Final = 1 << 25
"""Frames that are looked at where a limit is given: of a larger machine, every k-th stretch."""
STRETCH: Final = 1 << 18
BLOCK: Final = 512
"""Frames that are looked at together, at least."""

_ROW: Final = 80
"""Bytes that a page takes while the recording is made."""

Frames = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint32]]
"""Frame numbers, flags, counts."""


@dataclass
class Tally:
    """What the frames are that were looked at: each is counted once in `uses`, besides `looked_at`."""

    uses: dict[str, int] = field(default_factory=dict)
    """looked_at, pages, free, other, no_flags."""
    others: Counter[str] = field(default_factory=Counter)
    """Why the frames of `other` and `no_flags` are no pages: reasons of `kpageflags.reasons`."""


def scan(
    proc: Path, mapped: NDArray[np.uint64], limit: int | None, tally: Tally, *, only_mapped: bool
) -> tuple[Frames, int]:
    """Frame numbers, flags and counts of the pages of users, and the number of frames there are.

    Reads everything, or, of a machine too large for a sample, the blocks that are mapped and every k-th stretch; large
    folios as a whole. Tails have the state of their folio (see `kpageflags.with_heads`).

    Raises
    ------
    SnapshotError
        Memory has no room for so many pages, and no limit was given.
    """
    room, kept = backing.memory_available() // _ROW, 0
    pfns: list[NDArray[np.uint64]] = []
    flags: list[NDArray[np.uint64]] = []
    counts: list[NDArray[np.uint32]] = []
    uses, unreadable = np.zeros(5, dtype=np.int64), 0
    with reader.Words(proc / "kpageflags") as flag_words, reader.Words(proc / "kpagecount") as count_words:
        total = flag_words.length()
        blocks = np.unique(mapped // np.uint64(BLOCK)).astype(np.int64)
        if only_mapped:
            spans = _spans(blocks, total)
        elif limit is not None and total > (most := max(min(SCAN, room), 1)):
            # Every k-th stretch of 1 GiB, so that each part of memory has its share; and what is mapped, everywhere.
            every = -(-total // most)
            stretch = np.arange(0, total // STRETCH, every)[:, None] * (STRETCH // BLOCK) + np.arange(STRETCH // BLOCK)
            spans = _spans(np.union1d(blocks, stretch.ravel()), total)
        else:
            spans = [(0, total)]
        for start, end in _whole(spans, flag_words, total):
            last = 0
            for first in range(start, end, STRETCH):
                refused = flag_words.unreadable
                words = kpageflags.with_heads(flag_words.read(first, min(STRETCH, end - first)), last)
                unreadable += flag_words.unreadable - refused
                last = int(words[-1]) if len(words) else 0  # the next stretch may begin with its folio's tails
                page = kpageflags.is_page(words)
                uses += _uses(words, page)
                tally.others.update(kpageflags.reasons(words[~page & ~kpageflags.is_free(words)]))
                rows = np.flatnonzero(page)
                if not len(rows):
                    continue
                kept += len(rows)
                if limit is None and kept > room:  # in a small container on a large machine
                    short = backing.shortage(kept * _ROW) or f"memory has room for {room} pages"
                    raise SnapshotError(f"more pages than can be recorded: {short}; want a sample (--limit) or a --pid")
                count = np.zeros(len(words), dtype=np.uint64)
                # where kpagecount gives fewer words than kpageflags did, the rest counts as not mapped
                counted = count_words.read(first, len(words))
                count[: len(counted)] = counted
                pfns.append(rows.astype(np.uint64) + np.uint64(first))
                flags.append(words[rows])
                counts.append(np.minimum(count[rows], np.uint64(0xFFFFFFFF)).astype(np.uint32))
        if unreadable:  # they are zeros
            tally.others["unreadable"] = unreadable
            tally.others["no_flags"] -= unreadable
    tally.uses.update(zip(("looked_at", "pages", "free", "other", "no_flags"), uses.tolist(), strict=True))
    if not pfns:
        return (np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.uint32)), total
    pfn, word, often = np.concatenate(pfns), np.concatenate(flags), np.concatenate(counts)
    if only_mapped:  # whole folios: a folio of which only a part were kept would have to be split
        first_row = kpageflags.folios(pfn, word)
        keep = np.isin(first_row, first_row[np.isin(pfn, mapped)])
        pfn, word, often = pfn[keep], word[keep], often[keep]
    return (pfn, word, often), total


def _uses(words: NDArray[np.uint64], page: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64[5]: frames looked at; of them pages, free, of another use, without any flag."""
    free = int(kpageflags.is_free(words).sum())
    pages, none = int(page.sum()), int((words == 0).sum())
    return np.array([len(words), pages, free, len(words) - pages - free - none, none], dtype=np.int64)


def _whole(spans: list[tuple[int, int]], words: reader.Words, total: int) -> Iterator[tuple[int, int]]:
    """These ascending stretches, each begun and ended so that it has whole folios."""
    done = 0
    for start, end in spans:
        while start > done and _is_tail(words, start):
            start -= BLOCK  # a folio that crosses the start of a block begins at that of an earlier one
        while end < total and _is_tail(words, end):
            end = min(end + BLOCK, total)
        if end > done:
            yield max(start, done), end
            done = end


def _is_tail(words: reader.Words, pfn: int) -> bool:
    return bool((words.read(pfn, 1) & kpageflags.TAIL).any())


def _spans(blocks: NDArray[np.int64], total: int) -> list[tuple[int, int]]:
    """Stretches of frames that these blocks of 512 cover."""
    if not len(blocks):
        return []
    runs = np.split(blocks, np.flatnonzero(np.diff(blocks) > 1) + 1)
    return [(int(run[0]) * BLOCK, min((int(run[-1]) + 1) * BLOCK, total)) for run in runs]
