"""Frames on real nodes: bound before they have memory, refused in words, or mapped from a device or a folder."""

import errno
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange_native.arena import numa, real_nodes
from pagexchange_native.arena.backing import file_system
from pagexchange_native.arena.places import Place
from pagexchange_native.arena.real_nodes import numbers, several
from pagexchange_native.arena.region import Region, makes_huge_pages
from pagexchange_native.errors import ArenaAccessError, ArenaError, ArenaFullError
from tests.native.arena_state import MIB, open_files, run_python
from tests.native.conftest import LAYOUT
from tests.two_nodes import TwoNodes, plant, put

HALVES = [("fast", 1024), ("slow", 1024)]
BOUND = [Place((0,)), Place((2,))]


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoNodes:
    machine = TwoNodes(tmp_path / "root")
    plant(monkeypatch, machine)
    return machine


def create(places: list[Place], **options: Any) -> Region:
    given: dict[str, Any] = {"nodes": HALVES, "places": places, "layout": LAYOUT} | options
    return Region.create(**given)


def frames_at(region: Region) -> NDArray[np.uint64]:
    """Address of each frame."""
    offset, n, size = region.geometry()["frames"]
    first = region.memory.__array_interface__["data"][0] + offset
    return np.uint64(first) + np.arange(n, dtype=np.uint64) * np.uint64(size)


# ---- one node, this machine's ----------------------------------------------------------------------------------------


def test_this_machine_binds_frames_to_a_node_that_it_has_before_they_have_memory() -> None:
    node = real_nodes.HERE.allowed()[0]
    with create([Place((node,)), Place((node,))]) as region:
        at = frames_at(region)
        assert set(real_nodes.HERE.where(at).tolist()) == {-errno.ENOENT}
        region.frames[:100] = 1
        assert set(real_nodes.HERE.where(at[:100]).tolist()) == {node}
        maps = [line for line in Path("/proc/self/numa_maps").read_text().splitlines() if "pagexchange" in line]
        assert len(maps) >= 2
        assert any(f"bind:{node}" in line for line in maps)


def test_frames_that_are_reserved_at_once_come_from_the_node_that_they_are_bound_to(
    two: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bound afterwards they would stay where they are: so the file may have no block at that time.
    taken: list[int] = []
    before = open_files()

    def mbind(*_: object) -> None:
        (fd,) = [int(fd) for fd, target in open_files().items() - before.items() if "memfd:pagexchange" in target]
        taken.append(os.fstat(fd).st_blocks)

    monkeypatch.setattr(two, "mbind", mbind)
    with create(BOUND, reserve=True):
        assert taken == [0, 0]


@pytest.mark.skipif(not makes_huge_pages(), reason="this Linux makes no huge pages on demand")
def test_huge_pages_of_bound_nodes_come(two: TwoNodes) -> None:
    with create(BOUND, thp=True) as region:
        assert region.collapsed is not None
        assert [size for _, size, _, _ in two.bound] == [4 * MIB] * 2
        assert all(address % (2 * MIB) == 0 for address, *_ in two.bound)


# ---- two nodes -------------------------------------------------------------------------------------------------------


def test_each_node_is_bound_where_its_frames_lie(two: TwoNodes) -> None:
    with create([Place((0,)), Place((0, 2))]) as region:
        at = frames_at(region).tolist()
        assert two.bound == [(at[0], 4 * MIB, numa.BIND, (0,)), (at[1024], 4 * MIB, numa.INTERLEAVE, (0, 2))]


def test_a_weighted_interleave_is_asked_of_linux_as_such(two: TwoNodes) -> None:
    put(two.root / "sys/kernel/mm/mempolicy/weighted_interleave/node0", "3")
    put(two.root / "sys/kernel/mm/mempolicy/weighted_interleave/node2", "1")
    with create([Place(), Place((0, 2), weighted=True)]):
        assert [(mode, nodes) for _, _, mode, nodes in two.bound] == [(numa.WEIGHTED_INTERLEAVE, (0, 2))]
    assert two.weights() == {0: 3, 2: 1}


@pytest.mark.parametrize(
    ("places", "options", "says"),
    [
        ([Place((0,)), Place((5,))], {}, "node 'slow': numa = 5: node 5 has no memory here; this machine has memo"),
        ([Place((1, 0)), Place()], {}, "numa = [1, 0]: node 1 has no memory here; this machine has memory on"),
        ([Place(), Place((0, 2), weighted=True)], {}, "'slow': numa = [0, 2]: interleaving by weight needs Linux 6.9"),
        ([Place(), Place((0, 2))], {"thp": True}, "a huge page lies on one node, that of its first base page"),
        ([Place(), Place(path="/dev/shm")], {"hugetlb": True}, "hugetlb: a node with a path has pages of its own"),
    ],
)  # fmt: skip
def test_what_the_machine_has_not_is_said_and_nothing_is_made(
    two: TwoNodes, places: list[Place], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ArenaError, match=r"^\w") as raised:
        create(places, **options)
    assert says in str(raised.value)
    assert two.bound == []


def test_all_that_is_wrong_with_the_nodes_is_said_at_once(two: TwoNodes) -> None:
    with pytest.raises(ArenaError) as raised:
        create([Place((7,)), Place((0, 2), weighted=True)], thp=True)
    assert str(raised.value).count("numa = ") == 3


def test_one_node_with_memory_is_said_to_be_one_memory(two: TwoNodes) -> None:
    put(two.root / "sys/devices/system/node/has_memory", "0\n")
    with pytest.raises(ArenaError, match=r"this machine has memory on node 0 only: one memory, and one speed$"):
        create(BOUND)


def test_a_node_that_the_cpuset_forbids_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, TwoNodes(tmp_path, allowed="0"))
    with pytest.raises(ArenaError, match="node 2 is not for this process: its cpuset allows node 0"):
        create(BOUND)


