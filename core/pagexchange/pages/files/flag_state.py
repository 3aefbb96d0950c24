"""Flags words of frames become the rows of a state: runs of neighbouring pages that look equally hot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pagexchange.pages.files.form import About, Words
from pagexchange.pages.files.table import Access, table
from pagexchange.pages.snapshot.proc import kpageflags


def rows(words: Iterator[Words], about: About) -> Iterator[Access]:
    """Rows of the pages of users among these frames; the others are counted."""
    about.numbers, about.kind = "pfn", "state"
    about.notes.append("how hot a page is, is what its flags say: ACTIVE 4, REFERENCED 2, not IDLE 1.")
    for first, frames, flags, _ in words:
        page = kpageflags.is_page(flags)
        free = kpageflags.is_free(flags)
        about.passed["free frames"] += int(frames[free].sum())
        about.passed["frames that are no page of a user"] += int(frames[~page & ~free].sum())
        begin, size, heat = first[page], frames[page], kpageflags.heat(flags[page])
        if len(begin):
            new = np.ones(len(begin), dtype=bool)
            new[1:] = (begin[1:] != begin[:-1] + size[:-1]) | (heat[1:] != heat[:-1])
            starts = np.flatnonzero(new)
            yield table(0, begin[starts], np.add.reduceat(size, starts), heat[starts])
