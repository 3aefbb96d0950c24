"""What an exchange costs in objects, in the GIL and in metadata: counted, so a slow machine changes nothing."""

import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from tests.core.pages import LONG, NATIVE, Pages, Pfns, strategy

POLL = 256  # batches between two looks at signals, for which alone the GIL is taken
FEW, MANY = 1_000, 100_000


def available() -> int:
    """Bytes of memory that the machine can give."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


@pytest.fixture(scope="module")
def plain() -> tuple[Arena, Pfns]:
    """250 pairs in files and not, which a long list names again and again, in order."""
    pages = Pages(frames=512)
    return pages.arena, np.array([pages.pair(("file", "raw")) for _ in range(250)])


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NATIVE)
def test_no_object_for_a_pair_or_a_batch(plain: tuple[Arena, Pfns], name: str) -> None:
    """Nothing stays, and at no time is more there than for a short list, but the list's own copy."""
    arena, pairs = plain
    bound = strategy(arena, name)
    peaks, stay = [], []
    for n in (FEW, FEW, MANY):  # the first call makes what every later one uses
        asked = np.tile(pairs, (n // len(pairs), 1))
        out = np.zeros(n, np.int32)
        with traced():
            start = tracemalloc.get_traced_memory()[0]
            blocks = sys.getallocatedblocks()
            bound.exchange(asked, order="sequential", out=out)
            stay.append(sys.getallocatedblocks() - blocks)
            peaks.append(tracemalloc.get_traced_memory()[1] - start - asked.nbytes)
        assert not out.any()
    assert abs(stay[2] - stay[1]) <= 20
    assert abs(peaks[2] - peaks[1]) < 4096


@pytest.mark.parametrize("name", NATIVE)
def test_between_the_first_pair_and_the_last_the_gil_is_not_needed(plain: tuple[Arena, Pfns], name: str) -> None:
    """This thread keeps the GIL while another one exchanges: every status appears all the same."""
    arena, pairs = plain
    bound = strategy(arena, name)
    asked = np.tile(pairs, (POLL * LONG // len(pairs) - 2, 1))
    out = np.full(len(asked), 12345, np.int32)
    thread = threading.Thread(target=lambda: bound.exchange(asked, order="sequential", out=out, threads=1), daemon=True)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread.start()
        end = time.monotonic() + 20
        while out[0] == 12345 and time.monotonic() < end:
            time.sleep(0)  # let go, until the other thread is where it needs the GIL no more
        while out[-1] != 0 and time.monotonic() < end:
            pass
        seen = out.copy()
    finally:
        sys.setswitchinterval(interval)
    thread.join(20)
    assert (seen == 0).all()


def test_metadata_take_less_than_a_fortieth() -> None:
    with Arena.create([("fast", 1 << 17), ("slow", 1 << 17)]) as arena:  # 1 GiB
        assert arena.metadata_bytes < 0.025 * arena.nframes * arena.page_size


def test_the_last_frame_of_four_million() -> None:
    """16 GiB of frames, of which two are touched: no number is cut to 32 bits on the way to the last byte."""
    if available() < 1 << 30:
        pytest.skip(
            f"the page entries of 16 GiB take 0.3 GiB, and just {available() >> 20} MiB are left on this machine"
        )
    nodes = [("fast", (1 << 22) - 4), ("slow", 4)]
    with Arena.create(nodes, watermarks=(0, 0, 0), xa_nodes=64, page_tables=64) as arena:
        first, last = int(arena.alloc("fast")[0]), int(arena.alloc("slow", 4)[-1])
        assert (arena.nframes, last) == (1 << 22, (1 << 22) - 1)
        file = arena.new_mapping("file")
        arena.cache_add(file, [1, (1 << 40) + 5], [first, last])
        for pfn in (first, last):
            arena.frame(pfn).data[:] = pfn
        assert arena.exchange([(last, first)], threads=1).ok
        assert (arena.frame(first).data == last).all()
        assert (arena.frame(last).data == first).all()
        assert (arena.cache_load(file, 1), arena.cache_load(file, (1 << 40) + 5)) == (last, first)
        assert arena.exchange([(last + 1, first)]).refused == {"EFAULT": 1}
