"""Accesses as tools print them: lackey, perf, and the requests of a key-value cache."""

import numpy as np
import pytest

from pagexchange.errors import TraceError
from pagexchange.pages.files import read, touches

LACKEY = b"""==4242== Lackey, an example Valgrind tool
I  0401ab70,3
 S 1fff000758,8
 L 1fff000a45,1
 M 0421d040,4
 L 0421dffe,4
==4242== Exit code:       0
"""
PERF_MEM = b"""# PID, TID, IP, ADDR, PHYS ADDR, LOCAL WEIGHT, DSRC, SYMBOL
4242,4243,0x55d0c0a01200,0x7f3c0a001040,0x1a2b3c040,212,0x68100142,masim:do_seq_wo
4242,4243,0x55d0c0a01210,0x7f3c0a002040,0x1a2b3d040,9,0x68100144,masim:operator,(int)
4242,4243,0x55d0c0a01210,0x7f3c0a003040,0x0,9,0x68100144,masim:do_seq_wo
"""
PERF_SCRIPT = b"""\
  my prog 4242/4242 12.345678: cpu/mem-loads,ldlat=30/P: 7f3c0a001040  68100142 |OP LOAD|LVL L1 hit|LCK No|BLK  N/A    212       1a2b3c040
  my prog 4242/4242 12.345778:   cpu/mem-stores/P:     7f3c0a002040   68100144 |OP STORE|LVL N/A|LCK N/A|BLK  N/A      0       1a2b3d040
"""  # noqa: E501
MOONCAKE = b"""\
{"timestamp": 0, "input_length": 9013, "output_length": 3, "hash_ids": [46, 47, 48]}
{"timestamp": 27, "input_length": 700, "output_length": 52, "hash_ids": [46, 90]}

{"timestamp": 3052.5, "hash_ids": []}
{"timestamp": 30, "input_length": 700, "output_length": 52, "hash_ids": [5]}
"""


@pytest.fixture
def read_bytes(tmp_path):
    def read_them(data):
        path = tmp_path / "file"
        path.write_bytes(data)
        return read(path)

    return read_them


def rows(trace, *names):
    table = np.concatenate(list(trace.chunks()))
    return list(zip(*(table[name].tolist() for name in names), strict=True))


def test_lackey_counts_the_accesses_of_each_page_and_leaves_instructions_out(read_bytes):
    trace = read_bytes(LACKEY)
    assert (trace.form, trace.numbers, trace.kind) == ("lackey's accesses", "vpn", "accesses")
    # the last load reaches into the next page
    assert rows(trace, "page", "pages", "heat", "write") == [
        (0x421D, 2, 1.0, 0), (0x1FFF000, 1, 1.0, 0), (0x421D, 1, 1.0, 1), (0x1FFF000, 1, 1.0, 1),
    ]  # fmt: skip
    assert trace.notes[-1] == "passed over: instructions (1), lines of valgrind's own (2)."


def test_what_a_program_prints_between_lackeys_lines_is_refused_with_the_cure(read_bytes):
    with pytest.raises(TraceError, match=r":4: 'hello': .*--log-file=FILE"):
        read_bytes(LACKEY.replace(b" L 1fff000a45,1\n", b"hello\n"))


@pytest.mark.parametrize("stretch", [1, 7, 300, 699, 700, 1000])
def test_accesses_are_counted_in_stretches_and_none_is_lost(monkeypatch, stretch):
    random = np.random.default_rng(stretch)
    page, write = random.integers(0, 20, 700), random.integers(0, 2, 700)
    monkeypatch.setattr(touches, "STRETCH", stretch)
    cuts = np.sort(random.integers(0, 700, 3))
    made = list(touches.rows(zip(np.split(page, cuts), np.split(write, cuts), strict=True)))
    assert [int(one["time"][0]) for one in made] == [min(at + stretch, 700) for at in range(0, 700, stretch)]
    for at, table in zip(range(0, 700, stretch), made, strict=True):
        seen = np.zeros((20, 2))
        for row in table:
            seen[row["page"] : row["page"] + row["pages"], row["write"]] += row["heat"]
        expected = np.zeros((20, 2))
        np.add.at(expected, (page[at : at + stretch], write[at : at + stretch]), 1)
        assert np.array_equal(seen, expected)


