"""The XArray's face: words that an exchange replaces, arguments that are refused. What it means: `xarray_suite`."""

import numpy as np
import pytest

from pagexchange_native.errors import ArenaError
from pagexchange_native.xarray.array import MAX_INDEX, MAX_VALUE, XArray


def test_two_arrays_of_one_arena_do_not_see_each_other(small_region):
    one, two = XArray(small_region), XArray(small_region)
    one.bulk_store(range(500), range(500))
    two.bulk_store(range(500), range(1000, 1500))
    one.destroy()
    assert one.empty
    assert list(two.bulk_load(range(500))) == list(range(1000, 1500))


# ---- words: what an exchange replaces --------------------------------------------------------------------------------


@pytest.mark.parametrize("cursor", [True, False])
def test_a_word_holds_the_entry_and_may_be_replaced_in_place(xa, small_region, cursor):
    indexes = [0, 1, 63, 64, 4096, 1 << 30, (1 << 30) + 511, 5, MAX_INDEX]
    for i in indexes:
        xa.store(i, i % 1000, 9 if i >> 30 == 1 else 0)
    words = xa.words([*indexes, 2, 1 << 50], cursor=cursor)
    assert list(words[-2:]) == [0, 0]
    assert words[5] == words[6]  # the canonical slot of a multi-index entry
    memory = small_region.memory
    for i, word in zip(indexes, words, strict=False):
        at = memory[int(word) : int(word) + 8].view("<u8")
        assert at[0] == (xa.load(i) + 1) << 2
        at[0] = (555 + 1) << 2
        assert xa.load(i) == 555


def test_the_cursor_finds_the_same_words_as_fresh_walks(xa):
    rng = np.random.default_rng(1)
    stored = np.unique(rng.integers(0, 20000, 5000))
    xa.bulk_store(stored, stored)
    for base, order in ((1 << 15, 4), (1 << 16, 9)):
        xa.store(base, 1, order)
    for asked in (np.sort(rng.integers(0, 70000, 5000)), rng.integers(0, 70000, 5000)):
        assert np.array_equal(xa.words(asked), xa.words(asked, cursor=False))


# ---- bad arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda xa: xa.load(-1),
        lambda xa: xa.load(1 << 64),
        lambda xa: xa.store(0, -1),
        lambda xa: xa.store(0, MAX_VALUE + 1),
        lambda xa: xa.store(0, 1, 64),
        lambda xa: xa.store(0, 1, -1),
        lambda xa: xa.set_mark(0, 3),
        lambda xa: xa.get_mark(0, -1),
        lambda xa: xa.marked(8),
        lambda xa: xa.find(mark=3),
        lambda xa: xa.bulk_store([1, 2], [1]),
        lambda xa: xa.bulk_store([-1], [1]),
        lambda xa: xa.bulk_load([[1]]),
        lambda xa: xa.bulk_load([1.5]),
        lambda xa: xa.bulk_load([1 << 64, 1]),
        lambda xa: xa.bulk_load([-1, MAX_INDEX]),
        lambda xa: XArray(xa.region, 0, space=0),
    ],
)
def test_a_bad_argument_is_refused_and_changes_nothing(xa, call):
    xa.store(0, 1)
    with pytest.raises(ValueError):
        call(xa)
    assert list(xa.items()) == [(0, 1)]


def test_an_unknown_mapping_is_refused(small_region):
    for where in ({"mapping": 8}, {"mapping": -1}, {"space": 999}):
        with pytest.raises(IndexError):
            XArray(small_region, **where)


def test_a_closed_arena_is_refused_not_read(xa, small_region):
    small_region.close()
    for call in (lambda: xa.load(0), lambda: xa.store(0, 1), lambda: xa.empty, lambda: xa.bulk_load([0])):
        with pytest.raises(ArenaError):
            call()
