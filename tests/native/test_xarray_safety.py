"""What must not happen: a look-up that leaves the arena, or sees half a change. Failed stores: `xarray_suite`."""

import contextlib
import errno
import threading

import numpy as np
import pytest

from pagexchange.oracle import format as oracle_format
from pagexchange_native.xarray.array import MAX_INDEX, XArray

# ---- damage ----------------------------------------------------------------------------------------------------------


def attempt(call, *arguments):
    """Make a call; the errno, or 0."""
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0


def damage(region, rng, words):
    """Write garbage into the used nodes: random bytes, and entries that look right (nodes, siblings, odd numbers)."""
    offset, count, size = region.geometry()["xanodes"]
    nodes = region.memory[offset : offset + count * size].reshape(count, size)[:64]
    slots = nodes[:, 64:].view("<u8")
    for _ in range(words):
        node, slot = rng.integers(64), rng.integers(64)
        kind = rng.integers(4)
        if kind == 0:
            slots[node, slot] = rng.integers(0, 1 << 63)
        elif kind == 1:
            slots[node, slot] = (int(rng.integers(0, 70)) << 2) | 2
        elif kind == 2:
            slots[node, slot] = (int(rng.integers(4090, 4097 + 2100)) << 2) | 2
        else:
            nodes[node, rng.integers(0, 64)] = rng.integers(0, 256)


@pytest.mark.parametrize("seed", range(30))
def test_garbage_in_nodes_crashes_no_call(xa, small_region, seed):
    rng = np.random.default_rng(seed)
    indexes = np.concatenate([np.arange(300), rng.integers(0, 1 << 62, 20), [0]])
    xa.bulk_store(indexes, indexes)
    xa.store(1 << 30, 1, 15)
    damage(small_region, rng, 200)
    assert len(xa.bulk_load(np.concatenate([indexes, rng.integers(0, 1 << 63, 2000)]))) == len(indexes) + 2000
    for cursor in (True, False):
        words = xa.words(indexes, cursor=cursor)
        assert int(words.max(initial=0)) + 8 <= small_region.metadata_bytes
    for k, _ in enumerate(xa.items()):
        if k > 20000:
            break
    codes = set()
    for i in map(int, indexes):
        codes |= {
            attempt(xa.store, i, 1),
            attempt(xa.store, i, 1, 7),
            attempt(xa.insert, i, 1),
            attempt(xa.alloc, 1, i, MAX_INDEX),
        }
        xa.set_mark(i, 1)
        xa.clear_mark(i, 2)
        with contextlib.suppress(OSError):
            xa.erase(i)
    assert codes <= {0, errno.EUCLEAN, errno.ENOMEM, errno.EBUSY}
    xa.destroy()
    assert xa.empty


@pytest.mark.parametrize(
    "head", [(4097 << 2) | 2, ((4097 + 1999) << 2) | 2, ((4097 + 2000) << 2) | 2, 2**64 - 2, 2, 258]
)
def test_a_damaged_head_reads_as_nothing(xa, small_region, head):
    offset = small_region.geometry()["mappings"][0]
    small_region.memory[offset : offset + 8].view("<u8")[0] = head
    assert xa.load(0) is None
    assert xa.load(MAX_INDEX) is None
    assert xa.find() is None
    with pytest.raises(OSError) as error:
        xa.store(5, 1)
    assert error.value.errno == errno.EUCLEAN


def test_a_link_to_a_node_of_another_array_is_not_followed(xa, small_region):
    two = XArray(small_region)
    for array in (xa, two):
        array.store(0, 1)
        array.store(64, 2)
    nodes = oracle_format.read(small_region).xanodes
    tops = np.flatnonzero((nodes["used"] != 0) & (nodes["parent"] == 0))
    assert len(tops) == 2
    nodes["slot"][tops[0], 1], nodes["slot"][tops[1], 1] = nodes["slot"][tops[1], 1], nodes["slot"][tops[0], 1]
    for array in (xa, two):
        assert attempt(array.store, 64, 3) == errno.EUCLEAN
        assert array.load(0) == 1
    kept = nodes["slot"][nodes["used"] != 0]
    assert (kept[:, 0] != 0).all()
    del nodes


def test_a_free_list_that_names_a_used_node_does_not_give_it_away(xa, small_region):
    xa.store(1, 1)
    two = XArray(small_region)
    two.store(1, 1)
    two.destroy()
    offset, _, size = small_region.geometry()["xanodes"]
    small_region.memory[offset + size + 3] = 1  # the free node is said to be in use
    with pytest.raises(OSError) as error:
        two.store(1, 1)
    assert error.value.errno == errno.EUCLEAN
    assert two.empty


# ---- at the same time ------------------------------------------------------------------------------------------------


def together(reader, writer):
    """Run both in threads, the reader until the writer is done; raise what either raised."""
    done, errors = threading.Event(), []

    def guarded(work):
        try:
            work(done)
        except BaseException as error:  # a failed assertion too belongs to the test's own thread
            errors.append(error)
        finally:
            done.set()

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (reader, writer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_a_reader_without_a_lock_sees_the_old_or_the_new_entry(xa):
    indexes = np.arange(5000)
    xa.bulk_store(indexes, indexes)
    xa.store(1 << 40, 0, 9)

    def write(done):
        for turn in range(1, 60):
            xa.bulk_store(indexes, indexes + turn * 5000)
            xa.store(1 << 40, turn)

    def read(done):
        while not done.is_set():
            assert np.array_equal(xa.bulk_load(indexes) % 5000, indexes)
            assert xa.load((1 << 40) + 511) is not None

    together(read, write)


def test_a_reader_without_a_lock_finds_its_entry_while_the_tree_changes_shape(xa, small_region):
    other = XArray(small_region)
    xa.store(5, 5)
    asked = np.tile([5, 6], 100_000)  # long, so that the writer works meanwhile: the reader has let go of the GIL
    expected = np.tile([5, -1], 100_000)

    def write(done):
        for _ in range(100_000):
            xa.store(MAX_INDEX, 99)  # ten more levels
            xa.erase(MAX_INDEX)  # and back: their nodes are freed
            other.store(MAX_INDEX - 5, 66)  # and used again, by somebody else
            other.store(6, 66)
            other.destroy()

    def read(done):
        while not done.is_set():
            assert np.array_equal(xa.bulk_load(asked), expected)

    together(read, write)


def test_two_writers_of_two_arrays_share_the_pool(small_region):
    arrays = [XArray(small_region), XArray(small_region)]
    indexes = np.arange(200) * 64

    def work(xa):
        def turn(done):
            for _ in range(100):
                xa.bulk_store(indexes, indexes)
                assert np.array_equal(xa.bulk_load(indexes), indexes)
                xa.destroy()

        return turn

    together(work(arrays[0]), work(arrays[1]))
    assert arrays[0].nodes_in_use == 0
