"""A process that is dead, by the slot that it had claimed for life: its pins, what it kept locked, what it held."""

import numpy as np

from pagexchange.oracle.format import (
    CALL_SLOTS,
    ENTRY,
    FROZEN,
    HELD_BY_GET,
    OWNER_CALL,
    OWNER_KEEPER,
    OWNER_KEEPER_SHIFT,
    OWNER_SLOT,
    PINS,
    USED,
)
from pagexchange.oracle.recovery.change import Change
from pagexchange.oracle.recovery.frames import free_folio
from pagexchange.oracle.recovery.image import NotYetError, Record


def end_process(record: Record) -> None:
    """Lets go what names the slot as a process's; one that was a call's has nothing of the kind."""
    image = record.image
    row = record.number - image.raw.workers - 1
    pins, tops = image.raw.pins[row], image.raw.pin_tops
    for place in np.flatnonzero(pins).tolist():
        image.store(pins, place, 0)
    if tops[row]:
        image.store(tops, row, 0)
    _unlock(record)


def let_held_go(record: Record) -> None:
    """With the last slot of a process: the pages that only it could give back.

    Raises
    ------
    NotYetError
        One is in somebody else's hands at this moment.
    """
    e, process = record.image.raw.entries, record["claim"] & 0xFF
    if (record.image.raw.slots["claim"] & np.uint64(0xFF) == process).sum() == 1:
        for pfn in np.flatnonzero((e["held"] & np.uint16(HELD_BY_GET - 1) == process) & (e["state"] == USED)).tolist():
            _let_go(record, pfn)


def _unlock(record: Record) -> None:
    """The pages that its user had locked."""
    image, e = record.image, record.image.raw.entries
    kept = (e["owner"] & np.uint32(OWNER_KEEPER)) >> np.uint32(OWNER_KEEPER_SHIFT) == record.number + 1
    for pfn in np.flatnonzero(kept).tolist():
        image.store(e["flags"], pfn, image.entry(pfn, "flags") & ~image.mask("locked"))
        image.store(e["owner"], pfn, image.entry(pfn, "owner") & ~OWNER_KEEPER)


def _let_go(record: Record, pfn: int) -> None:
    """One page that the process held: freed, if nothing else has it and no other process has a pin on it."""
    image = record.image
    owner, refs = image.entry(pfn, "owner"), image.entry(pfn, "refs")
    mine = OWNER_CALL | (record.number + 1)
    if owner and owner & ~OWNER_KEEPER != mine:
        raise NotYetError(f"frame {pfn} is locked by slot {(owner & OWNER_SLOT or owner >> OWNER_KEEPER_SHIFT) - 1}")
    if refs & FROZEN:
        raise NotYetError(f"frame {pfn} is frozen by slot {refs & (FROZEN - 1)}")
    if not owner:
        image.store(image.raw.entries["owner"], pfn, mine)
    if image.rest(pfn) > 1:
        change = Change(record)
        change.put("entries", pfn, ENTRY, "refs", image.rest(pfn) - 1)
        change.put("entries", pfn, ENTRY, "held", 0)
        change.commit()
        record.leave(pfn)
    elif _pinned(record, pfn):
        record.leave(pfn)
    else:
        free_folio(record, pfn)


def _pinned(record: Record, pfn: int) -> bool:
    pins = record.image.raw.pins.reshape(CALL_SLOTS * PINS)
    first = (pins & np.uint64(0xFFFFFFFF)).astype(np.int64) - 1
    return bool(((first >= pfn) & (first < pfn + (1 << record.image.entry(pfn, "order")))).any())
