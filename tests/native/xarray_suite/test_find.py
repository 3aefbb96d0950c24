"""Search and iteration: what is found from where, once, in order, also while the array changes."""

import itertools

import pytest

from pagexchange_native.xarray.cursor import Cursor
from tests.native.xarray_suite.helpers import LAST, each, erase, items, store, value_at


@pytest.mark.parametrize("order", range(2, 10))
def test_check_multi_find_1(xa, order):
    multi, following = 3 << order, 4 << order
    store(xa, multi, order)
    store(xa, following)
    assert xa.find() == (multi, multi)
    for inside in range(multi, following):
        assert xa.find(inside) == (inside, multi)
        assert xa.find_after(inside) == (following, following)
    assert xa.find_after(following) is None
    assert xa.find(0, multi - 1) is None
    assert xa.find(0, multi) == (multi, multi)
    assert xa.find_after(multi, following - 1) is None
    assert xa.find_after(multi, following) == (following, following)
    erase(xa, following)
    assert xa.find_after(multi) is None


def test_check_multi_find_2(xa):
    for order in range(10):
        first = 1 << order
        for inside in range(first, 2 * first):
            store(xa, first, order)
            store(xa, 2 * first)
            seen = []
            for index, value in xa.items(inside):
                seen.append((index, value))
                xa.erase(index)
            assert seen == [(inside, first), (2 * first, 2 * first)]
            assert xa.empty


@pytest.mark.parametrize("order", range(5, 64))
def test_check_multi_find_3(xa, order):
    store(xa, 0, order)
    for start in (0, 1, 1 << (order - 1), (1 << order) - 1):
        assert xa.find_after(start) is None
        assert xa.find(start) == (start, 0)


def test_check_find_1(xa):
    for i in range(100):
        store(xa, i)
        xa.set_mark(i, 0)
        for j in range(i):
            store(xa, j)
            for start in range(100):
                present = j if start <= j else i if start <= i else None
                marked = i if start <= i else None
                assert xa.find(start) == (None if present is None else (present, present))
                assert xa.find(start, mark=0) == (None if marked is None else (marked, marked))
            erase(xa, j)
        assert xa.get_mark(i, 0)
        erase(xa, i)
        assert not xa.get_mark(i, 0)
        assert not xa.marked(0)
    assert xa.empty


def test_check_find_1__no_further_than_the_end(xa):
    store(xa, 30)
    store(xa, 70)
    for start, end in itertools.product(range(100), repeat=2):
        first = next((i for i in (30, 70) if start <= i <= end), None)
        after = next((i for i in (30, 70) if start < i <= end), None)
        assert xa.find(start, end) == (None if first is None else (first, first))
        assert xa.find_after(start, end) == (None if after is None else (after, after))


def test_check_find_2(xa):
    for count in range(1, 1025):
        store(xa, count - 1)
        if count <= 130 or count in (511, 512, 513, 1024):
            assert items(xa) == [(i, i) for i in range(count)]
            assert list(xa) == list(range(count))


def test_check_find_3(xa):
    for i in range(100):
        for j in range(100):
            cursor = Cursor(xa, j)
            assert cursor.find_marked(i, 0) is None
            if j > i:
                assert (cursor.state, cursor.index) == ("RESTART", j)
        store(xa, i)
        xa.set_mark(i, 0)
        cursor = Cursor(xa, i)
        assert cursor.find_marked(i, 0) == i
        assert cursor.find_marked(i, 0) is None
        assert cursor.state == "RESTART"
        xa.clear_mark(i, 0)


def test_check_find_3__an_end_before_the_entry_that_it_stands_on_is_the_end(xa):
    for index in (3, 70, 80):
        store(xa, index)
        xa.set_mark(index, 0)
    cursor = Cursor(xa, 70)
    assert cursor.find() == 70
    assert cursor.find(50) is None
    assert (cursor.state, cursor.index) == ("BOUNDS", 70)
    assert cursor.find() is None
    cursor.set(70)
    assert cursor.find_marked(LAST, 0) == 70
    assert cursor.find_marked(50, 0) is None
    assert (cursor.state, cursor.index) == ("RESTART", 70)
    cursor.set(70)
    assert cursor.find(70) == 70
    assert cursor.find(70) is None
    assert cursor.find(79) is None
    assert cursor.find(80) == 80
    assert cursor.find() is None


