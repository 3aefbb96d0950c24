"""The XArray against a plain dict of entries: any sequence of changes, orders and marks leaves the same contents."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagexchange_native.xarray.array import MAX_INDEX, XArray

indexes = st.one_of(
    st.integers(0, 15),
    st.integers(0, 5000),
    st.integers(0, MAX_INDEX),
    st.builds(lambda i: MAX_INDEX - i, st.integers(0, 99)),
)
orders = st.one_of(st.just(0), st.integers(0, 13), st.integers(0, 63))
changes = st.tuples(
    st.sampled_from(
        ["store", "store", "delete", "insert", "alloc", "reserve", "release", "cmpxchg", "set_mark", "clear_mark"]
    ),
    indexes,
    orders,
    st.integers(0, 999),
)
RESERVATION = None  # the value of a reserved slot in the model


class Model:
    """Entries by first index: [order, value, marks]. Slow and obvious."""

    def __init__(self):
        self.entries = {}

    def touching(self, index, order):
        first = index >> order << order
        last = first + (1 << order) - 1
        return [at for at, (size, *_) in self.entries.items() if at <= last and at + (1 << size) - 1 >= first]

    def load(self, index):
        at = self.touching(index, 0)
        return self.entries[at[0]][1] if at else None

    def free_from(self, index):
        while hit := self.touching(index, 0):
            index = hit[0] + (1 << self.entries[hit[0]][0])
        return index if index <= MAX_INDEX else None

    def store(self, index, order, value):
        hit = self.touching(index, order)
        first = index >> order << order
        if len(hit) == 1 and self.entries[hit[0]][0] >= order:
            self.entries[hit[0]][1] = value
            return
        marks = set()
        for at in hit:
            marks |= self.entries.pop(at)[2]
        self.entries[first] = [order, value, marks]

    def delete(self, index, order):
        for at in self.touching(index, order):
            del self.entries[at]


def change(xa, model, what, index, order, value):
    """Do the same to both, and compare what they answer."""
    hit = model.touching(index, 0)
    before = model.load(index)
    match what:
        case "store":
            assert xa.store(index, value, order) == before
            model.store(index, order, value)
        case "delete":
            assert xa.store(index, None, order) == before
            model.delete(index, order)
        case "insert":
            taken = bool(model.touching(index, order))
            try:
                xa.insert(index, value, order)
                assert not taken
                model.store(index, order, value)
            except OSError:
                assert taken
        case "alloc":
            free = model.free_from(index)
            try:
                assert xa.alloc(value, index, MAX_INDEX) == free
                model.store(free, 0, value)
            except OSError:
                assert free is None
        case "reserve":
            xa.reserve(index)
            if not hit:
                model.store(index, 0, RESERVATION)
        case "release":
            xa.release(index)
            if hit and before is RESERVATION:
                model.delete(index, 0)
        case "cmpxchg":
            new = value if value % 2 else None
            assert xa.cmpxchg(index, before, new) == before
            if new is not None and not (hit and before is RESERVATION):
                model.store(index, 0, new)
            elif before is not RESERVATION:
                model.delete(index, 0)
        case "set_mark" | "clear_mark":
            getattr(xa, what)(index, value % 3)
            for at in hit:
                (set.add if what == "set_mark" else set.discard)(model.entries[at][2], value % 3)


def compare(xa, model):
    visible = sorted((at, value) for at, (_, value, _) in model.entries.items() if value is not RESERVATION)
    assert list(xa.items()) == visible
    assert xa.empty == (not model.entries)
    for mark in range(3):
        marked = sorted(at for at, (_, _, marks) in model.entries.items() if mark in marks)
        assert xa.marked(mark) == bool(marked)
        assert [at for at, _ in xa.items(mark=mark)] == [at for at in marked if model.entries[at][1] is not RESERVATION]
    for at, (order, value, marks) in model.entries.items():
        last = at + (1 << order) - 1
        for index in (at, (at + last) // 2, last):
            assert xa.load(index) == value
            assert xa.get_order(index) == order
            assert {mark for mark in range(3) if xa.get_mark(index, mark)} == marks
        for index in {max(at - 1, 0), min(last + 1, MAX_INDEX)}:
            assert xa.load(index) == model.load(index)


@pytest.fixture(scope="module")
def array(make_region):
    """One for all examples: each begins by emptying it."""
    return XArray(make_region(mappings=1, xa_nodes=4000))


@settings(deadline=None, max_examples=200)
@given(sequence=st.lists(changes, max_size=25))
def test_any_sequence_of_changes_leaves_what_a_dict_has(array, sequence):
    array.destroy()
    model = Model()
    for step in sequence:
        change(array, model, *step)
        compare(array, model)
    for at in list(model.entries):
        array.erase(at)
    assert array.empty
    assert array.nodes_in_use == 0
