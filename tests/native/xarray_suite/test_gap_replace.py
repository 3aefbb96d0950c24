"""A replace keeps what belongs to the index: marks and order, of one slot or of two that trade their pages."""

import errno
import itertools
import threading

import numpy as np
import pytest

from pagexchange_native.engine.python_objects import PythonMover
from pagexchange_native.policies.find_slot import RadixTree, XArrayCursor
from pagexchange_native.xarray.array import RESERVED
from pagexchange_native.xarray.cursor import Cursor
from tests.native.xarray_suite.helpers import LAST, items, marks, store
from tests.native.xarray_suite.pages import SLOTS, Pages

# ---- marks kept on replace -------------------------------------------------------------------------------------------


def write_word(xa, index, value):
    """As an exchange does: the word is found, then stored to."""
    word = int(xa.words([index])[0])
    xa.region.memory[word : word + 8].view("<u8")[0] = (value + 1) << 2


REPLACE = {
    "store": lambda xa, index, value: xa.store(index, value),
    "store of its order": lambda xa, index, value: xa.store(index, value, xa.get_order(index)),
    "cmpxchg": lambda xa, index, value: xa.cmpxchg(index, xa.load(index), value),
    "cursor": lambda xa, index, value: Cursor(xa, index).store(value),
    "bulk_store": lambda xa, index, value: xa.bulk_store([index], [value]),
    "word": write_word,
    "reserve and store": lambda xa, index, value: [xa.store(index, RESERVED), xa.store(index, value)],
}


@pytest.mark.parametrize("way", REPLACE)
@pytest.mark.parametrize(("index", "order"), [(0, 0), (77, 0), (1 << 40, 0), (LAST, 0), (0, 3), (64, 6), (1 << 20, 19)])
@pytest.mark.parametrize("alone", [True, False])
def test_gap_marks_kept_on_replace(xa, way, index, order, alone):
    if not alone:  # so that marks above and beside it have something to be confused with
        for neighbour in (index ^ (1 << order), 1 << 50):
            store(xa, neighbour)
            xa.set_mark(neighbour, 1)
    xa.store(index, 1, order)
    last = index + (1 << order) - 1
    for given in itertools.product([False, True], repeat=3):
        for mark, wanted in enumerate(given):
            (xa.set_mark if wanted else xa.clear_mark)(index, mark)
        REPLACE[way](xa, last, 2)
        assert marks(xa, index) == marks(xa, last) == list(given)
        assert xa.load(index) == xa.load(last) == 2
        assert xa.get_order(index) == order
        assert [xa.marked(mark) for mark in range(3)] == [given[0], given[1] or not alone, given[2]]
        for mark in (0, 2):
            assert items(xa, mark=mark) == ([(index, 2)] if given[mark] else [])
        REPLACE[way](xa, index, 1)


def test_gap_marks_kept_on_replace__but_not_by_what_comes_after_an_erase(xa):
    for index, order in ((0, 0), (70, 0), (1 << 30, 7)):
        xa.store(index, 1, order)
        for mark in range(3):
            xa.set_mark(index, mark)
        xa.erase(index)
        xa.store(index, 1, order)
        assert marks(xa, index) == [False] * 3


# ---- two slots exchanged under one lock ------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "one", "two"), SLOTS)
@pytest.mark.parametrize("updater", [XArrayCursor, RadixTree])
def test_gap_two_slots_exchanged_under_one_lock__each_keeps_marks_and_order(small_region, order, one, two, updater):
    pages = Pages(small_region, order, (one, two), updater=updater())
    given = [[True, False, True], [False, False, True]]
    for side in (0, 1):
        for mark in np.flatnonzero(given[side]):
            pages.array(side).set_mark(pages.index(side), int(mark))
    nodes = pages.arrays[0].nodes_in_use
    for turn in range(1, 5):
        assert pages.exchange() == 0
        assert pages.found() == (pages.pfns[::-1] if turn % 2 else pages.pfns)
        for side in (0, 1):
            array, index = pages.array(side), pages.index(side)
            assert array.load(index + (1 << order) - 1) == pages.found()[side]
            assert array.load(index + (1 << order)) in (None, pages.found()[1 - side])
            assert marks(array, index) == given[side]
            assert array.get_order(index) == order
        assert pages.arrays[0].nodes_in_use == nodes


@pytest.mark.parametrize(("order", "one", "two"), SLOTS)
def test_gap_two_slots_exchanged_under_one_lock__nobody_changes_the_tree_between(small_region, order, one, two):
    seen: dict[str, list[object]] = {}

    def move(pieces, a, b):
        if not seen:
            seen["found"] = pages.found()
            for name, change in changes.items():
                threads[name] = threading.Thread(target=change)
                threads[name].start()
            seen["done"] = [name for name, thread in threads.items() if is_done(thread)]
        pieces[a], pieces[b] = pieces[b], pieces[a]

    def is_done(thread):
        thread.join(0.02)  # a thread that is late passes, one that does not wait is seen
        return not thread.is_alive()

    pages = Pages(small_region, order, (one, two), PythonMover(move))
    changes = {
        f"{name} in tree {side}": lambda call=call, side=side: call(pages.array(side), pages.index(side))
        for side in (0, 1)
        for name, call in {
            "store": lambda array, _: array.store(LAST, 5),
            "mark": lambda array, index: array.set_mark(index, 0),
            "cmpxchg": lambda array, _: array.cmpxchg(LAST - 1, None, 6),
        }.items()
    }
    threads: dict[str, threading.Thread] = {}
    assert pages.exchange() == 0
    for thread in threads.values():
        thread.join()
    assert len(threads) == 6
    assert seen["done"] == []  # all waited for the exchange
    assert seen["found"] == pages.pfns  # and who asks meanwhile is told the old places
    assert pages.found() == pages.pfns[::-1]
    for side in (0, 1):
        assert marks(pages.array(side), pages.index(side)) == [True, False, False]
        assert pages.array(side).load(LAST) == 5


@pytest.mark.parametrize(("order", "one", "two"), SLOTS)
def test_gap_two_slots_exchanged_under_one_lock__or_none_when_one_holds_another_page(small_region, order, one, two):
    for side in (0, 1):
        mine = Pages(small_region, order, (one, two))
        mine.array(side).store(mine.index(side), 9)
        assert mine.exchange() in (-errno.EAGAIN, -errno.EUCLEAN)
        found = list(mine.pfns)
        found[side] = 9
        assert mine.found() == found
        mine.array(side).store(mine.index(side), mine.pfns[side])
        assert mine.exchange() == 0
