"""One frame of an arena and the page in it, as an object to look at and to name in a pair."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pagexchange.model.layout import Layout
from pagexchange_native.arena.places import Place
from pagexchange_native.arena.region import MAX_ORDER, STATES, Region

_STATE_NAMES: Final = {number: name for name, number in STATES.items()}


class LaidOutRegion(Region):
    """A region whose flags have names: all that a frame, a refusal, a strategy or a plug-in needs of an arena.

    `Arena` is one. It stands here, below `Arena`, so that what `Arena` itself is made of can name the type.
    """

    layout: Layout
    """Names, places and policies of the bits of a flags word."""
    huge: Literal["", "thp", "hugetlb"] = ""
    """Huge pages that were asked for; `hugepages` says what came of it."""
    places: tuple[Place, ...] = ()
    """Where the frames of each node were to lie; empty: nothing was said. `lying` says where they do."""
    benchmarking: bool = False
    """True inside a benchmark: the `null` mover serves only then."""

    @property
    def max_order(self) -> int:
        """Largest order of a folio."""
        return MAX_ORDER


@dataclass(frozen=True, slots=True, repr=False)
class Frame:
    """Frame `pfn` of an arena. Its properties are read when asked for; nothing is kept.

    Two of them are equal when they are the same frame of the same arena, whatever lies in it by then.
    """

    arena: LaidOutRegion
    pfn: int

    def _field(self, name: str) -> int:
        return int(self.arena.entries[name][self.pfn])

    @property
    def node(self) -> str:
        """Name of its node."""
        for node in self.arena.nodes:
            if node["start"] <= self.pfn < node["start"] + node["frames"]:
                return str(node["name"])
        raise LookupError(f"frame {self.pfn}: in no node")

    @property
    def state(self) -> str:
        """One of offline, free, used, tail, reserved."""
        return _STATE_NAMES.get(self._field("state"), "damaged")

    @property
    def head(self) -> int:
        """First frame of the folio that it belongs to."""
        # The entry holds pfn + 1, so that an entry of zeros is a sound one: no head.
        return self._field("head") - 1 if self.state == "tail" else self.pfn

    @property
    def order(self) -> int:
        """Order of the folio that starts here."""
        return self._field("order") if self.state == "used" else 0

    @property
    def flags(self) -> list[str]:
        """Names of the flags that are set."""
        return self.arena.layout.names(self._field("flags"))

    @property
    def refs(self) -> int:
        """References of the page: page cache, private data, page tables, the process that holds it; none by `get`."""
        return self._field("refs")

    @property
    def mapcount(self) -> int:
        """How often page tables map it."""
        return self._field("mapcount")

    @property
    def kind(self) -> str:
        """One of anon, file, raw (no mapping), none (not in use)."""
        if self.state != "used":
            return "none"
        mapping = self._field("mapping")  # as Linux has it: a tag in the low bits tells anonymous pages
        return "raw" if mapping == 0 else "anon" if mapping & 1 else "file"

    @property
    def mapping(self) -> int:
        """Number of its mapping (file) or of the space that it was first mapped in (anon); -1 for none."""
        return (self._field("mapping") >> 2) - 1

    @property
    def index(self) -> int:
        """Position in its mapping, or its virtual page number; base pages."""
        return self._field("index")

    @property
    def private(self) -> int:
        """What its owner keeps with it."""
        return self._field("private")

    @property
    def data(self) -> NDArray[np.uint64]:
        """The frame's contents, uint64[page_size // 8], no copy."""
        contents: NDArray[np.uint64] = self.arena.frames[self.pfn]
        return contents

    def __repr__(self) -> str:
        if self.arena.closed or self.arena.forked or not 0 <= self.pfn < self.arena.nframes:
            return f"<Frame {self.pfn} of {self.arena!r}>"
        return f"<Frame {str(self).removeprefix('frame ')}>"

    def __str__(self) -> str:
        if self.kind == "none":
            return f"frame {self.pfn} on {self.node}: {self.state}"
        where = f"{self.kind} {self.mapping}+{self.index}" if self.kind != "raw" else "no mapping"
        return (
            f"frame {self.pfn} on {self.node}: {where}, order {self.order}, refs {self.refs}, "
            f"mapcount {self.mapcount}, flags {' '.join(self.flags) or 'none'}"
        )
