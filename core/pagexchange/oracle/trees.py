"""Walks of all XArrays at once, level by level with whole arrays, and of the free lists of nodes and page tables.

Level by level, because a tree of a million pages has 16,000 nodes and four levels: four steps of NumPy instead of
16,000 of Python. In the loop of `walk` one row stands for one tree node of the level.
"""

from dataclasses import dataclass

import numpy as np

from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import MARKS, SLOT_HEAD, Bools, Ints, Raw, Table, Words

SIBLINGS = 62  # internal values up to this one are siblings
ZERO = 257  # a reserved index: reads as empty
NODE_BIAS = 4097  # internal values from here on are nodes: number + NODE_BIAS

_BITS = np.uint64(1) << np.arange(64, dtype=np.uint64)


@dataclass(frozen=True)
class Places:
    """Every entry of a group of arrays, one row each, in the order of a walk (level by level, then by position)."""

    owner: Ints
    """Number of the mapping or space whose array holds it."""
    index: Ints
    """First index that the entry covers."""
    order: Ints
    entry: Words
    marks: Ints
    """Bit m: mark m is set at this position."""
    word: Ints
    """Which word has it, as a page's hint says it: node * 64 + slot + 1, or SLOT_HEAD."""

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def pages(self) -> Bools:
        """Which rows are pages (pointer-kind entries) and not reserved or value entries."""
        pages: Bools = (self.entry & np.uint64(3)) == 0
        return pages

    @property
    def number(self) -> Ints:
        """What the entry names: a pfn or a table's number; -1 for an entry of another kind."""
        return np.where(self.pages, (self.entry >> np.uint64(2)).astype(np.int64) - 1, -1)

    def take(self, rows: Ints | Bools) -> "Places":
        """These rows, in this order."""
        return Places(*(getattr(self, f)[rows] for f in _FIELDS))


_FIELDS = ("owner", "index", "order", "entry", "marks", "word")


def _join(parts: list[Places]) -> Places:
    if not parts:
        none = np.empty(0, np.int64)
        return Places(none, none, none, none.astype(np.uint64), none, none)
    return Places(*(np.concatenate([getattr(p, f) for p in parts]) for f in _FIELDS))


def walk(raw: Raw, arrays: Table, where: Ints, kind: str, reached: Bools, findings: Collector) -> Places:
    """All entries of the XArrays `arrays[i]`, which lie at byte `where[i]` of the arena and belong to `kind` number i.

    Sets `reached` for each tree node that it visits. What breaks a rule of the tree is a finding named "xarray".
    """
    head = arrays["head"]
    low = (head & np.uint64(3)).astype(np.int64)
    value = (head >> np.uint64(2)).astype(np.int64)
    parts = []
    # An array with one entry at index 0 has no node: the entry is in the head, its marks are in the array's flags.
    zero = (low == 2) & (value == ZERO)
    single = np.flatnonzero((head != 0) & (low != 2) | zero)
    flags = arrays["flags"].astype(np.int64) & ((1 << MARKS) - 1)
    if len(single):
        none = np.zeros(len(single), np.int64)
        parts.append(Places(single, none, none, head[single], flags[single], none + SLOT_HEAD))
    owner = np.flatnonzero((low == 2) & (value >= NODE_BIAS))
    strange = (low == 2) & (value < NODE_BIAS) & ~zero
    say = f"the head of {kind} %d is {{}}, neither a page nor a node nor empty"
    findings.add_where("xarray", strange, np.arange(len(head)), 0, head, lambda i, _, got: (say % i).format(hex(got)))
    node = value[owner] - NODE_BIAS
    ok = _in_range(node, owner, len(raw.xanodes), kind, findings)
    owner, node = owner[ok], node[ok]
    base = np.zeros(len(node), np.int64)
    shift = raw.xanodes["shift"][node].astype(np.int64)
    parent, offset = np.zeros(len(node), np.int64), np.zeros(len(node), np.int64)
    above = flags[owner]
    # 6 bits of the index for each level; only the top node's shift is free, all others follow from it.
    bad = (shift % 6 != 0) | (shift > 60)
    findings.add_where("xarray", bad, node, "a multiple of 6", shift, lambda n, _, s: f"XArray node {n} has shift {s}")
    owner, node, base, shift, above = (a[~bad] for a in (owner, node, base, shift, above))
    parent, offset = parent[~bad], offset[~bad]
    while len(node):
        # Reached before, or twice on this level: left out, and so the walk ends even where a fault made a ring.
        fresh = np.ones(len(node), bool)
        fresh[np.unique(node, return_index=True)[1]] = False
        again = reached[node] | fresh
        findings.add_where(
            "xarray",
            again,
            node,
            1,
            2,
            lambda n, *_: f"XArray node {n} is reached twice: two trees or two slots share it",
        )
        owner, node, base, shift, parent, offset, above = (
            a[~again] for a in (owner, node, base, shift, parent, offset, above)
        )
        reached[node] = True
        rows = raw.xanodes[node]
        _check_nodes(rows, node, shift, parent, offset, where[owner], above, kind, owner, findings)
        slots, marks = rows["slot"], rows["marks"]
        pieces, children = _entries(slots, marks, owner, node, base, shift, kind, findings)
        parts.append(pieces)
        # The next level: of each child what its node must say of itself, computed from where it hangs.
        r, k = children
        child = (slots[r, k] >> np.uint64(2)).astype(np.int64) - NODE_BIAS
        ok = _in_range(child, owner[r], len(raw.xanodes), kind, findings)
        r, k, child = r[ok], k[ok], child[ok]
        above = np.zeros(len(child), np.int64)
        for m in range(MARKS):
            above |= ((marks[r, m] & _BITS[k]) != 0).astype(np.int64) << m
        owner, base, parent, offset = owner[r], base[r] + (k << shift[r]), node[r] + 1, k
        node, shift = child, shift[r] - 6
    return _join(parts)


