"""What came of transparent huge pages that were asked for: measured, and said where they did not come."""

from pathlib import Path

import pytest

from pagexchange.arena import hugepages
from pagexchange.arena.arena import Arena

MIB = 1 << 20


@pytest.fixture
def arena() -> Arena:
    return Arena.create([("fast", 512), ("slow", 512)], huge="thp")


def machine(root: Path, arena: Arena, huge_kib: int, setting: str) -> Path:
    """A /proc and a /sys that show so much of the arena, and as much of another mapping, in huge pages."""
    first = arena.frames.__array_interface__["data"][0]
    end = first + arena.frames.nbytes
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/smaps").write_text(
        f"{first - MIB:x}-{first:x} rw-s 0 00:01 1 /memfd:pagexchange\nShmemPmdMapped: 2048 kB\nVmFlags: rd wr\n"
        f"{first:x}-{end:x} rw-s 0 00:01 1 /memfd:pagexchange\nRss: 4096 kB\nShmemPmdMapped: {huge_kib} kB\n"
        "FilePmdMapped: 0 kB\nVmFlags: rd wr hg\n"
    )
    folder = root / "sys/kernel/mm/transparent_hugepage"
    folder.mkdir(parents=True)
    (folder / "shmem_enabled").write_text(f"always within_size advise {setting} deny force\n")
    return root


def test_only_huge_pages_of_the_frames_count(tmp_path: Path, arena: Arena) -> None:
    assert hugepages.mapped(arena, machine(tmp_path, arena, 2048, "[advise]")) == 2 * MIB
    assert hugepages.mapped(arena, tmp_path / "nowhere") is None
    assert hugepages.mapped(arena) in (0, 2 * MIB, 4 * MIB)


@pytest.mark.parametrize("end", ["\r", "\v", "\f", "\x1c", "\x85", "\u2028"])
def test_no_name_of_a_file_forges_huge_pages(tmp_path: Path, arena: Arena, end: str) -> None:
    smaps = machine(tmp_path, arena, 2048, "[advise]") / "proc/self/smaps"
    first = arena.frames.__array_interface__["data"][0]
    forged = f"1-2 r--p 0 08:01 7 /a{end}{first:x}-{first + MIB:x} rw-s 0 0:1 1{end}ShmemPmdMapped: 9999 kB\n"
    smaps.write_bytes(forged.encode() + smaps.read_bytes())
    assert hugepages.mapped(arena, tmp_path) == 2 * MIB


def test_huge_pages_that_did_not_come_are_said_with_the_setting_that_forbids_them(tmp_path: Path, arena: Arena) -> None:
    (said,) = hugepages.missing(arena, machine(tmp_path, arena, 0, "[never]"))
    assert said.startswith("Huge pages were asked for, and none of 4 MiB came (/sys/kernel/mm/transparent_hugepage/")
    assert "shmem_enabled says never; write advise there)" in said
    (tmp_path / "sys/kernel/mm/transparent_hugepage/shmem_enabled").unlink()
    assert hugepages.missing(arena, tmp_path)[0].startswith("Huge pages were asked for, and none of 4 MiB came; huge =")


def test_nothing_is_said_where_they_came_or_were_not_asked_for(tmp_path: Path, arena: Arena) -> None:
    assert hugepages.missing(arena, machine(tmp_path, arena, 2048, "[advise]")) == []
    with Arena.create([("fast", 512)]) as plain:
        assert plain.huge == ""
        assert hugepages.missing(plain) == []
