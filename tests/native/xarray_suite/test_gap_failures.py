"""What fails leaves the array as it was: errors that stick to the cursor, and no memory at any node of a store."""

import contextlib
import errno

import numpy as np
import pytest

from pagexchange_native.errors import ArenaFullError
from pagexchange_native.xarray.array import RESERVED, XArray
from pagexchange_native.xarray.cursor import Cursor
from tests.native.xarray_suite.helpers import LAST, check_trees, items, loads, marks

# ---- sticky errors ---------------------------------------------------------------------------------------------------


def test_gap_sticky_errors__every_call_does_nothing_until_reset(xa, small_region):
    cursor = Cursor(xa, 70)
    small_region.fail_alloc = 1
    assert cursor.store(1) is None
    assert (cursor.error, cursor.state) == (errno.ENOMEM, "ERROR")
    assert xa.empty
    xa.store(70, 8)
    xa.set_mark(70, 0)
    calls = (
        cursor.load,
        cursor.reload,
        cursor.find,
        lambda: cursor.find_marked(LAST, 0),
        cursor.next,
        cursor.prev,
        lambda: cursor.store(2),
        lambda: cursor.store(None),
        cursor.pause,
        lambda: cursor.set_mark(1),
        lambda: cursor.clear_mark(0),
        cursor.init_marks,
    )
    for call in calls:
        assert call() is None
        assert (cursor.error, cursor.state, cursor.index) == (errno.ENOMEM, "ERROR", 70)
        assert items(xa) == [(70, 8)]
        assert marks(xa, 70) == [True, False, False]
    assert not cursor.get_mark(0)
    assert cursor.get_order() == 0
    assert list(cursor.for_each_conflict()) == []
    with pytest.raises(ArenaFullError) as error:
        cursor.check()
    assert error.value.errno == errno.ENOMEM
    cursor.reset()
    assert (cursor.error, cursor.state, cursor.index) == (0, "RESTART", 70)
    cursor.check()
    assert cursor.load() == 8
    assert cursor.get_mark(0)


@pytest.mark.parametrize("clear", ["set", "set_order", "reset"])
def test_gap_sticky_errors__one_that_was_there_survives_until_cleared(xa, clear):
    cursor = Cursor(xa, 3)
    cursor.set_error(errno.EEXIST)
    assert cursor.store(1) is None
    assert cursor.error == errno.EEXIST
    with pytest.raises(OSError) as error:
        cursor.check()
    assert error.value.errno == errno.EEXIST
    assert xa.empty
    getattr(cursor, clear)(*{"set": (3,), "set_order": (3, 0), "reset": ()}[clear])
    assert (cursor.error, cursor.state) == (0, "RESTART")
    assert cursor.store(1) is None
    assert xa.load(3) == 1


def test_gap_sticky_errors__a_second_failure_does_not_hide_the_first(xa, small_region):
    cursor = Cursor(xa, 70)
    cursor.set_error(errno.EEXIST)
    small_region.fail_alloc = 1
    cursor.store(1)
    assert cursor.error == errno.EEXIST
    assert small_region.fail_alloc == 1  # it was not even tried


# ---- no memory at each node of a store -------------------------------------------------------------------------------

# (name, (index, order) of what is there before, index, order): nodes are needed below, above, at both, and over a tree
STORES = [
    ("one index in an empty array", [], 1, 0),
    ("the last index in an empty array", [], LAST, 0),
    ("growing over a single entry", [(0, 0)], LAST, 0),
    ("growing over a tree", [(0, 0), (70, 0)], 1 << 40, 0),
    ("a branch below a tree", [(0, 0), (1 << 40, 0)], 1 << 39, 0),
    ("a large entry far away", [(5, 0)], 1 << 50, 9),
    ("an entry over all that is there", [(0, 0), (5, 0), (70, 0)], 0, 20),
    ("an entry over a single entry", [(0, 0)], 0, 2),
]
CALLS = {
    "store": lambda xa, index, order: xa.store(index, 1, order),
    "insert": lambda xa, index, order: xa.insert(index, 1, order),
    "cursor": lambda xa, index, order: through_a_cursor(xa, index, order),
    "store_range": lambda xa, index, order: xa.store_range(index, index + (1 << order) - 1, 1),
    "reserve": lambda xa, index, order: xa.reserve(index),
    "cmpxchg": lambda xa, index, order: xa.cmpxchg(index, None, 1),
    "alloc": lambda xa, index, order: xa.alloc(1, index, index),
    "bulk_store": lambda xa, index, order: xa.bulk_store([index], [1]),
}


def through_a_cursor(xa, index, order):
    """Store through a cursor, which must carry the error until it is reset and then do its work."""
    cursor = Cursor(xa, index, order)
    cursor.store(1)
    if cursor.error:
        assert cursor.state == "ERROR"
        assert cursor.load() is None
        assert cursor.store(2) is None  # memory is there again, and still nothing is done
    cursor.check()


