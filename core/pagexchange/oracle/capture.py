"""One look at an arena: its tables copied, its trees and page tables turned into rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import (
    CALL_SLOTS,
    MAPPING,
    PTE_BITS,
    SPACE,
    TABLE_SLOTS,
    USED,
    Bools,
    Ints,
    Raw,
    Table,
    Words,
    counters_of,
)
from pagexchange.oracle.trees import Places, check_pool, walk


@dataclass(frozen=True)
class Ptes:
    """Every page-table entry that is not empty, one row each, ordered by a walk of its space."""

    space: Ints
    vpn: Ints
    pfn: Ints
    bits: Ints
    number: Ints
    """Its own number: table * 64 + slot."""
    next: Ints
    """Reverse map: number + 1 of the next entry for the same page; 0 ends it."""

    def __len__(self) -> int:
        return len(self.space)

    def take(self, rows: Ints | Bools) -> "Ptes":
        """These rows, in this order."""
        return Ptes(*(getattr(self, f)[rows] for f in ("space", "vpn", "pfn", "bits", "number", "next")))


@dataclass(frozen=True)
class State:
    """An arena at one moment. Everything but the contents of the frames is a copy."""

    entries: Table
    nodes: Table
    mappings: Table
    spaces: Table
    pin_tops: NDArray[np.uint32]
    pins: Words
    slots: Table
    structure: int
    """The structure lock's word."""
    layout: Table
    places: Places
    ptes: Ptes
    folio: Ints
    """First frame of each frame's folio; the frame itself when it is no tail."""
    xanodes_reached: Bools
    """Which XArray nodes belong to a tree, bool by number."""
    tables_reached: Bools
    metadata: NDArray[np.uint8]
    """All bytes in front of the frames."""
    offset: dict[str, int]
    """Part -> its first byte."""

    @property
    def nframes(self) -> int:
        """Number of frames."""
        return len(self.entries)

    @property
    def workers(self) -> int:
        """Slots 1 to this one exchange; those behind them are processes' and calls'."""
        return len(self.slots) - 1 - CALL_SLOTS

    @property
    def counters(self) -> Ints:
        """What each node holds, (nodes, 4), in base pages: the sum over all slots."""
        return counters_of(self.slots, len(self.nodes))

    @property
    def used(self) -> Ints:
        """First frames of all pages, ascending."""
        return np.flatnonzero(self.entries["state"] == USED)


def capture(raw: Raw, findings: Collector) -> State:
    """Copies the tables and walks the trees; what breaks a rule of a tree or pool goes to `findings`."""
    visited = np.zeros(len(raw.xanodes), bool)
    maps, spaces = raw.mappings.copy(), raw.spaces.copy()
    at = raw.offset["mappings"] + np.arange(len(maps)) * MAPPING.itemsize
    places = walk(raw, maps["pages"], at, "mapping", visited, findings)
    at = raw.offset["spaces"] + np.arange(len(spaces)) * SPACE.itemsize
    tables = walk(raw, spaces["tables"], at, "space", visited, findings)
    check_pool(raw.header["xanodes"], raw.xanodes, raw.xanodes["used"] != 0, visited, "XArray node", findings)
    ptes, reached = _page_tables(raw, tables, findings)
    check_pool(raw.header["tables"], raw.tables, raw.tables["space"] != 0, reached, "page table", findings)
    # Copies, so that an exchange cannot change what is compared with it. The contents are left out: stamps are smaller.
    entries = raw.entries.copy()
    # A damaged `head` may name any frame: what is out of range counts as its own folio, and a later check says so.
    head = entries["head"].astype(np.int64) - 1
    numbers = np.arange(len(entries))
    return State(
        entries=entries,
        nodes=raw.nodes.copy(),
        mappings=maps,
        spaces=spaces,
        pin_tops=raw.pin_tops.copy(),
        pins=raw.pins.copy(),
        slots=raw.slots.copy(),
        structure=int(raw.header["structure"]),
        layout=raw.layout.copy(),
        places=places,
        ptes=ptes,
        folio=np.where((head >= 0) & (head < len(entries)), head, numbers),
        xanodes_reached=visited,
        tables_reached=reached,
        metadata=raw.metadata.copy(),
        offset=raw.offset,
    )


def _page_tables(raw: Raw, tables: Places, findings: Collector) -> tuple[Ptes, Bools]:
    """The entries of all page tables, and which tables a space's tree leads to, bool by number."""
    number, space, base = tables.number, tables.owner, tables.index * TABLE_SLOTS
    reached = np.zeros(len(raw.tables), bool)
    bad = (number < 0) | (number >= len(raw.tables))
    findings.add_where(
        "page-table",
        bad,
        space,
        len(raw.tables),
        number,
        lambda s, n, g: f"space {s} names page table {g}; there are {n}",
    )
    number, space, base = number[~bad], space[~bad], base[~bad]
    # The second way to a table is left out, or its entries would be counted twice as well.
    twice = np.ones(len(number), bool)
    twice[np.unique(number, return_index=True)[1]] = False
    findings.add_where("page-table", twice, number, 1, 2, lambda n, *_: f"page table {n} is reached from two places")
    number, space, base = number[~twice], space[~twice], base[~twice]
    reached[number] = True
    rows = raw.tables[number]
    word = rows["pte"]["pte"]
    for name, want, got in (
        ("space", space + 1, rows["space"]),
        ("base", base, rows["base"]),
        ("count", np.count_nonzero(word, axis=1), rows["count"]),
    ):
        have = got.astype(np.int64)
        findings.add_where(
            "page-table",
            want != have,
            number,
            want,
            have,
            lambda n, w, g, name=name: f"page table {n}: {name} is {g}, must be {w}",  # type: ignore[misc]
        )
    r, k = np.nonzero(word)
    w = word[r, k]
    ptes = Ptes(
        space=space[r],
        vpn=base[r] + k,
        pfn=(w >> np.uint64(12)).astype(np.int64),
        bits=(w & np.uint64(PTE_BITS)).astype(np.int64),
        number=number[r] * TABLE_SLOTS + k,
        next=rows["pte"]["next"][r, k].astype(np.int64),
    )
    return ptes, reached