def test_too_little_memory_on_a_node_is_said_before_linux_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, TwoNodes(tmp_path, free=(4096, 4)))
    with pytest.raises(ArenaFullError, match="'slow' on node 2: 4 MiB are needed, 3 MiB are available") as raised:
        create(BOUND)
    assert raised.value.errno == errno.ENOMEM
    create([Place((0,)), Place((0,))]).close()
    with pytest.raises(ArenaFullError, match="'fast' and 'slow' on node 2: 8 MiB"):
        create([Place((2,)), Place((2,))])


def test_too_few_huge_pages_on_a_node_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, TwoNodes(tmp_path, huge=1))
    with pytest.raises(ArenaFullError, match="'slow' on node 2: 2 huge pages of 2 MiB are needed, 1 are free there"):
        create(BOUND, hugetlb=True)


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (errno.EPERM, ArenaAccessError, "containers forbid mbind, unless they are given CAP_SYS_NICE"),
        (errno.ENOSYS, ArenaError, r"this Linux knows of no nodes \(CONFIG_NUMA\)"),
        (errno.EINVAL, ArenaError, "node 'fast': cannot be bound to node 0: mbind is refused$"),
    ],
)
def test_why_linux_does_not_bind_is_said(two: TwoNodes, code: int, kind: type[ArenaError], says: str) -> None:
    two.refuses["mbind"] = code
    with pytest.raises(kind, match=says):
        create(BOUND)


def test_a_machine_of_one_node_needs_no_right_to_bind(two: TwoNodes) -> None:
    put(two.root / "sys/devices/system/node/has_memory", "0\n")
    two.refuses["mbind"] = errno.EPERM
    create([Place((0,)), Place((0,))]).close()


