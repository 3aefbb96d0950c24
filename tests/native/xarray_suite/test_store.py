"""Single entries: stored, loaded, erased, inserted; the tree grows and shrinks with them."""

import errno

import numpy as np
import pytest

from pagexchange_native.errors import ArenaFullError
from pagexchange_native.xarray.array import MAX_VALUE
from pagexchange_native.xarray.cursor import Cursor
from tests.native.xarray_suite.helpers import (
    LAST,
    each,
    erase,
    head_of,
    items,
    loads,
    nodes_of,
    store,
    top_of,
    value_at,
)

FAR = sorted({(1 << i) - d for i in range(10, 64) for d in (0, 1)} | {LAST})


def test_xa_mk_index__neighbours_differ_and_each_can_be_stored(xa):
    for index in (0, 1, 63, 64, 1 << 62, LAST - 1, LAST):
        store(xa, index)
        assert xa.load(index) == value_at(index) != value_at(index ^ 1)
    for value in (0, MAX_VALUE):
        xa.store(3, value)
        assert xa.load(3) == value
        assert list(xa.bulk_load([3])) == [value]


def test_xa_store_index__tells_what_was_there(xa):
    assert store(xa, 70) is None
    assert store(xa, 70) == 70
    assert xa.store(70, 1) == 70
    assert xa.store(70, None) == 1


def test_xa_insert_index__is_refused_a_second_time(xa):
    xa.insert(70, 70)
    with pytest.raises(OSError, match="index 70: already used") as error:
        xa.insert(70, 71)
    assert error.value.errno == errno.EBUSY
    assert items(xa) == [(70, 70)]


def test_xa_alloc_index__is_the_index_that_was_free(xa):
    assert xa.alloc(5) == 0
    assert xa.load(0) == 5


def test_xa_erase_index__gives_the_value_and_leaves_nothing(xa):
    store(xa, 70)
    assert xa.erase(70) == 70
    assert xa.erase(70) is None
    assert xa.empty


def test_xa_store_order__covers_the_range(xa):
    assert store(xa, 64, 4) is None
    assert list(loads(xa, 63, 18)) == [-1, *[64] * 16, -1]


def test_check_xa_err__only_what_needs_a_node_can_fail(xa, small_region):
    small_region.fail_alloc = 1
    assert store(xa, 0) is None
    assert xa.erase(0) == 0
    assert small_region.fail_alloc == 1  # nothing was asked for
    with pytest.raises(ArenaFullError) as error:
        store(xa, 1)
    assert error.value.errno == errno.ENOMEM
    assert xa.empty
    assert store(xa, 1) is None
    small_region.fail_alloc = 1
    assert xa.store(1, 5) == 1
    assert xa.erase(1) == 5
    assert xa.erase(1) is None
    assert small_region.fail_alloc == 1


def test_check_xa_load__all_1024_after_each_store_and_erase(xa):
    expected = np.full(1025, -1)
    indexes = np.arange(1025)
    for step in range(2048):
        i = step % 1024
        if step < 1024:
            assert store(xa, i) is None
            expected[i] = i
        else:
            assert xa.erase(i) == i
            expected[i] = -1
        assert np.array_equal(xa.bulk_load(indexes), expected)
        assert xa.load(i) == (i if step < 1024 else None)
    assert xa.empty
    assert xa.nodes_in_use == 0


def test_check_xa_shrink__erasing_the_second_entry_leaves_the_first_in_the_head(xa, small_region):
    store(xa, 0)
    alone = head_of(small_region)
    xa.store(1, 2)
    cursor = Cursor(xa, 1)
    assert cursor.store(None) == 2
    assert cursor.state == "BOUNDS"
    assert head_of(small_region) == alone
    assert xa.load(0) == 0
    cursor.set(0)
    assert cursor.load() == 0
    assert cursor.state == "HEAD"


@pytest.mark.parametrize(("index", "order"), [(0, 0), (0, 3), (70, 0), (0, 63), (LAST, 0)])
def test_check_xa_shrink__erasing_the_only_entry_leaves_nothing_to_stand_on(xa, index, order):
    store(xa, index, order)
    cursor = Cursor(xa, index)
    assert cursor.store(None) == value_at(index)
    assert (cursor.state, cursor.index) == ("BOUNDS", index)
    store(xa, index)
    assert cursor.find() is None


@pytest.mark.parametrize("order", range(15))
def test_check_xa_shrink__the_far_entry_goes_and_the_head_is_the_former_one(xa, small_region, order):
    store(xa, 0, order)
    before, nodes = head_of(small_region), xa.nodes_in_use
    store(xa, LAST)
    assert xa.nodes_in_use > nodes
    erase(xa, LAST)
    assert head_of(small_region) == before
    assert xa.nodes_in_use == nodes
    assert set(loads(xa, 0, 1 << order)) == {0}
    assert xa.load(1 << order) is None


