"""What the rows share: values that tell their index, and the tree in the arena, read behind the array's back."""

import itertools

import numpy as np

from pagexchange_native.xarray.array import MAX_INDEX, MAX_VALUE

NODE = np.dtype(
    [
        ("shift", "u1"),
        ("offset", "u1"),
        ("count", "u1"),
        ("used", "u1"),
        ("parent", "<u4"),
        ("array", "<u8"),
        ("pad", "<u8"),
        ("marks", "<u8", 3),
        ("pad1", "<u8", 2),
        ("slot", "<u8", 64),
    ]
)
LAST = MAX_INDEX


def value_at(index):
    """Value that stands for an index; the largest ones begin again at 0."""
    return index % (MAX_VALUE + 1)


def store(xa, index, order=0):
    """Store the index's own value; what was there."""
    return xa.store(index, value_at(index), order)


def erase(xa, index):
    """Erase what has the index's own value, or what is not there."""
    assert xa.erase(index) in (None, value_at(index))
    assert xa.load(index) is None


def marks(xa, index):
    """Which of the three marks an index has."""
    return [xa.get_mark(index, mark) for mark in range(3)]


def loads(xa, first, count):
    """Values at `count` indexes from `first` on, -1 for none; those below 0 or above the last are left out."""
    last = min(first + count - 1, LAST)
    first = max(first, 0)
    if last < first:
        return np.empty(0, np.int64)
    return xa.bulk_load(np.arange(last - first + 1, dtype=np.uint64) + np.uint64(first))


def items(xa, *where, **which):
    """All (index, value), as a list; of an array that goes on for ever the first 10,000."""
    return list(itertools.islice(xa.items(*where, **which), 10_000))


def each(cursor, mark=None):
    """Yield (index, value) of what a cursor finds, to the end; one that finds no end fails."""
    for _ in range(10_000):
        value = cursor.find() if mark is None else cursor.find_marked(LAST, mark)
        if value is None:
            return
        yield cursor.index, value
    raise AssertionError("the cursor goes on for ever")


# ---- the tree in memory ----------------------------------------------------------------------------------------------


def nodes_of(region):
    """All XArray nodes of the arena."""
    offset, count, size = region.geometry()["xanodes"]
    assert size == NODE.itemsize
    return region.memory[offset : offset + count * size].view(NODE)


def head_of(region, mapping=0):
    """Head entry, marks, and offset in the arena of a mapping's array."""
    offset, _, size = region.geometry()["mappings"]
    at = offset + mapping * size
    return int(region.memory[at : at + 8].view("<u8")[0]), int(region.memory[at + 20 : at + 24].view("<u4")[0]) & 7, at


def is_node(entry):
    return (entry & 3) == 2 and entry >> 2 > 4096


def top_of(region, mapping=0):
    """The top node, which must be there."""
    head, _, _ = head_of(region, mapping)
    assert is_node(head)
    return nodes_of(region)[(head >> 2) - 4097]


def check_trees(region, nodes_in_use):
    """Check every mapping's tree: counts, links, marks, siblings, height; and that no other node is in use."""
    nodes = nodes_of(region)
    seen: set[int] = set()
    for mapping in range(region.geometry()["mappings"][1]):
        head, marks, at = head_of(region, mapping)
        if head == 0:
            assert marks == 0
        elif is_node(head):
            number = (head >> 2) - 4097
            top = nodes[number]
            below = _check_node(nodes, number, 0, 0, int(top["shift"]), at, seen)
            assert below == marks
            only_first = top["count"] == 1 and top["slot"][0] != 0
            assert not (only_first and (top["shift"] == 0 or is_node(int(top["slot"][0])))), "higher than it must be"
    assert sorted(seen) == sorted(np.flatnonzero(nodes["used"]).tolist())
    assert len(seen) == nodes_in_use


def _check_node(nodes, number, parent, offset, shift, array, seen):
    """Check a node and what is below it; the marks that it has."""
    assert number not in seen
    seen.add(number)
    node = nodes[number]
    slots = [int(entry) for entry in node["slot"]]
    marks = [int(word) for word in node["marks"]]
    assert (node["used"], node["parent"], node["offset"], node["shift"]) == (1, parent, offset, shift)
    assert node["array"] == array
    assert node["count"] == sum(entry != 0 for entry in slots) > 0
    canonical, extents = None, {}
    for k, entry in enumerate(slots):
        if entry & 3 == 2 and entry >> 2 < 63:  # a sibling
            assert canonical == entry >> 2, "not the sibling of the entry before it"
            extents[canonical] += 1
            continue
        canonical = None
        bits = [m for m in range(3) if marks[m] >> k & 1]
        if is_node(entry):
            child = _check_node(nodes, (entry >> 2) - 4097, number + 1, k, shift - 6, array, seen)
            assert child == sum(1 << m for m in bits)
        elif entry != 0:
            canonical, extents[k] = k, 1
        else:
            assert not bits, "nothing there, and marked"
    for first, extent in extents.items():
        assert extent & (extent - 1) == 0
        assert first % extent == 0
        assert all(marks[m] >> (first + i) & 1 == 0 for m in range(3) for i in range(1, extent)), "a marked sibling"
    if shift == 60:
        assert not any(slots[16:])
    return sum(1 << m for m in range(3) if marks[m])
