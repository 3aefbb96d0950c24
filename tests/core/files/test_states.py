"""Files that say how memory lies: dumps of flags words, listings of page-types, numa_maps, lru_gen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pagexchange.errors import SnapshotError, TraceError
from pagexchange.pages.files import as_snapshot, read
from pagexchange.pages.snapshot.proc import kpageflags
from tests.core.files import states_made

MASK = kpageflags.mask
ANON = int(MASK("ANON", "SWAPBACKED", "LRU", "UPTODATE", "MMAP"))
HOT = ANON | int(MASK("ACTIVE", "REFERENCED"))
FILE = int(MASK("LRU", "UPTODATE", "REFERENCED"))
FREE = int(MASK("BUDDY"))
SLAB = int(MASK("SLAB"))
FRAMES = {256: FREE, 257: ANON, 258: ANON, 259: HOT, 300: FILE, 301: SLAB}
# first page, pages, heat: ACTIVE 4, REFERENCED 2, not IDLE 1
TABLE = [(257, 2, 1.0), (259, 1, 7.0), (300, 1, 3.0)]


def rows(trace):
    table = np.concatenate(list(trace.chunks()))
    assert not table["time"].any()
    return list(zip(*(table[name].tolist() for name in ("page", "pages", "heat")), strict=True))


def snapshot_of(path):
    made = as_snapshot.snapshot(path)
    assert made is not None
    return made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state"


def test_a_dump_of_kpageflags_becomes_the_pages_of_users_and_their_heat(path):
    path.write_bytes(states_made.dump(FRAMES, 4096))
    trace = read(path)
    assert (trace.form, trace.numbers, trace.kind, trace.page_size) == ("kpageflags dump", "pfn", "state", 4096)
    assert rows(trace) == TABLE
    assert "free frames (1)" in trace.notes[-1]


@pytest.mark.parametrize(
    "columns", [(), ("map-cnt",), ("cgroup",), ("voffset", "cgroup", "map-cnt"), ("foffset", "map-cnt")]
)
@pytest.mark.parametrize("summary", [False, True])
def test_a_listing_of_page_types_is_read_by_the_columns_of_its_header(path, columns, summary):
    path.write_bytes(states_made.listing(FRAMES, columns=columns, summary=summary))
    trace = read(path)
    assert trace.form == "page-types listing"
    assert rows(trace) == TABLE


@pytest.mark.parametrize("length", [42, 43, 44])
def test_letters_of_older_page_types_are_told_by_their_number(path, length):
    order = [one for one in states_made.ORDER if one[1] not in {44: (), 43: (41,), 42: (41, 26)}[length]]
    if length < 44:  # the bit of anon_exclusive came later than that of a flag that is no more
        order = [("P", 49) if one == ("d", 47) else one for one in order]
        order.sort(key=lambda one: one[1])
    assert len(order) == length
    frames = {**FRAMES, 302: FILE | int(MASK("RECLAIM", "PRIVATE", "DIRTY")), 303: ANON | int(MASK("MLOCKED"))}
    path.write_bytes(states_made.listing(frames, order=order))
    assert rows(read(path))[:3] == TABLE
    made = snapshot_of(path)
    assert dict(zip(made.pfn.tolist(), made.flags.tolist(), strict=True)) == {
        pfn: word for pfn, word in frames.items() if word not in (FREE, SLAB)
    }


def test_runs_of_frames_are_not_taken_apart(path):
    path.write_bytes(states_made.ranges([(0, 1 << 40, FREE), (1 << 40, 1 << 30, ANON), (1 << 41, 5, HOT)]))
    assert rows(read(path)) == [(1 << 40, 1 << 30, 1.0), (1 << 41, 5, 7.0)]


WORDS = some.sets(some.sampled_from(sorted(set(kpageflags.NAMES) - {42}))).map(
    lambda bits: sum(1 << bit for bit in bits)
)


@settings(max_examples=100, deadline=None)
@given(frames=some.dictionaries(some.integers(0, 5000), WORDS, min_size=1, max_size=30))
def test_words_come_back_from_letters_as_from_a_dump(tmp_path_factory, frames):
    # of a tail page-types shows what /proc/kpageflags does, and a dump is read with the state of heads in it
    frames = {pfn: word & ~(1 << 16) for pfn, word in sorted(frames.items())}
    folder = tmp_path_factory.mktemp("words")
    (folder / "listing").write_bytes(states_made.listing(frames))
    (folder / "dump").write_bytes(states_made.dump(frames, 5001))
    try:
        expected = snapshot_of(folder / "dump")
    except (SnapshotError, TraceError):  # none is a page, or not even a flag is set
        with pytest.raises(SnapshotError):
            as_snapshot.snapshot(folder / "listing")
        return
    again = snapshot_of(folder / "listing")
    assert np.array_equal(again.pfn, expected.pfn)
    assert np.array_equal(again.flags, expected.flags)


def test_a_listing_becomes_a_snapshot_with_flags_and_counts(path):
    path.write_bytes(states_made.listing(FRAMES, columns=("map-cnt",)))
    made = snapshot_of(path)
    assert made.pfn.tolist() == [257, 258, 259, 300]
    assert made.flags.tolist() == [ANON, ANON, HOT, FILE]
    assert made.count.tolist() == [1, 2, 3, 0]
    assert made.facts["uses"] == {"looked_at": 6, "pages": 4, "free": 1, "other": 1}


def test_a_frame_that_two_addresses_name_is_one_page(path):
    listed = states_made.listing(FRAMES, columns=("voffset",))
    path.write_bytes(listed + listed.split(b"\n", 1)[1])
    made = snapshot_of(path)
    assert made.pfn.tolist() == [257, 258, 259, 300]
    assert "4 frames are in the list more than once." in made.notes


def test_a_listing_without_r_says_what_it_hides(path):
    path.write_bytes(states_made.listing(FRAMES, shown=states_made.plain))
    assert any("page-types without -r hides" in note for note in read(path).notes)
    path.write_bytes(states_made.listing({**FRAMES, 303: ANON | int(MASK("COMPOUND_HEAD"))}))
    assert not any("page-types without -r hides" in note for note in read(path).notes)


def test_other_forms_are_no_snapshot(path):
    path.write_bytes(b"7f1c40000000 default anon=5 N0=5 kernelpagesize_kB=4\n")
    assert as_snapshot.snapshot(path) is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (states_made.dump(FRAMES, 4096)[:-3], "byte 32760: cut short: 5 bytes of the last word of 8"),
        (states_made.dump(FRAMES, 4096 << 4) + b"\xff" * 8, "frame 65536: 0xffffffffffffffff has bits that no word"),
        (np.frombuffer(states_made.dump(FRAMES, 512), np.uint64).byteswap().tobytes(), "in the other order of bytes"),
        (b"offset\tflags\n101\t__RU\n", ":2: .*flags of 42, 43 or 44 letters"),
        (b"offset\tflags\n101\t" + b"?" * 44 + b"\n", ":2: .*flags of 42, 43 or 44 letters"),
        (b"offset\tflags\nxyz\t" + b"_" * 44 + b"\n", ":2: .*invalid literal"),
        (b"offset\tlen\tflags\n101\t" + b"_" * 44 + b"\n", ":2: .*3 columns are expected"),
        (b"offset\tlen\tflags\n101\t0\t" + b"_" * 44 + b"\n", ":2: .*out of range"),
        (states_made.listing(FRAMES)[:-5], ":7: cut short: the last line has no newline"),
        (b"offset\tflags\n", "a page-types listing without a single row"),
    ],
)
def test_what_is_wrong_with_a_state_is_said_with_its_place(path, data, says):
    path.write_bytes(data)
    with pytest.raises(TraceError, match=says):
        read(path)


NUMA_MAPS = (
    b"7f1c40000000 prefer:1 anon=512 dirty=512 active=0 N0=384 N1=128 kernelpagesize_kB=4\n"
    b"7f1d00000000 interleave:0-1 huge anon=3 dirty=3 N0=2 N1=1 kernelpagesize_kB=2048\n"
    b"7ffd00000000 default stack anon=4 dirty=4 active=1 N0=4 kernelpagesize_kB=4\n"
    b"7ffd10000000 default\n"
)


def test_numa_maps_give_each_area_its_pages_on_each_node(path):
    path.write_bytes(NUMA_MAPS)
    trace = read(path)
    assert (trace.numbers, trace.kind) == ("vpn", "state")
    table = np.concatenate(list(trace.chunks()))
    assert table["page"].tolist() == [0x7F1C40000, 0x7F1C40180, 0x7F1D00000, 0x7F1D00400, 0x7FFD00000]
    assert table["pages"].tolist() == [384, 128, 1024, 512, 4]
    assert table["node"].tolist() == [0, 1, 0, 1, 0]
    assert table["heat"].tolist() == [0, 0, 7, 7, 1.75]
    assert "areas without pages (1)" in trace.notes[-1]


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        (b"kernelpagesize_kB=2048", b"kernelpagesize_kB=3000", ":2: kernelpagesize_kB=3000: a power of two"),
        (b"7f1d00000000 ", b"7f1d0000000q ", ":2: .*ADDRESS POLICY"),
        (b"N0=2 ", b"N9999=2 N66000=2 N0=2 ", "node: a number that is out of range"),
    ],
)
def test_a_wrong_area_is_named(path, was, now, says):
    assert was in NUMA_MAPS
    path.write_bytes(NUMA_MAPS.replace(was, now))
    with pytest.raises(TraceError, match=says):
        read(path)


LRU_GEN = (
    b"memcg     1 /\n node     0\n"
    b"          3         12        512        256 \n          4          8        100          0 \n"
    b"          6          0         16          8 \n"
    b" node     1\n          1       9000          0       4096 \n          2          0       1024          0 \n"
    b"memcg     7 /made-up.slice\n node     0\n          0          0          5          0 \n"
)


def test_generations_become_pages_from_cold_to_hot(path):
    path.write_bytes(LRU_GEN)
    trace = read(path)
    table = np.concatenate(list(trace.chunks()))
    assert table["page"].tolist() == [0, 768, 868, 892, 4988, 6012]
    assert table["pages"].tolist() == [768, 100, 24, 4096, 1024, 5]
    assert table["node"].tolist() == [0, 0, 0, 1, 1, 0]
    assert table["heat"].tolist() == pytest.approx([0, 7 / 3, 7, 0, 7, 0])
    assert "made-up" not in str(trace.facts)


def test_statistics_of_lru_gen_full_are_counted_and_other_lines_refused(path):
    lines = LRU_GEN.splitlines(keepends=True)
    lines[3:3] = [b"                     0          4r         12e          0p \n"]
    path.write_bytes(b"".join(lines))
    assert "lines of statistics (1)" in read(path).notes[-1]
    path.write_bytes(LRU_GEN.replace(b" node     1\n", b" nod\n"))
    with pytest.raises(TraceError, match=r":6: ' nod': `memcg ID PATH`"):
        read(path)
    path.write_bytes(LRU_GEN.replace(b"slice\n node     0\n", b"slice\n"))
    with pytest.raises(TraceError, match=r":10: a generation that belongs to no node"):
        read(path)