def test_check_find_4(xa):
    store(xa, LAST)
    assert xa.find() == (LAST, value_at(LAST))
    assert xa.find_after(0) == (LAST, value_at(LAST))
    assert xa.find_after(LAST - 1) == (LAST, value_at(LAST))
    assert xa.find_after(LAST) is None
    assert list(xa) == [LAST]
    store(xa, 0)
    assert list(xa) == [0, LAST]


# ---- search with pauses ----------------------------------------------------------------------------------------------


def find_entry(xa, value):
    """Index of a value, found by going through all with a pause after each four; -1 for none, or for the last index."""
    cursor = Cursor(xa)
    for checked, (index, found) in enumerate(each(cursor), 1):
        if found == value:
            return index if index != LAST else -1
        if checked % 4 == 0:
            cursor.pause()
    return -1


def test_xa_find_entry__absent_and_last_are_minus_one(xa):
    assert find_entry(xa, 0) == -1
    store(xa, LAST)
    assert find_entry(xa, value_at(LAST)) == -1
    store(xa, 7)
    assert find_entry(xa, 7) == 7
    assert find_entry(xa, 8) == -1


@pytest.mark.parametrize("order", range(20))
def test_check_find_entry(xa, order):
    for k in range(32):
        store(xa, k << order, order)
        for j in range(k + 1):
            assert find_entry(xa, j << order) == j << order
        assert find_entry(xa, (k + 1) << order) == -1
    xa.store(LAST, LAST >> 3)
    assert find_entry(xa, LAST >> 3) == -1


@pytest.mark.parametrize("descending", [False, True])
def test_check_pause(xa, descending):
    orders = range(63, -1, -1) if descending else range(64)
    at, stored = (0 if descending else 1), []
    for order in orders:
        xa.store(at, order, order)
        stored.append((at, order))
        at += 1 << order
    assert at == (LAST if descending else LAST + 1)
    assert items(xa) == stored
    for pauses in (False, True):
        for start in {stored[0][0], stored[0][0] + (1 << stored[0][1]) - 1, stored[0][0] + (1 << stored[0][1]) // 3}:
            cursor, seen = Cursor(xa, start), []
            for found in each(cursor):
                seen.append(found)
                if pauses:
                    cursor.pause()
            assert seen == [(start, stored[0][1]), *stored[1:]]
            assert cursor.state == "BOUNDS"


def test_check_pause__what_comes_while_paused_is_seen_when_it_lies_ahead(xa):
    store(xa, 8, 3)
    store(xa, 40)
    cursor = Cursor(xa, 9)
    assert cursor.find() == 8
    cursor.pause()
    assert (cursor.index, cursor.state) == (16, "RESTART")
    store(xa, 0)
    store(xa, 16)
    erase(xa, 40)
    store(xa, 5000)
    assert [cursor.find(), cursor.find(), cursor.find()] == [16, 5000, None]


def test_check_pause__on_an_empty_slot_goes_past_that_slot(xa):
    store(xa, 5 << 12, 12)
    store(xa, 7 << 12, 12)
    cursor = Cursor(xa, (6 << 12) + 9)
    assert cursor.load() is None
    cursor.pause()
    assert cursor.index == 7 << 12
    assert cursor.find() == 7 << 12
    cursor.set(3)
    cursor.pause()  # it has not begun
    assert (cursor.index, cursor.state) == (3, "RESTART")
    xa.destroy()
    store(xa, 0)
    cursor.set(0)
    assert cursor.find() == 0
    cursor.pause()
    assert (cursor.index, cursor.state) == (1, "RESTART")
    assert cursor.find() is None
