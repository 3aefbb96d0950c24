"""Indexes given out by the array."""

import errno

import pytest

from pagexchange_native.errors import ArenaFullError
from pagexchange_native.xarray.array import RESERVED
from tests.native.xarray_suite.helpers import LAST, items, store

ID_MAX = (1 << 32) - 1


def refused(call):
    with pytest.raises(OSError, match="allocation of an index") as error:
        call()
    return error.value.errno


@pytest.mark.parametrize("base", [0, 1])
def test_check_xa_alloc_1__the_lowest_free_index(xa, base):
    assert xa.alloc(1, base) == base
    xa.erase(base)
    assert xa.alloc(1, base) == base
    assert [xa.alloc(i, base) for i in range(base + 1, 2 * 64)] == list(range(base + 1, 2 * 64))
    for index in (base, 63, 64, 100):
        xa.erase(index)
    assert [xa.alloc(1, base) for _ in range(5)] == [base, 63, 64, 100, 128]
    xa.destroy()
    assert xa.alloc(1, base) == base
    store(xa, base + 1)
    assert xa.alloc(1, base) == base + 2
    store(xa, 4, 2)
    assert [xa.alloc(1, base) for _ in range(3)] == ([3, 8, 9] if base == 0 else [8, 9, 10])


@pytest.mark.parametrize("base", [0, 1])
def test_check_xa_alloc_1__a_full_or_inverted_range_is_busy(xa, base):
    assert [xa.alloc(7, ID_MAX - 1, ID_MAX) for _ in range(2)] == [ID_MAX - 1, ID_MAX]
    was = items(xa)
    assert refused(lambda: xa.alloc(8, ID_MAX - 1, ID_MAX)) == errno.EBUSY
    assert refused(lambda: xa.alloc(8, ID_MAX, ID_MAX)) == errno.EBUSY
    assert refused(lambda: xa.alloc(8, base + 5, base + 4)) == errno.EBUSY
    assert items(xa) == was
    assert xa.alloc(8, ID_MAX - 1, LAST) == ID_MAX + 1
    assert [xa.alloc(8, LAST - 1, LAST) for _ in range(2)] == [LAST - 1, LAST]
    assert refused(lambda: xa.alloc(8, LAST - 1, LAST)) == errno.EBUSY


def test_check_xa_alloc_1__without_memory_nothing_is_taken(xa, small_region):
    assert xa.alloc(1) == 0
    small_region.fail_alloc = 1
    with pytest.raises(ArenaFullError):
        xa.alloc(2)
    assert items(xa) == [(0, 1)]
    assert xa.alloc(2) == 1


def test_check_xa_alloc_1__large_entries_are_passed_over_whole(xa):
    for order in (1, 5, 6, 7, 12, 31):
        store(xa, 0, order)
        assert xa.alloc(1) == 1 << order
        assert xa.alloc(2) == (1 << order) + 1
        xa.destroy()


@pytest.mark.parametrize("base", [0, 1])
def test_check_xa_alloc_2__nothing_reserves(xa, base):
    assert [xa.alloc(None, base) for _ in range(2)] == [base, base + 1]
    assert not xa.empty
    assert xa.load(base) is None
    xa.erase(base)
    xa.erase(base + 1)
    assert xa.empty
    xa.alloc(None, base)
    xa.destroy()
    assert xa.empty


@pytest.mark.parametrize("base", [0, 1])
def test_check_xa_alloc_2__a_reservation_keeps_the_index_and_erase_gives_it_back(xa, base):
    for i in range(base, 70):
        assert xa.alloc(i, base) == i
    assert xa.store(base + 5, RESERVED) == base + 5
    assert xa.load(base + 5) is None
    assert xa.alloc(70, base) == 70
    assert xa.erase(base + 5) is None
    assert xa.alloc(5, base) == base + 5
    assert xa.erase(66) == 66
    assert xa.alloc(66, base) == 66
    assert xa.alloc(71, base) == 71


def test_check_xa_alloc_3__goes_round_in_a_range(xa):
    limit = {"first": 1, "last": 0x3FFF}
    assert xa.alloc(0, **limit, start=1) == 1
    following, given = 0x3FFD, []
    for i in range(10):
        index = xa.alloc(i, **limit, start=following)
        given.append(index)
        following = index + 1
    assert given == [0x3FFD, 0x3FFE, 0x3FFF, 2, 3, 4, 5, 6, 7, 8]
    assert xa.alloc(9, **limit, start=0x3FFD) == 9  # used to the end: round again, which the smaller index tells


@pytest.mark.parametrize("base", [0, 1])
def test_check_xa_alloc_3__goes_round_at_32_bits(xa, base):
    assert xa.alloc(1, base, start=ID_MAX) == ID_MAX
    assert xa.alloc(2, base, start=ID_MAX + 1) == base
    assert xa.alloc(3, base, start=base + 1) == base + 1
    assert xa.alloc(4, base, start=ID_MAX) == base + 2


def test_check_xa_alloc_3__a_full_range_is_busy_wherever_it_starts(xa):
    for _ in range(4):
        xa.alloc(1, 62, 65)
    for start in (None, 0, 62, 64, 65, 66, LAST):
        assert refused(lambda start=start: xa.alloc(2, 62, 65, start)) == errno.EBUSY
    assert xa.erase(63) == 1
    assert xa.alloc(2, 62, 65, start=65) == 63
