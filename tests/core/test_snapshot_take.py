"""Recording a machine: a made-up /proc gives exactly its pages, and what cannot be read is said, not guessed."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from pagexchange.errors import SnapshotError
from pagexchange.snapshot import Snapshot, identity, kpageflags, model, reader, sample, take
from pagexchange.snapshot.kpageflags import mask
from pagexchange.snapshot.take import _read_contents

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

    def area(self, pid, start, pfns, perms="rw-p", inode=0, offset=0, name="", bits=0):
        """An area of `pid` that begins at page `start` and holds these frames (None: not there)."""
        end = start + len(pfns)
        line = f"{start * PAGE:x}-{end * PAGE:x} {perms} {offset * PAGE:08x} 08:01 {inode}    {name}".rstrip()
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
    assert bits.tolist() == [model.FILE | model.WRITABLE | model.SHARED]


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


def test_nothing_that_tells_whose_pages_they_are_is_kept_unless_asked_for(fake):
    plain = take(proc=fake.write())
    assert "secret" not in repr(plain.facts)
    assert "name-" not in repr(plain.facts)
    named = take(proc=fake.root, names=True)
    assert named.facts["file_names"] == ["/secret/name"]
    assert named.facts["space_names"] == ["name-7", "name-8"]


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


def test_named_processes_bring_their_frames_only(fake):
    fake.flags[32] = CACHE
    snapshot = take(proc=fake.write(), pids=[8])
    assert snapshot.pfn.tolist() == [10, 13, 20, 21, 22]


@pytest.mark.parametrize("how", ["missing", "no numbers"])
def test_without_root_the_own_process_is_recorded_with_made_up_frames(fake, how):
    me = os.getpid()
    fake.maps = {me: fake.maps.pop(7), 8: fake.maps[8]}
    fake.pagemap = {me: fake.pagemap.pop(7), 8: fake.pagemap[8]}
    for words in fake.pagemap.values():
        for vpn in words:
            words[vpn] &= ~((1 << 55) - 1)
    root = fake.write()
    if how == "missing":
        (root / "kpagecount").unlink()
    snapshot = take(proc=root, pids=[me] if how == "no numbers" else None)
    assert snapshot.partial
    assert "made up" in snapshot.notes[0]
    assert snapshot.nspaces == 1
    assert len(snapshot) == 5
    anon = (snapshot.flags & mask("ANON")) != 0
    assert sorted(snapshot.index[~anon].tolist()) == [4, 5]
    assert snapshot.mapcount().tolist() == [1] * 5 == snapshot.count.tolist()


def test_no_proc_is_an_error_that_says_so(tmp_path):
    with pytest.raises(SnapshotError, match="is it mounted"):
        take(proc=tmp_path / "none")
    FakeProc(tmp_path).write()
    with pytest.raises(SnapshotError, match="no page was found"):
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


def test_a_hole_that_cannot_be_read_is_zeros(tmp_path, monkeypatch):
    (tmp_path / "w").write_bytes(np.ones(10, dtype=np.uint64).tobytes())

    def broken(fd, size, at):
        raise OSError(errno.EFAULT, "Bad address")

    with reader.Words(tmp_path / "w") as file:
        monkeypatch.setattr(os, "pread", broken)
        assert file.read(0, 4).tolist() == [0, 0, 0, 0]


def test_a_machine_too_large_to_scan_is_sampled_with_all_that_is_mapped(fake, monkeypatch):
    monkeypatch.setattr("pagexchange.snapshot.frames.SCAN", 1024)
    monkeypatch.setattr("pagexchange.snapshot.frames.STRETCH", 512)
    fake.flags[3000:3010] = CACHE
    fake.flags[4095] = ANON
    fake.area(7, 60_000, [4095])
    snapshot = take(proc=fake.write(), limit=1000)
    assert {10, 20, 21, 22, 4095} <= set(snapshot.pfn.tolist())
    assert snapshot.facts["uses"]["looked_at"] < 4096
    assert snapshot.facts["frames"] == 4096


def test_heat_orders_active_before_referenced_before_idle():
    words = [mask("ACTIVE", "REFERENCED"), mask("ACTIVE", "IDLE"), mask("REFERENCED"), mask("LRU"), mask("IDLE")]
    assert kpageflags.heat(np.array(words)).tolist() == [7, 4, 3, 1, 0]


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/proc/kpageflags").exists(), reason="needs root and kpageflags")
def test_this_machine_can_be_recorded(tmp_path):
    snapshot = take(limit=2000)
    assert 0 < len(snapshot) <= 2000
    snapshot.save(tmp_path / "s")
    assert Snapshot.load(tmp_path / "s").facts == snapshot.facts


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
    assert snapshot.facts["notes"] == [f"the contents of {n} pages could not be read: nobody recorded maps them."]


def test_a_large_area_is_read_in_pieces_that_leave_nothing_out(monkeypatch):
    monkeypatch.setattr(reader, "STEP", 4)

    class AllThere(reader.Words):
        def __init__(self):
            pass

        def read(self, first, count):
            return np.arange(first, first + count, dtype=np.uint64) | reader.PRESENT

    area = reader.Area(100, 200, "rw-p", 0, "00:00", 0, "")
    for budget, pages in ((1000, 100), (70, 70)):
        pieces = list(reader.present(AllThere(), area, budget))
        assert np.concatenate([vpn for vpn, _ in pieces]).tolist() == list(range(100, 100 + pages))
        assert np.concatenate([words for _, words in pieces]).tolist() == [
            int(vpn | reader.PRESENT) for vpn in range(100, 100 + pages)
        ]
