"""Multi-index entries: one value over 2^order indexes, stored, replaced, erased, asked for through any of them."""

import itertools

import numpy as np
import pytest

from pagexchange_native.errors import ArenaFullError
from pagexchange_native.xarray.array import RESERVED
from pagexchange_native.xarray.cursor import Cursor
from tests.native.xarray_suite.helpers import LAST, each, erase, items, loads, store, top_of, value_at

ORDERS = range(20)


# ---- stores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_check_multi_store_1(xa, order):
    for index in (200, 0, (1 << order) + 1):
        low = index >> order << order
        high = low + (1 << order)
        xa.store(index, 0, order)
        for value, through in enumerate((low, high - 1, (low + high) // 2, index), 1):
            assert xa.store(through, value) == value - 1
            assert items(xa) == [(low, value)]
            assert set(loads(xa, low, 1 << order)) == {value}
            assert xa.load(high) is None
            assert low == 0 or xa.load(low - 1) is None
        assert xa.erase((low + high) // 2) == 4
        assert xa.empty
        assert xa.nodes_in_use == 0


def test_check_multi_store_2(xa):
    store(xa, 4095, 9)
    cursor = Cursor(xa, 4095)
    assert cursor.store(2) == 4095
    assert cursor.index == 4095
    assert list(loads(xa, 3583, 514)) == [-1, *[2] * 512, -1]
    cursor.set(4000)
    assert cursor.store(3) == 2
    assert cursor.index == 4000
    assert (xa.load(3584), xa.get_order(4000)) == (3, 9)
    assert cursor.store(None) == 3
    assert cursor.index == 4000
    assert xa.empty


@pytest.mark.parametrize("order", range(16))
def test_check_multi_store_3(xa, order):
    first = 3 << order
    store(xa, first, order)
    for start in {0, first, first + (1 << order) // 2, first + (1 << order) - 1}:
        assert [value for _, value in each(Cursor(xa, start))] == [first]
        assert [value for _, value in xa.items(start)] == [first]
    assert Cursor(xa, first + (1 << order)).find() is None
    assert xa.find(first + (1 << order)) is None


def test_check_multi_store__a_node_counts_every_slot_that_is_used(xa, small_region):
    store(xa, 0, 1)
    assert [xa.load(i) for i in range(3)] == [0, 0, None]
    assert top_of(small_region)["count"] == 2
    store(xa, 3)
    assert [xa.load(i) for i in range(5)] == [0, 0, None, 3, None]
    assert top_of(small_region)["count"] == 3
    xa.store(0, 1, 2)
    assert [xa.load(i) for i in range(5)] == [1, 1, 1, 1, None]
    assert top_of(small_region)["count"] == 4
    xa.store(0, None, 63)
    assert xa.empty


def test_check_multi_store__the_first_slot_may_be_empty(xa):
    store(xa, 1)
    store(xa, 2, 1)
    assert list(loads(xa, 0, 5)) == [-1, 1, 2, 2, -1]
    erase(xa, 1)
    assert items(xa) == [(2, 2)]
    store(xa, 0, 1)
    erase(xa, 0)
    assert items(xa) == [(2, 2)]


def test_check_multi_store__nothing_of_order_63_empties_all(xa):
    for order in range(60):
        store(xa, 0, order)
        xa.store(0, None, 63)
        assert xa.empty
        store(xa, 1 << order, order)
        xa.store(0, None, 63)
        assert xa.empty
    for order in range(60):
        store(xa, 1 << order, order)
    xa.store(0, None, 63)
    assert xa.empty
    store(xa, 1 << 63, 63)
    xa.store(LAST, None, 63)
    assert xa.empty


def test_check_multi_store__nothing_over_a_range_removes_all_that_touches_it(xa):
    for order in range(60):
        first, following = 3 << order, 4 << order
        for inside in {first, first + 1, first + 70, first + (1 << order) // 2, following - 1}:
            if inside < following:
                store(xa, inside)
        store(xa, first - 1)
        store(xa, following)
        nodes = xa.nodes_in_use
        xa.store(first, None, order)
        assert list(xa) == [first - 1, following]
        assert xa.nodes_in_use <= nodes
        erase(xa, following)
        erase(xa, first - 1)
        assert xa.nodes_in_use == 0


def test_check_multi_store__all_pairs_of_orders_over_one_another(xa):
    ends = np.array([(1 << k) - 1 for k in range(61)])
    for first, second in itertools.product(range(60), repeat=2):
        xa.store(0, 1, first)
        assert xa.store(0, 2, second) == 1
        largest = max(first, second)  # a smaller store takes the place of the whole entry
        assert np.array_equal(xa.bulk_load(ends), np.where(np.arange(61) <= largest, 2, -1))
        assert xa.get_order(0) == largest
        xa.erase(0)
        assert xa.empty


def test_check_multi_store__over_smaller_ones_at_both_ends(xa):
    for small, large in itertools.combinations(range(60), 2):
        xa.store(0, 1, small)
        xa.store((1 << large) - 1, 2, small)
        xa.store(1 << large, 3)
        assert xa.store(0, 9, large) == 1
        assert items(xa) == [(0, 9), (1 << large, 3)]
        assert xa.get_order((1 << large) - 1) == large
        xa.store((1 << large) - 1, None, large)
        assert items(xa) == [(1 << large, 3)]
        xa.erase(1 << large)


@pytest.mark.parametrize("order", [0, 1, 5, 6, 7, 11, 12, 13, 18])
def test_check_multi_store__adjacent_entries_keep_apart(xa, order):
    size = 1 << order
    for k in range(1, 4):
        store(xa, k * size, order)
    xa.store(2 * size, 5)
    xa.store(2 * size, None, order)
    assert [xa.load(i) for i in (size - 1, size, 2 * size - 1, 2 * size, 3 * size - 1, 3 * size)] == [
        *(None, size, size, None, None, 3 * size)
    ]
    assert xa.load(4 * size) is None


def test_check_multi_store__a_smaller_nothing_removes_the_whole_entry(xa):
    for order in range(1, 20):
        for smaller in range(order):
            store(xa, 1 << 20, order)
            assert xa.store((1 << 20) + (1 << order) - 1, None, smaller) == 1 << 20
            assert xa.empty


# ---- as a page cache does --------------------------------------------------------------------------------------------


def add(xa, index, order):
    """Add a folio where nothing is, through a cursor of its order; -ENOMEM is all that may happen."""
    cursor = Cursor(xa, index, order)
    assert list(cursor.for_each_conflict()) == []
    assert cursor.store(value_at(index)) is None
    cursor.check()


def get_entry(xa, index, between=None):
    """Look a folio up as one does who takes a reference: load, take, load again, and once more when it was another."""
    cursor = Cursor(xa, index)
    while True:
        value = cursor.load()
        if value is None or value is RESERVED:
            return None
        if between is not None:
            between()
        if cursor.reload() == value:
            return value
        cursor.reset()


def del_entry(xa, index):
    """Delete the folio at an index by its own order; that order."""
    cursor = Cursor(xa, index)
    order = cursor.get_order()
    cursor.set_order(index, order)
    cursor.store(None)
    cursor.check()
    return order


def delete(xa, first, last):
    """Delete every folio that touches first..last; their orders."""
    orders = []
    while (found := xa.find(first, last)) is not None:
        orders.append(del_entry(xa, found[0]))
    return orders


def test_check_xa_multi_store_adv_add__without_memory_nothing_is_added(xa, small_region):
    store(xa, 3)
    before, refusals = items(xa), 0
    while True:
        small_region.fail_alloc = refusals + 1
        try:
            add(xa, 1 << 40, 13)
            break
        except ArenaFullError:
            refusals += 1
            assert items(xa) == before
    small_region.fail_alloc = 0
    assert refusals > 1
    assert items(xa) == [*before, (1 << 40, 1 << 40)]


def test_check_xa_multi_store_adv_del_entry__takes_the_whole_folio(xa):
    for order in ORDERS:
        add(xa, 5 << order, order)
        assert del_entry(xa, (6 << order) - 1) == order
        assert xa.empty


def test_check_xa_multi_store_adv_delete__each_by_its_order(xa):
    for order in ORDERS:
        add(xa, order << 20, order)
    assert delete(xa, 3 << 20, 5 << 20) == [3, 4, 5]
    assert delete(xa, 0, LAST) == [0, 1, 2, *range(6, 20)]
    assert xa.empty


def test_test_get_entry__one_that_changes_under_the_reader_is_read_again(xa):
    changes = iter([lambda: xa.store(70, 2), lambda: xa.store(64, 3, 3), lambda: None])
    store(xa, 70)
    assert get_entry(xa, 70, lambda: next(changes)()) == 3
    assert next(changes, None) is None
    assert get_entry(xa, 70, lambda: xa.erase(70)) is None
    assert get_entry(xa, 71) is None
    xa.reserve(71)
    assert get_entry(xa, 71) is None


def test_check_xa_multi_store_adv__holes_before_and_after(xa):
    for order in ORDERS:
        size = 1 << order
        for k in (1, 2, 4):
            add(xa, k * size, order)
        edges = [i for k in range(1, 5) for i in (k * size, (k + 1) * size - 1)]
        want = [k * size if k != 3 else None for k in range(1, 5) for _ in "ab"]
        assert [get_entry(xa, i) for i in edges] == want
        assert get_entry(xa, size - 1) is None
        assert get_entry(xa, 5 * size) is None
        assert delete(xa, 2 * size, 4 * size - 1) == [order]
        assert [get_entry(xa, i) for i in edges] == [None if w == 2 * size else w for w in want]
        assert delete(xa, 0, LAST) == [order] * 2


@pytest.mark.parametrize("order", ORDERS)
def test_check_multi_store_advanced(xa, order):
    size = 1 << order
    place = 7
    while place < 1 << 62:
        first = place >> order << order
        add(xa, first, order)
        assert set(loads(xa, first, size)) == {value_at(first)}
        assert set(loads(xa, first - size, size)) <= {-1}
        assert set(loads(xa, first + size, size)) == {-1}
        add(xa, first + size, order)
        add(xa, first + 2 * size, order)
        del_entry(xa, first + size)
        assert set(loads(xa, first, size)) == {value_at(first)}
        assert set(loads(xa, first + size, size)) == {-1}
        assert set(loads(xa, first + 2 * size, size)) == {value_at(first + 2 * size)}
        assert delete(xa, first, first + 3 * size - 1) == [order] * 2
        assert set(loads(xa, first, 3 * size)) == {-1}
        assert xa.empty
        place = place * place + 564


# ---- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_check_get_order(xa, order):
    size = 1 << order
    for k in range(10):
        first = k * size
        assert xa.get_order(first) == 0
        store(xa, first, order)
        assert set(map(xa.get_order, range(first, first + size))) == {order}
        assert xa.get_order(first + size) == 0
        assert first == 0 or xa.get_order(first - 1) == 0
        xa.erase(first)


@pytest.mark.parametrize("order", [59, 60, 61, 62, 63])
def test_check_get_order__of_the_largest(xa, order):
    store(xa, 0, order)
    assert [xa.get_order(i) for i in (0, 1, (1 << order) - 1, 1 << order)] == [order, order, order, 0]
    xa.destroy()
    store(xa, LAST, order)
    assert xa.get_order(LAST) == order
    assert items(xa) == [((1 << 64) - (1 << order), value_at(LAST))]


@pytest.mark.parametrize("order", ORDERS)
def test_check_xas_get_order(xa, order):
    size = 1 << order
    cursor = Cursor(xa)
    for k in range(10):
        first = k * size
        store(xa, first, order)
        cursor.set(first)
        step, get_order = cursor.next, cursor.get_order
        assert {(step(), get_order()) for _ in range(size)} == {(first, order)}
        assert cursor.index == first + size - 1
        assert (cursor.next(), cursor.get_order()) == (None, 0)
        xa.erase(first)


@pytest.mark.parametrize("order", ORDERS)
def test_check_xas_conflict_get_order(xa, order):
    for k in range(10):
        first = k << order
        store(xa, first, order)
        cursor = Cursor(xa)
        for smaller in range(order + 1):
            ranges = list(range(first, first + (1 << order), 1 << smaller))
            if order > 10 and len(ranges) > 6:
                middle = len(ranges) // 2
                ranges = [*ranges[:2], *ranges[middle - 1 : middle + 1], *ranges[-2:]]
            for index in ranges:
                cursor.set_order(index, smaller)
                assert list(cursor.for_each_conflict()) == [(first, order, first)]
        cursor.set_order(first, order + 1)
        assert list(cursor.for_each_conflict()) == [(first, order, first)]
        cursor.set_order((k + 1 + k % 2) << order, order)
        assert list(cursor.for_each_conflict()) == []
        xa.erase(first)


# ---- stores over what is there ---------------------------------------------------------------------------------------


def check_store(xa, start, order, present):
    """Store over `present` entries: that many conflicts before, one entry after."""
    first = start >> order << order
    cursor = Cursor(xa, start, order)
    assert len(list(cursor.for_each_conflict())) == present
    assert (cursor.index, cursor.state) == (first, "RESTART")
    cursor.store(value_at(start))
    cursor.check()
    assert list(xa.items(first, first + (1 << order) - 1)) == [(first, value_at(start))]
    assert xa.get_order(first) == order
    xa.erase(start)


def test___check_store_iter__entries_before_and_after_stay(xa):
    for index in (62, 63, 64, 67, 68, 4096):
        store(xa, index)
    check_store(xa, 64, 2, 2)
    assert list(xa) == [62, 63, 68, 4096]


def test_check_store_iter(xa):
    for order in ORDERS:
        low, high = 1 << order, 2 << order
        check_store(xa, 0, order, 0)
        check_store(xa, low, order, 0)
        for index in (low, high - 1, (low + high) // 2):
            store(xa, index)
            check_store(xa, low, order, 1)
        assert xa.empty
        for smaller in range(order):
            for index in (low, high - (1 << smaller)):
                store(xa, index, smaller)
                check_store(xa, low, order, 1)
            for index in (low, high - (1 << smaller)):
                store(xa, index, smaller)
            check_store(xa, low, order, 2)
        assert xa.empty
        for index in range(low, min(high, low + 100)):
            store(xa, index)
        check_store(xa, low, order, min(low, 100))
    store(xa, 63)
    store(xa, 65)
    check_store(xa, 64, 2, 1)
    assert items(xa) == [(63, 63)]
