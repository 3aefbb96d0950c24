"""Each rule of an arena at rest, broken once: check() must say so in words, whatever else it says."""

from collections.abc import Callable

import numpy as np
import pytest

from pagexchange.oracle import Oracle, check
from pagexchange.oracle import format as f
from pagexchange.oracle.trees import NODE_BIAS
from tests.core.test_oracle import BIG_A, BIG_B, OTHER, A, B, make
from tests.core.toy_arena import LAYOUT, NATIVE, Toy

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
    one, two = toy.pte_words(BIG_B + 1)[0], toy.pte_words(BIG_B + 2)[0]
    pte = toy.raw.tables["pte"]["pte"]
    pte[one], pte[two] = int(pte[two]), int(pte[one])


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


FAULTS: list[tuple[Callable[[Toy], None], str]] = [
    (free_count, "free frames, its lists hold"),
    (used_on_free_list, "is on a free list and has state 4"),
    (block_twice, "lies in 2 free blocks"),
    (free_with_page, "is free and still has references or a mapping"),
    (free_order, "is on the list of order"),
    (free_back_link, "its back link is 9"),
    (free_unaligned, "is not aligned or leaves its node"),
    (free_inner, "lies inside a free block and says order 0"),
    (free_list_leaves, "goes to frame 89, outside the node"),
    (table_number, "names page table 4999"),
    (table_twice, "is reached from two places"),
    (table_field("count"), "page table 0: count is"),
    (table_field("base"), "page table 0: base is"),
    (table_field("space"), "page table 0: space is"),
    (entry("state", 41, 9), "no such state"),
    (entry("order", BIG_A, 12), "starts a folio of order 12, which does not fit"),
    (entry("state", 50, f.TAIL), "frame 50 is a tail of no folio"),
    (entry("order", 72, 4), "lies in 2 folios"),
    (entry("state", BIG_A + 2, f.FREE), f"lies in the folio at frame {BIG_A} and has state 1"),
    (entry("head", BIG_A + 2, 3), "names frame 2 as its head"),
    (entry("flags", 72, 1 << NATIVE["node_shift"] | NATIVE["head"]), "flag `head` is 1, its order asks for 0"),
    (entry("flags", 50, 3 << NATIVE["node_shift"]), "frame 50 lies on node 0; its flags word says node 3"),
    (slot_beyond, "an XArray entry names frame 4999"),
    (slot_to_another, "mapping 0 holds frame 72 at index 7"),
    (slot_to_another, f"frame {A} says it is mapping 0 index 7; it is not there"),
    (entry("mapping", 72, 99 << 2), "names no mapping and no space"),
    (entry("mapping", 72, 7), "names no mapping and no space"),
    (pte_to_free, "reaches frame 50, which holds no page"),
    (pte_inside_folio, "not the one for that address"),
    (pte_of_a_tail_missing, f"tail frame {BIG_B + 1} is mapped 1 times, its folio 2 times"),
    (anonymous_address, "its anonymous page has index 65"),
    (nr_ptes, "space 1 counts"),
    (rmap_to_another, "which does not map it"),
    (rmap_detached_ring, "runs in a ring"),
    (entry("held", 72, 2), "held is 2"),
    (entry("held", 72, 0), "frame 72 has 1 references"),
    (entry("refs", OTHER, 0), "frame 5 has 0 references"),
    (head_strange, "the head of mapping 2 is 0x4b2"),
    (head_beyond, "mapping 2 points at XArray node 5000"),
    (node_field("shift", 7), "has shift 7"),
    (node_field("shift", 66), "has shift 66"),
    (node_field("used", 0), "used is 0, must be 1"),
    (node_field("parent", 3), "parent is 3, must be 0"),
    (node_field("array", 64), "array is 64"),
    (node_field("offset", 1), "offset is 1"),
    (node_shared, "is reached twice"),
    (marks_above, "the level above it says"),
    (mark_on_empty, "a mark on an empty slot or a sibling"),
    (slot_strange, "neither page, sibling, node nor empty"),
    (sibling_of_nothing, "slot 60 is a sibling of 50, which is no entry"),
    (siblings_odd, "an entry with 7 slots"),
    (pool("xanodes", "free_head", 5000), "names number 4999"),
    (pool("tables", "free", 3), "3 free page tables are counted, 0 are on the list"),
    (pool_lists(0), "XArray node 0 is in use and on the free list"),
    (pool_twice, "is on the free list 4"),
    (pool_lists(), "is neither in use nor on the free list"),
    (pool("xanodes", "fresh", 1), "is used though counted as never used"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS, ids=[words.replace(" ", "-") for _, words in FAULTS])
def test_a_broken_rule_is_named(fault: Callable[[Toy], None], words: str) -> None:
    toy = make()
    fault(toy)
    said = [str(finding) for finding in check(toy)]
    assert any(words in sentence for sentence in said), said


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
        said = [str(finding) for finding in oracle.after(np.empty((0, 2), np.int64), []).findings]
        words = "mapping 0 index 40 was empty before" if change else "mapping 0 index 8 is empty now"
        assert words in said


def test_a_lock_or_pin_of_somebody_else_must_survive() -> None:
    toy = make()
    toy.raw.entries["owner"][A] = 2
    toy.raw.pins[1, 1] = B + 1
    oracle = Oracle.before(toy)
    toy.raw.entries["owner"][A] = 0
    toy.raw.pins[1, 1] = 0
    said = [str(finding) for finding in oracle.after(np.empty((0, 2), np.int64), []).findings]
    assert f"frame {A} was locked by slot 1 and is not now" in said
    assert f"frame {B} was pinned before and is not pinned now" in said
