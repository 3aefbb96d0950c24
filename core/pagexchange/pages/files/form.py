"""What a reader of one form is, and what it finds out on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import Access, Kind, Numbers


class Words(NamedTuple):
    """What Linux says of some frames, in runs of neighbours that it says the same of."""

    first: NDArray[np.int64]
    """int64[n]: the first frame of each run."""
    frames: NDArray[np.int64]
    """int64[n]: frames of each run."""
    flags: NDArray[np.uint64]
    """uint64[n]: the word of /proc/kpageflags."""
    mapped: NDArray[np.int64] | None
    """int64[n]: how often each frame is mapped; None: not said."""


@dataclass
class About:
    """What is true of a whole file; complete when its last row was read."""

    numbers: Numbers = "pfn"
    page_size: int = 4096
    """Bytes; 0 where the file does not say."""
    kind: Kind = "accesses"
    notes: list[str] = field(default_factory=list)
    """What a reader must know of the file, in sentences."""
    passed: Counter[str] = field(default_factory=Counter)
    """Lines that are no rows, by what they are."""

    def sentences(self) -> list[str]:
        """All notes, with those on the lines that were passed over."""
        lines = [f"{what} ({count:,})" for what, count in sorted(self.passed.items())]
        return [*self.notes, *([f"passed over: {', '.join(lines)}."] if lines else [])]


@dataclass(frozen=True)
class Form:
    """One form of file that people have."""

    name: str
    sign: str
    """What it is recognised by, for who has a file of no known form."""
    fits: Callable[[Source], bool]
    """Whether the head of the file is of this form."""
    rows: Callable[[Source, About], Iterator[Access]]
    """Reads it all; raises TraceError where a line or a value is wrong."""
    words: Callable[[Source, About], Iterator[Words]] | None = None
    """The same of a form that says what Linux says of each frame: such a file can become a snapshot, too."""
