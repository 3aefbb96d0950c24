"""What the forms of a damo record have in common: regions of bytes, of one or of several targets, become rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pagexchange.pages.files.form import About
from pagexchange.pages.files.table import Access, table

PAGE: Final = 12
"""log2 of a page's bytes: DAMON's regions are of bytes, and a record does not say how large a page is."""
PHYSICAL: Final = 1 << 46
"""Bytes. Addresses of a process that is no tiny one reach beyond this, those of memory do not."""
APART: Final = 45
"""Bits of a virtual page number: the pages of another target are numbered beyond them."""
MAX_TARGETS: Final = 64


class Targets:
    """Numbers the targets of a record, and says in the notes what was made of their addresses."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._number: dict[str | bytes, int] = {}
        about.numbers, about.page_size = "pfn", 1 << PAGE
        self._guess = "whether addresses are physical a record does not say; these are taken as physical, all of them "
        self._guess += f"being below {PHYSICAL >> 40} TiB."
        about.notes.append(self._guess)

    def rows(
        self,
        target: str | bytes,
        time: Sequence[int],
        first: Sequence[int],
        last: Sequence[int],
        heat: Sequence[float],
    ) -> Access | str:
        """Rows of regions of one target, or what is wrong with them.

        Parameters
        ----------
        time
            ns, of each region.
        first, last
            First byte of each region, and the byte after its last.
        """
        number = self._number.setdefault(target, len(self._number))
        if number == 1:
            self._about.notes.append(
                f"several targets: the pages of the n-th one are numbered from (n - 1) << {APART}."
            )
        if number >= MAX_TARGETS:
            return f"more than {MAX_TARGETS} targets"
        try:
            if min(first, default=0) < 0 or min(last, default=0) < 0:  # older NumPy makes large numbers of them
                raise ValueError("it is negative")
            begin, end = np.array(first, dtype=np.uint64), np.array(last, dtype=np.uint64)
            begin_page = (begin >> np.uint64(PAGE)).astype(np.int64)
            end_page = begin_page + 1
            end_page = np.maximum(end_page, ((end - np.uint64(1)) >> np.uint64(PAGE)).astype(np.int64) + 1)
            rows = table(time, begin_page + (number << APART), end_page - begin_page, heat)
        except (OverflowError, ValueError) as error:
            return f"an address or a time that is out of range: {error}"
        if bool((end <= begin).any()):
            at = int(np.argmax(end <= begin))
            return f"a region that ends where it begins, or before: {first[at]}-{last[at]}"
        if self._about.numbers == "pfn" and int(end.max()) > PHYSICAL:
            self._about.numbers = "vpn"
            self._about.notes.remove(self._guess)
        return rows
