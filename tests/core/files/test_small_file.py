"""Our own file of a trace gives back what was saved, in order of time, and is refused where a byte of it is wrong."""

import numpy as np
import pytest

from pagexchange.errors import TraceError
from pagexchange.pages.files import ACCESS, read, save, spool
from pagexchange.pages.files.table import table
from pagexchange.pages.files.trace import Trace, facts_of


def trace_of(chunks):
    store = spool.spooled(chunks, "made up")
    return Trace(
        facts_of(store, form="made up", numbers="vpn", page_size=0, kind="accesses", notes=("Made up.",)), store
    )


def some_rows(n, seed, begin=0):
    random = np.random.default_rng(seed)
    return table(
        np.sort(random.integers(begin, begin + 10**9, n)), random.integers(0, 1 << 40, n), random.integers(1, 99, n),
        random.random(n), random.integers(-1, 2, n), random.integers(-1, 4, n),
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    trace = trace_of([some_rows(100_000, 1, begin=5)])
    path = tmp_path / "a.pgxtrace"
    save(trace, path)
    return trace, path


def test_a_saved_trace_gives_back_its_rows_and_its_facts(saved):
    trace, path = saved
    again = read(path)
    assert again.facts == trace.facts
    assert again.notes == ("Made up.",)
    expected = some_rows(100_000, 1, begin=5)
    expected["time"] -= expected["time"][0]
    for one in (trace, again, again):  # any number of times
        assert np.array_equal(np.concatenate(list(one.chunks())), expected)
    assert max(map(len, again.chunks())) <= 1 << 15


def test_rows_that_are_not_in_order_are_brought_into_it():
    parts = [some_rows(50_000, seed) for seed in range(5)]
    merged = np.concatenate(list(trace_of(parts).chunks()))
    expected = np.concatenate(parts)
    expected["time"] -= expected["time"].min()
    assert bool((np.diff(merged["time"]) >= 0).all())
    assert np.array_equal(np.sort(merged, order=ACCESS.names), np.sort(expected, order=ACCESS.names))


def test_a_file_that_goes_back_in_time_all_over_is_refused(monkeypatch):
    monkeypatch.setattr(spool, "MAX_RUNS", 3)
    with pytest.raises(spool.DisorderError):
        trace_of([some_rows(50_000, seed) for seed in range(9)])


def test_a_file_is_not_replaced_unless_it_may_be(saved):
    trace, path = saved
    before = path.read_bytes()
    with pytest.raises(TraceError, match=r"cannot be written: .*exists"):
        save(trace, path, replace=False)
    assert path.read_bytes() == before


def test_a_file_that_is_cut_anywhere_or_has_a_wrong_byte_is_refused_in_words(saved, tmp_path):
    _, path = saved
    data = path.read_bytes()
    other = tmp_path / "b.pgxtrace"
    for size in [*range(8, 300, 11), *range(300, len(data), len(data) // 20)]:
        other.write_bytes(data[:size])
        with pytest.raises(TraceError, match=r"b\.pgxtrace: .*(cut short|damaged)"):
            read(other)
        other.write_bytes(data[:size] + bytes([data[size] ^ 0x55]) + data[size + 1 :])
        with pytest.raises(TraceError, match="damaged: wrong SHA-256" if size >= 16 else r"b\.pgxtrace: "):
            read(other)
    other.write_bytes(data + b"x")
    with pytest.raises(TraceError, match="1 bytes follow the last chunk"):
        read(other)
