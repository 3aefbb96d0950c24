"""Compare and exchange, insert and reservations."""

import errno

import pytest

from pagexchange_native.xarray.array import RESERVED
from pagexchange_native.xarray.cursor import Cursor
from tests.native.xarray_suite.helpers import LAST, items, store


def test_check_cmpxchg__stores_only_on_a_match(xa):
    assert store(xa, 12345678) is None
    assert xa.cmpxchg(5, None, 5) is None
    with pytest.raises(OSError) as error:
        xa.insert(12345678, 1)
    assert error.value.errno == errno.EBUSY
    assert xa.cmpxchg(12345678, 4, 5) == 12345678
    assert xa.load(12345678) == 12345678
    assert xa.cmpxchg(12345678, None, 5) == 12345678
    assert xa.cmpxchg(12345678, 12345678, 5) == 12345678
    assert xa.load(12345678) == 5
    assert xa.cmpxchg(5, None, 6) == 5
    assert xa.cmpxchg(5, 5, None) == 5
    assert xa.load(5) is None
    assert xa.cmpxchg(7, 5, 6) is None
    assert xa.load(7) is None
    assert items(xa) == [(12345678, 5)]
    assert xa.cmpxchg(12345678, 5, None) == 5
    assert xa.empty


def test_check_cmpxchg__nothing_for_nothing_changes_nothing(xa):
    for index in (0, 5, LAST):
        assert xa.cmpxchg(index, None, None) is None
        assert xa.empty
    store(xa, 7)
    assert xa.cmpxchg(5, None, None) is None
    assert items(xa) == [(7, 7)]


def test_check_cmpxchg_order__kept_on_all_indexes_and_cleared_from_all(xa):
    xa.store(8, 1, 3)
    xa.store(16, 2, 3)
    assert xa.cmpxchg(13, 1, 9) == 1
    assert [(xa.load(i), xa.get_order(i)) for i in range(8, 16)] == [(9, 3)] * 8
    assert xa.cmpxchg(10, 9, None) == 9
    assert [(xa.load(i), xa.get_order(i)) for i in range(8, 16)] == [(None, 0)] * 8
    assert [(xa.load(i), xa.get_order(i)) for i in range(16, 24)] == [(2, 3)] * 8
    assert xa.load(24) is None


@pytest.mark.parametrize("index", [0, 1, 12345678, LAST])
def test_check_reserve__is_not_empty_and_reads_as_nothing(xa, index):
    xa.reserve(index)
    assert not xa.empty
    assert xa.load(index) is None
    assert items(xa) == []
    assert list(xa.bulk_load([index])) == [-1]
    assert xa.words([index])[0] == xa.words([index], cursor=False)[0] == 0
    assert Cursor(xa, index).load() is RESERVED
    xa.reserve(index)
    xa.release(index)
    assert xa.empty
    assert xa.nodes_in_use == 0
    xa.release(index)
    assert xa.empty


def test_check_reserve__a_used_slot_is_neither_reserved_nor_released(xa, small_region):
    xa.reserve(12345678)
    small_region.fail_alloc = 1
    assert store(xa, 12345678) is None
    assert small_region.fail_alloc == 1
    xa.release(12345678)
    assert xa.load(12345678) == 12345678
    xa.reserve(12345678)
    assert xa.load(12345678) == 12345678
    xa.release(12345678)
    assert xa.erase(12345678) == 12345678
    assert xa.empty


def test_check_reserve__cmpxchg_tells_it_from_nothing(xa):
    xa.reserve(5)
    assert xa.cmpxchg(5, None, 1) is None
    assert Cursor(xa, 5).load() is RESERVED
    assert xa.cmpxchg(5, RESERVED, 1) is None
    assert xa.load(5) == 1
    xa.release(5)
    assert xa.load(5) == 1
    assert xa.cmpxchg(5, 1, RESERVED) == 1
    assert xa.load(5) is None
    assert not xa.empty
    assert xa.cmpxchg(6, RESERVED, 1) is None
    assert xa.load(6) is None


def test_check_reserve__insert_meets_it_and_erase_removes_it(xa):
    xa.reserve(12345678)
    with pytest.raises(OSError) as error:
        xa.insert(12345678, 1)
    assert error.value.errno == errno.EBUSY
    assert xa.load(12345678) is None
    assert xa.erase(12345678) is None
    assert xa.empty
    xa.insert(12345678, None)  # reserves as well
    with pytest.raises(OSError, match="index 12345678"):
        xa.insert(12345678, None)
    assert xa.erase(12345678) is None
    assert xa.empty


def test_check_reserve__insert_of_a_range_meets_any_of_its_indexes(xa):
    xa.store(8, 1, 2)
    xa.reserve(20)
    for index, order in [(8, 0), (11, 0), (0, 4), (20, 0), (16, 3), (8, 2), (9, 1), (0, 63)]:
        with pytest.raises(OSError) as error:
            xa.insert(index, 2, order)
        assert error.value.errno == errno.EBUSY
    assert items(xa) == [(8, 1)]
    xa.insert(12, 2, 2)
    assert [xa.load(i) for i in range(11, 17)] == [1, 2, 2, 2, 2, None]


def test_check_reserve__iteration_passes_it_over(xa):
    for index in range(5, 75):
        if index % 5:
            store(xa, index)
        else:
            xa.reserve(index)
    expected = [(i, i) for i in range(5, 75) if i % 5]
    assert items(xa) == expected
    assert xa.find(5) == (6, 6)
    assert xa.find_after(9) == (11, 11)
    assert xa.find_after(74) is None
    xa.set_mark(10, 1)  # a reserved slot may be marked, and is passed over all the same
    assert items(xa, mark=1) == []
    assert xa.find(70, 70) is None
    for index in range(5, 75):
        xa.release(index)
    assert items(xa) == expected


def test_check_reserve__a_reserved_last_index_ends_the_search(xa):
    xa.reserve(LAST)
    assert xa.find() is None
    assert xa.find_after(0) is None
    store(xa, 3)
    assert list(xa) == [3]


@pytest.mark.parametrize("base", [0, 1])
def test_check_reserve__an_allocation_passes_it_over_until_it_is_released(xa, base):
    xa.reserve(base)
    xa.reserve(base + 2)
    assert [xa.alloc(7, base) for _ in range(3)] == [base + 1, base + 3, base + 4]
    xa.release(base)
    assert xa.alloc(8, base) == base
    assert xa.load(base + 2) is None
    xa.release(base + 2)
    assert xa.alloc(9, base) == base + 2
