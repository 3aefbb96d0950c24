"""Making an arena: sealed, private, never half made; what cannot be had is said with its number."""

import errno
import fcntl
import gc
import os
import resource
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagexchange_native.arena.huge_pages import refusal
from pagexchange_native.arena.region import Region, makes_huge_pages
from pagexchange_native.errors import ArenaAccessError, ArenaError, ArenaFullError
from tests.native.arena_state import GIB, KIB, MIB, open_files, run_python, sound
from tests.native.conftest import LAYOUT

SMALL = [("fast", 8), ("slow", 8)]
LOCK_AT = 1 << 40  # process n holds byte LOCK_AT + n of the file
F_OFD_SETLK = 37
SETUP = "import sys; from pagexchange_native.arena.region import Region; from tests.native.conftest import LAYOUT\n"


def create(**options: Any) -> Region:
    return Region.create(**{"nodes": SMALL, "layout": LAYOUT} | options)


def lock_byte(fd: int, byte: int = 0) -> None:
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, LOCK_AT + byte, 1, 0))


@pytest.fixture(autouse=True)
def no_file_is_left_open() -> Iterator[None]:
    gc.collect()  # what earlier tests left would be closed in between: an arena, with the next look what its views kept
    gc.collect()
    before = open_files()
    yield
    assert open_files() == before


@pytest.fixture
def memfd() -> Iterator[tuple[Region, int]]:
    """An arena in a memfd, and its file."""
    before = open_files()
    with create() as region:
        fds = {int(fd) for fd, target in open_files().items() - before.items() if "memfd:pagexchange" in target}
        assert len(fds) == 1
        yield region, fds.pop()


# ---- in a memfd ------------------------------------------------------------------------------------------------------


