"""One slot whose owner is dead, from its records to its claim; and all of them, each after those that it waits for."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pagexchange.oracle.format import FROZEN, HEADER, OWNER_CALL, OWNER_KEEPER, OWNER_SLOT, USED, XA_WRITER
from pagexchange.oracle.recovery.exchange import check_exchange, finish_exchange
from pagexchange.oracle.recovery.frames import free_folio
from pagexchange.oracle.recovery.image import Bytes, Image, NonsenseError, NotYetError, Record
from pagexchange.oracle.recovery.process import end_process, let_held_go
from pagexchange.oracle.recovery.saved import check_saved, put_back
from pagexchange.oracle.recovery.subtrees import give_subtrees


@dataclass(frozen=True)
class Outcome:
    """What became of a slot."""

    slot: int
    done: Literal["recovered", "free", "waits", "quarantined"]
    """"free": nobody had claimed it. "waits": another slot's recovery comes first. "quarantined": left as it was."""
    why: str = ""


def recover(memory: Bytes, slot: int, *, stores: int | None = None) -> Outcome:
    """Ends what the dead owner of a slot has begun, and gives the slot back.

    Parameters
    ----------
    memory : uint8[total]
        A copy of an arena in which nothing happens. It is written to.
    slot : int
        Whose process is dead.
    stores : int, optional
        Do no more than so many stores.

    Raises
    ------
    StoppedError
        That many were done.
    ArenaFormatError
        These are no arena's bytes.
    """
    image = Image(memory, stores)
    record = Record(image, slot)
    if not 1 <= slot < len(image.raw.slots):
        raise IndexError(f"slot {slot}: there are 1 to {len(image.raw.slots) - 1}")
    if not record["claim"] & 0xFF:
        return Outcome(slot, "free")
    try:
        check_saved(record, "node_saves", "saved_node")
        check_saved(record, "saves", "saved")
        put_back(record, "node_saves", "saved_node")  # a page's old frame is freed while its pair still has it
        pairs = check_exchange(record)
        _undo(record)
        finish_exchange(record, pairs)
        _leave_pages(record)
        if slot > image.raw.workers:
            _leave_trees(record)
            end_process(record)
        let_held_go(record)
    except NonsenseError as error:
        return Outcome(slot, "quarantined", str(error))
    except NotYetError as error:
        return Outcome(slot, "waits", str(error))
    record.store("claim", ((record["claim"] >> 8) + 1) << 8)
    return Outcome(slot, "recovered")


def recover_all(memory: Bytes) -> list[Outcome]:
    """Recovers every slot that is claimed, as nobody is alive; returns what became of each."""
    count = len(Image(memory).raw.slots)
    outcomes: dict[int, Outcome] = {}
    left = list(range(1, count))
    while left:
        outcomes |= {slot: recover(memory, slot) for slot in left}
        waiting = [slot for slot in left if outcomes[slot].done == "waits"]
        if waiting == left:
            break
        left = waiting
    return [outcomes[slot] for slot in sorted(outcomes) if outcomes[slot].done != "free"]


def _undo(record: Record) -> None:
    """What a call has not committed is put back; what it has committed is finished; its locks go."""
    image = record.image
    structure = int(image.raw.header["structure"]) == record.number + 1
    array = image.array_at(record["tree"]) if structure else None
    if array is not None and record["saves"] and not array["seq"][0] & 1:
        image.store(array["seq"], 0, array["seq"][0] + np.uint32(1))
    put_back(record, "saves", "saved")
    if structure:
        give_subtrees(record)
        if array is not None:
            image.store(array["seq"], 0, np.uint32((int(array["seq"][0]) + 2) & ~1 & 0xFFFFFFFF))
            if int(array["lock"][0]) == XA_WRITER:
                image.store(array["lock"], 0, 0)
    if record["tree"]:
        record.store("tree", 0)
    if give := record["give"]:
        pfn = give - 1
        if pfn < image.raw.nframes and _given(record, pfn):
            free_folio(record, pfn)
        record.store("give", 0)
    for node in np.flatnonzero(image.raw.nodes["lock"] == record.number + 1).tolist():
        image.store(image.raw.nodes["lock"], node, 0)
    if structure:
        image.store(image.memory[: HEADER.itemsize].view(HEADER)["structure"], 0, 0)


def _given(record: Record, pfn: int) -> bool:
    """Whether a page is one that the slot was about to free: in use, locked by its call, without a reference."""
    image, owner = record.image, record.image.entry(pfn, "owner")
    if image.entry(pfn, "state") != USED or image.entry(pfn, "refs"):
        return False
    return bool(owner & OWNER_CALL) and owner & OWNER_SLOT == record.number + 1


def _leave_trees(record: Record) -> None:
    """Trees that a call has held for reading: no record says which."""
    locks = record.image.raw.mappings["pages"]["lock"]
    for number in np.flatnonzero(locks >> np.uint64(record.number) & np.uint64(1)).tolist():
        record.image.store(locks, number, int(locks[number]) & ~(1 << record.number))


def _leave_pages(record: Record) -> None:
    """Locks of a call, wherever they are; a page that it has frozen gets back the references that it has at rest."""
    image = record.image
    owner = image.raw.entries["owner"]
    mine = (owner & ~np.uint32(OWNER_KEEPER)) == OWNER_CALL | (record.number + 1)
    for pfn in np.flatnonzero(mine).tolist():
        if image.entry(pfn, "refs") == FROZEN | record.number:
            image.store(image.raw.entries["refs"], pfn, image.rest(pfn))
        record.leave(pfn)
