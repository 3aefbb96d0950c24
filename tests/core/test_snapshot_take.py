"""Recording a machine: a made-up /proc gives exactly its pages, and what cannot be read is said, not guessed."""

import ctypes
import errno
import mmap
import os
import struct
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot import Snapshot, identity, sample, take
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot.proc import kpageflags, mappings, populated, reader
from pagexchange.pages.snapshot.proc.kpageflags import mask
from pagexchange.pages.snapshot.proc.mappings import EXCLUSIVE, FILE, SHARED, WRITABLE
from pagexchange.pages.snapshot.take import _read_contents

PAGE = os.sysconf("SC_PAGE_SIZE")
ANON = mask("UPTODATE", "LRU", "MMAP", "ANON", "SWAPBACKED")
CACHE = mask("UPTODATE", "LRU", "REFERENCED")
HEAD, TAIL = mask("COMPOUND_HEAD", "THP"), mask("COMPOUND_TAIL", "THP")
PRESENT, IS_FILE = 1 << 63, 1 << 61


class FakeProc:
    """A /proc that a test can fill: frames by number, processes by their areas."""

    def __init__(self, root, frames=4096):
        self.root = root
        self.flags = np.zeros(frames, dtype=np.uint64)
        self.count = np.zeros(frames, dtype=np.uint64)
        self.maps, self.pagemap = {}, {}

    def area(self, pid, start, pfns, perms="rw-p", inode=0, offset=0, name="", bits=0, device="08:01"):
        """An area of `pid` that begins at page `start` and holds these frames (None: not there)."""
        end = start + len(pfns)
        line = f"{start * PAGE:x}-{end * PAGE:x} {perms} {offset * PAGE:08x} {device} {inode}    {name}".rstrip()
        self.maps.setdefault(pid, []).append(line)
        words = {
            start + k: PRESENT | pfn | bits | (IS_FILE if inode else 0) for k, pfn in enumerate(pfns) if pfn is not None
        }
        self.pagemap.setdefault(pid, {}).update(words)
        for pfn in pfns:
            if pfn is not None:
                self.count[pfn] += 1

    def write(self):
        self.flags.tofile(self.root / "kpageflags")
        self.count.tofile(self.root / "kpagecount")
        (self.root / "meminfo").write_text("not a process\n")
        for pid, lines in self.maps.items():
            folder = self.root / str(pid)
            folder.mkdir()
            (folder / "comm").write_text(f"name-{pid}\n")
            (folder / "maps").write_text("\n".join(lines) + "\n")
            with (folder / "pagemap").open("wb") as stream:
                for vpn, word in self.pagemap[pid].items():  # a sparse file, as /proc's is a sparse table
                    stream.seek(vpn * 8)
                    stream.write(int(word).to_bytes(8, "little"))
        return self.root


@pytest.fixture
def fake(tmp_path):
    """Two processes share a file of three pages; each has anonymous pages, one pair is shared after a fork."""
    proc = FakeProc(tmp_path)
    proc.flags[10:16] = ANON
    proc.flags[20:23] = CACHE | mask("MMAP")
    proc.flags[30] = CACHE
    proc.flags[40] = mask("BUDDY")
    proc.flags[41:44] = mask("SLAB")
    proc.flags[43] |= mask("ANON", "MMAP", "KSM")  # as real slab words do: the field is shared
    proc.area(7, 1000, [10, 11, None, 12])
    proc.area(7, 9000, [20, 21], perms="r-xp", inode=55, offset=4, name="/secret/name")
    proc.area(8, 1000, [10, 13])
    proc.area(8, 7003, [20, 21, 22], perms="rw-s", inode=55, offset=4, name="/secret/name")
    return proc


def test_every_page_of_a_user_is_recorded_and_nothing_else(fake):
    snapshot = take(proc=fake.write())
    assert snapshot.pfn.tolist() == [10, 11, 12, 13, 14, 15, 20, 21, 22, 30]
    np.testing.assert_array_equal(snapshot.flags, fake.flags[snapshot.pfn.astype(int)])
    np.testing.assert_array_equal(snapshot.count, fake.count[snapshot.pfn.astype(int)])
    assert snapshot.facts["uses"] == {"looked_at": 4096, "pages": 10, "free": 1, "other": 3, "no_flags": 4082}
    assert snapshot.facts["processes"] == {"recorded": 2, "denied": 0, "vanished": 0, "without_memory": 0}


def test_identities_and_sharing_are_the_page_tables(fake):
    snapshot = take(proc=fake.write())
    row = {int(pfn): k for k, pfn in enumerate(snapshot.pfn)}
    assert [int(snapshot.index[row[p]]) for p in (20, 21, 22)] == [4, 5, 6]
    assert {int(snapshot.file[row[p]]) for p in (20, 21, 22)} == {0}
    assert {int(snapshot.file[row[p]]) for p in (10, 14, 30)} == {-1}
    assert snapshot.mapcount()[[row[p] for p in (10, 11, 13, 14, 20, 22)]].tolist() == [2, 1, 1, 0, 2, 1]
    bits = snapshot.map_bits[snapshot.map_frame == row[22]]
    assert bits.tolist() == [FILE | WRITABLE | SHARED]


def test_a_closed_gap_keeps_order_place_within_512_and_equality_of_forked_processes(fake):
    snapshot = take(proc=fake.write())
    vpn = {}
    for space, page, frame in zip(snapshot.map_space, snapshot.map_vpn, snapshot.map_frame, strict=True):
        vpn[int(space), int(snapshot.pfn[frame])] = int(page)
    assert vpn[0, 10] == vpn[1, 10]
    assert vpn[0, 11] == vpn[1, 13] == vpn[0, 10] + 1
    assert vpn[0, 12] == vpn[0, 10] + 3
    assert vpn[0, 10] % 512 == 1000 % 512
    assert vpn[1, 20] % 512 == 7003 % 512
    assert vpn[0, 10] < vpn[1, 20] < vpn[0, 20] < 9000