@pytest.mark.parametrize("reserved", [False, True])
def test_check_xa_shrink__as_far_as_the_next_entry_not_further(xa, small_region, reserved):
    for index, shift in ((0, None), (63, 0), (64, 6), (1 << 12, 12), (1 << 36, 36)):
        if reserved and index == 0:
            xa.reserve(0)
        else:
            store(xa, index)
        store(xa, LAST)
        assert top_of(small_region)["shift"] == 60
        erase(xa, LAST)
        if shift is not None:
            assert top_of(small_region)["shift"] == shift
    for index in (1 << 36, 1 << 12, 64, 63):
        assert xa.erase(index) == index
    assert xa.nodes_in_use == 0
    assert xa.load(0) == (None if reserved else 0)
    assert not xa.empty


def test_check_insert__neighbours_stay_empty(xa):
    for index in [*range(1024), *FAR]:
        xa.insert(index, value_at(index))
        assert xa.load(index) == value_at(index)
        assert index == LAST or xa.load(index + 1) is None
        assert index == 0 or xa.load(index - 1) is None
        assert items(xa) == [(index, value_at(index))]
        assert xa.erase(index) == value_at(index)
        assert xa.empty
        assert xa.nodes_in_use == 0


def test_check_xas_erase__iterating_and_erasing_sees_all_in_order(xa):
    for start in range(200):
        stored = [*range(start, 2 * start + 17), LAST]
        for index in stored:
            store(xa, index)
        cursor = Cursor(xa)
        seen = []
        for index, _ in each(cursor):
            seen.append(index)
            cursor.store(None)
        assert seen == stored
        assert xa.empty
        assert cursor.state == "BOUNDS"


def test_check_xas_erase__so_does_iterating_over_items(xa):
    stored = [i for start in range(0, 4000, 200) for i in range(start, start + 17)] + [LAST]
    for index in stored:
        store(xa, index)
    seen = []
    for index, value in xa.items():
        assert value == value_at(index)
        seen.append(index)
        xa.erase(index)
    assert seen == stored
    assert xa.empty


def test___check_store_range__last_before_first_is_refused(xa):
    with pytest.raises(OSError) as error:
        xa.store_range(2, 1, 5)
    assert error.value.errno == errno.EINVAL
    assert xa.empty


def test___check_store_range__everything_is_two_entries(xa):
    xa.store_range(0, LAST, 1)
    assert items(xa) == [(0, 1), (1 << 63, 1)]
    assert xa.get_order(LAST) == 63
    xa.store_range(0, LAST, None)


@pytest.mark.parametrize("offset", [0, 128, 4095, 4096, 123456, 1 << 24])
def test_check_store_range(xa, offset):
    window = np.arange(max(offset, 1) - 1, offset + 130)
    for first in range(128):
        for last in range(first, 128):
            xa.store_range(offset + first, offset + last, 6)
            inside = (window >= offset + first) & (window <= offset + last)
            assert np.array_equal(xa.bulk_load(window), np.where(inside, 6, -1))
            xa.store_range(offset + first, offset + last, None)
            assert xa.empty


@pytest.mark.parametrize("index", [0, 12345, LAST])
def test_check_align__a_reserved_slot_is_stored_to_without_memory(xa, small_region, index):
    xa.reserve(index)
    small_region.fail_alloc = 1
    for call in (lambda: xa.cmpxchg(index, Cursor(xa, index).load(), 2), lambda: xa.store(index, 3)):
        call()
        assert xa.load(index) in (2, 3)
    assert small_region.fail_alloc == 1
    xa.release(index)  # in use: nothing happens
    assert xa.load(index) == 3


@pytest.mark.parametrize("order", range(1, 12))
def test_check_account__a_node_counts_its_slots_siblings_included(xa, small_region, order):
    store(xa, 1 << order, order)
    leaf = next(node for node in nodes_of(small_region) if node["used"] and node["shift"] == order - order % 6)
    assert leaf["count"] == 1 << order % 6
    xa.store(1 << order, 5)
    assert leaf["count"] == 1 << order % 6
    store(xa, 2 << order)
    erase(xa, 2 << order)
    assert leaf["count"] == 1 << order % 6
    assert xa.erase((2 << order) - 1) == 5
    assert not nodes_of(small_region)["used"].any()


def test_check_destroy__of_nothing_and_of_one_entry(xa):
    xa.destroy()
    assert xa.empty
    for index in [*range(1000), LAST]:
        store(xa, index)
        xa.set_mark(index, 1)
        xa.destroy()
        assert xa.empty
        assert not xa.marked(1)
        assert xa.load(index) is None
        assert xa.nodes_in_use == 0


@pytest.mark.parametrize("order", [11, 63])
def test_check_destroy__of_large_entries_and_a_whole_tree(xa, order):
    store(xa, 0, order)
    store(xa, LAST)
    for index in range(1 << 63, (1 << 63) + 5000, 7):
        store(xa, index)
    xa.destroy()
    assert xa.empty
    assert xa.nodes_in_use == 0