def metadata(region):
    """Header, heads of arrays and nodes, byte for byte."""
    where = region.geometry()
    parts = [(0, 1, where["nodes"][0]), where["mappings"], where["spaces"], where["xanodes"]]
    return b"".join(region.memory[offset : offset + count * size].tobytes() for offset, count, size in parts)


def applies(call, before, order):
    """An insert over what is there is busy, the other calls store one index."""
    return not (call == "insert" and (0, 0) in before and order in (2, 20)) and (
        order == 0 or call in ("store", "insert", "cursor", "store_range")
    )


CASES = [
    pytest.param(call, before, index, order, id=f"{call}, {name}")
    for name, before, index, order in STORES
    for call in CALLS
    if applies(call, before, order)
]


def attempt(xa, region, call, index, order):
    """Make the call; True when it was done. When not, nothing at all may have changed."""
    was = metadata(region)
    with contextlib.suppress(ArenaFullError):
        CALLS[call](xa, index, order)
        return True
    assert metadata(region) == was
    return False


@pytest.mark.parametrize(("call", "before", "index", "order"), CASES)
@pytest.mark.parametrize("recycled", [False, True])
def test_gap_no_memory_at_each_node_of_a_store__refused(make_region, call, before, index, order, recycled):
    """The n-th node that is asked for is refused, n = 1, 2, ... until nothing is left to refuse."""
    with make_region(mappings=1, xa_nodes=40) as region:
        refuse_each(region, call, before, index, order, recycled)


def refuse_each(region, call, before, index, order, recycled):
    xa = XArray(region)
    if recycled:  # nodes from the free list as well as unused ones
        xa.bulk_store(np.arange(3) << 6, range(3))
        xa.destroy()
    for at, size in before:
        xa.store(at, at, size)
        xa.set_mark(at, 1)
    used, refusals = xa.nodes_in_use, 0
    while True:
        region.fail_alloc = refusals + 1
        if attempt(xa, region, call, index, order):
            break
        check_trees(region, used)
        assert [xa.load(at) for at, _ in before] == [at for at, _ in before]
        refusals += 1
    region.fail_alloc = 0
    assert refusals > 0
    assert Cursor(xa, index).load() == (RESERVED if call == "reserve" else 1)
    replaced = order > 0 and index == 0
    assert [xa.load(at) for at, _ in before] == [1 if replaced else at for at, _ in before]
    if not replaced:  # a store takes what it needs, and asks for nothing else
        assert xa.nodes_in_use == used + refusals
        xa.erase(index)
        check_trees(region, used)


@pytest.mark.parametrize(("call", "before", "index", "order"), CASES)
def test_gap_no_memory_at_each_node_of_a_store__used_up(make_region, call, before, index, order):
    """The pool has k nodes left, k = 0, 1, ... until they are enough; then all of them are in the tree."""
    for left in range(30):
        with make_region(mappings=2, xa_nodes=40) as region:
            xa, other = XArray(region), XArray(region)
            for at, size in before:
                xa.store(at, at, size)
            for i in range(40):  # one node each, below tops that take two
                if xa.nodes_in_use >= 40 - left:
                    break
                other.store(i << 6, i)
            if xa.nodes_in_use != 40 - left:
                continue
            done = attempt(xa, region, call, index, order)
            check_trees(region, xa.nodes_in_use)
            other.destroy()
            if not done:
                CALLS[call](xa, index, order)
            check_trees(region, xa.nodes_in_use)
            if done:
                break
    else:
        pytest.fail("never enough")
    assert left > 0


def test_gap_no_memory_at_each_node_of_a_store__a_range_keeps_the_pieces_before(xa, small_region):
    small_region.fail_alloc = 2
    with pytest.raises(ArenaFullError):
        xa.store_range(60, 200, 1)
    assert items(xa) == [(60, 1)]
    xa.store_range(60, 200, 2)
    assert set(loads(xa, 60, 141)) == {2}


def test_gap_no_memory_at_each_node_of_a_store__many_stores_keep_what_they_stored(xa, small_region):
    small_region.fail_alloc = 3
    with pytest.raises(ArenaFullError, match="number 64 of 1000"):
        xa.bulk_store(range(1000), range(1000))
    assert items(xa) == [(i, i) for i in range(64)]


def test_gap_no_memory_at_each_node_of_a_store__the_message_says_what_would_help(make_region):
    with make_region(mappings=2, xa_nodes=12) as region:
        xa = XArray(region)
        xa.store(1, 1)
        xa.store(1 << 20, 2)
        was = metadata(region)
        with pytest.raises(ArenaFullError, match="the arena has 12; create it with more xa_nodes"):
            xa.store(LAST, 3)
        assert metadata(region) == was
        xa.destroy()
        xa.store(LAST, 3)
        assert xa.nodes_in_use == 11
