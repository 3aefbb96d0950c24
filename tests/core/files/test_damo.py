"""A damo record gives one table, in whatever form it is kept, and what is wrong with it is said with its place."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pagexchange.errors import TraceError
from pagexchange.pages.files import ACCESS, read
from tests.core.files import damo_made

SECOND = 1_000_000_000
SNAPSHOTS = [
    (82_877 * SECOND + 115_633_000, [(4_194_304, 8_388_608, 0, 3), (8_388_608, 9_000_000, 12, 0)]),
    (82_877 * SECOND + 215_633_000, [(4_194_304, 6_291_456, 7, 0), (6_291_456, 8_388_608, 0, 4)]),
]


def rows(trace):
    return np.concatenate(list(trace.chunks()))


@pytest.fixture
def read_bytes(tmp_path):
    def read_them(data, name="damon.data"):
        path = tmp_path / name
        path.write_bytes(data)
        return read(path)

    return read_them


def test_a_record_becomes_rows_of_pages_with_the_accesses_of_each_interval(read_bytes):
    trace = read_bytes(damo_made.as_json(damo_made.record(SNAPSHOTS)))
    assert (trace.form, trace.numbers, trace.page_size, trace.kind) == ("damo record (JSON)", "pfn", 4096, "accesses")
    assert rows(trace).tolist() == [
        (0, 1024, 1024, 0.0, -1, -1),
        (0, 2048, 150, 12.0, -1, -1),  # the last page is there in part
        (100_000_000, 1024, 512, 7.0, -1, -1),
        (100_000_000, 1536, 512, 0.0, -1, -1),
    ]
    assert (trace.rows, trace.duration, trace.facts.lowest, trace.facts.end) == (4, 100_000_000, 1024, 2198)
    assert "taken as physical" in trace.notes[0]


@pytest.mark.parametrize("form", ["perf", "trace-cmd", "trace-cmd 3.2"])
@pytest.mark.parametrize(
    ("event", "behind"),
    [("damon_aggregated", ""), ("damon_region_aggregated", " probe_hits=14 00"), ("damos_before_apply", "")],
)
def test_the_text_of_trace_events_gives_the_table_of_the_json(read_bytes, form, event, behind):
    expected = rows(read_bytes(damo_made.as_json(damo_made.record(SNAPSHOTS))))
    trace = read_bytes(damo_made.as_text(SNAPSHOTS, form=form, event=event, behind=behind))
    assert trace.form == "damo record (text)"
    assert np.array_equal(rows(trace), expected)


def test_json_packed_by_zlib_and_text_packed_by_gzip_are_unpacked(read_bytes):
    expected = rows(read_bytes(damo_made.as_json(damo_made.record(SNAPSHOTS))))
    assert np.array_equal(rows(read_bytes(damo_made.packed(damo_made.record(SNAPSHOTS)))), expected)
    assert np.array_equal(rows(read_bytes(gzip.compress(damo_made.as_text(SNAPSHOTS)))), expected)


def test_an_old_record_that_lacks_keys_is_read(read_bytes):
    old = damo_made.record(SNAPSHOTS)
    for key in ("kdamond_idx", "context_idx", "intervals", "scheme_idx", "scheme_filters", "data_source"):
        del old[key]
    for snapshot in old["snapshots"]:
        for key in ("start_time", "total_bytes", "damos_stats", "sample_interval_us"):
            del snapshot[key]
        for region in snapshot["regions"]:
            del region["age"], region["probe_hits"], region["sz_filter_passed"]
            region["start"] = int(region["start"].replace(",", ""))
    assert read_bytes(damo_made.as_json(old)).rows == 4


def test_text_without_an_age_is_read(read_bytes):
    text = damo_made.as_text(SNAPSHOTS)
    assert read_bytes(b"".join(line.rpartition(b" ")[0] + b"\n" for line in text.splitlines())).rows == 4


def test_the_snapshot_that_damo_adds_to_say_a_time_is_left_out(read_bytes):
    added = [*SNAPSHOTS, (82_878 * SECOND, [(0, 0, -1, -1)])]
    assert read_bytes(damo_made.as_json(damo_made.record(added))).rows == 4
    assert read_bytes(damo_made.as_text(added)).rows == 4


def test_what_stands_in_quotes_opens_and_closes_nothing(read_bytes):
    said = r'a "quoted" } ] \\ { [ \"'
    with_words = damo_made.record(SNAPSHOTS, comment={"said": [said, said + "\\"]})
    with_words["snapshots"][0]["regions"][0]["note"] = said
    assert read_bytes(damo_made.as_json({"before": [said, {"}": said}]}, with_words)).rows == 4


def test_targets_that_follow_each_other_in_the_file_are_merged_by_time(read_bytes):
    trace = read_bytes(damo_made.as_json(damo_made.record(SNAPSHOTS), damo_made.record(SNAPSHOTS, target=1)))
    table = rows(trace)
    assert table["time"].tolist() == [0] * 4 + [100_000_000] * 4
    assert set((table["page"] >> 45).tolist()) == {0, 1}
    assert any("several targets" in note for note in trace.notes)


def test_addresses_of_a_process_are_virtual_page_numbers(read_bytes):
    high = [(end, [(first + (0x7F << 40), last + (0x7F << 40), seen, age) for first, last, seen, age in regions])
            for end, regions in SNAPSHOTS]  # fmt: skip
    trace = read_bytes(damo_made.as_text(high))
    assert trace.numbers == "vpn"
    assert trace.notes == ()


def test_other_lines_between_the_events_are_counted_and_said(read_bytes):
    lines = damo_made.as_text(SNAPSHOTS).splitlines(keepends=True)
    lines[2:2] = [b"cpus=2\n", b"kdamond.0 1 [000] 1.000001: damon:damos_before_apply: ctx_idx=0 scheme_idx=0\n"]
    trace = read_bytes(b"".join(lines))
    assert trace.rows == 4
    assert trace.notes[-1] == "passed over: lines of damos_before_apply (1), lines that are no regions (1)."


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ('"4,194,304"', '"4.000 MiB"', "'4.000 MiB': a number is expected, as 4,194,304"),
        ('"4,194,304"', '"9,000,000"', "a region that ends where it begins, or before: 9000000-8388608"),
        ('"4,194,304"', '"-5"', "an address or a time that is out of range"),
        ('"4,194,304"', "[]", "Expected `int | str`, got `array` - at `$.regions[0].start`"),
        ('"samples": 12', '"samples": null', "a region without nr_accesses"),
        ('"end_time"', '"ended"', "missing required field `end_time`"),
        ('"regions"', '"regions" 5', "malformed"),
    ],
)
def test_a_wrong_value_is_named_with_the_byte_at_which_its_snapshot_begins(read_bytes, was, now, says):
    data = damo_made.as_json(damo_made.record(SNAPSHOTS)).decode()
    assert was in data
    with pytest.raises(TraceError) as caught:
        read_bytes(data.replace(was, now, 1).encode())
    assert "damon.data: byte 2" in str(caught.value)
    assert says in str(caught.value)


def test_a_wrong_line_is_named_by_its_number(read_bytes):
    lines = damo_made.as_text(SNAPSHOTS).splitlines(keepends=True)
    lines[2] = lines[2].replace(b"-6291456: ", b": ")
    with pytest.raises(TraceError, match=r"damon\.data:3: 'kdamond.*: a region is expected: TIME: EVENT"):
        read_bytes(b"".join(lines))


@pytest.mark.parametrize("data", [b"[]", b'[{"target_id": 0, "snapshots": []}]'])
def test_a_record_without_a_snapshot_is_refused(read_bytes, data):
    with pytest.raises(TraceError, match=r"without a single row|of no form"):
        read_bytes(data)


@pytest.mark.parametrize("make", [damo_made.as_json, damo_made.packed])
def test_a_record_that_is_cut_anywhere_is_refused_in_words(read_bytes, make):
    data = make(damo_made.record(SNAPSHOTS))
    for size in range(0, len(data) - 1, 7):
        with pytest.raises(TraceError, match=r"damon\.data: "):
            read_bytes(data[:size])


def test_text_that_is_cut_within_a_line_is_refused_in_words(read_bytes):
    data = damo_made.as_text(SNAPSHOTS)
    for size in range(len(data)):
        if data[:size].endswith(b"\n"):
            assert read_bytes(data[:size]).rows == data[:size].count(b"\n")
        else:
            with pytest.raises(TraceError, match=r"damon\.data:.*(no newline|of no form|empty)"):
                read_bytes(data[:size])


PAGES = some.integers(0, 1 << 20)
REGION = some.tuples(PAGES, some.integers(1, 1 << 20), some.integers(0, 100), some.integers(0, 9999)).map(
    lambda made: (made[0] << 12, (made[0] + made[1]) << 12, made[2], made[3])
)
TIMES = some.lists(some.integers(0, 10**6), min_size=1, max_size=8, unique=True).map(sorted)


@settings(max_examples=60, deadline=None)
@given(
    times=TIMES, data=some.data(), indent=some.sampled_from([None, 1, 4]),
    form=some.sampled_from(["perf", "trace-cmd", "trace-cmd 3.2"]),
)  # fmt: skip
def test_what_a_record_was_made_from_comes_back(tmp_path_factory, times, data, indent, form):
    made = [(time * 1_000_000, data.draw(some.lists(REGION, min_size=1, max_size=5))) for time in times]
    expected = np.array(
        [
            (time - made[0][0], first >> 12, (last - first) >> 12, seen, -1, -1)
            for time, regions in made
            for first, last, seen, _ in regions
        ],
        dtype=ACCESS,
    )
    path = tmp_path_factory.mktemp("damo") / "record"
    for content in (damo_made.as_json(damo_made.record(made), indent=indent), damo_made.as_text(made, form=form)):
        path.write_bytes(content)
        assert np.array_equal(rows(read(path)), expected)
