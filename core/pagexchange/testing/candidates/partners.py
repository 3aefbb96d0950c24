"""Neutral partners: the plainest answer to each question, so that one plug-in can be judged alone.

They share no code with the engine or with any plug-in, and are what the direct tests compare with.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pagexchange.hookspecs import ArenaFacts, Numbers, Words, hookimpl
from pagexchange.model.layout import Layout
from pagexchange.oracle.format import MAPPING, XANODE, Raw, read

FLAGS: Final = "reference-flags"
DATA: Final = "reference-data"
COPY: Final = "reference-copy"
UPDATER: Final = "reference-mapping"

_NODE_BIAS: Final = 4097
_SIBLINGS: Final = 62
_SLOTS: Final = 64  # byte of the slots in a node


def swapped(layout: Layout, a: Words, b: Words) -> tuple[Words, Words]:
    """Return both words with the bits exchanged whose policy is swap."""
    swap = np.uint64(layout.mask("swap"))
    return (a & ~swap) | (b & swap), (b & ~swap) | (a & swap)


def entry_of(pfn: int) -> int:
    """Return the word of an XArray that points at a frame."""
    return (pfn + 1) << 2


def slot_of(raw: Raw, mapping: int, index: int) -> tuple[int, int]:
    """Return (byte offset, entry) of the word for an index of a mapping, by a walk of the bytes; (0, 0) for none."""
    place = raw.offset["mappings"] + mapping * MAPPING.itemsize
    word = int(raw.mappings[mapping]["pages"]["head"])
    if not _is_node(word):  # a single entry, at index 0, lies in the head
        return (place, word) if word and index == 0 else (0, 0)
    # Beyond what the top node covers there is nothing, and its shift would wrap to a slot that is another index's.
    if index >> int(raw.xanodes[(word >> 2) - _NODE_BIAS]["shift"]) > 63:
        return 0, 0
    while _is_node(word):
        number = (word >> 2) - _NODE_BIAS
        slots = raw.xanodes[number]["slot"]
        slot = index >> int(raw.xanodes[number]["shift"]) & 63
        word = int(slots[slot])
        if word & 3 == 2 and word >> 2 <= _SIBLINGS:  # a later slot of a large entry names the slot that has it
            slot = word >> 2
            word = int(slots[slot])
        place = raw.offset["xanodes"] + number * XANODE.itemsize + _SLOTS + 8 * slot
    return (place, word) if word else (0, 0)


def _is_node(word: int) -> bool:
    return word & 3 == 2 and word >> 2 >= _NODE_BIAS


@dataclass(frozen=True)
class ReferenceFlags:
    """Exchange the bits whose policy is swap."""

    @hookimpl
    def exchange_flags(self, arena: ArenaFacts) -> Any:  # noqa: ANN401 - a callable
        """Take the layout's mask."""
        return lambda a, b: swapped(arena.layout, a, b)


@dataclass(frozen=True)
class ReferenceData:
    """Exchange row by row."""

    @hookimpl
    def exchange_data(self, arena: ArenaFacts) -> Any:  # noqa: ANN401 - a callable
        """Serve any arena."""

        def move(pieces: Words, a: Numbers, b: Numbers) -> None:
            for x, y in zip(a.tolist(), b.tolist(), strict=True):
                held = pieces[x].copy()
                pieces[x] = pieces[y]
                pieces[y] = held

        return move


@dataclass(frozen=True)
class ReferenceCopy:
    """Copy row by row."""

    @hookimpl
    def copy_data(self, arena: ArenaFacts) -> Any:  # noqa: ANN401 - a callable
        """Serve any arena."""

        def copy(pieces: Words, source: Numbers, target: Numbers) -> None:
            for x, y in zip(source.tolist(), target.tolist(), strict=True):
                pieces[y] = pieces[x]

        return copy


@dataclass(frozen=True)
class ReferenceMapping:
    """Walk each mapping from the top."""

    @hookimpl
    def update_mapping(self, arena: ArenaFacts) -> Any:  # noqa: ANN401 - a callable
        """Serve any arena."""

        def find(pages: npt.NDArray[np.void], arena: Any) -> tuple[Words, Words]:  # noqa: ANN401 - an Arena
            raw = read(arena)
            slots = [slot_of(raw, int(page["mapping"]), int(page["index"])) for page in pages]
            both = np.array(slots, dtype=np.uint64).reshape(-1, 2)
            return both[:, 0].copy(), both[:, 1].copy()

        return find


PARTNERS: Final = {FLAGS: ReferenceFlags, DATA: ReferenceData, COPY: ReferenceCopy, UPDATER: ReferenceMapping}
"""Name in a strategy -> plug-in."""
