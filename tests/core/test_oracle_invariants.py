"""Each rule of an arena at rest, broken once: check() must say so in words and values, and what follows from it."""

from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest

from pagexchange.oracle import Oracle, check
from pagexchange.oracle import format as f
from pagexchange.oracle.trees import NODE_BIAS
from tests.core.test_oracle import BIG_A, BIG_B, OTHER, A, B, make
from tests.core.toy_arena import LAYOUT, NATIVE, NMAPPINGS, NSPACES, Toy

U = np.uint64


def entry(name: str, pfn: int, value: int) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.entries[name][pfn] = value

    return fault


def first_free(toy: Toy, least: int = 0) -> tuple[int, int]:
    """(pfn, order) of the first block of a free list with at least this order."""
    order = next(o for o in range(least, 10) if toy.raw.nodes["list"][0, o])
    return int(toy.raw.nodes["list"][0, order]) - 1, order


def node_of(toy: Toy, mapping: int) -> int:
    """Number of the top node of a mapping's tree."""
    return (int(toy.raw.mappings["pages"]["head"][mapping]) >> 2) - NODE_BIAS


def free_count(toy: Toy) -> None:
    toy.raw.nodes["free"][0] += U(1)


def used_on_free_list(toy: Toy) -> None:
    toy.raw.entries["state"][first_free(toy)[0]] = f.RESERVED


def block_twice(toy: Toy) -> None:
    pfn, order = first_free(toy, 1)
    toy.raw.nodes["list"][0, order - 1] = pfn + 1


def free_with_page(toy: Toy) -> None:
    toy.raw.entries["mapping"][first_free(toy)[0]] = 4


def free_order(toy: Toy) -> None:
    pfn, order = first_free(toy)
    toy.raw.entries["order"][pfn] = order + 1


def free_back_link(toy: Toy) -> None:
    toy.raw.entries["prev"][first_free(toy)[0]] = 9


def free_unaligned(toy: Toy) -> None:
    pfn, order = first_free(toy, 1)
    toy.raw.nodes["list"][0, order] = pfn + 2


def free_inner(toy: Toy) -> None:
    toy.raw.entries["order"][first_free(toy, 1)[0] + 1] = 0


def free_list_leaves(toy: Toy) -> None:
    toy.raw.nodes["list"][0, 0] = 90


def table_number(toy: Toy) -> None:
    array = toy.raw.xanodes[(int(toy.raw.spaces["tables"]["head"][0]) >> 2) - NODE_BIAS]["slot"]
    array[np.flatnonzero(array)[0]] = 5000 << 2


def table_twice(toy: Toy) -> None:
    array = toy.raw.xanodes[(int(toy.raw.spaces["tables"]["head"][0]) >> 2) - NODE_BIAS]["slot"]
    leaf = toy.raw.xanodes[(int(array[0]) >> 2) - NODE_BIAS]["slot"]
    at = np.flatnonzero(leaf)
    leaf[at[0]] = leaf[at[1]]


def table_field(name: str) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.tables[name][0] += 1

    return fault


def slot_beyond(toy: Toy) -> None:
    array, at = toy.slot_word(0, 7)
    array[at] = 5000 << 2


def slot_to_another(toy: Toy) -> None:
    array, at = toy.slot_word(0, 7)
    array[at] = (72 + 1) << 2


def pte_to_free(toy: Toy) -> None:
    t, s = toy.pte_words(A)[0]
    toy.raw.tables["pte"]["pte"][t, s] = 50 << 12 | 1


def pte_inside_folio(toy: Toy) -> None:
    first, second = toy.pte_words(BIG_B + 1)[0], toy.pte_words(BIG_B + 2)[0]
    pte = toy.raw.tables["pte"]["pte"]
    pte[first], pte[second] = int(pte[second]), int(pte[first])


def pte_of_a_tail_missing(toy: Toy) -> None:
    toy.raw.tables["pte"]["pte"][toy.pte_words(BIG_B + 1)[0]] = 0


