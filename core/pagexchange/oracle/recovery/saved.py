"""Undo records: the words of a change that does not count yet are put back, the last one first."""

from pagexchange.oracle.format import (
    FREE,
    PAGE_TABLE,
    SAVED,
    SAVED_NODE,
    SLOT,
    TABLE_SLOTS,
    TAIL,
    USED,
)
from pagexchange.oracle.recovery.frames import INNER, Section, finish_free
from pagexchange.oracle.recovery.image import NonsenseError, Record

SET, CLEARED, TAKEN, FREED, ROW = 16, 17, 18, 19, 20
_WIDTHS = (1, 2, 4, 8)


def check_saved(record: Record, count: str, words: str) -> None:
    """Every record of one of the slot's two, before the first is used.

    Raises
    ------
    NonsenseError
        More words than there is room for, or one that no change of structure stores to.
    """
    n = record[count]
    most = SAVED if count == "saves" else SAVED_NODE
    if n > most:
        raise NonsenseError(f"slot {record.number}: {count} is {n}, there is room for {most}")
    for i in range(n):
        save = record.row[words][0][i]
        what, place = int(save["where"]) & 0xFF, int(save["where"]) >> 8
        said = f"slot {record.number}: {words} {i} is of kind {what} at {place}"
        if what in (TAKEN, FREED):
            old = int(save["old"])
            if count == "saves" or i or old > 9 or place & (1 << old) - 1:
                raise NonsenseError(f"{said}, of order {old}: no section of an allocator begins so")
            record.image.node_of(place, 1 << old)
        elif what == ROW:
            at = place - record.image.raw.offset["tables"]
            if not 0 <= at < len(record.image.raw.tables) * PAGE_TABLE.itemsize or at % PAGE_TABLE.itemsize != 64:
                raise NonsenseError(f"{said}: no page table's entries begin there")
        elif what in (*_WIDTHS, SET, CLEARED):
            width = what if what in _WIDTHS else 8
            if place % width or not _changeable(record, place, width):
                raise NonsenseError(f"{said}: no change of structure stores there")
        else:
            raise NonsenseError(f"{said}: there is no such kind")


def _changeable(record: Record, place: int, width: int) -> bool:
    """Whether a record may name these bytes: the pools, any part's items, pins; of slots only its own."""
    image = record.image
    offset = image.raw.offset
    if place < 4096:
        pools = int(image.raw.header.dtype.fields["xanodes"][1])  # type: ignore[index]
        return pools <= place and place + width <= pools + 32
    if record.where <= place < record.where + SLOT.itemsize:
        inside = place - record.where
        saves, end = (int(SLOT.fields[name][1]) for name in ("saves", "pair"))  # type: ignore[index]
        return inside >= 40 and not saves <= inside < end
    if offset["slots"] <= place < offset["slots"] + len(image.raw.slots) * SLOT.itemsize:
        return False
    return place + width <= offset["frames"] and not offset["pieces"] <= place < offset["mappings"]


def put_back(record: Record, count: str, words: str) -> None:
    """Puts back what is saved, one word after another; checked before."""
    image = record.image
    while n := record[count]:
        save = record.row[words][0][n - 1]
        what, place, old = int(save["where"]) & 0xFF, int(save["where"]) >> 8, int(save["old"])
        if what in _WIDTHS:
            image.store(image.memory[place : place + what].view(f"<u{what}"), 0, old & (1 << 8 * what) - 1)
        elif what in (SET, CLEARED):
            word = image.memory[place : place + 8].view("<u8")
            image.store(word, 0, int(word[0]) & ~old if what == SET else int(word[0]) | old)
        elif what == ROW:
            table = (place - image.raw.offset["tables"]) // PAGE_TABLE.itemsize
            for i in range(TABLE_SLOTS):
                image.store(image.raw.tables["pte"]["pte"][table], i, old + (i << 12) if old else 0)
        elif what == TAKEN:
            _not_taken(record, place, old)
        elif _freed(record, place, old):
            return
        record.store(count, n - 1)


def _not_taken(record: Record, pfn: int, order: int) -> None:
    """A block stays free: its later frames, and a lock of the first that was to be the slot's."""
    e, image = record.image.raw.entries, record.image
    for p in range(pfn + 1, pfn + (1 << order)):
        image.store(e["state"], p, FREE)
        image.store(e["order"], p, INNER)
        image.store(e["head"], p, 0)
    record.leave(pfn)


def _freed(record: Record, pfn: int, order: int) -> bool:
    """A folio was to be given back: it is in use again, or the rest is done; true: that, and the record is empty."""
    e, image = record.image.raw.entries, record.image
    if image.entry(pfn, "state") != USED:
        finish_free(Section(record), pfn, order)
        return True
    for p in range(pfn + 1, pfn + (1 << order)):
        image.store(e["head"], p, pfn + 1)
        image.store(e["order"], p, 0)
        image.store(e["state"], p, TAIL)
    return False