def test_closed_gaps_keep_overlapping_areas_apart():
    areas = [(100, 200), (150, 300), (150, 160), (300, 310), (5000, 5001)]
    vpn = np.array([100, 199, 200, 299, 300, 309, 5000], dtype=np.uint64)
    out = identity.close_gaps(vpn, areas).astype(int)
    assert np.diff(out)[:5].tolist() == [99, 1, 99, 1, 9]
    assert out[6] > out[5]
    assert (out % 512 == vpn.astype(int) % 512).all()
    forked = identity.close_gaps(
        np.array([999, 5000], dtype=np.uint64), [(k, 951 + k) for k in range(50)] + [(5000, 5001)]
    )
    assert forked[1] - forked[0] <= 513


def test_a_gap_is_closed_to_the_next_place_within_512_and_a_large_area_keeps_its_size():
    areas = [(1000, 3000), (9000, 9001), (9001, 9600)]
    vpn = np.array([1000, 2999, 9000, 9001, 9599], dtype=np.uint64)
    # 3000 is free: the first place from there on that lies in its 512 as 9000 does
    assert identity.close_gaps(vpn, areas).tolist() == [1000, 2999, 3368, 3369, 3967]
    assert identity.close_gaps(vpn, areas[::-1]).tolist() == [1000, 2999, 3368, 3369, 3967]
    assert identity.close_gaps(vpn[2:3], [(9000, 9512), (10_000, 10_001)]).tolist() == [808]
    assert identity.close_gaps(np.array([512, 1024], np.uint64), [(512, 1023), (1024, 1025)]).tolist() == [1024, 1536]


def test_nothing_that_tells_whose_pages_they_are_is_kept_unless_asked_for(fake):
    plain = take(proc=fake.write())
    assert "secret" not in repr(plain.facts)
    assert "name-" not in repr(plain.facts)
    named = take(proc=fake.root, names=True)
    assert named.facts["file_names"] == ["/secret/name"]
    assert named.facts["space_names"] == ["name-7", "name-8"]


ODD_NAMES = [
    b"/a\rb c d e f g",
    b"/a\r%x-%x rw-p 00005000 08:01 77 forged" % (9000 * PAGE, 9002 * PAGE),
    *(b"/a%s7000-8000 rw-p 00000000 08:01 77 /forged" % end.encode() for end in "\v\f\x1c\x1d\x1e\x85\u2028\u2029"),
    b"/\xff\xfe 1 2 3", b"/a  b ", b"/a\\0121000-2000 rw-p 0 08:01 77 /forged", b"/a (deleted)", b"/\xe2\x80", b"/\t",
]  # fmt: skip
"""Names of files as /proc/PID/maps shows them: all that Linux escapes is the newline."""


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_name_of_a_file_forges_an_area_or_ends_the_recording(fake, name):
    plain = take(proc=fake.write(), names=True)
    maps = fake.root / "7" / "maps"
    maps.write_bytes(maps.read_bytes().replace(b"/secret/name", name))
    odd = take(proc=fake.root, names=True)
    for column in ("pfn", "file", "index", "map_space", "map_vpn", "map_frame", "map_bits"):
        np.testing.assert_array_equal(getattr(odd, column), getattr(plain, column))
    assert odd.facts["file_names"] == [name.decode(errors="backslashreplace")]
    file_format.loads(file_format.dumps(odd), "s")


@pytest.mark.parametrize("name", [b"a\rb c d e f g", b"\x85\xe2\x80\xa8 \xff"])
def test_linux_writes_maps_as_they_are_read(tmp_path, name):
    path = os.fsencode(tmp_path) + b"/" + name
    with Path(os.fsdecode(path)).open("w+b") as stream:
        stream.truncate(2 * PAGE)
        with mmap.mmap(stream.fileno(), 2 * PAGE):
            mine = [
                area for area in reader.areas(Path("/proc"), os.getpid(), PAGE) if area.name.startswith(str(tmp_path))
            ]
    assert [(area.name, area.end - area.start, area.perms) for area in mine] == [
        (path.decode(errors="backslashreplace"), 2, "rw-s")
    ]
    assert mine[0].inode == Path(os.fsdecode(path)).stat().st_ino


@pytest.mark.parametrize(
    "line",
    [b"1000-2000", b"x-y rw-p 0 08:01 1", b"1000-2000 rw-p 0 08:01 -1", b"1000-2000 rwxrwxp 0 08:01 1", b"\xff",
     b"1000-2000 rw-p 0 08:01 1/a", b"1000-2000\trw-p\t0\t08:01\t1", b" 1000-2000 rw-p 0 08:01 1"],
)  # fmt: skip
def test_a_line_that_linux_does_not_write_is_no_area(fake, line):
    maps = fake.write() / "7" / "maps"
    maps.write_bytes(line + b"\n" + maps.read_bytes() + line + b"\n")
    assert [area.start for area in reader.areas(fake.root, 7, PAGE)] == [1000, 9000]


@pytest.mark.parametrize("name", [b"a\nb", b"a\r\x85", b" a ", b"\xff", b"a\n"])
def test_a_process_has_the_name_that_it_gave_itself(fake, name):
    (fake.write() / "7" / "comm").write_bytes(name + b"\n")
    assert take(proc=fake.root, names=True).facts["space_names"] == [
        name.decode(errors="backslashreplace"), "name-8",
    ]  # fmt: skip


def test_only_decimal_numbers_as_linux_writes_them_are_processes(fake):
    for name in ("\u0667", "7a", "-7", "\u00b2"):
        (fake.root / name).mkdir()
    assert reader.processes(fake.write()) == [7, 8]


def test_an_unmapped_page_of_a_folio_has_its_place_from_a_mapped_one(fake):
    fake.flags[64] = CACHE | HEAD
    fake.flags[65:68] = CACHE | TAIL
    fake.area(7, 20000, [66], inode=77, offset=10)
    snapshot = take(proc=fake.write())
    rows = np.searchsorted(snapshot.pfn, [64, 65, 66, 67])
    assert snapshot.index[rows].tolist() == [8, 9, 10, 11]
    assert len(set(snapshot.file[rows].tolist())) == 1
    assert snapshot.file[rows[0]] >= 0