def _in_range(node: Ints, owner: Ints, count: int, kind: str, findings: Collector) -> Bools:
    ok = node < count
    findings.add_where(
        "xarray",
        ~ok,
        owner,
        count,
        node,
        lambda i, n, got: f"{kind} {i} points at XArray node {got}; there are {n} nodes",
    )
    return ok


def _check_nodes(
    rows: Table, node: Ints, shift: Ints, parent: Ints, offset: Ints, array: Ints, above: Ints, kind: str, owner: Ints,
    findings: Collector,
) -> None:  # fmt: skip
    """Each node's own words against what its place in the tree asks for."""
    # Marks go up: a node has a mark where any of its slots has, which the level above has noted at the node's slot.
    filled = np.count_nonzero(rows["slot"], axis=1)
    below = np.zeros(len(node), np.int64)
    for m in range(MARKS):
        below |= (rows["marks"][:, m] != 0).astype(np.int64) << m
    for name, want, got in (
        ("used", np.ones(len(node), np.int64), rows["used"]),
        ("shift", shift, rows["shift"]),
        ("parent", parent, rows["parent"]),
        ("offset", offset, rows["offset"]),
        ("array", array, rows["array"]),
        ("count", filled, rows["count"]),
    ):
        have = got.astype(np.int64)
        findings.add_where(
            "xarray",
            want != have,
            node,
            want,
            have,
            lambda n, w, g, name=name: f"XArray node {n}: {name} is {g}, must be {w}",  # type: ignore[misc]
        )
    findings.add_where(
        "marks",
        below != above,
        node,
        below,
        above,
        lambda n, w, g: f"XArray node {n} has marks {w:#05b}, the level above it says {g:#05b}",
    )


def _rows_and_slots(mask: Bools) -> tuple[Ints, Ints]:
    r, k = np.nonzero(mask)
    return r, k


