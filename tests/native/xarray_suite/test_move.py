"""Stepping a cursor index by index: holes give nothing, the ends meet."""

import pytest

from pagexchange_native.xarray.cursor import Cursor
from tests.native.xarray_suite.helpers import LAST, erase, store, value_at


def test_check_move_tiny(xa):
    cursor = Cursor(xa)
    assert [cursor.next(), cursor.next()] == [None, None]
    assert cursor.index == 1
    cursor.set(0)
    assert [cursor.prev(), cursor.prev()] == [None, None]
    assert cursor.index == LAST
    assert cursor.next() is None
    assert cursor.index == 0
    store(xa, 0)
    cursor.set(0)
    assert [cursor.next(), cursor.next()] == [0, None]
    cursor.set(0)
    assert [cursor.prev(), cursor.prev(), cursor.next(), cursor.next()] == [0, None, 0, None]
    assert cursor.index == 1


def test_check_move_max(xa):
    store(xa, LAST)
    for pauses in (False, True):
        cursor = Cursor(xa)
        assert cursor.find() == value_at(LAST)
        assert cursor.index == LAST
        if pauses:
            cursor.pause()
            assert cursor.state == "BOUNDS"
        assert cursor.find() is None
        assert cursor.state == "BOUNDS"
    cursor.set(LAST)
    assert cursor.next() == value_at(LAST)
    assert cursor.next() is None
    assert cursor.index == 0
    assert cursor.prev() == value_at(LAST)
    assert cursor.index == LAST


@pytest.mark.parametrize("index", [(1 << i) - d for i in range(2, 16) for d in (0, 1)])
def test_check_move_small(xa, index):
    store(xa, 0)
    store(xa, index)
    cursor = Cursor(xa)
    expected = {0: 0, index: index}
    for i in range(4 * index):
        assert cursor.next() == expected.get(i)
        assert cursor.index == i
    cursor.next()
    for i in range(4 * index - 1, -1, -1):
        assert cursor.prev() == expected.get(i)
        assert cursor.index == i
    store(xa, LAST)
    assert cursor.prev() == value_at(LAST)
    assert cursor.index == LAST
    assert cursor.next() == 0
    assert cursor.index == 0


def step_through(xa, count, hole):
    """Step from the last of `count` entries down below 0, and up again; nothing in `hole`."""
    cursor = Cursor(xa, count)
    assert cursor.prev() is None
    for i in range(count - 1, -1, -1):
        assert cursor.prev() == (None if i in hole else i)
        assert cursor.index == i
    assert cursor.prev() is None
    assert cursor.index == LAST
    for i in range(count):
        assert cursor.next() == (None if i in hole else i)
        assert cursor.index == i
    assert cursor.next() is None
    assert cursor.index == count


def test_check_move(xa):
    count, hole = 1 << 16, range(1 << 8, 1 << 15)
    xa.bulk_store(range(count), range(count))
    step_through(xa, count, ())
    for i in hole:
        erase(xa, i)
    step_through(xa, count, hole)
