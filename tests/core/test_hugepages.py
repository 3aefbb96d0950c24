"""What came of transparent huge pages that were asked for: measured, and said where they did not come."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pagexchange.arena import hugepages
from pagexchange.arena.arena import Arena
from pagexchange_native.arena.huge_pages import Collapsed
from tests.native.arena_state import MIB

ALL = 6 * MIB
"""Bytes of the arena: one block of metadata and two of frames."""


@pytest.fixture
def arena() -> Arena:
    return Arena.create([("fast", 512), ("slow", 512)], huge="thp")


def machine(root: Path, arena: Arena, huge_kib: int, setting: str) -> Path:
    """A /proc and a /sys that show so much of the arena, and as much of another mapping, in huge pages."""
    first = arena.memory.__array_interface__["data"][0]
    end = first + arena.memory.nbytes
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


def told(arena: Arena, collapsed: Collapsed | None) -> Any:
    """The arena, as if so much had come of its huge pages when it was made."""
    facts = ("memory", "huge", "closed", "total_bytes")
    return SimpleNamespace(collapsed=collapsed, **{fact: getattr(arena, fact) for fact in facts})


def test_only_huge_pages_of_the_arena_count(tmp_path: Path, arena: Arena) -> None:
    assert hugepages.mapped(arena, machine(tmp_path, arena, 2048, "[advise]")) == 2 * MIB
    assert hugepages.mapped(arena, tmp_path / "nowhere") is None


def test_what_came_is_what_the_machine_shows() -> None:
    with Arena.create([("fast", 512), ("slow", 512)], huge="thp") as arena:
        came = hugepages.mapped(arena)
        assert came is not None
        words = f"{came // MIB} MiB" if came else "none"
        assert repr(arena).endswith(f", memfd, huge pages: {words} of 6 MiB>")
        if arena.collapsed is None or arena.collapsed.came < ALL:
            pytest.skip(f"this machine does not make huge pages of all of it on demand: {arena.collapsed}")
        assert (came, hugepages.missing(arena)) == (ALL, [])


@pytest.mark.parametrize("end", ["\r", "\v", "\f", "\x1c", "\x85", "\u2028"])
def test_no_name_of_a_file_forges_huge_pages(tmp_path: Path, arena: Arena, end: str) -> None:
    smaps = machine(tmp_path, arena, 2048, "[advise]") / "proc/self/smaps"
    first = arena.frames.__array_interface__["data"][0]
    forged = f"1-2 r--p 0 08:01 7 /a{end}{first:x}-{first + MIB:x} rw-s 0 0:1 1{end}ShmemPmdMapped: 9999 kB\n"
    smaps.write_bytes(forged.encode() + smaps.read_bytes())
    assert hugepages.mapped(arena, tmp_path) == 2 * MIB


CAME = "Huge pages were asked for, and none of 6 MiB came"
POOL = ". huge = 'hugetlb' takes them from the pool."


def test_where_linux_is_only_advised_the_setting_that_forbids_them_is_named(tmp_path: Path, arena: Arena) -> None:
    advised = told(arena, None)
    said = ": /sys/kernel/mm/transparent_hugepage/shmem_enabled says never; write advise there"
    assert hugepages.missing(advised, machine(tmp_path, arena, 0, "[never]")) == [CAME + said + POOL]
    (tmp_path / "sys/kernel/mm/transparent_hugepage/shmem_enabled").unlink()
    assert hugepages.missing(advised, tmp_path) == [CAME + POOL]


def test_where_linux_makes_them_on_demand_its_reason_is_said(tmp_path: Path, arena: Arena) -> None:
    root = machine(tmp_path, arena, 0, "[never]")
    refused = told(arena, Collapsed(0, ALL, "the machine has no more free blocks of 2 MiB"))
    assert hugepages.missing(refused, root) == [f"{CAME}: the machine has no more free blocks of 2 MiB{POOL}"]
    assert hugepages.missing(told(arena, Collapsed(ALL, ALL, "")), root) == [f"{CAME}: Linux has split what came{POOL}"]


def test_nothing_is_said_where_they_came_or_were_not_asked_for(tmp_path: Path, arena: Arena) -> None:
    assert hugepages.missing(arena, machine(tmp_path, arena, 4096, "[advise]")) == []
    with Arena.create([("fast", 512)]) as plain:
        assert plain.huge == ""
        assert hugepages.missing(plain) == []
        assert "huge" not in repr(plain)
