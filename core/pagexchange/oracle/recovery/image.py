"""An arena's bytes to be put right: views on its parts, one way to store, and the marks of one slot."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagexchange.oracle.format import (
    FROZEN,
    MAPPING,
    OWNER_CALL,
    OWNER_KEEPER,
    SLOT,
    SLOT_HEAD,
    SPACE,
    Dump,
    Raw,
    Table,
    Words,
    read,
)
from pagexchange.oracle.trees import NODE_BIAS, SIBLINGS

Bytes = NDArray[np.uint8]


class NonsenseError(Exception):
    """A field of a record that cannot be meant: the slot is left as it is."""


class NotYetError(Exception):
    """Another slot has what this one's recovery needs: that one comes first."""


class StoppedError(Exception):
    """A store that was not to be done any more: for tests of a recovery that dies itself."""


class Image:
    """Views on an arena, and the only way to write to it.

    Parameters
    ----------
    memory : uint8[total]
        A copy of an arena that nobody else uses.
    stores : int, optional
        After so many stores comes `StoppedError`, instead of the next one.
    """

    def __init__(self, memory: Bytes, stores: int | None = None) -> None:
        self.memory = memory
        self.raw: Raw = read(Dump(memory))
        self.left = stores
        self.page_size = int(self.raw.header["page_size"])
        start = self.raw.offset["frames"]
        self.bytes = memory[start : start + self.raw.nframes * self.page_size]
        """The frames' contents."""
        start = self.raw.offset["entries"]
        self._pairs: Words = memory[start : start + self.raw.nframes * 64].view(np.uint64).reshape(-1, 8)[:, 1]

    def store(self, place: Any, key: Any, value: Any) -> None:  # noqa: ANN401 - any array, any index
        """`place[key] = value`: a word, or some bytes."""
        if self.left is not None:
            if self.left == 0:
                raise StoppedError
            self.left -= 1
        place[key] = value

    def store_state(self, pfn: int, refs: int, owner: int) -> None:
        """References and owner of a frame, by one store."""
        self.store(self._pairs, pfn, owner << 32 | refs)

    # ---- frames and nodes ----------------------------------------------------------------------------------------

    def mask(self, role: str) -> int:
        """Bits of a role in the flags word."""
        return int(self.raw.layout[role])

    def node_of(self, pfn: int, frames: int = 1) -> int:
        """The node that these frames lie in.

        Raises
        ------
        NonsenseError
            They lie in none, or not in one.
        """
        for number, node in enumerate(self.raw.nodes):
            if int(node["start"]) <= pfn and pfn + frames <= int(node["start"]) + int(node["frames"]):
                return number
        raise NonsenseError(f"frames {pfn} to {pfn + frames - 1} lie in no node")

    def entry(self, pfn: int, name: str) -> int:
        """One field of a frame's entry."""
        return int(self.raw.entries[name][pfn])

    def rest(self, pfn: int) -> int:
        """The references that a page at rest has, by its entry."""
        mapping = self.entry(pfn, "mapping")
        cache = 1 << self.entry(pfn, "order") if mapping and not mapping & 3 else 0
        private = bool(self.entry(pfn, "flags") & self.mask("private"))
        return cache + private + self.entry(pfn, "mapcount") + (self.entry(pfn, "held") != 0)

    # ---- trees ---------------------------------------------------------------------------------------------------

    def array_at(self, offset: int) -> Table | None:
        """The head of the array at this byte, as a row of one; None where none lies."""
        for part, dtype, items, name in (
            ("mappings", MAPPING, self.raw.mappings, "pages"),
            ("spaces", SPACE, self.raw.spaces, "tables"),
        ):
            number, inside = divmod(offset - self.raw.offset[part], dtype.itemsize)
            if 0 <= number < len(items) and inside == 0:
                row: Table = items[number : number + 1][name]
                return row
        return None

    def word(self, mapping: int, number: int) -> tuple[Table, int] | None:
        """(words, position) of a word of a mapping's tree as records name it; None for none of that tree."""
        if number == SLOT_HEAD:
            return self.raw.mappings["pages"]["head"], mapping
        node, slot = divmod(number - 1, 64)
        if number == 0 or node >= len(self.raw.xanodes):
            return None
        row = self.raw.xanodes[node]
        if not row["used"] or int(row["array"]) != self.raw.offset["mappings"] + mapping * MAPPING.itemsize:
            return None
        return row["slot"], slot

    def look_up(self, array: Table, index: int) -> int:
        """The entry that an array has at an index; 0 for none, also where the tree makes no sense."""
        entry, below = int(array["head"][0]), 66
        if not is_node(entry):
            return entry if index == 0 else 0
        while is_node(entry):
            number = (entry >> 2) - NODE_BIAS
            if number >= len(self.raw.xanodes):
                return 0
            node = self.raw.xanodes[number]
            shift = int(node["shift"])
            if shift % 6 or shift >= below or (below == 66 and index >> shift > 63):
                return 0
            entry, below = int(node["slot"][index >> shift & 63]), shift
            if entry & 3 == 2 and entry >> 2 <= SIBLINGS:
                entry = int(node["slot"][entry >> 2])
        return 0 if entry & 3 == 2 else entry


def is_node(entry: int) -> bool:
    """Whether an entry names a node of the tree."""
    return entry & 3 == 2 and entry >> 2 >= NODE_BIAS


@dataclass(frozen=True)
class Record:
    """One slot of an image, and what carries its mark."""

    image: Image
    number: int

    @property
    def row(self) -> Table:
        """The slot, as a row of one."""
        rows: Table = self.image.raw.slots[self.number : self.number + 1]
        return rows

    def __getitem__(self, name: str) -> int:
        return int(self.row[name][0])

    def store(self, name: str, value: int) -> None:
        """One field of the slot."""
        self.image.store(self.row[name], 0, value)

    @property
    def phase(self) -> int:
        """Of its exchange."""
        return self["state"] & 0xFF

    @property
    def pair(self) -> int:
        """The pair that its publish word names."""
        return self["state"] >> 48

    @property
    def step(self) -> int:
        """The step that its publish word names."""
        return self["state"] >> 8 & (1 << 40) - 1

    def publish(self, phase: int, pair: int = 0, step: int = 0) -> None:
        """What comes next."""
        self.store("state", pair << 48 | step << 8 | phase)

    @property
    def log(self) -> Bytes:
        """(2, 256): the halves of its log."""
        halves: Bytes = self.row["log"][0].reshape(2, -1)
        return halves

    @property
    def where(self) -> int:
        """Its first byte in the arena."""
        return self.image.raw.offset["slots"] + self.number * SLOT.itemsize

    def locked(self, pfn: int) -> bool:
        """Whether its exchange has locked the frame."""
        return self.image.entry(pfn, "owner") == self.number + 1

    def marked(self, pfn: int) -> bool:
        """Whether its exchange has locked and frozen the frame."""
        return self.locked(pfn) and self.image.entry(pfn, "refs") == FROZEN | self.number

    def leave(self, pfn: int) -> None:
        """Ends the slot's lock of a frame, as an exchange's or a call's; who keeps it keeps it."""
        owner = self.image.entry(pfn, "owner")
        if owner & ~OWNER_KEEPER & ~OWNER_CALL == self.number + 1:
            self.image.store(self.image.raw.entries["owner"], pfn, owner & OWNER_KEEPER)
