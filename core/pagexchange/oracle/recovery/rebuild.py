"""Everything that is derived, made anew from what is true: for an arena in which nobody is alive any more.

True: state of all frames, order of folios, flags, mapping, index, private, held; the words, head, shift and lowest
marks of trees; page-table words, a table's space and base; pins. Records are true as well: `recover` comes first.
"""

import numpy as np

from pagexchange.oracle.format import (
    ANON,
    COUNTERS,
    FREE,
    MARKS,
    MAX_ORDER,
    PTE_MIGRATION,
    PTE_PRESENT,
    RESERVED,
    SLOT_HEAD,
    TABLE_SLOTS,
    TAIL,
    USED,
    Table,
)
from pagexchange.oracle.recovery.frames import INNER
from pagexchange.oracle.recovery.image import Bytes, Image, is_node
from pagexchange.oracle.trees import NODE_BIAS, SIBLINGS


def rebuild(memory: Bytes) -> None:
    """Writes all derived data of an arena anew.

    Raises
    ------
    ArenaFormatError
        These are no arena's bytes.
    """
    image = Image(memory)
    _frames(image)
    hints = _trees(image)
    _page_tables(image)
    _pages(image, hints)
    _counters(image)
    image.raw.nodes["lock"] = 0
    memory[:4096].view("<u4")[int(image.raw.header.dtype.fields["structure"][1]) // 4] = 0  # type: ignore[index]


# ---- frames and free lists ----------------------------------------------------------------------------------------


def _frames(image: Image) -> None:
    e, head = image.raw.entries, np.uint64(image.mask("head"))
    e["owner"] = 0
    e["flags"] &= ~np.uint64(image.mask("locked"))
    covered = np.zeros(image.raw.nframes, bool)
    for pfn in np.flatnonzero(np.isin(e["state"], (USED, RESERVED))).tolist():
        size = 1 << min(image.entry(pfn, "order"), MAX_ORDER)
        covered[pfn] = True
        tails = slice(pfn + 1, pfn + size)
        covered[tails] = True
        for name, value in (("state", TAIL), ("order", 0), ("head", pfn + 1), ("next", 0), ("refs", 0)):
            e[name][tails] = value
        e["flags"][pfn] = e["flags"][pfn] & ~head | (head if size > 1 else np.uint64(0))
    e["state"][(e["state"] == TAIL) & ~covered] = FREE
    free = np.flatnonzero(e["state"] == FREE)
    e["order"][free] = INNER
    for name in ("refs", "mapping", "index", "private", "mapcount", "rmap", "next", "prev", "head", "held"):
        e[name][free] = 0
    for node in image.raw.nodes:
        _free_lists(e, node)


def _free_lists(e: Table, node: Table) -> None:
    """Whatever is free, in the largest aligned blocks; low frames come first in each list."""
    start, end = int(node["start"]), int(node["start"]) + int(node["frames"])
    blocks: list[list[int]] = [[] for _ in range(MAX_ORDER + 1)]
    pfn = start
    while pfn < end:
        order = 0
        if e["state"][pfn] == FREE:
            while order < MAX_ORDER and pfn % (2 << order) == 0 and pfn + (2 << order) <= end:
                if not (e["state"][pfn : pfn + (2 << order)] == FREE).all():
                    break
                order += 1
            blocks[order].append(pfn)
        pfn += 1 << order
    for order, firsts in enumerate(blocks):
        node["list"][order] = firsts[0] + 1 if firsts else 0
        for before, pfn, after in zip([-1, *firsts], firsts, [*firsts[1:], -1], strict=False):
            e["order"][pfn], e["prev"][pfn], e["next"][pfn] = order, before + 1, after + 1
    node["free"] = sum(len(firsts) << order for order, firsts in enumerate(blocks))


# ---- trees and pools ----------------------------------------------------------------------------------------------


def _trees(image: Image) -> dict[int, int]:
    """All trees; which word of a mapping's tree has each page, by frame."""
    raw, hints = image.raw, dict[int, int]()
    reached = np.zeros(len(raw.xanodes), bool)
    for part, rows, name in (("mappings", raw.mappings, "pages"), ("spaces", raw.spaces, "tables")):
        for number in range(len(rows)):
            array = rows[number : number + 1][name]
            array["lock"] = 0
            array["seq"] = (array["seq"] + np.uint32(2)) & np.uint32(0xFFFFFFFE)
            head = int(array["head"][0])
            if is_node(head):
                where = raw.offset[part] + number * rows.dtype.itemsize
                array["flags"] = _node(image, (head >> 2) - NODE_BIAS, 0, 0, where, reached, hints)
            elif head and part == "mappings" and not head & 3:
                hints[(head >> 2) - 1] = SLOT_HEAD
            if part == "mappings":
                _nr_pages(image, number)
    raw.xanodes["used"] = reached
    _pool(raw.header["xanodes"], raw.xanodes, reached)
    return hints


def _node(
    image: Image, number: int, parent: int, offset: int, where: int, reached: Table, hints: dict[int, int]
) -> int:
    """One node and all below it; its marks, as the one above has them."""
    node, reached[number] = image.raw.xanodes[number], True
    node["parent"], node["offset"], node["array"], node["next"] = parent, offset, where, 0
    for slot, entry in enumerate(node["slot"].tolist()):
        bits = 0
        child = (entry >> 2) - NODE_BIAS
        if is_node(entry) and node["shift"]:
            bits = _node(image, child, number + 1, slot, where, reached, hints)
        elif entry and not entry & 3 and where < image.raw.offset["spaces"]:
            hints[(entry >> 2) - 1] = number * 64 + slot + 1
        if entry == 0 or (is_node(entry) and node["shift"]) or (entry & 3 == 2 and entry >> 2 <= SIBLINGS):
            for mark in range(MARKS):
                words = node["marks"]
                words[mark] = int(words[mark]) & ~(1 << slot) | (bits >> mark & 1) << slot
    node["count"] = np.count_nonzero(node["slot"])
    return sum((int(node["marks"][mark]) != 0) << mark for mark in range(MARKS))


def _nr_pages(image: Image, mapping: int) -> None:
    e = image.raw.entries
    mine = (e["state"] == USED) & (e["mapping"] == (mapping + 1) << 2)
    image.raw.mappings["nr_pages"][mapping] = np.left_shift(1, e["order"][mine].astype(np.int64)).sum()


def _pool(pool: Table, items: Table, used: Table) -> None:
    """What is not in use below the last one in use is on the list; the rest was never used."""
    fresh = int(np.flatnonzero(used)[-1]) + 1 if used.any() else 0
    free = np.flatnonzero(~used[:fresh])
    items["next"][~used] = 0
    items["next"][free[:-1]] = free[1:] + 1
    pool["free_head"], pool["free"], pool["fresh"] = free[0] + 1 if len(free) else 0, len(free), fresh


# ---- page tables --------------------------------------------------------------------------------------------------


def _page_tables(image: Image) -> None:
    """Counts, reverse maps and how often each page is mapped, from the words and from which tables a space has."""
    raw = image.raw
    e, words, links = raw.entries, raw.tables["pte"]["pte"], raw.tables["pte"]["next"]
    e["mapcount"], e["rmap"], links[:] = 0, 0, 0
    raw.spaces["nr_ptes"] = 0
    for number in np.flatnonzero(raw.tables["space"]).tolist():
        space, base = int(raw.tables["space"][number]) - 1, int(raw.tables["base"][number])
        if (image.look_up(raw.spaces["tables"][space : space + 1], base // TABLE_SLOTS) >> 2) - 1 != number:
            raw.tables["space"][number] = 0
            words[number] = 0
        raw.tables["count"][number] = np.count_nonzero(words[number])
        raw.spaces["nr_ptes"][space] += raw.tables["count"][number]
        for slot in np.flatnonzero(words[number]).tolist():
            bits = int(words[number, slot]) & ~PTE_MIGRATION | PTE_PRESENT
            words[number, slot] = bits
            pfn = bits >> 12
            if pfn < raw.nframes and e["state"][pfn] == USED:  # the first one of a folio is chained
                links[number, slot] = e["rmap"][pfn]
                e["rmap"][pfn] = number * TABLE_SLOTS + slot + 1
                e["mapcount"][pfn] += 1
    _pool(raw.header["tables"], raw.tables, raw.tables["space"] != 0)


# ---- pages --------------------------------------------------------------------------------------------------------


def _pages(image: Image, hints: dict[int, int]) -> None:
    e, raw = image.raw.entries, image.raw
    raw.spaces["nr_anon"] = 0
    for pfn in np.flatnonzero(np.isin(e["state"], (USED, RESERVED))).tolist():
        mapping = image.entry(pfn, "mapping")
        if e["state"][pfn] == USED:
            e["next"][pfn] = hints.get(pfn, 0) if mapping and not mapping & ANON else 0
            e["refs"][pfn] = image.rest(pfn)
        else:
            e["refs"][pfn] = 1
        if mapping & ANON:
            raw.spaces["nr_anon"][(mapping >> 2) - 1] += np.uint64(1 << image.entry(pfn, "order"))


def _counters(image: Image) -> None:
    """All of it in the row of slot 1: who counted what is of no matter."""
    raw = image.raw
    raw.slots["counter"] = 0
    row = raw.slots["counter"][1].reshape(-1, len(COUNTERS))
    for pfn in np.flatnonzero(raw.entries["state"] == USED).tolist():
        mapping, size = image.entry(pfn, "mapping"), 1 << image.entry(pfn, "order")
        node = image.node_of(pfn)
        if mapping and not mapping & ANON:
            shmem = bool(raw.mappings["shmem"][(mapping >> 2) - 1])
            dirty = bool(image.entry(pfn, "flags") & image.mask("dirty"))
            row[node] += size * np.array([1, shmem, 0, dirty])
        elif mapping and image.entry(pfn, "mapcount"):
            row[node, COUNTERS.index("anonymous")] += size