def test_perf_mem_gives_frames_where_it_knows_them(read_bytes):
    trace = read_bytes(PERF_MEM)
    assert (trace.form, trace.numbers) == ("perf mem", "pfn")
    assert rows(trace, "page", "heat", "write") == [(0x1A2B3C, 1.0, 0), (0x1A2B3D, 1.0, 1)]
    assert "samples without an address (1)" in trace.notes[-1]
    without = b"\n".join(b",".join(line.split(b",")[:4] + line.split(b",")[5:]) for line in PERF_MEM.split(b"\n"))
    trace = read_bytes(without)
    assert trace.numbers == "vpn"
    assert rows(trace, "page", "pages", "write") == [(0x7F3C0A001, 1, 0), (0x7F3C0A002, 2, 1)]


def test_perf_script_gives_each_sample_its_time_and_its_frame(read_bytes):
    trace = read_bytes(PERF_SCRIPT)
    assert (trace.form, trace.numbers) == ("perf script", "pfn")
    assert rows(trace, "time", "page", "write") == [(0, 0x1A2B3C, 0), (100_000, 0x1A2B3D, 1)]


@pytest.mark.parametrize(
    ("fields", "numbers", "page"),
    [
        (b"7f3c0a001040", "vpn", 0x7F3C0A001),
        (b"7f3c0a001040        1a2b3c040", "pfn", 0x1A2B3C),
        (b"7f3c0a001040  1e05080021 |OP N/A|LVL N/A|LCK N/A|BLK  N/A", "vpn", 0x7F3C0A001),
        # one number behind the source may be the weight or the physical address
        (b"7f3c0a001040  1e05080021 |OP N/A|LVL N/A|LCK N/A|BLK  N/A       5", "vpn", 0x7F3C0A001),
    ],
)
def test_perf_script_with_fewer_fields_is_read(read_bytes, fields, numbers, page):
    trace = read_bytes(b"tiny 9949/9949 2094.243510: page-faults:  " + fields + b"\n")
    assert trace.numbers == numbers
    assert rows(trace, "page", "write") == [(page, -1)]


def test_requests_of_a_cache_become_blocks_in_order_of_time(read_bytes):
    trace = read_bytes(MOONCAKE)
    assert (trace.form, trace.numbers, trace.page_size) == ("Mooncake's requests", "block", 0)
    ms = 1_000_000
    assert rows(trace, "time", "page", "pages") == [
        (0, 46, 3), (27 * ms, 46, 1), (27 * ms, 90, 1), (30 * ms, 5, 1),
    ]  # fmt: skip
    assert "requests without blocks (1)" in trace.notes[-1]


def test_the_last_request_needs_no_newline_and_shows_when_it_is_cut(read_bytes):
    assert read_bytes(MOONCAKE.rstrip()).rows == 4
    with pytest.raises(TraceError, match=r":5: .*a request is expected"):
        read_bytes(MOONCAKE.rstrip()[:-2])


@pytest.mark.parametrize(
    ("data", "was", "now", "says"),
    [
        (PERF_MEM, b"0x1a2b3d040", b"physical", r":3: .*PID,TID,IP,ADDR,PHYS ADDR,.* are expected"),
        (PERF_SCRIPT, b"7f3c0a002040", b"no address", r":2: .*a sample is expected, as `perf script -F"),
        (MOONCAKE, b"[46, 90]", b'["46", 90]', r":2: .*Expected `int`, got `str`"),
        (MOONCAKE, b"[46, 90]", b"[99999999999999999999]", r":2: .*a request is expected"),
        (MOONCAKE, b"27,", b"1e400,", r":2: .*a request is expected"),
        (MOONCAKE, b"[46, 90]", b"[-4]", "a page number that is out of range"),
    ],
)
def test_a_wrong_line_is_named_with_what_would_be_right(read_bytes, data, was, now, says):
    assert was in data
    with pytest.raises(TraceError, match=says):
        read_bytes(data.replace(was, now, 1))
