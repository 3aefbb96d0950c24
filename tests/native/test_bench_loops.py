"""The bare loops of the benchmark do what their names say: a loop that moves less is no yardstick."""

import platform
import re
import shutil
import subprocess

import numpy as np
import pytest

from pagexchange_native.bench import LOOPS, USES_ISA, time_loop
from pagexchange_native.movers import mover
from pagexchange_native.movers.mover import available_isas

PAIRS = np.array([[0, 12], [4, 20], [16, 8]], dtype=np.int64)
CELLS = [(loop, isa) for loop in LOOPS for isa in (available_isas() if loop in USES_ISA else ["auto"])]


def frames() -> np.ndarray:
    return np.arange(24 * 512, dtype=np.uint64).reshape(24, 512)


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize("prefetch", [False, True])
@pytest.mark.parametrize(("loop", "isa"), CELLS)
def test_a_loop_does_what_it_says(loop: str, isa: str, prefetch: bool, order: int) -> None:
    memory, want = frames(), frames()
    cpu, wall = time_loop(loop, memory, PAIRS, isa=isa, prefetch=prefetch, order=order)
    assert cpu > 0
    assert wall > 0
    size = 1 << order
    if loop == "memcpy-one":
        for a, b in PAIRS:
            want[a : a + size] = want[b : b + size]
    elif loop not in ("read", "none", "memcpy"):
        for a, b in PAIRS:
            want[a : a + size], want[b : b + size] = want[b : b + size].copy(), want[a : a + size].copy()
    elif loop == "memcpy":
        for i, (a, b) in enumerate(PAIRS):
            from_a, from_b = PAIRS[(i + 1) % 3]
            want[a : a + size], want[b : b + size] = want[from_a : from_a + size], want[from_b : from_b + size]
    np.testing.assert_array_equal(memory, want)


def test_frames_out_of_range_are_refused_before_anything_moves() -> None:
    memory = frames()
    for bad in (-1, 24, 1 << 62):
        pairs = np.array([[0, 1], [2, bad]], dtype=np.int64)
        with pytest.raises(IndexError, match=r"pair 1 \(2, -?\d+\): frames go from 0 to 23 at order 0"):
            time_loop("rfc", memory, pairs)
    with pytest.raises(IndexError, match="from 0 to 20 at order 2"):
        time_loop("rfc", memory, np.array([[0, 21]], dtype=np.int64), order=2)
    for order in (-1, 10):
        with pytest.raises(ValueError, match=f"order {order}: want 0 to 9"):
            time_loop("rfc", memory, PAIRS, order=order)
    with pytest.raises(ValueError, match="unknown; use one of"):
        time_loop("fast", memory, PAIRS)
    np.testing.assert_array_equal(memory, frames())
    assert time_loop("rfc", memory, np.empty((0, 2), np.int64)) == (0, 0)


@pytest.mark.plain_build
def test_the_scalar_loops_use_no_vector_registers() -> None:
    if platform.machine() != "x86_64" or shutil.which("objdump") is None:
        pytest.skip("needs x86-64 and objdump")
    command = ["objdump", "-d", "--no-show-raw-insn", str(mover.__file__)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bodies = dict(re.findall(r"^[0-9a-f]+ <(\w+)>:\n((?:.+\n)+)", listing, re.MULTILINE))
    if "scalar_undo" not in bodies:
        pytest.skip("the extension was stripped of its symbols")
    vector = re.compile("%[xyz]mm")
    assert not vector.search(bodies["scalar_undo"])
    assert not vector.search(bodies["scalar_bare"])
    if "avx2_undo" in bodies:  # the check can fail
        assert vector.search(bodies["avx2_undo"])
