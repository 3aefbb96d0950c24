"""The engine's face: what it takes as a list of pairs and as statuses."""

from typing import Any

import numpy as np
import pytest

from pagexchange_native.arena.region import Region
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.engine.python_objects import PythonMover
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord


def read_only(array):
    array.flags.writeable = False
    return array


PAIRS: dict[str, tuple[Any, str]] = {
    "float64": (np.zeros((2, 2)), r"pairs: want a C-contiguous int64 array of 2 dimensions; got items of float64"),
    "unsigned": (np.zeros((2, 2), np.uint64), "pairs: want .* got items of uint64"),
    "narrow": (np.zeros((2, 2), np.int32), "pairs: want .* got items of int32"),
    "the other byte order": (np.zeros((2, 2), np.dtype(np.int64).newbyteorder()), "pairs: want .* got items of .i8"),
    "records": (np.zeros((2, 2), "i4,i4"), "pairs: want .* got items of "),
    "flat": (np.zeros(4, np.int64), "pairs: want .* of 2 dimensions; got 1"),
    "a cube": (np.zeros((2, 2, 2), np.int64), "pairs: want .* of 2 dimensions; got 3"),
    "a number": (np.zeros((), np.int64), "pairs: want .* of 2 dimensions; got 0"),
    "columns": (np.zeros((2, 2), np.int64, order="F"), "pairs: want .*; it is not C-contiguous"),
    "every other": (np.zeros((4, 2), np.int64)[::2], "pairs: want .*; it is not C-contiguous"),
    "shifted": (
        np.zeros(33, np.uint8)[1:].view(np.int64).reshape(2, 2),
        "pairs: want .*; it starts at no multiple",
    ),
    "three columns": (np.zeros((2, 3), np.int64), r"pairs: want shape \(n, 2\), got \(2, 3\)"),
}
STATUSES = {
    "int64": (
        np.zeros(2, np.int64),
        "status: want a writable, C-contiguous int32 array .*; got items of int64",
    ),
    "a column": (np.zeros((2, 1), np.int32), "status: want .* of 1 dimension; got 2"),
    "every other": (np.zeros(4, np.int32)[::2], "status: want .*; it is not C-contiguous"),
    "read-only": (read_only(np.zeros(2, np.int32)), "status: want .*; it is read-only"),
    "too long": (np.zeros(3, np.int32), "status: want 2 elements, got 3"),
}


@pytest.fixture
def engine(small_region):
    return Exchanger(small_region, MaskedWord(0), [WordSwap()], XArrayCursor())


@pytest.mark.parametrize("case", PAIRS)
def test_a_list_of_pairs_of_another_shape_or_dtype_is_refused(engine: Exchanger, case: str) -> None:
    pairs, message = PAIRS[case]
    with pytest.raises(ValueError, match=message):
        engine.exchange(pairs, np.zeros(2, np.int32))


@pytest.mark.parametrize("case", STATUSES)
def test_statuses_of_another_shape_or_dtype_are_refused(engine: Exchanger, case: str) -> None:
    status, message = STATUSES[case]
    with pytest.raises(ValueError, match=message):
        engine.exchange(np.zeros((2, 2), np.int64), status)


@pytest.mark.parametrize("nothing", [None, [], 3, "text"])
def test_what_has_no_buffer_is_no_array(engine: Exchanger, nothing: Any) -> None:
    with pytest.raises(TypeError, match="bytes-like object is required"):
        engine.exchange(nothing, np.zeros(0, np.int32))


def test_pairs_may_be_read_only_and_none_at_all(engine: Exchanger) -> None:
    status = np.zeros(1, np.int32)
    engine.exchange(read_only(np.array([[0, 1]], np.int64)), status)
    assert status[0] < 0  # both are free
    assert engine.exchange(np.zeros((0, 2), np.int64), np.zeros(0, np.int32))[6] == 0


class PythonicSwap(WordSwap):
    """A native mover whatever its name says."""


class Swift(PythonMover):
    """A Python mover whatever its name says."""


def test_what_is_native_follows_from_the_type_of_the_objects_not_from_their_names(small_region: Region) -> None:
    def native(mover: DataMover) -> bool:
        return Exchanger(small_region, MaskedWord(0), [WordSwap(), mover], XArrayCursor()).native

    assert native(PythonicSwap())
    assert not native(Swift(lambda pieces, a, b: None))
