"""A copier copies every byte of its pages and no other, leaves them as they are, and is no mover."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pagexchange_native.movers.copier import DataCopier
from pagexchange_native.movers.folio_copy import FolioCopy
from pagexchange_native.movers.mover import DataMover, all_isas, available_isas
from pagexchange_native.movers.streaming_copy import StreamingCopy
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.plugin import check_table
from pagexchange_native.wrappers import FaultPlan, Meter, wrap

STREAMING = [isa for isa in available_isas() if isa in ("sse2", "avx2", "avx512")]
COPIERS: dict[str, Callable[[], DataCopier]] = {
    **{f"folio-copy {isa}": lambda isa=isa: FolioCopy(isa) for isa in ("auto", *available_isas())},  # type: ignore[misc]
    **{f"streaming-copy {isa}": lambda isa=isa: StreamingCopy(isa) for isa in STREAMING},  # type: ignore[misc]
    "wrapped": lambda: wrap(FolioCopy(), Meter()),
}


@pytest.mark.parametrize("make", COPIERS.values(), ids=COPIERS)
@pytest.mark.parametrize(("n", "size"), [(1, 512), (3, 4096), (7, 8192), (2, 2 << 20)])
@pytest.mark.parametrize("offset", [0, 8, 64])
def test_every_byte_is_copied_and_no_other_is_written(
    make: Callable[[], DataCopier], n: int, size: int, offset: int
) -> None:
    memory = np.random.default_rng(1).integers(0, 256, 2 * n * size + 3 * 64 + offset, np.uint8)
    before = memory.copy()
    source, target = (
        slice(offset + 64, offset + 64 + n * size),
        slice(offset + 128 + n * size, offset + 128 + 2 * n * size),
    )
    make().copy_rows(memory[source].reshape(n, size), memory[target].reshape(n, size))
    assert np.array_equal(memory[target], before[source])
    memory[target] = before[target]
    assert np.array_equal(memory, before)


def test_the_isa_is_chosen_by_name_or_refused_in_words() -> None:
    assert FolioCopy().describe()["isa"] == available_isas()[0]
    for isa in set(all_isas()) - set(available_isas()):
        with pytest.raises(NotImplementedError, match=f"isa '{isa}': this CPU does not have it"):
            FolioCopy(isa)
    for kind in (FolioCopy, StreamingCopy):
        with pytest.raises(ValueError, match="isa 'mmx': unknown"):
            kind("mmx")
    with pytest.raises(NotImplementedError, match="isa 'scalar' has no stores past the caches"):
        StreamingCopy("scalar")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ((np.zeros((1, 512), np.uint8), np.zeros((2, 512), np.uint8)), "must have the same shape"),
        ((np.zeros((1, 100), np.uint8), np.zeros((1, 100), np.uint8)), "must be a multiple of 512"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows: tuple[Any, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        FolioCopy().copy_rows(*rows)


def test_a_copier_and_a_mover_are_not_taken_for_each_other() -> None:
    assert not isinstance(FolioCopy(), DataMover)
    assert not isinstance(WordSwap(), DataCopier)
    assert isinstance(wrap(FolioCopy(), FaultPlan(12, 1)), DataCopier)


def test_a_copier_without_a_function_is_found_out() -> None:
    assert check_table(FolioCopy()) == ""
    assert check_table(DataCopier()) == "its table has no function 'move'"
    with pytest.raises(TypeError, match="DataCopier has no move function"):
        DataCopier().copy_rows(np.zeros((1, 512), np.uint8), np.zeros((1, 512), np.uint8))