def anonymous_address(toy: Toy) -> None:
    toy.raw.entries["index"][B] += U(1)


def nr_ptes(toy: Toy) -> None:
    toy.raw.spaces["nr_ptes"][1] += U(1)


def rmap_to_another(toy: Toy) -> None:
    t, s = toy.pte_words(B)[0]
    toy.raw.entries["rmap"][A] = t * 64 + s + 1


def rmap_detached_ring(toy: Toy) -> None:
    """The chain of B has three links; the last two point at each other and the first ends."""
    links = toy.raw.tables["pte"]["next"]
    first = int(toy.raw.entries["rmap"][B]) - 1
    second = int(links[first // 64, first % 64]) - 1
    third = int(links[second // 64, second % 64]) - 1
    links[first // 64, first % 64] = 0
    links[third // 64, third % 64] = second + 1


def head_strange(toy: Toy) -> None:
    toy.raw.mappings["pages"]["head"][2] = 300 << 2 | 2


def head_beyond(toy: Toy) -> None:
    toy.raw.mappings["pages"]["head"][2] = (5000 + NODE_BIAS) << 2 | 2


def node_field(name: str, value: int) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.xanodes[name][node_of(toy, 4)] = value

    return fault


def node_shared(toy: Toy) -> None:
    head = toy.raw.mappings["pages"]["head"]
    head[2] = head[3]


def marks_above(toy: Toy) -> None:
    toy.raw.mappings["pages"]["flags"][0] ^= 2


def mark_on_empty(toy: Toy) -> None:
    node = toy.raw.xanodes[node_of(toy, 0)]
    node["marks"][0] |= U(1 << 63)


def slot_strange(toy: Toy) -> None:
    array, at = toy.slot_word(0, 7)
    array[at] = 100 << 2 | 2


def sibling_of_nothing(toy: Toy) -> None:
    array, _ = toy.slot_word(0, 7)
    array[60] = 50 << 2 | 2


def siblings_odd(toy: Toy) -> None:
    array, at = toy.slot_word(3, 8)
    array[at + 7] = 0


def pool(name: str, field: str, value: int) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.header[name][field] = value

    return fault


def pool_lists(*numbers: int, counted: int | None = None) -> Callable[[Toy], None]:
    """Puts these tree nodes on the free list; -1 stands for the first one that was never used."""

    def fault(toy: Toy) -> None:
        links = [(toy.fresh if n < 0 else n) + 1 for n in numbers]
        header = toy.raw.header["xanodes"]
        header["fresh"] = toy.fresh + 1
        header["free_head"] = links[0] if links else 0
        for link, following in zip(links, [*links, 0][1:], strict=True):
            if following != link:
                toy.raw.xanodes["next"][link - 1] = following
        header["free"] = len(numbers) if counted is None else counted

    return fault


def pool_twice(toy: Toy) -> None:
    pool_lists(-1)(toy)
    toy.raw.xanodes["next"][toy.fresh] = toy.fresh + 1


def pte_word(value: int) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.tables["pte"]["pte"][toy.pte_words(A)[0]] = A << 12 | value

    return fault


def used_frame(pfn: int, order: int) -> Callable[[Toy], None]:
    """A reserved folio of this order where free frames lie."""

    def fault(toy: Toy) -> None:
        toy.raw.entries["state"][pfn], toy.raw.entries["order"][pfn] = f.RESERVED, order

    return fault


def first_free_has(name: str) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.entries[name][first_free(toy)[0]] = 4

    return fault


def flag_without_owner(toy: Toy) -> None:
    toy.raw.entries["flags"][A] |= U(NATIVE["locked"])


def slot_phase(phase: int) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.slots["state"][1] = 7 << 8 | phase

    return fault


def pin(word: int, claimed: bool) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.pins[1, 3], toy.raw.pin_tops[1] = word | 1 << 32, 4
        toy.raw.slots["claim"][4] = claimed

    return fault


def pin_above(toy: Toy) -> None:
    pin(OTHER + 1, True)(toy)
    toy.raw.pin_tops[1] = 3


def pin_of_no_times(toy: Toy) -> None:
    pin(OTHER + 1, True)(toy)
    toy.raw.pins[1, 3] = OTHER + 1


def structure_locked(toy: Toy) -> None:
    toy.raw.header["structure"] = 5


def part(table: str, number: int, value: int, *names: str) -> Callable[[Toy], None]:
    """Writes a field of a mapping, a space, a node or a slot, or of the tree in it."""

    def fault(toy: Toy) -> None:
        row = getattr(toy.raw, table)
        for name in names[:-1]:
            row = row[name]
        row[names[-1]][number] = value

    return fault


def counter(node: int, kind: str) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.slots["counter"][2, node * 4 + f.COUNTERS.index(kind)] += 1

    return fault


def counter_of_no_node(toy: Toy) -> None:
    toy.raw.slots["counter"][4, 63] = 1


def rmap_cut(toy: Toy) -> None:
    toy.raw.entries["rmap"][A] = 0


def free_ring(toy: Toy) -> None:
    pfn, _ = first_free(toy)
    toy.raw.entries["next"][pfn] = pfn + 1


def block_beyond(toy: Toy) -> None:
    """The last frame of the second node becomes a free block that has no room there."""
    node, e = toy.raw.nodes[1], toy.raw.entries
    first = next(order for order in range(10) if not node["list"][order] and order)
    node["list"][first] = 128
    e["state"][127], e["order"][127], e["next"][127], e["prev"][127] = f.FREE, first, 0, 0


# Fault, words, the finding (what, number, expected, got), and how many findings there are in all.
FAULTS: list[tuple[Callable[[Toy], None], str, tuple[str, int, Any, Any], int]] = [
    (free_count, "free frames, its lists hold", ("free-count", 0, 49, 50), 1),
    (used_on_free_list, "is on a free list and has state 4", ("free-list", 41, 1, 4), 1),
    (block_twice, "lies in 2 free blocks", ("free-list", 0, 1, 2), 14),
    (free_with_page, "is free and still has references or a mapping", ("free-page", 41, 0, 0), 1),
    (free_order, "is on the list of order", ("free-list", 41, 0, 1), 1),
    (free_back_link, "its back link is 9", ("free-list", 41, 0, 9), 1),
    (free_unaligned, "is not aligned or leaves its node", ("free-list", 43, 1, 43), 11),
    (free_inner, "lies inside a free block and says order 0", ("free-list", 43, 255, 0), 1),
    (free_list_leaves, "goes to frame 89, outside the node", ("free-list", 89, 0, 90), 7),
    (table_number, "names page table 4999", ("page-table", 0, 200, 4999), 12),
    (table_twice, "is reached from two places", ("page-table", 0, 1, 2), 6),
    (table_field("count"), "page table 0: count is", ("page-table", 0, 1, 2), 1),
    (table_field("base"), "page table 0: base is", ("page-table", 0, 256, 257), 1),
    (table_field("space"), "page table 0: space is", ("page-table", 0, 1, 2), 1),
    (entry("state", 41, 9), "no such state", ("state", 41, 4, 9), 2),
    (entry("order", BIG_A, 12), "starts a folio of order 12, which does not fit", ("order", 16, 9, 12), 14),
    (entry("state", 50, f.TAIL), "frame 50 is a tail of no folio", ("tail", 50, 1, 0), 2),
    (entry("order", 72, 4), "lies in 2 folios", ("tail", 73, 1, 2), 21),
    (entry("state", BIG_A + 2, f.FREE), f"lies in the folio at frame {BIG_A} and has state 1", ("tail", 18, 3, 1), 2),
    (entry("head", BIG_A + 2, 3), "names frame 2 as its head", ("tail", 18, 16, 2), 1),
    (
        entry("flags", 72, 1 << NATIVE["node_shift"] | NATIVE["head"]),
        "flag `head` is 1, its order asks for 0",
        ("head-flag", 72, False, True),
        1,
    ),
    (
        entry("flags", 50, 3 << NATIVE["node_shift"]),
        "frame 50 lies on node 0; its flags word says node 3",
        ("node-bits", 50, 0, 3),
        1,
    ),
    (slot_beyond, "an XArray entry names frame 4999", ("slot-entry", 4999, 128, 4999), 3),
    (slot_to_another, "mapping 0 holds frame 72 at index 7", ("identity", 72, 7, 0), 2),
    (slot_to_another, f"frame {A} says it is mapping 0 index 7; it is not there", ("identity", 3, 7, -1), 2),
    (entry("mapping", 72, 99 << 2), "names no mapping and no space", ("identity", 72, 0, 396), 4),
    (entry("mapping", 72, 7), "names no mapping and no space", ("identity", 72, 0, 7), 1),
    (pte_to_free, "reaches frame 50, which holds no page", ("pte", 13, "in use", 50), 3),
    (pte_inside_folio, "not the one for that address", ("pte", 82, 2, 1025), 2),
    (pte_of_a_tail_missing, f"tail frame {BIG_B + 1} is mapped 1 times, its folio 2 times", ("pte", 81, 2, 1), 3),
    (anonymous_address, "its anonymous page has index 65", ("identity", 70, 65, 64), 3),
    (nr_ptes, "space 1 counts", ("nr-ptes", 1, 10, 11), 1),
    (rmap_to_another, "which does not map it", ("rmap", 3, 0, 128), 2),
    (rmap_detached_ring, "runs in a ring", ("rmap", 70, 0, 1), 2),
    (entry("held", 72, 0), "frame 72 has 1 references", ("references", 72, 0, 1), 1),
    (entry("refs", OTHER, 0), "frame 5 has 0 references", ("references", 5, 1, 0), 1),
    (head_strange, "the head of mapping 2 is 0x4b2", ("xarray", 2, 0, 1202), 3),
    (head_beyond, "mapping 2 points at XArray node 5000", ("xarray", 2, 400, 5000), 3),
    (node_field("shift", 7), "has shift 7", ("xarray", 7, "a multiple of 6", 7), 6),
    (node_field("shift", 66), "has shift 66", ("xarray", 7, "a multiple of 6", 66), 6),
    (node_field("used", 0), "used is 0, must be 1", ("xarray", 7, 1, 0), 1),
    (node_field("parent", 3), "parent is 3, must be 0", ("xarray", 7, 0, 3), 1),
    (node_field("array", 64), "array is 64", ("xarray", 7, ANY, 64), 1),
    (node_field("offset", 1), "offset is 1", ("xarray", 7, 0, 1), 1),
    (node_shared, "is reached twice", ("xarray", 4, 1, 2), 12),
    (marks_above, "the level above it says", ("marks", 0, 1, 3), 1),
    (mark_on_empty, "a mark on an empty slot or a sibling", ("marks", 0, 0, 1), 1),
    (slot_strange, "neither page, sibling, node nor empty", ("xarray", 0, 0, 402), 4),
    (sibling_of_nothing, "slot 60 is a sibling of 50, which is no entry", ("xarray", 0, 50, 60), 2),
    (siblings_odd, "an entry with 7 slots", ("xarray", 5, "a power of two, aligned", 7), 2),
    (pool("xanodes", "free_head", 5000), "names number 4999", ("pool", -1, 400, 4999), 1),
    (pool("tables", "free", 3), "3 free page tables are counted, 0 are on the list", ("pool", -1, 0, 3), 1),
    (pool_lists(0), "XArray node 0 is in use and on the free list", ("pool", 0, 0, 1), 2),
    (pool_twice, "is on the free list 4", ("pool", 15, 1, 401), 2),
    (pool_lists(), "is neither in use nor on the free list", ("pool", 15, 1, 0), 1),
    (pool("xanodes", "fresh", 1), "is used though counted as never used", ("pool", 1, 0, 1), 14),
    (entry("state", 41, 5), "frame 41 has state 5: no such state", ("state", 41, 4, 5), 2),
    (entry("order", BIG_A, 10), "starts a folio of order 10, which does not fit", ("order", 16, 9, 10), 14),
    (used_frame(126, 2), "frame 126 starts a folio of order 2, which does not fit", ("order", 126, 9, 2), 2),
    (used_frame(62, 2), "frame 62 starts a folio of order 2, which does not fit", ("order", 62, 9, 2), 2),
    (entry("flags", 120, 0), "frame 120 lies on node 1; its flags word says node 0", ("node-bits", 120, 1, 0), 1),
    (
        entry("flags", BIG_B, 1 << NATIVE["node_shift"]),
        "flag `head` is 0, its order asks for 1",
        ("head-flag", 80, True, False),
        1,
    ),
    (entry("mapping", 72, 1), "frame 72: mapping word 0x1 names no mapping and no space", ("identity", 72, 0, 1), 1),
    (
        entry("mapping", 72, (NMAPPINGS + 1) << 2),
        "mapping word 0x1c names no mapping and no space",
        ("identity", 72, 0, 28),
        4,
    ),
    (
        entry("mapping", 72, (NSPACES + 1) << 2 | 1),
        "mapping word 0x15 names no mapping and no space",
        ("identity", 72, 0, 21),
        1,
    ),
    (entry("mapping", 72, 6), "mapping word 0x6 names no mapping and no space", ("identity", 72, 0, 6), 1),
    (pte_word(4), f"virtual page 300: not present (frame {A}, bits 0x4)", ("pte", 3, 1, 4), 1),
    (pte_word(2), f"virtual page 300: a migration entry is left (frame {A}, bits 0x2)", ("migration", 3, 1, 2), 1),
    (pte_word(3), f"virtual page 300: a migration entry is left (frame {A}, bits 0x3)", ("migration", 3, 1, 3), 1),
    (entry("mapcount", A, 3), f"frame {A} counts 3 mappings, the page tables have 2", ("mapcount", 3, 2, 3), 2),
    (
        rmap_cut,
        f"reverse map of frame {A}: an entry that maps it is on the chain 0 times, must be once",
        ("rmap", 3, 1, 0),
        1,
    ),
    (
        entry("refs", 9, 3),
        "frame 9 has 3 references; caller, cache, private data and page tables make 2",
        ("references", 9, 2, 3),
        1,
    ),
    (counter(0, "file"), "node 0 (fast) counts 15 file base pages, a recount gives 14", ("counter", 0, 14, 15), 1),
    (counter(0, "shmem"), "node 0 (fast) counts 2 shmem base pages, a recount gives 1", ("counter", 0, 1, 2), 1),
    (
        counter(1, "anonymous"),
        "node 1 (slow) counts 10 anonymous base pages, a recount gives 9",
        ("counter", 1, 9, 10),
        1,
    ),
    (counter(0, "dirty"), "node 0 (fast) counts 11 dirty base pages, a recount gives 10", ("counter", 0, 10, 11), 1),
    (part("mappings", 3, 99, "nr_pages"), "mapping 3 counts 99 base pages and holds 16", ("nr-pages", 3, 16, 99), 1),
    (entry("owner", A, 2), f"frame {A} is locked by slot 1", ("lock", 3, 0, 2), 1),
    (
        entry("owner", A, f.OWNER_CALL | 6),
        f"frame {A} is locked by a call in slot 5",
        ("lock", 3, 0, f.OWNER_CALL | 6),
        1,
    ),
    (
        entry("owner", A, f.OWNER_CALL | 4 << 8 | 6),
        f"frame {A} is kept locked by the process of slot 3 and locked by a call in slot 5",
        ("lock", 3, 0, f.OWNER_CALL | 4 << 8 | 6),
        1,
    ),
    (entry("owner", A, 1 << 16), f"frame {A} is locked by nobody (0x10000)", ("lock", 3, 0, 1 << 16), 1),
    (flag_without_owner, f"frame {A} has the flag `locked` and nobody who keeps it", ("lock", 3, 0, 1), 1),
    (
        entry("refs", A, f.FROZEN | 2),
        f"frame {A}: its reference count is frozen by slot 2 (0x80000002)",
        ("frozen", 3, 0, 2147483650),
        1,
    ),
    (slot_phase(1), "slot 1 is in phase INTENT, must be IDLE", ("slot", 1, 0, 1), 1),
    (slot_phase(3), "slot 1 is in phase META, must be IDLE", ("slot", 1, 0, 3), 1),
    (slot_phase(4), "slot 1 is in phase HELP, must be IDLE", ("slot", 1, 0, 4), 1),
    (slot_phase(5), "slot 1 is in phase BACK, must be IDLE", ("slot", 1, 0, 5), 1),
    (slot_phase(6), "slot 1 is in phase TAILS, must be IDLE", ("slot", 1, 0, 6), 1),
    (slot_phase(7), "slot 1 is in phase 7, must be IDLE", ("slot", 1, 0, 7), 1),
    (part("slots", 2, 3, "saves"), "slot 2 has words of a change of structure saved: 3", ("slot", 2, 0, 3), 1),
    (part("slots", 2, 3, "node_saves"), "slot 2 has words of a node's lists saved: 3", ("slot", 2, 0, 3), 1),
    (part("slots", 2, 4096, "tree"), "slot 2 has a tree that it writes to, at byte: 4096", ("slot", 2, 0, 4096), 1),
    (part("slots", 2, 9, "give"), "slot 2 has a page that it is about to free, number: 9", ("slot", 2, 0, 9), 1),
    (part("slots", 2, 2, "drop"), "slot 2 has sub-trees that it has yet to give back", ("slot", 2, 0, 2), 1),
    (part("slots", 0, 1 << 8 | 1, "claim"), "slot 0 is nobody's, and its claim is 0x101", ("slot", 0, 0, 257), 1),
    (pin(OTHER + 1, True), f"frame {OTHER} is referenced by the process of slot 4", ("pin", 5, 0, 6 | 1 << 32), 1),
    (
        pin(OTHER + 1 | 1 << 63, False),
        f"frame {OTHER} is pinned by slot 4, which no process has claimed",
        ("pin", 5, 0, 6 | 1 << 32 | 1 << 63),
        1,
    ),
    (pin_above, "above the place below which others look for pins", ("pin", 5, 0, 6 | 1 << 32), 2),
    (pin(0xFFFF, True), "there is no such frame", ("pin", 0xFFFE, 0, 0xFFFF | 1 << 32), 2),
    (pin(51, True), "frame 50 is pinned by 0x100000033: it holds no page", ("leak", 50, 0, 51 | 1 << 32), 2),
    (pin_of_no_times, "frame 5 is pinned by 0x6: no times", ("pin", 5, 0, 6), 2),
    (entry("held", 72, 9), "frame 72 is held by process 8, which has no slot", ("held", 72, 0, 9), 1),
    (entry("next", OTHER, 400 * 64 + 1), "says that word 25601 has it", ("hint", 5, 0, 25601), 1),
    (entry("next", 72, 7), "frame 72 holds no page of a file and says that word 7", ("hint", 72, 0, 7), 1),
    (entry("next", BIG_A + 1, 7), "frame 17 holds no page of a file and says that word 7", ("hint", 17, 0, 7), 1),
    (part("mappings", 2, 7, "pages", "lock"), "mapping 2: its tree is locked (0x7)", ("mapping-lock", 2, 0, 7), 1),
    (
        part("mappings", 2, f.XA_WRITER, "pages", "lock"),
        "mapping 2: its tree is locked (0x8000000000000000)",
        ("mapping-lock", 2, 0, f.XA_WRITER),
        1,
    ),
    (part("spaces", 1, 7, "tables", "lock"), "space 1: its tree is locked (0x7)", ("space-lock", 1, 0, 7), 1),
    (part("nodes", 1, 7, "lock"), "node 1: its allocator is locked (0x7)", ("node-lock", 1, 0, 7), 1),
    (
        structure_locked,
        "all trees, tables, mappings and spaces are locked by slot 4",
        ("structure-lock", -1, 0, 5),
        1,
    ),
    (
        part("mappings", 2, 5, "pages", "seq"),
        "mapping 2: its tree is marked as changing (0x1)",
        ("mapping-lock", 2, 0, 1),
        1,
    ),
    (
        part("spaces", 1, 5, "tables", "seq"),
        "space 1: its tree is marked as changing (0x1)",
        ("space-lock", 1, 0, 1),
        1,
    ),
    (counter_of_no_node, "slot 4 counts pages of node 15; there are 2 nodes", ("counter", 15, 0, 1), 1),
    (free_ring, "free list of node 0, order 0, runs in a ring", ("free-list", 41, 0, 42), 6),
    (block_beyond, "is not aligned or leaves its node", ("free-list", 127, 5, 127), 4),
    (first_free_has("refs"), "is free and still has references or a mapping", ("free-page", 41, 0, 4), 1),
    (first_free_has("mapcount"), "is free and still has references or a mapping", ("free-page", 41, 0, 0), 1),
    (first_free_has("held"), "is free and still has references or a mapping", ("free-page", 41, 0, 0), 1),
]


@pytest.mark.parametrize(
    ("fault", "words", "values", "total"), FAULTS, ids=[words.replace(" ", "-") for _, words, _, _ in FAULTS]
)
def test_a_broken_rule_is_named(
    fault: Callable[[Toy], None], words: str, values: tuple[str, int, Any, Any], total: int
) -> None:
    toy = make()
    fault(toy)
    findings = check(toy)
    sentences = [str(finding) for finding in findings]
    named = [
        (finding.what, finding.pfn, finding.expected, finding.got) for finding in findings if words in str(finding)
    ]
    assert values in named, sentences
    assert len(findings) == total, sentences


def test_a_page_that_nobody_holds_is_leaked() -> None:
    toy = make()
    toy.raw.entries["held"][72] = toy.raw.entries["refs"][72] = 0
    assert [finding.what for finding in check(toy)] == ["leak"]


def test_a_position_that_appears_or_vanishes_is_wrong() -> None:
    for change in (0, (9 + 1) << 2):
        toy = make()
        array, _ = toy.slot_word(0, 7)
        oracle = Oracle.before(toy, layout=LAYOUT)
        array[8 if change == 0 else 40] = change
        sentences = [str(finding) for finding in oracle.after(np.empty((0, 2), np.int64), []).findings]
        words = "mapping 0 index 40 was empty before" if change else "mapping 0 index 8 is empty now"
        assert words in sentences


def test_a_lock_or_pin_of_somebody_else_must_survive() -> None:
    toy = make()
    toy.raw.entries["owner"][A] = 2
    toy.raw.pins[1, 1], toy.raw.pin_tops[1] = B + 1 | 1 << 32, 2
    oracle = Oracle.before(toy)
    toy.raw.entries["owner"][A] = 0
    toy.raw.pins[1, 1] = 0
    findings = oracle.after(np.empty((0, 2), np.int64), []).findings
    sentences = {str(finding): (finding.what, finding.pfn, finding.expected, finding.got) for finding in findings}
    assert sentences[f"frame {A} was locked by slot 1 and is not now"] == ("lock", A, 2, 0)
    assert sentences[f"frame {B} was pinned before and is not pinned so now"] == ("pin", B, B + 1 | 1 << 32, 0)
