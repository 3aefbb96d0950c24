"""What no other comparison explains is as it was: padding, spare items, other workers' slots, gaps between the parts.

The other way round than the rest of the oracle: every byte in front of the frames is compared, but those that another
file compares by its meaning, or that the allocator and the engine may write. So a byte that nobody thought of counts.
"""

from typing import Any

import numpy as np

from pagexchange.oracle.capture import State
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import (
    CALL_SLOTS,
    ENTRY,
    FREE,
    HEADER,
    MAPPING,
    NODE,
    PAGE_TABLE,
    PIECE,
    PIECES,
    PINS,
    SLOT,
    SPACE,
    USED,
    XANODE,
    Bools,
    Raw,
    Table,
    Words,
)

_SHOWN = 1000
_SLOT_PADDING = ("pad1",)

# Compared by meaning in compare.py, flags.py, trees.py and invariants.py, or the allocator's and the engine's own.
_LIVE = ("xanodes", "tables", "structure")
_NODE_OWN = ("lock", "free", "asked", "got", "below_low", "below_min", "list")
_NODE_COMPARED = ("name", "start", "frames", "number", "wm_min", "wm_low", "wm_high")
_ARRAY = ("head", "lock", "seq")
_MAPPING_COMPARED = ("used", "aops", "shmem", "nr_pages", "name")
_SPACE_COMPARED = ("used", "nr_ptes", "name")
_ENTRY_COMPARED = tuple(name for name in ENTRY.names or () if name != "rmap")
_XANODE_COMPARED = ("shift", "offset", "count", "parent", "array", "marks", "slot")
_TABLE_COMPARED = ("space", "count", "base")


def same_header(before: State, raw: Raw, findings: Collector) -> bool:
    """Whether the header is as it was, but for its pools and lock: places of the parts, masks of flags, whose it is."""
    old, new = (memory[: HEADER.itemsize].copy().view(HEADER) for memory in (before.metadata, raw.metadata))
    for name in HEADER.names or ():
        if name not in _LIVE and old[name].tobytes() != new[name].tobytes():
            was, now = (f"{header[name][0]}" for header in (old, new))
            findings.add("header", -1, was, now, f"the arena's header: {name} is {now}, was {was}")
    return not findings.total


def compare_untouched(before: State, after: State, findings: Collector) -> None:
    """Compares all bytes in front of the frames that are not compared elsewhere and that no exchange may write."""
    # A slot that nobody claimed meanwhile (each claim counts its word up) has not been written to either, nor has one
    # that a process keeps for life: it marks what the process has, and each call writes to a slot of its own.
    resting = before.slots["claim"] == after.slots["claim"]
    same = (before.entries["state"] == after.entries["state"]) & ~np.isin(after.entries["state"], (FREE, USED))
    reached = before.xanodes_reached | after.xanodes_reached, before.tables_reached | after.tables_reached
    old, new = (_left(state, resting, same, *reached) for state in (before, after))
    differ = np.flatnonzero(old != new)
    for i in differ[:_SHOWN].tolist():
        where, number = _place(before, i * 8)
        sentence = f"{where}: {int(new[i]):#x}, was {int(old[i]):#x}; no exchange writes there"
        findings.add("untouched", number, int(old[i]), int(new[i]), sentence)


def _left(state: State, resting: Bools, same: Bools, nodes: Bools, tables: Bools) -> Words:
    """The bytes in front of the frames, as words; what is compared elsewhere is 0."""
    offset, left = state.offset, state.metadata.copy()

    def part(name: str, dtype: np.dtype[Any], count: int) -> Table:
        start = offset[name]
        return left[start : start + count * dtype.itemsize].view(dtype)

    header = left[: HEADER.itemsize].view(HEADER)
    pads = [int(header[pool]["pad"][0]) for pool in ("xanodes", "tables")]
    header[:] = np.zeros(1, HEADER)  # compared first of all
    for pool, pad in zip(("xanodes", "tables"), pads, strict=True):
        header[pool]["pad"] = pad
    _blank(part("nodes", NODE, len(state.nodes)), (*_NODE_OWN, *_NODE_COMPARED))
    maps, spaces = part("mappings", MAPPING, len(state.mappings)), part("spaces", SPACE, len(state.spaces))
    _blank(maps["pages"], _ARRAY)
    _blank(maps, _MAPPING_COMPARED)
    _blank(spaces["tables"], _ARRAY)
    _blank(spaces, _SPACE_COMPARED)
    entries = part("entries", ENTRY, state.nframes)
    _blank(entries, _ENTRY_COMPARED)
    entries["rmap"][~same] = 0  # of a page in use the reverse map is followed; of a free frame compared
    xanodes = part("xanodes", XANODE, len(nodes))
    _blank(xanodes, ("used",))
    _blank(xanodes, _XANODE_COMPARED, nodes)
    page_tables = part("tables", PAGE_TABLE, len(tables))
    _blank(page_tables, _TABLE_COMPARED, tables)
    ptes = page_tables["pte"]
    _blank(ptes, ("next",), ptes["pte"] != 0)  # the order of a chain is free
    _blank(ptes, ("pte",), tables)
    # A slot's record and log are its owner's own while it works, but for the padding.
    slots = part("slots", SLOT, len(resting))
    _blank(slots, ("claim",))
    _blank(slots, tuple(name for name in SLOT.names or () if name not in _SLOT_PADDING), ~resting)
    workers = state.workers
    size = 2 * PIECES * PIECE
    left[offset["pieces"] : offset["pieces"] + workers * size].reshape(workers, size)[~resting[1 : workers + 1]] = 0
    part("pins", np.dtype("<u8"), CALL_SLOTS * 4 // 8 + CALL_SLOTS * PINS)[:] = 0
    return left.view(np.uint64)


def _blank(items: Table, names: tuple[str, ...], rows: Bools | slice = slice(None)) -> None:
    for name in names:
        items[name][rows] = np.zeros((), items.dtype[name].base)


def _place(state: State, at: int) -> tuple[str, int]:
    """The part that byte `at` of the arena lies in, in words, and the number of the item; -1 for none."""
    offset = state.offset
    items: dict[str, tuple[str, int, int]] = {
        "nodes": ("node", len(state.nodes), NODE.itemsize),
        "slots": ("slot", len(state.slots), SLOT.itemsize),
        "mappings": ("mapping", len(state.mappings), MAPPING.itemsize),
        "spaces": ("space", len(state.spaces), SPACE.itemsize),
        "entries": ("the entry of frame", state.nframes, ENTRY.itemsize),
        "xanodes": ("XArray node", len(state.xanodes_reached), XANODE.itemsize),
        "tables": ("page table", len(state.tables_reached), PAGE_TABLE.itemsize),
    }
    last = max((part for part in offset if offset[part] <= at), key=offset.__getitem__, default="")
    if last in items:
        name, count, size = items[last]
        number, byte = divmod(at - offset[last], size)
        if number < count:
            return f"{name} {number}, byte {byte}", number
    return f"byte {at} of the arena, in or behind its {last or 'header'}", -1
