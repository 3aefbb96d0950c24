"""A trace: what a file says of accesses, or of the state of memory, as a table that is read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np

from pagexchange.pages.files.store import Store
from pagexchange.pages.files.table import MAX_PAGE, MAX_TIME, Access, Kind, Numbers

_Time = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_PAGE)]


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is true of all rows; JSON in our own file."""

    form: str
    """Which form of file the rows came from, as `forms.FORMS` names it."""
    numbers: Numbers
    page_size: _Count
    """Bytes of a page; 0 where the file did not say."""
    kind: Kind
    notes: tuple[str, ...]
    """What a reader must know, in sentences."""
    began: _Time
    """Time of the first row, by the clock of the file."""
    duration: _Time
    """ns from the first row to the last."""
    lowest: _Count
    """The lowest number of a page."""
    end: _Count
    """One more than the highest number of a page."""


@dataclass(frozen=True, eq=False)
class Trace:
    """Accesses or a state, from whatever file they came. Made by `read`."""

    facts: Facts
    store: Store

    @property
    def form(self) -> str:
        """Which form of file it came from."""
        return self.facts.form

    @property
    def numbers(self) -> Numbers:
        """What the numbers of pages are: "pfn", "vpn" or "block"."""
        return self.facts.numbers

    @property
    def page_size(self) -> int:
        """Bytes of a page; 0 where the file does not say."""
        return self.facts.page_size

    @property
    def kind(self) -> Kind:
        """ "accesses" or "state"."""
        return self.facts.kind

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, in sentences."""
        return self.facts.notes

    @property
    def duration(self) -> int:
        """ns from the first row to the last."""
        return self.facts.duration

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return self.store.rows

    def __repr__(self) -> str:
        return f"<Trace of {self.form}: {self.rows} rows of {self.kind}, {self.duration / 1e9:.3f} s>"

    def chunks(self) -> Iterator[Access]:
        """The rows as arrays of `ACCESS`, ascending in time, some thousand at once. TraceError: the file is damaged."""
        for rows in self.store:
            rows["time"] -= self.facts.began
            yield rows


def facts_of(store: Store, *, form: str, numbers: Numbers, page_size: int, kind: Kind, notes: tuple[str, ...]) -> Facts:
    """The facts of rows that lie in a store, with the times as the file had them."""
    began, last, lowest, end = MAX_TIME, 0, MAX_PAGE, 0
    for rows in store:
        began, last = min(began, int(rows["time"][0])), int(rows["time"][-1])
        lowest = min(lowest, int(rows["page"].min()))
        end = max(end, int(np.max(rows["page"] + rows["pages"])))
    return Facts(form, numbers, page_size, kind, notes, began, last - began, lowest, end)
