"""A reader without a lock against a replace: whatever it is told was, or is, at the index that it asked for."""

import itertools
import os
import threading
import time

import numpy as np
import pytest

from pagexchange_native.xarray.array import XArray
from tests.native.xarray_suite.helpers import LAST, store
from tests.native.xarray_suite.pages import SLOTS, Pages


def read_against(read, write):
    """Run `write` over and over in a thread until `read` is through; how often it ran."""
    stop, turns, errors = threading.Event(), itertools.count(1), []
    began = threading.Event()
    last = 0

    def writing():
        nonlocal last
        try:
            while not stop.is_set():
                write()
                last = next(turns)
                began.set()
        except BaseException as error:  # it belongs to the test's own thread
            errors.append(error)
            began.set()

    thread = threading.Thread(target=writing)
    thread.start()
    try:
        began.wait()
        read()
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]
    return last


@pytest.mark.parametrize(("order", "one", "two"), SLOTS)
def test_gap_reader_without_a_lock_against_a_replace__by_an_exchange(small_region, order, one, two):
    pages = Pages(small_region, order, (one, two))
    asked = [np.tile(np.arange(index, index + (1 << order)), 20_000 >> order) for _, index in pages.slots]
    reads = 0

    def read():
        nonlocal reads
        for _ in range(40):
            for side in (0, 1):
                assert set(np.unique(pages.array(side).bulk_load(asked[side]))) <= set(pages.pfns)
                reads += len(asked[side])

    def write():
        assert pages.exchange() == 0

    exchanges = read_against(read, write)
    assert reads == 40 * 2 * 20_000
    assert exchanges > 0
    assert pages.found() == (pages.pfns[::-1] if exchanges % 2 else pages.pfns)


@pytest.mark.parametrize(("index", "order"), [(0, 0), (70, 0), (1 << 40, 9), (64, 5), (0, 13)])
def test_gap_reader_without_a_lock_against_a_replace__by_stores(xa, index, order):
    """Both loops are native and need no GIL, so they run at the same time."""
    xa.store(index, 0, order)
    store(xa, index + (1 << order))
    size = 1 << order
    asked = np.tile(np.arange(index, index + size, dtype=np.int64), max(1, 100_000 // size))
    where, what = np.tile([index, index + size - 1, index + size // 2], 10_000), np.arange(30_000) % 1000
    reads = 0

    def read():
        nonlocal reads
        for _ in range(20):
            values = xa.bulk_load(asked)
            assert values.min() >= 0
            assert values.max() < 1000
            reads += len(values)

    assert read_against(read, lambda: xa.bulk_store(where, what)) > 0
    assert reads == 20 * len(asked)
    assert xa.get_order(index) == order


@pytest.mark.parametrize("order", [1, 5, 6, 11])
def test_gap_reader_without_a_lock_against_a_replace__of_small_entries_by_a_large_one(xa, order):
    """Whoever asks sees nothing, the small entry of this very index, or the large one that takes its place."""
    size = 1 << order
    indexes = np.arange(size)
    asked = np.tile(indexes, max(1, 50_000 // size))
    large = 7_000_000
    xa.store(0, large, order)
    reads = 0

    def write():
        xa.erase(0)
        xa.bulk_store(indexes, indexes)
        xa.store(0, large, order)

    def read():
        nonlocal reads
        for _ in range(20):
            values = xa.bulk_load(asked)
            small = (values != -1) & (values != large)
            assert np.array_equal(values[small], asked[small])  # never another index's entry
            reads += len(values)

    assert read_against(read, write) > 0
    assert reads == 20 * len(asked)
    assert set(xa.bulk_load(indexes)) == {large}


@pytest.fixture
def one_cpu():
    """Keep this thread and those that it starts on one processor: whoever wakes up cuts the other off anywhere."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_cpu")
@pytest.mark.parametrize("large", [7, None])
def test_gap_reader_without_a_lock_against_a_replace__never_reads_on_in_nodes_that_have_gone(xa, small_region, large):
    """A large entry, or nothing, takes the place of a deep tree, whose nodes at once make up another array's."""
    other = XArray(small_region)
    index, small, foreign = LAST - 7, 5, 66
    asked = np.full(50_000, index, np.uint64)
    for array in (xa, other):  # the top nodes stay
        array.store(0, foreign)
        array.store(LAST >> 1, foreign)
    reads = 0

    def write():
        xa.store(index, small)
        time.sleep(50e-6)  # a look-up is cut off on its way down
        xa.store(index, large, 60)  # frees the ten nodes below the top
        other.store(index, foreign)  # which are the first to be taken again, in the same order
        time.sleep(50e-6)  # and it goes on
        other.erase(index)
        xa.erase(index)

    def read():
        nonlocal reads
        for _ in range(200):
            assert set(np.unique(xa.bulk_load(asked))) <= {-1, small, 7}
            reads += len(asked)

    assert read_against(read, write) > 0
    assert reads == 200 * len(asked)
