"""How much memory there is: the machine's, and what the containers around this process leave of it."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pagexchange_native import procfs
from pagexchange_native.arena import backing, limits
from pagexchange_native.arena.region import Region
from pagexchange_native.errors import ArenaAccessError, ArenaFullError
from tests.native.arena_state import MIB
from tests.native.conftest import LAYOUT

V1 = "35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V2 = "41 31 0:38 {root} /sys/fs/cgroup rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate"
UNLIMITED = 9223372036854771712


class Machine:
    """A /proc and a /sys with cgroups."""

    def __init__(self, root: Path, member: str, *mounts: str, available: int = 1 << 40) -> None:
        self.root = root
        self.proc("self/cgroup", member + "\n")
        self.proc("self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + "".join(f"{line}\n" for line in mounts))
        self.proc("meminfo", f"MemTotal: 1 kB\nMemFree:  1 kB\nMemAvailable:  {available >> 10} kB\n")

    def proc(self, name: str, text: str) -> None:
        path = self.root / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def one(self, group: str, limit: int, used: int, stat_text: str = "") -> None:
        self._write(
            f"memory/{group}", memory__limit_in_bytes=limit, memory__usage_in_bytes=used, memory__stat=stat_text
        )

    def two(self, group: str, limit: int | str, used: int, high: int | str = "max", stat_text: str = "") -> None:
        self._write(group, memory__max=limit, memory__high=high, memory__current=used, memory__stat=stat_text)

    def _write(self, group: str, **files: Any) -> None:
        folder = self.root / "sys/fs/cgroup" / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            (folder / name.replace("__", ".")).write_text(f"{value}\n")

    def available(self) -> int:
        """What is there for an arena and for what the process takes besides, which is always left."""
        return backing._given(self.root)


def test_without_a_limit_the_machine_decides(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "4:memory:/a\n0::/", V1.format(root="/"), available=155 * MIB)
    assert machine.available() == 155 * MIB
    machine.one("a", UNLIMITED, MIB)
    machine.one("", UNLIMITED, MIB)
    assert (machine.available(), limits.room("memory", tmp_path)) == (155 * MIB, None)
    (tmp_path / "proc/self/cgroup").unlink()
    assert machine.available() == 155 * MIB
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1 kB\n")
    assert machine.available() == 1 << 62


def test_what_the_process_takes_for_itself_is_left_to_it(tmp_path: Path) -> None:
    Machine(tmp_path, "0::/", available=backing.OWN + 5 * MIB)
    assert backing.memory_available(tmp_path) == 5 * MIB
    Machine(tmp_path, "0::/", available=backing.OWN - 5 * MIB)
    assert backing.memory_available(tmp_path) == 0


@pytest.mark.parametrize("narrow", ["", "a", "a/b", "a/b/c"])
@pytest.mark.parametrize("version", [1, 2])
def test_the_narrowest_limit_of_all_cgroups_above_decides(tmp_path: Path, version: int, narrow: str) -> None:
    member, mount = ("4:cpu,memory:/a/b/c", V1) if version == 1 else ("0::/a/b/c", V2)
    machine = Machine(tmp_path, member, mount.format(root="/"))
    for group in ("", "a", "a/b", "a/b/c", "a/other"):
        limit = 100 if group == narrow else 1 if group == "a/other" else 900
        (machine.one if version == 1 else machine.two)(group, limit * MIB, 30 * MIB)
    assert machine.available() == 70 * MIB
    room = limits.room("memory", tmp_path)
    assert room is not None
    assert room.limit == 100 * MIB
    assert Path(room.file).parent == tmp_path / "sys/fs/cgroup" / ("memory" if version == 1 else "") / narrow


def test_what_is_cached_would_be_given_back(tmp_path: Path) -> None:
    one = Machine(tmp_path / "1", "4:memory:/", V1.format(root="/"))
    one.one("", 100 * MIB, 90 * MIB, f"inactive_file 7\ntotal_inactive_file {20 * MIB}\ntotal_active_file {5 * MIB}")
    assert one.available() == 35 * MIB
    two = Machine(tmp_path / "2", "0::/", V2.format(root="/"))
    text = (
        f"anon 1\ninactive_file {20 * MIB}\nactive_file {5 * MIB}\nslab_reclaimable {MIB}\nslab {9 * MIB}\nshmem {MIB}"
    )
    two.two("", 100 * MIB, 90 * MIB, stat_text=text)
    assert two.available() == 36 * MIB
    two.two("", 100 * MIB, 120 * MIB)
    assert two.available() == 0
    two.two("", 100 * MIB, MIB, stat_text=f"inactive_file {50 * MIB}")
    assert two.available() == 100 * MIB


def test_memory_high_counts_and_max_is_no_limit(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/a", V2.format(root="/"))
    machine.two("a", "max", 10 * MIB, high=50 * MIB)
    assert machine.available() == 40 * MIB
    machine.two("a", 30 * MIB, 10 * MIB, high=50 * MIB)
    assert machine.available() == 20 * MIB
    machine.two("a", "max", 10 * MIB)
    assert machine.available() == 1 << 40


@pytest.mark.parametrize(
    ("member", "root", "folder"),
    [
        ("/docker/abc", "/docker/abc", ""),  # no namespace of cgroups: the container's own group is mounted
        ("/docker/abc/x", "/docker/abc", "x"),
        ("/", "/", ""),  # a namespace
        ("/../../system", "/", ""),  # outside of its own namespace: the root that it sees
        ("/docker/abcd", "/docker/abc", ""),  # another group than the one that is mounted
        ("/a (deleted)", "/", ""),  # removed: what is above still counts
        ("/a:b/c", "/", "a:b/c"),
        ("/b\r\x85c", "/", "b\r\x85c"),
    ],
)
def test_a_container_is_found_where_its_cgroups_are_mounted(
    tmp_path: Path, member: str, root: str, folder: str
) -> None:
    machine = Machine(tmp_path, f"7:cpuset:/elsewhere\n0::{member}", V2.format(root=root))
    machine.two(folder, 100 * MIB, 30 * MIB)
    assert machine.available() == 70 * MIB


def test_a_mount_point_with_escapes_is_found(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/", V2.format(root="/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/a\\040b\\134"))
    machine.two("a b\\", 100 * MIB, 30 * MIB)
    assert machine.available() == 70 * MIB


def test_both_versions_at_once_are_asked(tmp_path: Path) -> None:
    mounts = (V1.format(root="/"), V2.format(root="/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"))
    machine = Machine(tmp_path, "4:memory:/a\n1:name=systemd:/x\n0::/b", *mounts)
    machine.one("a", 100 * MIB, 30 * MIB)
    assert machine.available() == 70 * MIB
    machine.two("unified/b", 60 * MIB, 30 * MIB)
    assert machine.available() == 30 * MIB


def test_the_hugetlb_controller_has_limits_of_its_own(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/a", V2.format(root="/"))
    machine._write(
        "a", hugetlb__2MB__max=8 * MIB, hugetlb__2MB__current=2 * MIB, hugetlb__2MB__rsvd__max="max",
        hugetlb__2MB__rsvd__current=0,
    )  # fmt: skip
    assert limits.room("hugetlb", tmp_path) == (
        6 * MIB, 8 * MIB, str(tmp_path / "sys/fs/cgroup/a/hugetlb.2MB.max"),
    )  # fmt: skip
    assert limits.room("memory", tmp_path) is None
    machine._write("a", hugetlb__2MB__rsvd__max=4 * MIB)
    room = limits.room("hugetlb", tmp_path)
    assert room is not None
    assert room.left == 4 * MIB


@pytest.mark.parametrize("line", ["", "0", "41 31 0:38 / /sys rw", "1 2 3 4 5 6 7 8 9 10 11", "a b c d e f - g"])
def test_a_line_that_is_no_mount_is_passed_over(tmp_path: Path, line: str) -> None:
    machine = Machine(tmp_path, "0::/", line, V2.format(root="/"))
    machine.two("", 100 * MIB, 30 * MIB)
    assert machine.available() == 70 * MIB
    assert [mount.kind for mount in procfs.mounts(tmp_path)] == [b"ext4", b"cgroup2"]


# ---- who takes memory asks -------------------------------------------------------------------------------------------


def create(**options: Any) -> Region:
    return Region.create(**{"nodes": [("a", 512)], "layout": LAYOUT} | options)


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leaves 3 MiB of memory besides what the process needs."""
    left = limits.Room(backing.OWN + 3 * MIB, 9 * MIB, "/container/memory.max")
    monkeypatch.setattr(limits, "room", lambda *_: left)