def test_a_frame_that_changed_hands_meanwhile_is_counted_and_left_out(fake):
    fake.area(8, 30000, [14], inode=99)  # the page table says file, the flags say anonymous
    fake.area(8, 31000, [41])  # slab by now
    fake.area(8, 32000, [3999])  # free by now
    snapshot = take(proc=fake.write())
    assert snapshot.facts["mappings"] == {"not_a_page": 2, "changed": 1}
    assert snapshot.mapcount()[snapshot.pfn == 14].tolist() == [0]


def test_two_places_for_one_frame_leave_one(fake):
    fake.area(8, 30000, [20], inode=55, offset=9)
    snapshot = take(proc=fake.write())
    assert snapshot.facts["mappings"]["changed"] == 1
    assert snapshot.index[snapshot.pfn == 20].tolist() == [4]


def test_a_process_that_vanishes_is_counted(fake):
    root = fake.write()
    (root / "9").mkdir()
    (root / "10").mkdir()
    (root / "10" / "maps").write_text("1000-2000 rw-p 00000000 00:00 0\n")
    (root / "11").mkdir()
    (root / "11" / "maps").write_text("")
    snapshot = take(proc=root)
    assert snapshot.facts["processes"] == {"recorded": 2, "denied": 0, "vanished": 2, "without_memory": 1}


def test_a_process_that_may_not_be_read_is_counted_and_reported(fake, monkeypatch):
    areas = reader.areas

    def refuse(proc, pid, size):
        if pid == 8:
            raise PermissionError(errno.EACCES, "Permission denied")
        return areas(proc, pid, size)

    monkeypatch.setattr(reader, "areas", refuse)
    snapshot = take(proc=fake.write())
    assert snapshot.facts["processes"]["denied"] == 1
    assert "1 process may not be read" in snapshot.notes[0]
    assert snapshot.nspaces == 1
    with pytest.raises(SnapshotError, match="process 8 cannot be read: Permission denied"):
        take(proc=fake.root, pids=[8])
    with pytest.raises(SnapshotError, match="process 12345 cannot be read: No such file"):
        take(proc=fake.root, pids=[12345])


@pytest.mark.parametrize("name", [None, "/proc/8/maps"])
def test_an_error_that_no_process_explains_is_an_error_with_its_file(fake, monkeypatch, name):
    def broken(proc, pid, size):
        raise OSError(errno.EIO, "Input/output error", name)

    monkeypatch.setattr(reader, "areas", broken)
    root = fake.write()
    with pytest.raises(SnapshotError, match=f"^{name or f'{root}/7/pagemap'}: Input/output error$"):
        take(proc=root)


def test_named_processes_bring_their_frames_only(fake):
    fake.flags[32] = CACHE
    snapshot = take(proc=fake.write(), pids=[8])
    assert snapshot.pfn.tolist() == [10, 13, 20, 21, 22]


@pytest.mark.parametrize(
    ("budget", "pages", "cut"),
    [
        (0, [], [7]),
        (1, [1000], [7]),
        (3, [1000, 1001, 1003], [7]),
        (4, [1000, 1001, 1003, 9000], [7]),
        (5, [1000, 1001, 1003, 9000, 9001], []),
    ],
)
def test_the_budget_counts_what_is_there_and_what_is_left_out_is_said(fake, budget, pages, cut, monkeypatch):
    read = mappings.Recording(left=budget)
    mappings.read(fake.write(), 7, PAGE, read, must=True)
    assert read.all().vpn.tolist() == pages
    assert (read.left, read.cut, read.without_memory) == (budget - len(pages), cut, 0)
    monkeypatch.setattr(mappings, "Recording", partial(mappings.Recording, left=budget))
    if pages:
        kept = f"{len(pages)} mapping{'s' if len(pages) > 1 else ''}"
        said = f"1 process had more pages mapped than could be kept; of all together {kept} were."
        assert take(proc=fake.root, pids=[7]).notes == ([said] if cut else [])


@pytest.mark.parametrize("statm", [True, False])
def test_a_process_with_many_pages_leaves_the_others_theirs(fake, statm, monkeypatch):
    fake.flags[1000:2000] = ANON
    fake.area(3, 5000, list(range(1000, 1900)))
    fake.area(9, 5000, list(range(1900, 1910)))
    root = fake.write()
    if statm:
        for pid, pages in ((3, 900), (7, 5), (8, 5), (9, 10)):
            (root / str(pid) / "statm").write_text(f"99999 {pages} 1 1 0 1 0\n")
    monkeypatch.setattr(mappings, "Recording", partial(mappings.Recording, left=100))
    snapshot = take(proc=root)
    kept = np.bincount(snapshot.map_space).tolist()
    assert kept == ([80, 5, 5, 10] if statm else [25, 5, 5, 10])
    assert len(snapshot.notes) == 1
    assert "1 process had more pages mapped than could be kept" in snapshot.notes[0]


def test_shares_give_who_wants_less_what_it_wants_and_the_others_the_same():
    assert mappings.share([5, 5, 10], 20) == mappings.share([], 20) == 20
    assert mappings.share([5, 5, 11], 20) == 10
    assert mappings.share([5, 50, 50], 20) == 7
    assert mappings.share([50, 50, 5, 50], 20) == 5
    assert mappings.share([None, 4, 4], 20) == 12
    assert mappings.share([0, 0, 30], 20) == 20
    assert mappings.share([1, 1, 1], 2) == 0


def test_the_budget_is_no_more_than_memory_can_hold(monkeypatch):
    monkeypatch.setattr("pagexchange_native.arena.backing.memory_available", lambda: 1_000_000)
    assert mappings.Recording().left == 5000
    monkeypatch.setattr("pagexchange_native.arena.backing.memory_available", lambda: 1 << 60)
    assert mappings.Recording().left == mappings.BUDGET


def test_a_recording_that_memory_has_no_room_for_ends_with_what_to_ask_for(fake, monkeypatch):
    fake.flags[1000:2000] = CACHE
    monkeypatch.setattr("pagexchange_native.arena.backing.memory_available", lambda: 1010 * 80)
    assert len(take(proc=fake.write())) == 1010
    monkeypatch.setattr("pagexchange_native.arena.backing.memory_available", lambda: 1010 * 80 - 1)
    with pytest.raises(SnapshotError, match=r"more pages than can be recorded: this takes about .* want a sample"):
        take(proc=fake.root)
    assert len(take(proc=fake.root, pids=[7])) == 5