@pytest.mark.parametrize("page_size", [1024, 2048])
def test_small_frames_of_two_nodes_do_not_share_a_page_of_the_machine(two: TwoNodes, page_size: int) -> None:
    page = os.sysconf("SC_PAGESIZE")
    says = f"node 'fast': {page + page_size} bytes; want a multiple of {page}: two nodes cannot share a page"
    with pytest.raises(ValueError, match=says):
        create(BOUND, page_size=page_size, nodes=[("fast", page // page_size + 1), ("slow", page // page_size)])
    whole = [("fast", 3 * page // page_size), ("slow", page // page_size)]
    with create(BOUND, page_size=page_size, nodes=whole) as region:
        at = frames_at(region).tolist()
        assert [(start, size) for start, size, _, _ in two.bound] == [(at[0], 3 * page), (at[0] + 3 * page, page)]
        assert at[0] % page == 0
        region.frames[:] = 1
        assert set(two.where(frames_at(region)).tolist()) == {0, 2}
    # Where no node has a place of its own, a boundary may lie anywhere.
    create([], page_size=page_size, nodes=[("fast", 1), ("slow", 1)]).close()


def test_two_nodes_do_not_share_a_huge_page(two: TwoNodes) -> None:
    with pytest.raises(ValueError, match="node 'fast': 4198400 bytes; want a multiple of 2097152"):
        create(BOUND, nodes=[("fast", 1025), ("slow", 1024)], thp=True)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place((-1,)), "numa: want numbers of nodes, from 0 to 1023"),
        (Place((0, 0)), "numa: a node is named twice"),
        (Place((0,), weighted=True), "interleave: want two nodes or more in numa"),
        (Place((0,), path="/x"), "numa and path: want one of them"),
    ],
)
def test_a_place_that_is_wrong_anywhere_is_a_wrong_value(place: Place, says: str) -> None:
    with pytest.raises(ValueError, match=f"node 'slow': {says}"):
        create([Place(), place])


def test_a_file_on_a_disk_is_not_bound(tmp_path: Path) -> None:
    if file_system(str(tmp_path)) in (b"tmpfs", b"hugetlbfs", b""):
        pytest.skip("the folder for tests is in memory")
    node = real_nodes.HERE.with_memory()[0]
    with pytest.raises(ArenaError, match=r"Linux puts pages of a file on .* where it likes"):
        create([Place((node,)), Place((node,))], path=tmp_path / "arena")
    assert not list(tmp_path.iterdir())


# ---- a device, or a folder -------------------------------------------------------------------------------------------


def test_frames_in_a_folder_are_a_file_without_a_name_that_goes_with_the_arena(tmp_path: Path) -> None:
    def mapped() -> list[str]:
        return [line for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line]

    with create([Place(), Place(path=str(tmp_path))]) as region:
        assert not list(tmp_path.iterdir())
        assert len(mapped()) == 1
        assert mapped()[0].startswith(f"{int(frames_at(region)[1024]):x}-")
        region.frames[1024:] = 7
        region.frames[:1024] = 3
        assert int(region.frames[1024:].min()) == 7
        assert int(region.frames[:1024].max()) == 3
    assert not mapped()


def test_frames_in_a_folder_are_not_mapped_in_a_forked_child(tmp_path: Path) -> None:
    code = f"""
import os
from tests.native.test_places import create, Place
region = create([Place(), Place(path={str(tmp_path)!r})])
if os.fork() == 0:
    with open("/proc/self/maps") as maps:
        print(sum({str(tmp_path)!r} in line for line in maps), flush=True)
    os._exit(0)
os.wait()
"""
    assert run_python(code).split() == ["0"]


def test_memory_for_a_folder_is_taken_at_once_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _offset: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        ArenaFullError, match="cannot take 4194304 bytes of 4194304 for node 'slow': No space"
    ) as raised:
        create([Place(), Place(path=str(tmp_path))])
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/proc/self/status"])
def test_what_is_neither_a_dax_device_nor_a_folder_is_refused(path: str) -> None:
    with pytest.raises(ArenaAccessError, match=r"node 'slow': (want a DAX device|cannot have memory there)"):
        create([Place(), Place(path=path)])


def test_a_device_is_checked_for_size_and_alignment(two: TwoNodes) -> None:
    device = Path("/dev/zero").stat().st_rdev
    folder = two.root / f"sys/dev/char/{os.major(device)}:{os.minor(device)}"
    put(folder / "size", str(2 * MIB))
    put(folder / "align", str(2 * MIB))
    places = [Place(), Place(path="/dev/zero")]
    with pytest.raises(ArenaFullError, match="4194304 bytes are needed, the device has 2097152"):
        create(places)
    put(folder / "size", str(4 * MIB))
    with create(places) as region:  # shared memory without a name, as /dev/zero gives it
        region.frames[1024:] = 5
        assert int(region.frames[1024:].min()) == 5
        assert int(region.frames[:1024].max()) == 0
    put(folder / "align", str(1 << 30))
    with pytest.raises(ArenaAccessError, match="the device has an alignment of 1073741824 bytes; want 2 MiB"):
        create(places)


# ---- what the machine says -------------------------------------------------------------------------------------------


def test_lists_of_numbers_are_read_as_linux_writes_them() -> None:
    assert numbers(b"0-3,8\n") == [0, 1, 2, 3, 8]
    assert numbers(b"\n") == []
    assert several([0]) == "node 0"
    assert several([0, 1, 4]) == "nodes 0, 1 and 4"


def test_what_can_be_taken_from_a_node_is_free_or_can_be_read_again(two: TwoNodes) -> None:
    assert two.available(0) == 4096 * MIB - 64 * MIB
    assert [two.has_cpus(node) for node in (0, 2)] == [True, False]


def test_the_numbers_of_the_system_calls_are_those_of_the_c_library(tmp_path: Path) -> None:
    source = tmp_path / "numbers.c"
    source.write_text(
        "#include <sys/syscall.h>\n#include <stdio.h>\n"
        'int main(void) { printf("%d %d", SYS_mbind, SYS_move_pages); return 0; }\n'
    )
    done = subprocess.run(["cc", "-o", tmp_path / "numbers", source], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no C compiler")
    said = subprocess.run([tmp_path / "numbers"], capture_output=True, text=True, check=True).stdout
    if platform.machine() not in numa._NUMBERS:
        pytest.skip("the calls are not known for this processor")
    assert said.split() == [str(number) for number in numa._NUMBERS[platform.machine()].values()]
