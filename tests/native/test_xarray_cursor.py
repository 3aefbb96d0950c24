"""The cursor's face: where it stands, what it shows, arguments that are refused. What it means: `xarray_suite`."""

import pytest

from pagexchange_native.xarray.array import MAX_INDEX, RESERVED
from pagexchange_native.xarray.cursor import Cursor


def found(cursor, max=MAX_INDEX):
    """Return every (index, value) that a cursor finds."""
    return list(_found(cursor, max))


def _found(cursor, max):
    while (value := cursor.find(max)) is not None:
        yield cursor.index, value


# ---- states ----------------------------------------------------------------------------------------------------------


def test_the_state_tells_where_it_stands(xa):
    cursor = Cursor(xa)
    assert cursor.state == "RESTART"
    assert cursor.load() is None
    assert cursor.state == "HEAD"
    cursor.set(1)
    assert cursor.load() is None
    assert cursor.state == "BOUNDS"
    xa.store(1, 5)
    assert cursor.load() == 5
    assert cursor.state == "NODE"
    cursor.reset()
    assert cursor.state == "RESTART"
    assert cursor.index == 1


def test_set_order_rounds_the_index_down(xa):
    cursor = Cursor(xa, 1000, 9)
    assert (cursor.index, cursor.order) == (512, 9)
    cursor.store(3)
    assert xa.get_order(1023) == 9
    cursor.set(1000)
    assert (cursor.index, cursor.order) == (1000, 0)
    assert cursor.get_order() == 9
    assert cursor.load() == 3


def test_reload_sees_the_change_and_moves_nothing(xa):
    xa.store(9, 1)
    cursor = Cursor(xa, 9)
    assert cursor.load() == 1
    xa.store(9, 2)
    assert cursor.reload() == 2
    xa.erase(9)
    assert cursor.reload() is None
    assert (cursor.index, cursor.state) == (9, "NODE")


def test_reservations_show(xa):
    xa.reserve(4)
    xa.store(6, 1)
    cursor = Cursor(xa, 4)
    assert cursor.load() is RESERVED
    assert [value for _, value in found(Cursor(xa))] == [RESERVED, 1]
    assert cursor.store(3) is RESERVED


# ---- going on --------------------------------------------------------------------------------------------------------


def test_find_stops_at_max_and_goes_on_with_a_larger_one(xa):
    for i in (3, 70, 5000):
        xa.store(i, i)
    cursor = Cursor(xa)
    assert found(cursor, 100) == [(3, 3), (70, 70)]
    assert found(cursor) == [(5000, 5000)]
    assert cursor.state == "BOUNDS"
    assert cursor.find() is None


def test_marks_through_a_cursor_need_an_entry_that_it_stands_on(xa):
    cursor = Cursor(xa, 5)
    xa.store(5, 1)
    cursor.set_mark(1)
    assert not xa.get_mark(5, 1)
    cursor.load()
    cursor.set_mark(1)
    assert xa.get_mark(5, 1)
    assert cursor.get_mark(1)
    cursor.clear_mark(1)
    assert not xa.marked(1)


def test_bad_arguments_are_refused(xa):
    for call in (
        lambda: Cursor(xa, -1),
        lambda: Cursor(xa, 0, 64),
        lambda: Cursor(xa).find(-1),
        lambda: Cursor(xa).find_marked(0, 3),
        lambda: Cursor(xa).set_mark(-1),
        lambda: Cursor(xa).store(-1),
        lambda: Cursor(xa).set_error(0),
    ):
        with pytest.raises(ValueError):
            call()
