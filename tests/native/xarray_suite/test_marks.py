"""Marks: one per entry and kind, seen from every level of the tree, gone with the entry."""

from pagexchange_native.xarray.cursor import Cursor
from tests.native.xarray_suite.helpers import LAST, each, erase, items, store
from tests.native.xarray_suite.helpers import marks as marks_at


def marks(xa, index):
    """Marks at an index, as a set of numbers."""
    return {mark for mark, is_set in enumerate(marks_at(xa, index)) if is_set}


def test_check_xa_mark_1__marks_belong_to_one_entry_and_one_kind(xa):
    for index in range(0, 16384, 4):
        xa.set_mark(index, 0)  # nothing is there: nothing is marked
        assert not xa.get_mark(index, 0)
        assert not xa.marked(0)
        store(xa, index)
        store(xa, index + 1)
        assert marks(xa, index) == set()
        xa.set_mark(index, 0)
        assert (marks(xa, index), marks(xa, index + 1)) == ({0}, set())
        xa.set_mark(index, 2)
        xa.set_mark(index + 1, 1)
        assert (marks(xa, index), marks(xa, index + 1)) == ({0, 2}, {1})
        assert [xa.marked(m) for m in range(3)] == [True] * 3
        xa.clear_mark(index + 1, 0)  # it has it not
        xa.clear_mark(index, 0)
        assert (marks(xa, index), marks(xa, index + 1)) == ({2}, {1})
        assert [xa.marked(m) for m in range(3)] == [False, True, True]
        erase(xa, index)
        assert marks(xa, index) == set()
        store(xa, index)
        assert marks(xa, index) == set()
        assert [xa.marked(m) for m in range(3)] == [False, True, False]
        xa.destroy()


def test_check_xa_mark_1__a_larger_entry_has_the_union_of_what_it_covers(xa):
    for index in range(0, 16384, 4):
        for order in range(2, 8):
            base = index >> order << order
            following = base + (1 << order)
            store(xa, base)
            store(xa, base + 1)
            xa.set_mark(base + 1, 0)
            store(xa, following - 1)
            xa.set_mark(following - 1, 2)
            store(xa, following)
            store(xa, index, order)
            assert marks(xa, base) == marks(xa, following - 1) == {0, 2}
            assert marks(xa, following) == set()
            assert items(xa) == [(base, index), (following, following)]
            assert items(xa, mark=0) == items(xa, mark=2) == [(base, index)]
            assert not xa.marked(1)
            xa.erase(index)
            assert not xa.marked(0)
            assert not xa.marked(2)
            erase(xa, following)
            assert xa.empty


def test_check_xa_mark_1__the_union_comes_from_every_level_below(xa):
    for order in range(2, 64):
        for where, mark in ((0, 0), ((1 << order) - 1, 1)):
            store(xa, where)
            xa.set_mark(where, mark)
        if order < 63:
            store(xa, 1 << order)
        xa.store(0, 1, order)
        for index in (0, 1 << (order - 1), (1 << order) - 1):
            assert marks(xa, index) == {0, 1}
        assert order == 63 or marks(xa, 1 << order) == set()
        xa.erase(0)
        assert not xa.marked(0)
        assert not xa.marked(1)
        xa.destroy()


def test_check_xa_mark_1__the_union_is_there_when_the_entry_takes_the_whole_tree(xa):
    for order in range(2, 64):
        for last in {0, 1, 1 << (order // 2), (1 << order) - 1}:  # a single entry in the head, and trees of any height
            for index, mark in ((0, 0), (last, 2)):
                store(xa, index)
                xa.set_mark(index, mark)
            xa.store(0, 1, order)
            assert marks(xa, 0) == marks(xa, (1 << order) - 1) == {0, 2}
            assert items(xa, mark=2) == [(0, 1)]
            assert not xa.marked(1)
            xa.erase(0)
            assert xa.empty


def test_check_xa_mark_2__init_marks_clears_the_single_entry(xa):
    store(xa, 0)
    xa.set_mark(0, 0)
    xa.set_mark(0, 2)
    cursor = Cursor(xa)
    cursor.load()
    assert cursor.get_mark(0)
    cursor.init_marks()
    assert marks(xa, 0) == set()
    assert not xa.marked(0)
    assert not xa.marked(2)


def test_check_xa_mark_2__init_marks_clears_each_of_1000_while_iterating(xa):
    for index in range(3500, 4500):
        store(xa, index)
        xa.set_mark(index, 0)
        xa.set_mark(index, 2)
    store(xa, 10)
    store(xa, 70000)
    xa.set_mark(70000, 1)
    assert [index for index, _ in xa.items(mark=0)] == list(range(3500, 4500))
    cursor, count = Cursor(xa), 0
    for _ in each(cursor, 0):
        assert cursor.get_mark(2)
        cursor.init_marks()
        assert not cursor.get_mark(0)
        count += 1
    assert count == 1000
    assert not xa.marked(0)
    assert not xa.marked(2)
    assert items(xa, mark=1) == [(70000, 70000)]
    assert len(items(xa)) == 1002


def test_check_xa_mark_3__a_marked_search_from_inside_finds_the_entry_once(xa):
    store(xa, 0x40, 2)
    store(xa, 0x50)
    xa.set_mark(0x41, 0)
    assert [marks(xa, i) for i in range(0x3F, 0x46)] == [set(), {0}, {0}, {0}, {0}, set(), set()]
    assert items(xa, 0x41, mark=0) == [(0x41, 0x40)]
    cursor = Cursor(xa, 0x41)
    assert cursor.find_marked(LAST, 0) == 0x40
    assert cursor.index == 0x40
    assert cursor.find_marked(LAST, 0) is None
    xa.clear_mark(0x43, 0)
    assert not xa.marked(0)


def test_check_xa_mark_3__a_marked_search_skips_the_unmarked_at_every_level(xa):
    wanted = [5, 64, 4095, 1 << 20, (1 << 20) + 1, 1 << 50, LAST]
    for index in (0, 6, 63, 65, 4096, (1 << 20) - 1, (1 << 20) + 2, 1 << 40, LAST - 1, *wanted):
        store(xa, index)
    for index in wanted:
        xa.set_mark(index, 1)
    assert [index for index, _ in xa.items(mark=1)] == wanted
    assert [index for index, _ in each(Cursor(xa), 1)] == wanted
    for k, index in enumerate(wanted):
        assert xa.find(index, mark=1)[0] == index
        assert xa.find(index, index, mark=1)[0] == index
        assert [i for i, _ in xa.items(index, mark=1)] == wanted[k:]
        following = xa.find_after(index, mark=1)
        assert wanted[k + 1 :] == [] if following is None else following[0] == wanted[k + 1]
        xa.clear_mark(index, 1)
        assert xa.marked(1) == (k + 1 < len(wanted))
        assert [i for i, _ in xa.items(mark=1)] == wanted[k + 1 :]


def test_check_xa_mark_1__a_mark_is_seen_through_a_growing_and_shrinking_tree(xa):
    store(xa, 0)
    xa.set_mark(0, 1)
    for far in (1, 63, 64, 1 << 50, LAST):
        store(xa, far)
        assert (marks(xa, 0), marks(xa, far)) == ({1}, set())
        assert items(xa, mark=1) == [(0, 0)]
        erase(xa, far)
        assert marks(xa, 0) == {1}
    xa.clear_mark(0, 1)
    assert not xa.marked(1)
