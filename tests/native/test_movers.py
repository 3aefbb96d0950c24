"""Every data mover moves every byte of both folios and no other, for every instruction set and size."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from pagexchange_native.movers.list_exchange import ListExchange
from pagexchange_native.movers.mover import DataMover, NullMover, all_isas, available_isas, shares
from pagexchange_native.movers.temp_page import TempPage
from pagexchange_native.movers.word_swap import WordSwap

GUARD = 512
SIZES = [4096, 8192, 16384, 65536, 1 << 20, 2 << 20]


def folios(rows: int, size: int, seed: int) -> np.ndarray:
    """Rows with a different word at every place, guard bytes before and after the whole."""
    words = np.arange(rows * size // 8, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    memory = np.full(rows * size + 2 * GUARD, 0xA5, dtype=np.uint8)
    memory[GUARD:-GUARD] = words.view(np.uint8)
    return memory


def check(mover: DataMover, rows: int, size: int) -> None:
    left, right = folios(rows, size, 1), folios(rows, size, 2)
    temp = np.full(size + 2 * GUARD, 0x5A, dtype=np.uint8)
    want_left, want_right = left.copy(), right.copy()
    want_left[GUARD:-GUARD], want_right[GUARD:-GUARD] = right[GUARD:-GUARD], left[GUARD:-GUARD].copy()
    mover.move_rows(
        left[GUARD:-GUARD].reshape(rows, size), right[GUARD:-GUARD].reshape(rows, size), temp[GUARD : GUARD + size]
    )
    np.testing.assert_array_equal(left, want_left)
    np.testing.assert_array_equal(right, want_right)
    assert (temp[:GUARD] == 0x5A).all()
    assert (temp[GUARD + size :] == 0x5A).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("isa", available_isas())
def test_a_word_swap_moves_every_byte_and_no_other(isa: str, size: int) -> None:
    check(WordSwap(isa), 1 if size > 65536 else 3, size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("isa", available_isas())
def test_a_list_exchange_moves_every_byte_and_no_other(isa: str, prefetch: bool, size: int) -> None:
    check(ListExchange(isa, prefetch=prefetch), 2 if size > 65536 else 7, size)


@pytest.mark.parametrize("size", SIZES)
def test_a_temporary_page_moves_every_byte_and_no_other(size: int) -> None:
    check(TempPage(), 2, size)


def test_the_null_mover_moves_nothing() -> None:
    a, b = np.zeros((2, 4096), np.uint8), np.ones((2, 4096), np.uint8)
    NullMover().move_rows(a, b)
    assert not a.any()
    assert b.all()


@pytest.mark.parametrize("make", [WordSwap, ListExchange, TempPage])
def test_twice_is_the_identity(make: Callable[[], DataMover]) -> None:
    a, b = folios(4, 4096, 3), folios(4, 4096, 4)
    was_a, was_b = a.copy(), b.copy()
    for _ in range(2):
        make().move_rows(a[GUARD:-GUARD].reshape(4, 4096), b[GUARD:-GUARD].reshape(4, 4096), np.zeros(4096, np.uint8))
    np.testing.assert_array_equal(a, was_a)
    np.testing.assert_array_equal(b, was_b)


def test_shares_lose_nothing_and_fall_on_double_chunks() -> None:
    sizes = [*range(0, 4097, 8), *(4096 << k for k in range(10)), 4096 * 3, 4096 * 511, (2 << 20) + 40]
    for size in sizes:
        for threads in range(1, 33):
            cuts = shares(size, threads)
            assert len(cuts) == threads + 1
            assert cuts[0] == 0
            assert cuts[-1] == size
            assert cuts == sorted(cuts)
            assert all(cut % 512 == 0 for cut in cuts[:-1])
            if size % 512 == 0:
                lengths = np.diff(cuts)
                assert lengths.max() - lengths.min() <= 512


@pytest.mark.parametrize("size", [4096, 16384, 2 << 20])
@pytest.mark.parametrize("threads", [1, 2, 3, 5, 6, 7, 31, 32])
def test_a_folio_split_over_threads_is_exchanged_once(size: int, threads: int) -> None:
    a, b = folios(1, size, 5), folios(1, size, 6)
    want_a, want_b = b[GUARD:-GUARD].copy(), a[GUARD:-GUARD].copy()
    mover = WordSwap()
    cuts = shares(size, threads)
    for low, high in pairwise(cuts):
        if high > low:
            mover.move_rows(a[GUARD + low : GUARD + high].reshape(1, -1), b[GUARD + low : GUARD + high].reshape(1, -1))
    np.testing.assert_array_equal(a[GUARD:-GUARD], want_a)
    np.testing.assert_array_equal(b[GUARD:-GUARD], want_b)


def test_the_record_says_where_the_mover_is() -> None:
    a, b = np.zeros((3, 4096), np.uint8), np.ones((3, 4096), np.uint8)
    record = np.zeros(576, np.uint8)
    WordSwap().move_rows(a, b, record=record)
    assert int(record[:8].view(np.uint64)[0]) == (2 << 48) | (2 * 16 << 8) | 2  # pair 2, last step, DATA
    TempPage().move_rows(a, b, np.zeros(4096, np.uint8), record)
    assert int(record[:8].view(np.uint64)[0]) == (2 << 48) | (2 << 8) | 2


def test_an_instruction_set_is_taken_by_name_or_refused() -> None:
    assert WordSwap().describe()["isa"] == available_isas()[0]
    assert WordSwap("scalar").describe()["isa"] == "scalar"
    with pytest.raises(ValueError, match="isa 'avx3': unknown; use 'auto' or one of"):
        WordSwap("avx3")
    missing = [isa for isa in ("scalar", "sse2", "avx2", "avx512", "neon") if isa not in available_isas()]
    for isa in missing:
        with pytest.raises(NotImplementedError, match=f"isa '{isa}': this CPU does not have it"):
            ListExchange(isa)
    assert set(available_isas()) <= set(all_isas())


@pytest.mark.parametrize("threads", [0, -1, 33])
def test_a_number_of_threads_out_of_range_is_refused(threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads is {threads}; it must be 1 to 32"):
        ListExchange(threads=threads)


def test_rows_of_wrong_shape_are_refused() -> None:
    mover, good = WordSwap(), np.zeros((2, 4096), np.uint8)
    with pytest.raises(ValueError, match="must have the same shape"):
        mover.move_rows(good, np.zeros((3, 4096), np.uint8))
    with pytest.raises(ValueError, match="multiple of 512"):
        mover.move_rows(np.zeros((1, 768), np.uint8), np.zeros((1, 768), np.uint8))
    with pytest.raises(ValueError, match="temporary page"):
        TempPage().move_rows(good, good.copy())
    with pytest.raises(ValueError, match="record must have"):
        mover.move_rows(good, good.copy(), record=np.zeros(100, np.uint8))
    frozen = np.zeros((2, 4096), np.uint8)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        mover.move_rows(good, frozen)
    with pytest.raises(ValueError, match="use 'local' or 'per-worker'"):
        TempPage("remote")
