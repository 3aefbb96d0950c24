"""One file is one number, whatever /proc/PID/maps calls it: frames that are shared say so, and frames that are not."""

import time

import numpy as np
import pytest

from pagexchange.pages.snapshot import samefile, take
from pagexchange.pages.snapshot.proc.kpageflags import mask
from tests.core.test_snapshot_take import CACHE, HEAD, TAIL, FakeProc

MAPPED = CACHE | mask("MMAP")
LIBRARY = list(range(100, 110))


def proc(tmp_path, *areas, flags=()):
    """A /proc with a process for each area: (device, inode, offset, frames, name)."""
    made = FakeProc(tmp_path)
    for pid, (device, inode, offset, pfns, name) in enumerate(areas, 1):
        made.flags[pfns] = MAPPED
        made.area(pid, 5000, pfns, "r--p", inode, offset, name, device=device)
    for pfn, word in flags:
        made.flags[pfn] |= word
    return made


def files_of(snapshot):
    """The numbers of the files of the frames, by frame."""
    return dict(zip(snapshot.pfn.tolist(), snapshot.file.tolist(), strict=True))


@pytest.mark.parametrize("containers", [2, 3, 20])
def test_a_library_that_containers_map_through_overlays_of_their_own_is_one_file(tmp_path, containers):
    areas = [(f"00:{30 + k:x}", 700 + k, 0, LIBRARY, f"/{k}") for k in range(containers)]
    snapshot = take(proc=proc(tmp_path, *areas).write(), names=True)
    assert set(snapshot.mapcount().tolist()) == {containers}
    assert snapshot.facts["mappings"] == {"not_a_page": 0, "changed": 0}
    assert (set(snapshot.file.tolist()), snapshot.facts["file_names"]) == ({0}, ["/0"])
    assert snapshot.index.tolist() == list(range(10))


def test_containers_that_map_different_parts_are_one_file_through_a_third(tmp_path):
    snapshot = take(
        proc=proc(
            tmp_path,
            ("00:30", 7, 0, LIBRARY[:4], "/a"),
            ("00:31", 7, 6, LIBRARY[6:], "/a"),
            ("00:32", 7, 3, LIBRARY[3:7], "/a"),
        ).write()
    )
    assert set(snapshot.file.tolist()) == {0}
    assert snapshot.mapcount().tolist() == [1, 1, 1, 2, 1, 1, 2, 1, 1, 1]


def test_a_library_of_one_page_is_one_file_too(tmp_path):
    made = proc(tmp_path, ("00:30", 7, 0, [100], "/a"), ("00:31", 8, 0, [100], "/b"))
    assert take(proc=made.write()).mapcount().tolist() == [2]


def test_a_frame_that_was_given_to_another_file_between_two_reads_makes_them_not_one(tmp_path):
    # 103 was the first file's; when the second process was read it was the second file's, at the same position
    made = proc(tmp_path, ("08:01", 7, 0, LIBRARY, "/a"), ("08:01", 8, 0, [200, 201, 202, 103, 204], "/b"))
    made.count[103] = 1
    snapshot = take(proc=made.write())
    assert (snapshot.nfiles, snapshot.facts["mappings"]["changed"]) == (2, 1)


@pytest.mark.parametrize("shared", [1, 3, 4, 6])
def test_files_are_one_if_more_frames_say_so_than_deny_it(tmp_path, shared):
    second = [*LIBRARY[:shared], *range(300, 307 - shared)]
    made = proc(tmp_path, ("00:30", 7, 0, LIBRARY[:7], "/a"), ("00:31", 8, 0, second, "/b"))
    snapshot = take(proc=made.write())
    assert (snapshot.nfiles, snapshot.facts["mappings"]["changed"]) == ((2, shared), (1, 0))[shared > 3]


def test_two_files_of_two_subvolumes_with_one_inode_are_two(tmp_path):
    other = list(range(200, 210))
    snapshot = take(
        proc=proc(
            tmp_path,
            ("00:1f", 257, 0, LIBRARY, "/one/lib"),
            ("00:1f", 257, 0, other, "/two/lib"),
            ("00:1f", 257, 0, LIBRARY, "/one/lib"),
            ("00:1f", 257, 5, other[5:], "/two/lib"),
            ("08:01", 3, 0, [300], "/three"),
        ).write(),
        names=True,
    )
    files = files_of(snapshot)
    assert [sorted({files[k] for k in part}) for part in (LIBRARY, other, [300])] == [[0], [2], [1]]
    assert snapshot.facts["file_names"] == ["/one/lib", "/three", "/one/lib"]
    assert snapshot.mapcount().tolist() == [2] * 10 + [1] * 5 + [2] * 5 + [1]


def test_a_page_that_was_read_anew_meanwhile_does_not_make_two_files_of_one(tmp_path):
    second = [*LIBRARY[:4], 400, *LIBRARY[5:]]
    snapshot = take(proc=proc(tmp_path, ("08:01", 7, 0, LIBRARY, "/a"), ("08:01", 7, 0, second, "/a")).write())
    assert snapshot.nfiles == 1


def test_of_a_large_folio_linux_may_count_less_than_the_page_tables_show(tmp_path):
    folio = [(128, HEAD), *((k, TAIL) for k in range(129, 144))]
    frames = list(range(128, 136))
    made = proc(tmp_path, ("00:30", 7, 0, frames, "/a"), ("00:31", 7, 0, frames, "/b"), flags=folio)
    made.flags[136:144] |= MAPPED
    made.count[128:144] = 1  # 2 * 8 mappings of 16 pages, on average
    assert take(proc=made.write()).nfiles == 1


def test_numbering_takes_time_in_proportion_to_the_mappings():
    def seconds(n):
        space, file = np.repeat(np.arange(2), n), np.repeat(np.arange(2), n)
        index = np.tile(np.arange(n), 2)
        row = index.copy()
        start = time.process_time()
        number, old = samefile.numbers(
            space, file, index, row, np.full(n, MAPPED, np.uint64), np.full(n, 2, np.uint32), 2
        )
        assert (set(number.tolist()), old.tolist()) == ({0}, [0])
        return time.process_time() - start

    seconds(1 << 10)
    assert seconds(1 << 19) < 40 * max(seconds(1 << 15), 0.01)