@pytest.mark.usefixtures("container")
def test_an_arena_that_takes_more_than_the_container_allows_is_refused_before_it_is_taken() -> None:
    said = r"the machine has 3145728 available to this container \(/container/memory.max is 9 MiB\)"
    with pytest.raises(ArenaFullError, match=said) as caught:
        create(reserve=True)
    assert caught.value.errno == errno.ENOMEM
    with create() as region:  # takes its metadata only
        assert region.total_bytes > MIB
    with pytest.raises(ArenaFullError, match="the machine has 3 MiB available to this container"):
        backing.refuse_more_than_available(3 * MIB + 1)
    backing.refuse_more_than_available(3 * MIB)


@pytest.mark.usefixtures("container")
def test_transparent_huge_pages_take_no_more_than_the_container_allows() -> None:
    with create(nodes=[("a", 4096)], thp=True, workers=1) as region:
        if region.collapsed is None or region.collapsed.came == 0:
            pytest.skip(f"this machine makes no huge page on demand: {region.collapsed}")
        assert region.collapsed.came == region.metadata_bytes + 2 * MIB  # the metadata had their memory before
        assert region.collapsed.why == "the machine, or the container, has no memory for more"


@pytest.mark.usefixtures("container")
def test_a_path_in_memory_is_memory_and_one_on_a_disk_is_not(tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if not any(mount.point == b"/dev/shm" and mount.kind == b"tmpfs" for mount in procfs.mounts()):
        pytest.skip("needs a tmpfs at /dev/shm")
    path = shm / f"pagexchange-test-{os.getpid()}"
    try:
        with pytest.raises(ArenaFullError, match="to this container"):
            create(path=path)
    finally:
        path.unlink(missing_ok=True)
    device = tmp_path.stat().st_dev
    if any(Path(os.fsdecode(m.point)).stat().st_dev == device for m in procfs.mounts() if m.kind == b"tmpfs"):
        pytest.skip("the folder for tests is in memory")
    with create(path=tmp_path / "arena"):
        pass


@pytest.mark.usefixtures("container")
def test_more_huge_pages_than_the_container_allows_are_refused_before_a_page_is_missing() -> None:
    if not Path("/sys/kernel/mm/hugepages/hugepages-2048kB").is_dir():
        pytest.skip("needs a Linux with 2 MiB pages")
    with pytest.raises(ArenaFullError, match=r"needs \d+ huge pages of 2 MiB, /container/memory.max of 9437184 bytes"):
        create(nodes=[("a", 1 << 14)], hugetlb=True)


def test_huge_pages_are_asked_for_by_size_whatever_the_default_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def memfd_create(name: str, flags: int) -> int:
        asked.append(flags)
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(os, "memfd_create", memfd_create)
    monkeypatch.setattr(os, "MFD_HUGETLB", os.MFD_HUGETLB | 30 << 26)  # a machine whose default size is 1 GiB
    with pytest.raises(ArenaFullError):
        create(hugetlb=True)
    assert [(flags & 4, flags >> 26) for flags in asked] == [(4, 21)]


def test_a_machine_without_a_pool_of_that_size_says_which_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hugepages-1048576kB").mkdir()
    monkeypatch.setattr(backing, "_POOLS", tmp_path)
    monkeypatch.setattr(backing, "_POOL", tmp_path / "hugepages-2048kB")
    said = str(backing.pool_too_small(errno.ENOMEM, 4 * MIB))
    assert "no hugetlb pool of 2 MiB pages" in said
    assert "it has 1048576kB" in said
    (tmp_path / "hugepages-2048kB").mkdir()
    for name, pages in (("free", 9), ("resv", 7), ("nr", 11)):
        (tmp_path / "hugepages-2048kB" / f"{name}_hugepages").write_text(f"{pages}\n")
    assert "needs 2 pages of 2 MiB, 2 of 11 are free" in str(backing.pool_too_small(errno.ENOMEM, 4 * MIB))


def test_a_folder_with_blocks_of_2_mib_is_no_hugetlbfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    have = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "fstatvfs", lambda _: os.statvfs_result((2 * MIB, *have[1:])))
    with pytest.raises(ArenaAccessError, match="not on a hugetlbfs"):
        create(path=tmp_path / "arena", hugetlb=True)