def _entries(
    slots: Words, marks: Words, owner: Ints, node: Ints, base: Ints, shift: Ints, kind: str, findings: Collector
) -> tuple[Places, tuple[Ints, Ints]]:
    """The entries of one level, and the (row, slot) of the nodes below it."""
    value = (slots >> np.uint64(2)).astype(np.int64)
    internal = (slots & np.uint64(3)) == 2
    sibling = internal & (value <= SIBLINGS)
    child = internal & (value >= NODE_BIAS) & (shift > 0)[:, None]
    entry = (slots != 0) & (~internal | (value == ZERO))
    strange = (slots != 0) & ~(sibling | child | entry)
    r, k = np.nonzero(strange)
    findings.add_where(
        "xarray",
        np.ones(len(r), bool),
        node[r],
        0,
        slots[r, k],
        lambda n, _, got: f"XArray node {n} holds {got:#x}, neither page, sibling, node nor empty",
    )
    # An entry of order k covers 2^k slots of its level: the first has the entry, each other one a sibling, which names
    # the first. So size counts an entry's slots, and last finds a hole among them.
    size = entry.astype(np.int64)
    r, k = np.nonzero(sibling)
    if len(r):
        first = value[r, k]
        np.add.at(size, (r, first), 1)
        last = np.zeros(size.shape, np.int64)
        np.maximum.at(last, (r, first), k)
        lost = ~entry[r, first] | (first >= k)
        findings.add_where(
            "xarray",
            lost,
            node[r],
            first,
            k,
            lambda n, f, s: f"XArray node {n}: slot {s} is a sibling of {f}, which is no entry",
        )
        spread = entry & (size > 1) & (last - np.arange(64) + 1 != size)
        odd = entry & ((size & (size - 1)) != 0) | entry & (np.arange(64) & (size - 1) != 0) | spread
        rr, kk = np.nonzero(odd)
        findings.add_where(
            "xarray",
            np.ones(len(rr), bool),
            node[rr],
            "a power of two, aligned",
            size[rr, kk],
            lambda n, _, s: f"XArray node {n}: an entry with {s} slots",
        )
    empty = ~(entry | child)
    wrong = np.zeros(len(node), bool)
    bits = np.zeros(slots.shape, np.int64)
    for m in range(MARKS):
        if not marks[:, m].any():
            continue
        here = (marks[:, m, None] & _BITS) != 0
        bits |= here.astype(np.int64) << m
        wrong |= (here & empty).any(axis=1)
    findings.add_where(
        "marks", wrong, node, 0, 1, lambda n, *_: f"XArray node {n}: a mark on an empty slot or a sibling"
    )
    r, k = np.nonzero(entry)
    # The order: of the level, and of the slots that it takes there.
    width = np.rint(np.log2(np.maximum(size[r, k], 1))).astype(np.int64)
    index = base[r] + (k << shift[r])
    word = node[r] * 64 + k + 1
    return Places(owner[r], index, shift[r] + width, slots[r, k], bits[r, k], word), _rows_and_slots(child)


def check_pool(pool: Table, items: Table, used: Bools, reached: Bools, name: str, findings: Collector) -> None:
    """Each node (or page table) is in exactly one of: a tree, the free list, never used."""
    total, fresh = len(items), int(pool["fresh"])
    # A list that is longer than the pool runs in a ring.
    listed: list[int] = []
    link = int(pool["free_head"])
    while link and len(listed) <= total:
        if link > total:
            findings.add(
                "pool", -1, total, link - 1, f"the free list of {name}s names number {link - 1}; there are {total}"
            )
            break
        listed.append(link - 1)
        link = int(items["next"][link - 1])
    free = np.zeros(total, np.int64)
    np.add.at(free, np.asarray(listed, np.int64), 1)
    if len(listed) != int(pool["free"]):
        sentence = f"{pool['free']} free {name}s are counted, {len(listed)} are on the list"
        findings.add("pool", -1, len(listed), int(pool["free"]), sentence)
    numbers = np.arange(total)
    findings.add_where(
        "pool", (free > 0) & (used | reached), numbers, 0, 1, lambda n, *_: f"{name} {n} is in use and on the free list"
    )
    findings.add_where("pool", free > 1, numbers, 1, free, lambda n, _, g: f"{name} {n} is on the free list {g} times")
    findings.add_where(
        "pool",
        used & ~reached,
        numbers,
        0,
        1,
        lambda n, *_: f"{name} {n} is marked used and no tree reaches it: leaked",
    )
    # Below `fresh` each item has been handed out at least once: it must be somewhere.
    nowhere = ~used & ~reached & (free == 0) & (numbers < fresh)
    findings.add_where(
        "pool", nowhere, numbers, 1, 0, lambda n, *_: f"{name} {n} is neither in use nor on the free list: leaked"
    )
    findings.add_where(
        "pool",
        used & (numbers >= fresh),
        numbers,
        0,
        1,
        lambda n, *_: f"{name} {n} is used though counted as never used",
    )