def test_a_memfd_can_neither_shrink_nor_grow_under_those_who_map_it(memfd: tuple[Region, int]) -> None:
    region, fd = memfd
    assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) == fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    assert os.fstat(fd).st_size == region.total_bytes
    for size in (0, region.total_bytes - 1, region.total_bytes + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(fd, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


def test_the_file_is_not_inherited_by_a_program_that_is_started(memfd: tuple[Region, int]) -> None:
    assert fcntl.fcntl(memfd[1], fcntl.F_GETFD) & fcntl.FD_CLOEXEC


def test_the_process_holds_its_lock_as_long_as_the_mapping_not_as_long_as_the_file() -> None:
    code = """
import os, sys
from tests.native.test_arena_create import create, lock_byte, open_files
region = create()
fd = next(int(n) for n, target in open_files().items() if "memfd:pagexchange" in target)
other = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
def held():
    try:
        lock_byte(other)
    except BlockingIOError:
        return True
    return False
print(held())
os.closerange(3, other)                       # a daemon's clean-up, or a stray close()
os.closerange(other + 1, 100)
print(held(), int(region.frames[0, 0]))
os.dup2(other, fd)                            # close() would fail on a closed number
region.close()
print(held())
"""
    assert run_python(code).split() == ["True", "True", "0", "False"]


def test_memory_is_taken_when_it_is_touched_or_at_once_if_asked() -> None:
    for reserve in (False, True):
        before = open_files()
        with create(nodes=[("fast", 1024)], reserve=reserve) as region:
            (fd,) = [int(fd) for fd, _ in open_files().items() - before.items()]
            taken = os.fstat(fd).st_blocks * 512
            assert taken >= region.total_bytes if reserve else taken <= region.metadata_bytes + 64 * KIB


def test_closing_leaves_no_mapping_behind() -> None:
    def mappings() -> int:
        return Path("/proc/self/maps").read_text().count("memfd:pagexchange")

    before = mappings()
    for _ in range(20):
        create().close()
    regions = [create() for _ in range(3)]
    assert mappings() == before + 3
    del regions
    assert mappings() == before


# ---- at a path -------------------------------------------------------------------------------------------------------


def test_a_file_is_private_reserved_and_gone_after_close(tmp_path: Path) -> None:
    path = tmp_path / "arena"
    before = os.umask(0)
    try:
        region = create(path=path)
    finally:
        os.umask(before)
    with region:
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_size == region.total_bytes
        assert status.st_blocks * 512 >= region.total_bytes
        assert region.backing == "file"
        region.frames[15, 511] = 7
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            assert file.read() == (7).to_bytes(8, "little")
    assert not path.exists()


def test_a_file_is_gone_when_the_arena_is_collected(tmp_path: Path) -> None:
    region = create(path=tmp_path / "arena")
    assert list(tmp_path.iterdir())
    del region
    assert not list(tmp_path.iterdir())


def test_close_removes_its_own_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    region = create(path="arena")
    monkeypatch.chdir("/")
    region.close()
    assert not list(tmp_path.iterdir())
    path = tmp_path / "arena"
    region = create(path=path)
    path.unlink()
    path.write_text("somebody else's")
    region.close()
    assert path.read_text() == "somebody else's"


def existing(folder: Path) -> Path:
    (folder / "arena").write_text("precious")
    return folder / "arena"


def link_to_a_file(folder: Path) -> Path:
    existing(folder)
    (folder / "link").symlink_to(folder / "arena")
    return folder / "link"


def link_to_nothing(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "victim")
    return folder / "link"


def no_folder(folder: Path) -> Path:
    return folder / "missing" / "arena"


@pytest.mark.parametrize("place", [existing, link_to_a_file, link_to_nothing, no_folder, Path])
def test_what_stands_at_the_path_is_never_touched_or_followed(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    path = place(tmp_path)
    before = sorted((p.name, p.is_symlink(), p.exists() and p.read_bytes()) for p in tmp_path.iterdir())
    with pytest.raises(ArenaAccessError, match="want a path that does not exist") as caught:
        create(path=path)
    assert caught.value.errno in (errno.EEXIST, errno.ENOENT)
    assert caught.value.filename == str(path)
    assert sorted((p.name, p.is_symlink(), p.exists() and p.read_bytes()) for p in tmp_path.iterdir()) == before


NO_SPACE = """
import errno, resource
from pagexchange_native.errors import ArenaError, ArenaFullError
if sys.argv[2] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    Region.create(nodes=[("fast", 4096)], layout=LAYOUT, path=sys.argv[1])
except ArenaFullError as error:
    assert isinstance(error, ArenaError) and isinstance(error, OSError)
    print(errno.errorcode[error.errno], error)
"""


def test_a_file_that_may_not_become_so_large_is_an_error_and_removed(tmp_path: Path) -> None:
    said = run_python(SETUP + NO_SPACE, str(tmp_path / "arena"), str(8 * MIB))
    assert said.startswith("EFBIG")
    assert "cannot take" in said
    assert not list(tmp_path.iterdir())


def test_a_full_file_system_is_an_error_when_made_not_a_signal_when_used(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs a tmpfs of its own: root may not mount here")
    try:
        said = run_python(SETUP + NO_SPACE, str(tmp_path / "arena"), "0")
        assert said.startswith("ENOSPC")
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_an_error_late_in_the_making_removes_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="share no bit and cover all 64"):
        create(path=tmp_path / "arena", layout=LAYOUT | {"swap": 0})
    with pytest.raises(ValueError, match="'locked'"):
        create(path=tmp_path / "arena", layout=LAYOUT | {"locked": 0})
    assert not list(tmp_path.iterdir())


def test_too_little_address_space_is_an_error_and_removes_the_file(tmp_path: Path) -> None:
    code = """
import resource
from pagexchange_native.errors import ArenaFullError
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
try:
    Region.create(nodes=[("fast", 1 << 18)], layout=LAYOUT, path=sys.argv[1], reserve=False)
except ArenaFullError as error:
    print(error)
"""
    assert "cannot map" in run_python(SETUP + code, str(tmp_path / "arena"))
    assert not list(tmp_path.iterdir())


def test_a_signal_every_millisecond_does_not_stop_the_making() -> None:
    # Older Linux undoes in shared memory a reservation that a signal interrupts: a large one would never be done.
    code = """
import signal
hits = []
signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
with Region.create(nodes=[("fast", 16384)], layout=LAYOUT, reserve=True) as region:
    while not hits:
        signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(region.nodes[0]["free"])
"""
    assert run_python(SETUP + code).split() == ["16384"]


# ---- huge pages ------------------------------------------------------------------------------------------------------


def mapping_at(place: int) -> dict[str, list[str]]:
    """What /proc/self/smaps says of the mapping at an address: name -> words."""
    inside, said = False, {}
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *words = line.split()
        if not first.endswith(":"):
            low, high = (int(x, 16) for x in first.split("-"))
            inside = low <= place < high
        elif inside:
            said[first[:-1]] = words
    return said


def in_huge_pages(place: int) -> int:
    """Bytes of shared memory of the mapping at an address that are seen through entries of a huge page."""
    return int(mapping_at(place)["ShmemPmdMapped"][0]) * KIB


def needs_huge_pages_on_demand() -> None:
    if not makes_huge_pages():
        pytest.skip("needs Linux 6.1 or newer with transparent huge pages: MADV_COLLAPSE")
    with create(thp=True) as region:
        if region.collapsed is None or region.collapsed.came == 0:
            pytest.skip(f"this machine makes no huge page: {region.collapsed}")


@pytest.mark.parametrize("page_size", [1024, 4096, 2 * MIB])
def test_an_arena_lies_where_huge_pages_fit(page_size: int) -> None:
    for thp in (False, True):
        with create(page_size=page_size, thp=thp) as region:
            base = region.memory.__array_interface__["data"][0]
            assert base % (2 * MIB) == 0
            if Path("/sys/kernel/mm/transparent_hugepage").is_dir():
                assert ("hg" in mapping_at(base)["VmFlags"]) is thp
            assert not thp or region.total_bytes % (2 * MIB) == region.geometry()["frames"][0] % (2 * MIB) == 0


def test_the_address_space_around_an_arena_is_given_back() -> None:
    def reserved() -> int:
        return int(Path("/proc/self/statm").read_text().split()[0])

    gc.disable()
    try:
        create().close()
        before = reserved()
        with create() as region:
            assert (reserved() - before) * os.sysconf("SC_PAGESIZE") <= region.total_bytes + 256 * KIB
        assert reserved() <= before + 64
    finally:
        gc.enable()


@pytest.mark.parametrize("reserve", [False, True])
def test_huge_pages_that_were_asked_for_come(reserve: bool) -> None:
    needs_huge_pages_on_demand()
    with create(nodes=[("fast", 4096)], thp=True, reserve=reserve) as region:
        assert region.collapsed == (region.total_bytes, region.total_bytes, "")
        base = region.memory.__array_interface__["data"][0]
        assert (in_huge_pages(base), region.total_bytes % (2 * MIB)) == (region.total_bytes, 0)
        assert not region.frames.any()
        sound(region)
    with create() as region:
        assert region.collapsed is None


@pytest.mark.parametrize("error", ["EAGAIN", "ENOMEM", "EBUSY", "EINVAL"])
def test_a_block_that_does_not_come_leaves_the_others(error: str) -> None:
    needs_huge_pages_on_demand()
    code = """
import errno
from tests.native import refused_calls
refused_calls.collapse(getattr(errno, sys.argv[1]), where=1 << 21)
with Region.create(nodes=[("fast", 16384)], layout=LAYOUT, thp=True) as region:
    print(region.collapsed.came, region.collapsed.asked, region.frames.any(), region.collapsed.why)
"""
    came, asked, wrong, *why = run_python(SETUP + code, error).split()
    assert abs(2 * int(came) - int(asked)) <= 2 * MIB  # every other block, of perhaps an odd number of them
    assert wrong == "False"
    said = {
        "EAGAIN": "unavailable",
        "ENOMEM": "no more free blocks",
        "EBUSY": "container's limit",
        "EINVAL": "PR_SET_THP",
    }
    assert said[error] in " ".join(why)


def test_where_no_block_comes_it_is_not_tried_for_ever() -> None:
    needs_huge_pages_on_demand()
    code = """
import errno, os
from tests.native import refused_calls
from tests.native.arena_state import open_files
refused_calls.collapse(errno.ENOMEM)
with Region.create(nodes=[("fast", 16384)], layout=LAYOUT, thp=True) as region:
    (fd,) = [int(n) for n, target in open_files().items() if "memfd:pagexchange" in target]
    tried = os.fstat(fd).st_blocks * 512 - region.metadata_bytes
    print(region.collapsed.came, tried // os.sysconf("SC_PAGESIZE"))
"""
    came, tried = map(int, run_python(SETUP + code).split())
    assert came == 0
    assert 0 < tried < 16


def test_a_signal_ends_the_making_of_huge_pages() -> None:
    needs_huge_pages_on_demand()
    code = """
import os, signal
from tests.native import refused_calls
from tests.native.arena_state import open_files
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGSYS, interrupt)
read, write = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(write)
refused_calls.collapse(0)
try:
    Region.create(nodes=[("fast", 16384)], layout=LAYOUT, thp=True)
except KeyboardInterrupt:
    print(len(os.read(read, 1000)), sum("memfd" in target for target in open_files().values()))
"""
    assert run_python(SETUP + code).split() == ["1", "0"]


def test_an_older_linux_is_advised_to_make_huge_pages_of_the_frames() -> None:
    needs_huge_pages_on_demand()
    code = """
import errno
from tests.native import refused_calls
from tests.native.test_arena_create import makes_huge_pages, mapping_at
refused_calls.collapse(errno.EINVAL, known=False)
with Region.create(nodes=[("fast", 16384)], layout=LAYOUT, thp=True) as region:
    place = region.frames.__array_interface__["data"][0]
    print(region.collapsed, "hg" in mapping_at(place)["VmFlags"], makes_huge_pages())
"""
    assert run_python(SETUP + code).split() == ["None", "True", "False"]


def test_a_process_without_huge_pages_is_told_what_forbids_them() -> None:
    needs_huge_pages_on_demand()
    code = """
import ctypes
assert ctypes.CDLL(None).prctl(41, 1, 0, 0, 0) == 0
with Region.create(nodes=[("fast", 16384)], layout=LAYOUT, thp=True) as region:
    print(region.collapsed.came, region.collapsed.why)
"""
    assert (
        run_python(SETUP + code)
        == "0 Linux refused them; they may be off for this process (prctl PR_SET_THP_DISABLE)\n"
    )


def test_the_reason_for_no_huge_page_names_what_would_give_some(tmp_path: Path) -> None:
    folder = tmp_path / "sys/kernel/mm/transparent_hugepage"
    folder.mkdir(parents=True)
    (folder / "shmem_enabled").write_text("always within_size advise never [deny] force\n")
    assert refusal("tmpfs", tmp_path).endswith("shmem_enabled says deny; write never, advise or always there")
    assert refusal("ext4", tmp_path).startswith("Linux makes none on demand for a file on ext4; leave out the path")
    (folder / "shmem_enabled").write_text("nothing\n")
    assert "PR_SET_THP_DISABLE" in refusal("tmpfs", tmp_path)
    (folder / "shmem_enabled").unlink()
    assert "PR_SET_THP_DISABLE" in refusal("", tmp_path)


def hugetlb_pool() -> tuple[int, int]:
    folder = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
    if not folder.is_dir():
        pytest.skip("needs a Linux with 2 MiB pages")
    return int((folder / "free_hugepages").read_text()), int((folder / "nr_hugepages").read_text())


def test_a_hugetlb_pool_that_is_too_small_is_named_with_its_size_and_the_remedy() -> None:
    free, pool = hugetlb_pool()
    with pytest.raises(ArenaFullError) as caught:
        create(nodes=[("fast", (free + 8) * 512)], hugetlb=True)
    assert caught.value.errno == errno.ENOMEM
    said = str(caught.value)
    assert f"{free} of {pool} are free" in said
    assert "/proc/sys/vm/nr_hugepages" in said
    assert int(said.split("needs ")[1].split()[0]) >= free + 8


def test_hugetlb_at_a_path_needs_a_hugetlbfs(tmp_path: Path) -> None:
    with pytest.raises(ArenaAccessError, match="not on a hugetlbfs"):
        create(path=tmp_path / "arena", hugetlb=True)
    assert not list(tmp_path.iterdir())


# ---- sizes and names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [1024 << shift for shift in range(12)])
def test_every_page_size_has_its_frames_from_the_first_to_the_last_byte(page_size: int) -> None:
    with create(page_size=page_size) as region:
        assert (region.page_size, region.nframes) == (page_size, 16)
        assert region.frames.shape == (16, page_size // 8)
        assert region.geometry()["frames"][0] % max(page_size, 4096) == 0
        region.frames[0, 0], region.frames[15, -1] = 1, 2
        memory = region.memory
        assert memory[region.metadata_bytes] == 1
        assert memory[-8:].view(np.uint64)[0] == 2
        del memory
        sound(region)


@pytest.mark.parametrize("page_size", [0, 1, 512, 1023, 1025, 3000, 4095, 5000, 12288, 4 * MIB, -4096, 1 << 60])
def test_other_page_sizes_are_refused(page_size: int) -> None:
    with pytest.raises(ValueError, match=f"page_size {page_size}: want a power of two from 1024 to 2097152"):
        create(page_size=page_size)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no node": ({"nodes": []}, "0 nodes: want 1 to 16"),
    "17 nodes": ({"nodes": [(f"n{i}", 1) for i in range(17)]}, "17 nodes: want 1 to 16"),
    "one name twice": ({"nodes": [("a", 1), ("b", 1), ("a", 1)]}, "not unique: a, b, a"),
    "no name": ({"nodes": [("", 1)]}, "node name '': want 1 to 31 bytes"),
    "a long name": ({"nodes": [("x" * 32, 1)]}, "want 1 to 31 bytes"),
    "a long name in bytes": ({"nodes": [("\u00e4" * 16, 1)]}, "want 1 to 31 bytes"),
    "a name with a 0": ({"nodes": [("a\0b", 1)]}, "none of them 0"),
    "no frame": ({"nodes": [("a", 0)]}, "node 'a': 0 frames; want at least 1"),
    "negative frames": ({"nodes": [("a", 5), ("b", -5)]}, "node 'b': -5 frames"),
    "half a frame": ({"nodes": [("a", 1.5)]}, "want \\(name, number of frames\\) for each"),
    "names only": ({"nodes": ["fast", "slow"]}, "want \\(name, number of frames\\) for each"),
    "2^31 frames": ({"nodes": [("a", 1 << 30), ("b", 1 << 30)]}, "at most 2\\^31 - 1 frames and 64 TiB"),
    "2^60 frames": ({"nodes": [("a", 1 << 60)]}, "at most 2\\^31 - 1 frames"),
    "2^64 frames": ({"nodes": [("a", 1 << 64)]}, "at most 2\\^31 - 1 frames"),
    "128 TiB": ({"nodes": [("a", 1 << 26)], "page_size": 2 * MIB}, "64 TiB"),
    "no worker": ({"workers": 0}, "workers 0: want 1 to 46"),
    "no mapping": ({"mappings": 0}, "mappings 0"),
    "negative spaces": ({"spaces": -1}, "spaces -1"),
    "no XArray node": ({"xa_nodes": 0}, "xa_nodes 0"),
    "negative XArray nodes": ({"xa_nodes": -1000}, "xa_nodes -1000"),
    "negative page tables": ({"page_tables": -1}, "page_tables -1"),
    "more entries than 32 bits number": ({"page_tables": 1 << 26}, "page_tables 67108864"),
    "two watermarks": ({"watermarks": (1, 2)}, "want min <= low <= high"),
    "watermarks in disorder": ({"watermarks": (3, 2, 4)}, "want min <= low <= high"),
    "a negative watermark": ({"watermarks": (-1, 2, 4)}, "want min <= low <= high"),
    "a node more than bits": ({"layout": LAYOUT | {"node_width": 0, "swap": 1}}, "share no bit"),
    "3 nodes in 1 bit": (
        {"nodes": [("a", 1), ("b", 1), ("c", 1)], "layout": LAYOUT | {"node_width": 1, "node_shift": 63}},
        "1 node bits: at most 2 nodes",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_named_with_what_would_be_right(case: str, tmp_path: Path) -> None:
    options, said = WRONG[case]
    with pytest.raises(ValueError, match=said):
        create(path=tmp_path / "arena", **options)
    assert not list(tmp_path.iterdir())


def test_more_than_the_machine_has_is_refused_before_it_is_taken() -> None:
    # 4 TiB of frames would do: it is their entries, 64 GiB and more, that are taken at once.
    frames = max(1 << 30, resource.getpagesize() * os.sysconf("SC_PHYS_PAGES") // 64 + 1)
    if frames >= 1 << 31:
        pytest.skip("this machine has the memory")
    with pytest.raises(ArenaFullError, match="at once, the machine has") as caught:
        create(nodes=[("a", frames)])
    assert caught.value.errno == errno.ENOMEM


def test_sixteen_nodes_with_the_longest_names_are_told_apart() -> None:
    nodes = [(f"{i:02}" + "\u00e4" * 14 + "z", 3 + i) for i in range(16)]
    with create(nodes=nodes) as region:
        assert [(node["name"], node["frames"]) for node in region.nodes] == nodes
        assert [node["start"] for node in region.nodes] == [sum(3 + k for k in range(i)) for i in range(16)]
        for i, (name, frames) in enumerate(nodes):
            assert region.node_number(name) == region.node_number(i) == i
            start = region.nodes[i]["start"]
            assert sorted(region.alloc(name, frames).tolist()) == list(range(start, start + frames))
        for unknown in ("fast", 16, -1):
            with pytest.raises(LookupError, match="choose one of 00"):
                region.node_number(unknown)


def test_a_region_is_made_by_create_only() -> None:
    with pytest.raises(TypeError, match=r"Region\.create"):
        Region()


def test_metadata_of_a_gibibyte_take_less_than_a_fortieth() -> None:
    with create(nodes=[("fast", GIB // 4096)]) as region:
        parts = region.geometry()
        used = sum(count * size for name, (_, count, size) in parts.items() if name != "frames")
        assert used < GIB * 0.025
        assert region.metadata_bytes == region.total_bytes - GIB == parts["frames"][0]
        assert region.metadata_bytes < used + 2 * MIB + 64 * KIB  # the frames begin at a multiple of 2 MiB
        assert parts["entries"][2] == 64


def test_errors_are_of_one_tree() -> None:
    assert issubclass(ArenaAccessError, ArenaError)
    assert issubclass(ArenaAccessError, PermissionError)


def test_the_text_of_a_layout_has_its_limit() -> None:
    with create(layout=LAYOUT | {"text": "x" * 5000}) as region:
        assert bytes(region.memory[: region.metadata_bytes]).count(b"x" * 5000) == 1
        sound(region)
    with pytest.raises(ValueError, match=r"layout 'test': 16777217 bytes of text; want at most 16777216"):
        create(layout=LAYOUT | {"text": "x" * (16 * MIB + 1)})