class Counting(reader.Words):
    """Counts the words that are read."""

    def __init__(self, path):
        super().__init__(path)
        self.asked = 0

    def __enter__(self):
        return self

    def read(self, first, count):
        self.asked += count
        return super().read(first, count)


def there(words, start, end, budget=1 << 30):
    return [vpn for vpns, _ in reader.present(words, reader.Area(start, end, "", 0, "", 0, ""), budget) for vpn in vpns]


def test_of_what_a_process_has_reserved_only_what_is_there_is_read():
    size = 1 << 40
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    at = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, -1, 0)
    assert at not in (None, (1 << 64) - 1)
    assert libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(size), 15) == 0  # MADV_NOHUGEPAGE: pages, one by one
    touched = [0, 1, 700, 1 << 20, (1 << 28) - 1, *range(1 << 25, (1 << 25) + 6000 * 600, 600)]
    for page in touched:
        ctypes.memset(at + page * PAGE, 1, 1)
    try:
        with Counting(Path("/proc/self/pagemap")) as words:
            if words.stretches(at // PAGE, (at + size) // PAGE) is None:
                pytest.skip("Linux before 6.7 cannot say where pages are")
            pages = there(words, at // PAGE, (at + size) // PAGE)
            assert words.asked < 20_000
    finally:
        libc.munmap(at, size)
    assert (np.array(pages, dtype=np.int64) - at // PAGE).tolist() == sorted(touched)


def test_of_a_saved_pagemap_the_holes_are_not_read(tmp_path):
    with (tmp_path / "pagemap").open("wb") as stream:
        for page in (5, 6, 700_000, (1 << 35) - 1):
            stream.seek(page * 8)
            stream.write((PRESENT | 1).to_bytes(8, "little"))
    with Counting(tmp_path / "pagemap") as words:
        assert there(words, 0, 1 << 35) == [5, 6, 700_000, (1 << 35) - 1]
        assert there(words, 6, 700_000) == [6]
        assert there(words, 700_001, 1 << 34) == []
        assert words.asked < 20_000


def test_where_linux_cannot_say_where_pages_are_areas_are_read_from_their_beginning(fake, monkeypatch):
    monkeypatch.setattr(reader.Words, "stretches", lambda *_: None)
    plain = take(proc=fake.write())
    assert len(plain.map_frame) == 10
    assert plain.notes == []
    monkeypatch.setattr(reader, "BLIND", 3)
    cut = take(proc=fake.root)
    assert len(cut.map_frame) == 9  # the fourth page of an area of four
    assert cut.notes == ["of 1 area, too large, only the beginning was looked at: Linux does not say where pages are."]


def test_areas_that_linux_walks_in_pieces_are_found_whole(monkeypatch):
    page = 4096
    calls = []

    def ioctl(fd, code, argument):
        size, flags, start, end, _, vec, room, most, inverted, mask, any_of, wanted = struct.unpack("=12Q", argument)
        assert (fd, code, size, flags, most, inverted, mask, any_of, wanted) == (9, 0xC0606610, 96, 0, 0, 0, 8, 0, 8)
        calls.append(start // page)
        found = [pair for pair in ((10, 12), (13, 14), (2000, 2001), (9000, 9600)) if pair[0] * page >= start][:2]
        regions = (ctypes.c_uint64 * (3 * room)).from_address(vec)
        for k, (low, high) in enumerate(found):
            regions[3 * k : 3 * k + 2] = [low * page, high * page]
        struct.pack_into("=Q", argument, 32, min(found[-1][1] * page, end) if found else end)
        return len(found)

    monkeypatch.setattr(os, "sysconf", lambda _: page)
    monkeypatch.setattr("fcntl.ioctl", ioctl)
    found = populated.stretches(9, 5, 20_000)
    assert found is not None
    assert list(found) == [(10, 14), (2000, 2001), (9000, 9600)]
    assert calls == [5, 14, 9600]


def test_each_mapping_is_recorded_with_its_file_its_place_and_its_bits(fake):
    fake.area(7, 12_000, [None, 23], perms="rw-s", inode=56, name="/other", bits=1 << 56)
    fake.area(7, 13_000, [14], perms="---p")
    fake.area(7, 14_000, [20], perms="r--p", inode=55, offset=4, name="/secret/name")
    fake.area(8, 1, [None, 15, None])
    recording = mappings.Recording()
    before = recording.left
    for pid in (7, 8):
        mappings.read(fake.write() if pid == 7 else fake.root, pid, PAGE, recording, must=True)
    maps = recording.all()
    shared = FILE | WRITABLE | SHARED
    rows = zip(
        *(getattr(maps, name).tolist() for name in ("space", "vpn", "pfn", "bits", "file", "index")), strict=True
    )
    assert list(rows) == [
        (0, 1000, 10, WRITABLE, -1, 0), (0, 1001, 11, WRITABLE, -1, 0),
        (0, 1003, 12, WRITABLE, -1, 0),
        (0, 9000, 20, FILE, 0, 4), (0, 9001, 21, FILE, 0, 5),
        (0, 12_001, 23, shared | EXCLUSIVE, 1, 1), (0, 13_000, 14, 0, -1, 0), (0, 14_000, 20, FILE, 0, 4),
        (1, 1000, 10, WRITABLE, -1, 0), (1, 1001, 13, WRITABLE, -1, 0),
        (1, 7003, 20, shared, 0, 4), (1, 7004, 21, shared, 0, 5), (1, 7005, 22, shared, 0, 6),
        (1, 2, 15, WRITABLE, -1, 0),
    ]  # fmt: skip
    assert (recording.pids, recording.file_names) == ([7, 8], ["/secret/name", "/other"])
    assert before - recording.left == 14


@pytest.mark.parametrize("how", ["missing", "no numbers"])
def test_without_root_the_own_process_is_recorded_with_made_up_frames(fake, how, monkeypatch):
    me = os.getpid()
    fake.maps = {me: fake.maps.pop(7), 8: fake.maps[8]}
    fake.pagemap = {me: fake.pagemap.pop(7), 8: fake.pagemap[8]}
    for words in fake.pagemap.values():
        for vpn in words:
            words[vpn] &= ~((1 << 55) - 1)
    root = fake.write()
    if how == "missing":
        (root / "kpagecount").unlink()
        (root / "self").symlink_to(str(me))
        monkeypatch.setattr("pagexchange.pages.snapshot.proc.tree._is_this_machines", lambda proc: True)
    snapshot = take(proc=root, pids=[me] if how == "no numbers" else None)
    assert snapshot.partial
    assert "made up" in snapshot.notes[0]
    assert snapshot.nspaces == 1
    assert len(snapshot) == 5
    anon = (snapshot.flags & mask("ANON")) != 0
    assert sorted(snapshot.index[~anon].tolist()) == [4, 5]
    assert snapshot.mapcount().tolist() == [1] * 5 == snapshot.count.tolist()


def test_no_proc_is_an_error_that_says_so(tmp_path):
    with pytest.raises(SnapshotError, match="/none: no such folder"):
        take(proc=tmp_path / "none")
    FakeProc(tmp_path).write()
    with pytest.raises(SnapshotError, match=f"^{tmp_path}: no page was found to record; no process may be read$"):
        take(proc=tmp_path)
    with pytest.raises(SnapshotError, match="limit 0"):
        take(proc=tmp_path, limit=0)


def test_contents_are_read_where_somebody_maps_the_page(fake):
    root = fake.write()
    with (root / "7" / "mem").open("wb") as stream:
        stream.seek(1000 * PAGE)
        stream.write(b"A" * PAGE + b"B" * PAGE)
    snapshot = take(proc=root, contents=True)
    rows = np.searchsorted(snapshot.pfn, [10, 11, 20])
    assert snapshot.content is not None
    assert snapshot.content_known is not None
    assert snapshot.content_known[rows].tolist() == [True, True, False]
    assert snapshot.content[rows, 0].tolist() == [65, 66, 0]
    assert take(proc=root).content is None


def test_a_page_whose_contents_cannot_be_read_is_unknown_and_the_others_are_read(fake, monkeypatch):
    root = fake.write()
    for pid in (7, 8):
        with (root / str(pid) / "mem").open("wb") as stream:
            stream.seek(1000 * PAGE)
            stream.write(b"A" * PAGE + b"B" * PAGE + b"C" * PAGE + b"D" * (PAGE - 1))  # the last one is cut short
    pread = os.pread

    def broken(fd, size, at):
        if at == 1000 * PAGE:
            raise OSError(errno.EIO, "Input/output error")
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", broken)
    snapshot = take(proc=root, contents=True)
    rows = np.searchsorted(snapshot.pfn, [10, 11, 12, 13])
    assert snapshot.content is not None
    assert snapshot.content_known is not None
    assert snapshot.content_known.sum() == 2
    assert snapshot.content_known[rows].tolist() == [False, True, False, True]
    assert snapshot.content[rows].max(axis=1).tolist() == snapshot.content[rows].min(axis=1).tolist() == [0, 66, 0, 66]
    assert snapshot.notes == ["the contents of 8 pages could not be read: no recorded process maps them."]


def test_a_sample_of_the_page_cache_takes_time_in_proportion_to_it():
    def seconds(n):
        none = np.zeros(0)
        cache = Snapshot(
            pfn=np.arange(n, dtype=np.uint64), flags=np.full(n, CACHE, np.uint64), count=np.zeros(n, np.uint32),
            file=np.full(n, -1, np.int32), index=np.zeros(n, np.uint64), map_space=none.astype(np.uint32),
            map_vpn=none.astype(np.uint64), map_frame=none.astype(np.uint32), map_bits=none.astype(np.uint8),
        )  # fmt: skip
        start = time.process_time()
        assert n // 2 - 4096 <= len(sample.choose(cache, n // 2, 0)[0]) <= n // 2
        return time.process_time() - start

    seconds(1 << 12)
    small, large = (min(seconds(n) for _ in range(4)) for n in (1 << 18, 1 << 21))
    assert large < 30 * small  # 8 times as many; a look at all for each stretch took 60 times


@pytest.mark.parametrize("limit", [1, 3, 9, 40, 100, 150, 10_000])
def test_a_sample_keeps_folios_and_processes_whole_and_the_limit(fake, limit):
    fake.flags[512:640] = ANON
    for k in range(8):
        start = 512 + 16 * k
        fake.flags[start] |= HEAD
        fake.flags[start + 1 : start + 16] |= TAIL
        fake.area(9 + k, 50_000, list(range(start, start + 16)))
    root = fake.write()
    whole, part = take(proc=root), take(proc=root, limit=limit)
    assert len(part) <= limit
    assert len(part) == min(len(whole), limit) or limit < 150
    folio = kpageflags.folios(part.pfn, part.flags)
    assert not (((part.flags & mask("COMPOUND_TAIL")) != 0) & (folio == np.arange(len(part)))).any()
    if limit >= 40:
        assert part.nspaces >= 3
        in_whole = np.bincount(whole.map_space)
        assert set(np.bincount(part.map_space).tolist()) <= set(in_whole.tolist())
    again = take(proc=root, limit=limit)
    np.testing.assert_array_equal(part.pfn, again.pfn)


def processes_with(*frames, n=100, file=()):
    """A snapshot of `n` frames and of processes that map these of them; those in `file` are pages of one file."""
    space = np.repeat(np.arange(len(frames)), [len(some) for some in frames]).astype(np.uint32)
    row = np.concatenate(frames).astype(np.uint32)
    files = np.full(n, -1, np.int32)
    files[list(file)] = 0
    return Snapshot(
        pfn=np.arange(n, dtype=np.uint64), flags=np.full(n, CACHE, np.uint64), count=np.zeros(n, np.uint32),
        file=files, index=np.arange(n, dtype=np.uint64), map_space=space, map_vpn=np.arange(len(row), dtype=np.uint64),
        map_frame=row, map_bits=np.zeros(len(row), np.uint8),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_what_two_processes_share_is_taken_once_and_whole(seed):
    # 20 frames of one file are shared; with 5 frames of its own each process has 25, both together have 30
    both = processes_with([*range(20), *range(20, 25)], [*range(19), *range(25, 30)], file=range(20))
    rows, spaces = sample.choose(both, 40, seed)
    assert spaces == [0, 1]
    assert set(range(30)) <= set(rows.tolist())
    assert len(rows) == 40  # the rest is page cache
    rows, spaces = sample.choose(both, 39, seed)
    assert len(spaces) == 1
    mine = {0: range(25), 1: [*range(20), *range(25, 30)]}[spaces[0]]
    assert set(mine) <= set(rows.tolist())
    assert len(rows) <= 39


@pytest.mark.parametrize("seed", range(4))
def test_the_smallest_process_is_cut_where_none_fits(seed):
    rows, spaces = sample.choose(processes_with(range(60), range(60, 100)), 40, seed)
    assert spaces == [1]
    assert set(range(60, 90)) <= set(rows.tolist())
    assert len(rows) == 40


@pytest.mark.parametrize(("limit", "whole"), [(39, False), (40, True)])
def test_half_of_the_rest_is_for_whole_files(limit, whole):
    snapshot = processes_with(range(90, 92), file=range(19))
    rows, _ = sample.choose(snapshot, limit, 0)
    assert set(range(19)) <= set(rows.tolist()) or not whole
    assert whole or not set(range(19)) & set(rows.tolist())
    assert len(rows) == limit


@pytest.mark.parametrize("limit", [5, 15, 25, 29])
def test_page_cache_that_lies_far_apart_fills_the_limit(limit):
    snapshot = processes_with([], n=30)
    snapshot.pfn = (np.arange(30, dtype=np.uint64) // np.uint64(10) << np.uint64(12)) + np.arange(30, dtype=np.uint64)
    rows, spaces = sample.choose(snapshot, limit, 0)
    assert (len(rows), spaces) == (limit, [])


def test_a_sample_cuts_no_folio_of_which_only_a_part_has_a_known_place():
    words = [CACHE | HEAD] + [CACHE | TAIL] * 7
    none = np.zeros(0, np.uint32)
    whole = Snapshot(
        pfn=np.arange(64, 64 + 80, dtype=np.uint64), flags=np.array(words * 10), count=np.zeros(80, np.uint32),
        file=np.tile(np.array([-1, -1, -1, 0, 1, -1, -1, 2], np.int32), 10), index=np.arange(80, dtype=np.uint64),
        map_space=none, map_vpn=none.astype(np.uint64), map_frame=none, map_bits=none.astype(np.uint8),
    )  # fmt: skip
    for limit in range(1, 80, 5):
        rows, _ = sample.choose(whole, limit, 0)
        assert len(rows) <= limit
        assert (np.bincount(rows // 8, minlength=10) % 8 == 0).all()


def test_words_are_read_across_holes_to_the_end(tmp_path):
    words = np.arange(1000, dtype=np.uint64)
    (tmp_path / "w").write_bytes(words.tobytes() + b"tail")
    with reader.Words(tmp_path / "w") as file:
        assert file.length() == 1000
        np.testing.assert_array_equal(file.read(990, 100), words[990:])
        assert len(file.read(5000, 10)) == 0
    for count in (0, 1, 2, 3, 4):
        (tmp_path / "w").write_bytes(words[:count].tobytes())
        with reader.Words(tmp_path / "w") as file:
            assert file.length() == count


@pytest.mark.parametrize("step", [4, 600, 1 << 17])
def test_words_at_any_places_are_gathered_in_reads_of_a_step_at_most(tmp_path, monkeypatch, step):
    monkeypatch.setattr(reader, "STEP", step)
    (tmp_path / "w").write_bytes((np.arange(5000, dtype=np.uint64) + np.uint64(7)).tobytes())
    asked = []

    class Seen(reader.Words):
        def read(self, first, count):
            asked.append((first, count))
            return super().read(first, count)

    at = np.array([0, 1, 2, 3, 4, 5, 9, 521, 1034, 1035, 4998, 4999, 5000, 9000], dtype=np.uint64)
    with Seen(tmp_path / "w") as words:
        assert words.gather(at).tolist() == [7, 8, 9, 10, 11, 12, 16, 528, 1041, 1042, 5005, 5006, 0, 0]
        assert words.gather(at[:0]).tolist() == []
    assert max(count for _, count in asked) <= step
    assert step == 4 or asked == [(0, 522), (1034, 2), (4998, 3), (9000, 1)]
    assert all(first // step == (first + count - 1) // step for first, count in asked)


def test_a_hole_that_cannot_be_read_is_zeros(tmp_path, monkeypatch):
    (tmp_path / "w").write_bytes(np.ones(10, dtype=np.uint64).tobytes())

    def broken(fd, size, at):
        raise OSError(errno.EFAULT, "Bad address")

    with reader.Words(tmp_path / "w") as file:
        monkeypatch.setattr(os, "pread", broken)
        assert file.read(0, 4).tolist() == [0, 0, 0, 0]


def test_any_other_error_of_reading_is_raised_with_its_file(tmp_path, monkeypatch):
    (tmp_path / "w").write_bytes(bytes(80))

    def denied(fd, size, at):
        raise OSError(errno.EPERM, "Operation not permitted")

    with reader.Words(tmp_path / "w") as file:
        monkeypatch.setattr(os, "pread", denied)
        with pytest.raises(PermissionError) as caught:
            file.read(0, 4)
    assert caught.value.filename == str(tmp_path / "w")


def test_a_line_of_maps_that_is_no_area_is_passed_over(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "maps").write_text("\n1000-3000 rw-p 00000000 00:00 0\n3000-4000 rw-p\n")
    assert [(area.start, area.end, area.perms) for area in reader.areas(tmp_path, 7, 4096)] == [(1, 3, "rw-p")]


def test_a_process_that_lost_its_memory_is_not_read_on(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "STEP", 4)
    asked = []

    class Seen(reader.Words):
        def read(self, first, count):
            asked.append(first)
            return super().read(first, count)

    (tmp_path / "w").write_bytes(np.full(40, PRESENT, dtype=np.uint64).tobytes())
    with Seen(tmp_path / "w") as words:
        area = reader.Area(0, 1 << 20, "rw-p", 0, "00:00", 0, "")
        pages = [vpn for vpns, _ in reader.present(words, area, 1 << 20) for vpn in vpns.tolist()]
    assert pages == list(range(40))
    assert asked == [0, 32]
    monkeypatch.setattr(Seen, "stretches", lambda *_: None)
    asked.clear()
    with Seen(tmp_path / "w") as words:
        assert [vpn for vpns, _ in reader.present(words, area, 1 << 20) for vpn in vpns.tolist()] == list(range(40))
    assert asked == [0, 32, 64]


def test_a_process_without_a_page_in_memory_has_nothing_to_record(fake):
    fake.area(9, 1000, [None, None])
    with pytest.raises(SnapshotError, match="no page"):
        take(proc=fake.write(), pids=[9])


def test_a_process_whose_name_cannot_be_read_has_an_empty_one(fake):
    root = fake.write()
    (root / "8" / "comm").unlink()
    assert take(proc=root, names=True).facts["space_names"] == ["name-7", ""]


def test_a_machine_too_large_to_scan_is_sampled_with_all_that_is_mapped(fake, monkeypatch):
    monkeypatch.setattr("pagexchange.pages.snapshot.proc.frames.SCAN", 1024)
    monkeypatch.setattr("pagexchange.pages.snapshot.proc.frames.STRETCH", 512)
    fake.flags[3000:3010] = CACHE
    fake.flags[4095] = ANON
    fake.area(7, 60_000, [4095])
    snapshot = take(proc=fake.write(), limit=1000)
    assert {10, 20, 21, 22, 4095} <= set(snapshot.pfn.tolist())
    assert snapshot.facts["uses"]["looked_at"] < 4096
    assert snapshot.facts["frames"] == 4096


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (0, "none"),
        (1, "LOCKED"),
        (int(mask("LRU")), "LRU"),
        (int(mask("LOCKED", "LRU", "ANON")), "LOCKED|LRU|ANON"),
        (1 << 62 | 1 << 63, "bit62|bit63"),
    ],
)
def test_a_word_is_described_by_the_names_of_its_bits(word, sentence):
    assert kpageflags.describe(word) == sentence


def test_heat_orders_active_before_referenced_before_idle():
    words = [mask("ACTIVE", "REFERENCED"), mask("ACTIVE", "IDLE"), mask("REFERENCED"), mask("LRU"), mask("IDLE")]
    assert kpageflags.heat(np.array(words)).tolist() == [7, 4, 3, 1, 0]


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/proc/kpageflags").exists(), reason="needs root and kpageflags")
def test_this_machine_can_be_recorded(tmp_path):
    snapshot = take(limit=2000)
    assert 0 < len(snapshot) <= 2000
    file_format.save(snapshot, tmp_path / "s")
    assert file_format.load(tmp_path / "s").facts == snapshot.facts


def test_the_own_process_can_be_recorded_by_anybody():
    snapshot = take(pids=[os.getpid()], limit=500)
    assert snapshot.nspaces == 1
    assert 0 < len(snapshot) <= 500


def test_contents_of_a_process_that_is_gone_are_unknown_and_a_note_says_so(tmp_path):
    n = 3
    snapshot = Snapshot(
        pfn=np.arange(1, 1 + n, dtype=np.uint64), flags=np.zeros(n, dtype=np.uint64),
        count=np.ones(n, dtype=np.uint32), file=np.full(n, -1, dtype=np.int32), index=np.zeros(n, dtype=np.uint64),
        map_space=np.zeros(n, dtype=np.uint32), map_vpn=np.arange(n, dtype=np.uint64),
        map_frame=np.arange(n, dtype=np.uint32), map_bits=np.zeros(n, dtype=np.uint8),
        facts={"page_size": 4096, "notes": []},
    )  # fmt: skip
    _read_contents(tmp_path, snapshot, np.full(n, 7), np.arange(n, dtype=np.uint64))
    assert snapshot.content_known is not None
    assert not snapshot.content_known.any()
    assert snapshot.facts["notes"] == [f"the contents of {n} pages could not be read: no recorded process maps them."]


def test_a_large_area_is_read_in_pieces_that_leave_nothing_out(monkeypatch):
    monkeypatch.setattr(reader, "STEP", 4)

    class AllThere(reader.Words):
        def __init__(self):
            pass

        def read(self, first, count):
            return np.arange(first, first + count, dtype=np.uint64) | reader.PRESENT

        def stretches(self, first, end):
            return None

    area = reader.Area(100, 200, "rw-p", 0, "00:00", 0, "")
    for budget, pages in ((1000, 100), (70, 70)):
        pieces = list(reader.present(AllThere(), area, budget))
        assert np.concatenate([vpn for vpn, _ in pieces]).tolist() == list(range(100, 100 + pages))
        assert np.concatenate([words for _, words in pieces]).tolist() == [
            vpn | int(reader.PRESENT) for vpn in range(100, 100 + pages)
        ]


def old_folio(fake, start, size, *names):
    """A folio as Linux showed it before 6.10: the head has its state, a tail hardly a word of its own."""
    fake.flags[start] = mask("COMPOUND_HEAD", "THP", *names)
    fake.flags[start + 1 : start + size] = mask("COMPOUND_TAIL", "THP")
    if "ANON" in names:
        fake.flags[start + 1 : start + size] |= mask("ANON", "MMAP")


@pytest.mark.parametrize(
    "names",
    [
        ("UPTODATE", "LRU", "SWAPBACKED", "DIRTY"),
        ("UPTODATE", "LRU", "ACTIVE"),
        ("UPTODATE", "LRU", "ANON", "MMAP", "SWAPBACKED"),
        ("UPTODATE", "LRU", "UNEVICTABLE", "MLOCKED", "SWAPBACKED"),
        ("UPTODATE", "MMAP", "HUGE"),
    ],
    ids="-".join,
)
def test_tails_are_pages_if_their_head_is(fake, names):
    old_folio(fake, 64, 16, *names)
    snapshot = take(proc=fake.write())
    rows = np.searchsorted(snapshot.pfn, range(64, 80))
    assert snapshot.pfn[rows].tolist() == list(range(64, 80))
    state = mask(*names) & ~mask("MMAP")
    assert ((snapshot.flags[rows] & state) == state).all()
    assert ((snapshot.flags[rows] & mask("COMPOUND_TAIL")) != 0).tolist() == [False] + [True] * 15


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (("SLAB", "COMPOUND_HEAD"), "slab"),
        (("COMPOUND_HEAD",), "large_of_linux"),
        (("COMPOUND_HEAD", "RESERVED", "LRU"), "reserved"),
        (("COMPOUND_HEAD", "ZERO_PAGE", "THP", "LRU"), "zero_page"),
        (("UPTODATE", "LRU"), "large_of_linux"),  # not a head: the folio was split while it was read
    ],
)
def test_tails_of_what_is_no_users_page_are_none_and_have_its_reason(fake, head, reason):
    fake.flags[64] = mask(*head)
    fake.flags[65:68] = mask("COMPOUND_TAIL")
    snapshot = take(proc=fake.write())
    assert not set(range(65, 68)) & set(snapshot.pfn.tolist())
    assert snapshot.facts["others"][reason] >= 3


def test_each_frame_that_is_no_page_has_one_reason(fake):
    for pfn, names in enumerate(
        [("NOPAGE",), ("OFFLINE",), ("ZERO_PAGE", "RESERVED"), ("PGTABLE",), ("RESERVED", "PRIVATE"), ("HWPOISON",),
         ("UPTODATE", "DIRTY"), ("MMAP",), ("MMAP", "REFERENCED"), ("LOCKED",)], 100,
    ):  # fmt: skip
        fake.flags[pfn] = mask(*names)
    snapshot = take(proc=fake.write())
    assert snapshot.facts["others"] == {
        "no_frame": 1, "offline": 1, "zero_page": 1, "slab": 3, "page_tables": 1, "reserved": 1, "hwpoison": 1,
        "on_no_list": 1, "mapped_by_a_driver": 2, "unknown": 1, "no_flags": 4072,
    }  # fmt: skip
    uses = snapshot.facts["uses"]
    assert uses["pages"] + uses["free"] + sum(snapshot.facts["others"].values()) == 4096


@pytest.mark.parametrize("part", [range(1024, 1034), range(1600, 1610), range(2040, 2048)])
def test_a_folio_larger_than_what_is_read_at_once_is_whole_for_a_process_that_maps_a_part_of_it(fake, part):
    old_folio(fake, 1024, 1024, "UPTODATE", "LRU", "SWAPBACKED", "DIRTY")
    fake.area(9, 70_000, list(part), inode=88, perms="rw-s")
    snapshot = take(proc=fake.write(), pids=[9])
    assert snapshot.pfn.tolist() == list(range(1024, 2048))
    assert ((snapshot.flags & mask("DIRTY", "LRU")) == mask("DIRTY", "LRU")).all()


def test_what_is_left_out_is_said(fake):
    fake.area(8, 30_000, [14], inode=99)
    fake.area(8, 32_000, [3999])
    assert take(proc=fake.write()).notes == [
        "1 mapping of a frame that is no page of a user (Linux's own, a driver's, or free by now) left out.",
        "1 mapping of a frame that changed hands meanwhile left out.",
    ]


def test_a_machine_of_which_a_part_was_looked_at_is_said_to_be_so(fake, monkeypatch):
    monkeypatch.setattr("pagexchange.pages.snapshot.proc.frames.SCAN", 1024)
    monkeypatch.setattr("pagexchange.pages.snapshot.proc.frames.STRETCH", 512)
    snapshot = take(proc=fake.write(), limit=100)
    looked_at = snapshot.facts["uses"]["looked_at"]
    assert looked_at < 4096
    assert f"{looked_at} of 4096 frames were looked at: a part of each stretch of memory." in snapshot.notes


def test_pages_that_a_process_has_shut_itself_out_of_are_recorded():
    libc = ctypes.CDLL(None, use_errno=True)
    with mmap.mmap(-1, 4 * PAGE) as memory:
        memory[: 2 * PAGE] = b"x" * (2 * PAGE)
        whole = ctypes.c_char.from_buffer(memory)
        address = ctypes.addressof(whole)
        assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4 * PAGE), 0) == 0
        try:
            recording = mappings.Recording()
            mappings.read(Path("/proc"), os.getpid(), PAGE, recording, must=True)
        finally:
            libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4 * PAGE), mmap.PROT_READ | mmap.PROT_WRITE)
            del whole
    first = address // PAGE
    found = [vpn - first for vpn in recording.all().vpn.tolist() if first <= vpn < first + 4]
    assert found == [0, 1]


def test_without_linux_a_large_area_without_access_is_looked_at_from_its_beginning(fake, monkeypatch):
    fake.area(8, 50_000, [14, None, None, 15], perms="---p")
    monkeypatch.setattr(reader.Words, "stretches", lambda *_: None)
    monkeypatch.setattr(reader, "RESERVED", 3)
    snapshot = take(proc=fake.write())
    assert snapshot.mapcount()[np.isin(snapshot.pfn, [14, 15])].tolist() == [1, 0]
    assert snapshot.notes == [
        "of 1 area, too large, only the beginning was looked at: Linux does not say where pages are."
    ]


@pytest.mark.parametrize("bad", [(20,), (10, 11, 12, 13, 14, 15), (0, 4095)])
def test_frames_that_linux_refuses_to_tell_of_are_counted_and_cost_no_others(fake, monkeypatch, bad):
    root = fake.write()
    pread, flags = os.pread, (root / "kpageflags").stat()
    whole = take(proc=root)

    def refuses(fd, size, at):
        if os.path.samestat(os.fstat(fd), flags) and any(at <= pfn * 8 < at + size for pfn in bad):
            raise OSError(errno.EIO, "Input/output error")
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", refuses)
    part = take(proc=root)
    assert part.pfn.tolist() == [pfn for pfn in whole.pfn.tolist() if pfn not in bad]
    assert part.facts["others"]["unreadable"] == len(bad)
    frames = "1 frame" if len(bad) == 1 else f"{len(bad)} frames"
    assert f"of {frames} Linux does not say what it is: left out." in part.notes
    uses = part.facts["uses"]
    assert uses["pages"] + uses["free"] + sum(part.facts["others"].values()) == 4096
