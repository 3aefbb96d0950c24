"""A machine saved as a tree of files: what is read from it is that machine's, and the same as what was saved."""

import errno
import json
import os
import platform
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot import take
from pagexchange.pages.snapshot.proc import reader
from pagexchange.pages.snapshot.proc.kpageflags import mask
from pagexchange.pages.snapshot.proc.tree import Tree
from pagexchange.pages.snapshot.save import _Saving, save
from pagexchange.pages.snapshot.snapshot import ARRAYS
from tests.core.command_line import pagexchange
from tests.core.test_nodes import RUN, zone
from tests.core.test_snapshot_take import CACHE, FakeProc
from tests.core.zoo import VERSIONS, lay_out

KERNELS = {"6.1": "6.1.0", "6.12": "6.12.117"}


@pytest.fixture(params=VERSIONS)
def zoo(request, tmp_path):
    return request.param, lay_out(request.param, tmp_path / "zoo")


@pytest.fixture
def fake(tmp_path):
    """Two processes with a file, one without memory, and two nodes."""
    root = tmp_path / "tree" / "proc"
    root.mkdir(parents=True)
    proc = FakeProc(root)
    proc.flags[10:14] = mask("UPTODATE", "LRU", "MMAP", "ANON", "SWAPBACKED")
    proc.flags[2020:2023] = CACHE | mask("MMAP")
    proc.flags[4000] = CACHE
    proc.area(7, 1001, [10, 11, None, 12])
    proc.area(7, 9000, [2020, 2021], perms="r-xp", inode=55, offset=4, name="/secret/name")
    proc.area(8, 1 << 33, [13], name="[stack]")
    proc.area(8, 7003, [2020, None, 2022], perms="rw-s", inode=55, offset=4, name="/secret/name")
    proc.write()
    (root / "9").mkdir()
    (root / "9" / "maps").write_text("")
    (root / "zoneinfo").write_text(zone(0, "Normal", 0, 2000) + zone(1, "Normal", 2000, 2096))
    (root / "sys/kernel").mkdir(parents=True)
    (root / "sys/kernel/osrelease").write_text("5.4.0-generic-builder@host\n")
    (root / "sys/kernel/arch").write_text("riscv64\n")
    return root.parent


def same(one, other):
    arrays = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)
    return arrays and dict(one.facts) == dict(other.facts)


# ---- whose facts they are ------------------------------------------------------------------------------------------


@pytest.fixture
def other_machine(monkeypatch):
    """This machine becomes one that no tree here is of."""
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    monkeypatch.setattr(platform, "release", lambda: "99.9.9-mine")
    monkeypatch.setattr(os, "sysconf", lambda name: 1 << 20)


@pytest.mark.parametrize("inside", ["", "proc"])
def test_a_tree_tells_its_own_kernel_machine_and_page_size(zoo, inside, other_machine):
    version, root = zoo
    facts = take(proc=root / inside).facts
    assert (facts["kernel"], facts["machine"], facts["page_size"]) == (KERNELS[version], "x86_64", 4096)
    assert facts["unknown"] == []
    assert "date" not in facts
    (root / "proc/sys/kernel/osrelease").unlink()
    facts = take(proc=root / inside).facts
    assert facts["kernel"] == {"6.1": "6.1.0", "6.12": "6.12.117"}[version]  # of its /proc/version


@pytest.mark.parametrize(
    ("cpuinfo", "machine"),
    [
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu vme lm nx\n", "x86_64"),
        ("flags\t\t: fpu vme nx\n", "i686"),
        ("CPU implementer\t: 0x41\nCPU architecture: 8\n", "aarch64"),
        ("isa\t\t: rv64imafdc\n", "riscv64"),
        ("vendor_id       : IBM/S390\n", "s390x"),
        ("cpu\t\t: POWER9 (architected)\n", "ppc64le"),
        ("something else\n", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_machine_is_known_by_its_cpuinfo(fake, cpuinfo, machine, other_machine):
    (fake / "proc/sys/kernel/arch").unlink()
    if cpuinfo is not None:
        (fake / "proc/cpuinfo").write_text(cpuinfo)
    snapshot = take(proc=fake)
    assert snapshot.facts["machine"] == machine
    assert (("machine" in snapshot.facts["unknown"]), "its machine" in snapshot.unsaid) == (machine == "unknown",) * 2


@pytest.mark.parametrize("kib", [4, 16, 64])
def test_the_size_of_a_page_follows_from_the_memory_that_the_zones_manage(fake, kib, other_machine):
    (fake / "proc/zoneinfo").write_text(zone(0, "DMA", 0, 2000) + zone(0, "Normal", 2000, 2000))  # 1000 each
    (fake / "proc/meminfo").write_text(f"MemTotal:       {2000 * kib} kB\nMemFree:  5 kB\n")
    assert Tree.at(fake).page_size() == kib << 10
    assert Tree.at(fake).page_size(kib << 10) == kib << 10
    with pytest.raises(SnapshotError, match=f"its pages have {kib << 10} bytes, not 8192"):
        take(proc=fake, page_size=8192)


def test_an_area_that_begins_between_two_larger_pages_tells_the_size_of_a_page(fake, other_machine):
    assert Tree.at(fake).page_size() == 4096
    for pid in (7, 8):
        maps = fake / f"proc/{pid}/maps"
        maps.write_text(maps.read_text().replace("1-", "0-"))
    (fake / "proc/7/maps").write_text("3e8000-3ec000 rw-p 00000000 00:00 0\n")
    (fake / "proc/8/maps").write_text("3e8000-3ec000 rw-p 00000000 00:00 0\n")
    assert Tree.at(fake).page_size() is None
    snapshot = take(proc=fake)
    assert snapshot.page_size == 4096
    assert snapshot.facts["unknown"] == ["page_size"]
    assert snapshot.unsaid == "the machine does not say how large a page is (taken as 4096 bytes)."
    assert take(proc=fake, page_size=16384).page_size == 16384


def test_what_a_tree_does_not_say_is_said_on_the_command_line(fake, tmp_path):
    shutil.rmtree(fake / "proc/sys")
    (fake / "proc/zoneinfo").unlink()
    ran = pagexchange("snapshot", str(tmp_path / "o"), "--proc", str(fake))
    assert ran.code == 0
    assert "note: the machine does not say its kernel, its machine, where its nodes are." in ran.err
    ran = pagexchange("run", "--rounds", "0", "--pairs", "2", "--strategy", "word-swap", "--input", str(tmp_path / "o"))
    assert ran.code == 0
    assert "does not say its kernel" in " ".join(ran.out.split())


def test_no_process_of_the_reader_is_looked_for_in_a_tree(fake):
    (fake / "proc/kpageflags").unlink()
    snapshot = take(proc=fake)
    assert snapshot.partial
    assert snapshot.nspaces == 2
    assert snapshot.notes[0].startswith(
        f"{fake}/proc/kpageflags: No such file or directory. The frame numbers are made up"
    )
    assert "Run as root" not in snapshot.notes[0]


# ---- there and back ------------------------------------------------------------------------------------------------


def test_a_saved_machine_gives_the_same_snapshot(zoo, tmp_path, other_machine):
    _, root = zoo
    saved = save(tmp_path / "saved", proc=root)
    assert saved.notes == []
    assert saved.bytes < 16 << 20
    assert same(take(proc=root), take(proc=tmp_path / "saved"))
    again = save(tmp_path / "again", proc=tmp_path / "saved")
    assert again.processes == saved.processes
    assert same(take(proc=root), take(proc=tmp_path / "again"))


@pytest.mark.parametrize("names", [False, True])
def test_names_are_saved_where_they_are_asked_for(fake, tmp_path, names):
    save(tmp_path / "saved", proc=fake, names=names)
    text = b"".join(path.read_bytes() for path in (tmp_path / "saved").rglob("*") if path.name in ("maps", "comm"))
    assert (b"secret" in text, b"name-7" in text) == (names, names)
    assert b"[stack]" in text
    assert same(take(proc=fake, names=names), take(proc=tmp_path / "saved", names=names))


def test_a_tree_is_its_owners_and_sparse(fake, tmp_path):
    save(tmp_path / "saved", proc=fake)
    files = [path for path in (tmp_path / "saved").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "saved").stat().st_mode) == 0o700
    table = (tmp_path / "saved/proc/8/pagemap").stat()
    assert table.st_size == ((1 << 33) + 1) * 8
    assert table.st_blocks * 512 < 1 << 20
    np.testing.assert_array_equal(
        np.fromfile(tmp_path / "saved/proc/kpageflags", "<u8"), np.fromfile(fake / "proc/kpageflags", "<u8")
    )


def test_processes_that_are_named_are_saved_alone_and_must_be_readable(fake, tmp_path):
    assert save(tmp_path / "saved", proc=fake, pids=[8]).processes["saved"] == 1
    assert sorted(path.name for path in (tmp_path / "saved/proc").glob("[0-9]*")) == ["8"]
    assert same(take(proc=fake, pids=[8]), take(proc=tmp_path / "saved", pids=[8]))
    with pytest.raises(SnapshotError, match="process 12 cannot be read: No such file or directory"):
        save(tmp_path / "other", proc=fake, pids=[12])
    assert not (tmp_path / "other").exists()


def test_processes_that_could_not_be_read_are_told_by_the_tree(fake, tmp_path, monkeypatch):
    areas = reader.areas

    def refuse(proc, pid, size):
        if pid == 8 and proc == fake / "proc":
            raise PermissionError(errno.EACCES, "Permission denied")
        return areas(proc, pid, size)

    monkeypatch.setattr(reader, "areas", refuse)
    saved = save(tmp_path / "saved", proc=fake)
    assert saved.notes == ["processes that may not be read, and are not in the tree: 1."]
    assert not (tmp_path / "saved/proc/8").exists()
    assert same(take(proc=fake), take(proc=tmp_path / "saved"))
    assert "1 process may not be read; its pages appear without their mappings." in take(proc=tmp_path / "saved").notes


def test_without_frames_the_own_process_is_saved_and_what_lacks_is_said(fake, tmp_path, monkeypatch):
    (fake / "proc/kpageflags").unlink()
    (fake / "proc/self").symlink_to("7")
    with monkeypatch.context() as patched:
        patched.setattr("pagexchange.pages.snapshot.proc.tree._is_this_machines", lambda proc: True)
        saved = save(tmp_path / "saved", proc=fake)
    assert saved.notes == [f"{fake}/proc/kpageflags: No such file or directory; the tree goes without it."]
    assert saved.processes["saved"] == 1
    snapshot = take(proc=tmp_path / "saved")
    assert (snapshot.partial, snapshot.nspaces, len(snapshot)) == (True, 1, 5)
    assert snapshot.facts["page_size"] == os.sysconf("SC_PAGE_SIZE")
    assert len(snapshot.facts["date"]) == 10


def test_this_machine_can_be_saved_and_read(tmp_path):
    save(tmp_path / "saved", pids=[os.getpid()])
    snapshot = take(proc=tmp_path / "saved")
    assert snapshot.facts["page_size"] == os.sysconf("SC_PAGE_SIZE")
    assert snapshot.facts["machine"] == platform.machine()
    assert platform.release().startswith(snapshot.facts["kernel"])
    assert snapshot.nspaces == 1


# ---- what cannot be used -------------------------------------------------------------------------------------------


def test_nothing_is_replaced_and_nothing_is_left_of_what_fails(fake, tmp_path, monkeypatch):
    for name in ("file", "folder"):
        place = tmp_path / name
        place.mkdir() if name == "folder" else place.write_text("mine")
        with pytest.raises(SnapshotError, match=f"{place}: exists, and is not replaced"):
            save(place, proc=fake)
        ran = pagexchange("snapshot", "--proc", str(fake), "--save-proc", str(place))
        assert (ran.code, f"{place} exists; give another name" in ran.err) == (2, True)
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(SnapshotError, match="No such file or directory"):
        save(tmp_path / "none" / "saved", proc=fake)

    def full(self, name):
        raise OSError(errno.ENOSPC, "No space left on device", str(self.root / name))

    monkeypatch.setattr(_Saving, "words", full)
    before = sorted(tmp_path.iterdir())
    ran = pagexchange("snapshot", "--proc", str(fake), "--save-proc", str(tmp_path / "saved"))
    assert (ran.code, ran.out) == (3, "")
    assert "No space left on device" in ran.err
    assert sorted(tmp_path.iterdir()) == before


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda proc: cut(proc / "kpageflags", 1001),
         "proc/kpageflags: 1001 bytes are no whole number of 64-bit words: it is cut short"),
        (lambda proc: cut(proc / "kpagecount", 800),
         "proc/kpagecount: cut short: kpagecount 100 and kpageflags 4096 words"),
        (lambda proc: cut(proc / "kpageflags", 0), "proc/kpageflags: it is empty"),
        (lambda proc: cut(proc / "7/pagemap", 8013), "proc/7/pagemap: 8013 bytes are no whole number"),
        (lambda proc: cut(proc / "7/maps", 60), "proc/7/maps: line 2 is no area of memory"),
        (lambda proc: (proc / "8/maps").write_text("\x00\x01 rubbish\n"), "proc/8/maps: line 1 is no area of memory"),
        (lambda proc: [(proc / name).unlink() for name in ("kpageflags", "7/pagemap", "8/pagemap")],
         "proc: not a saved /proc: neither kpageflags nor a process's pagemap is in it"),
        (lambda proc: shutil.rmtree(proc), "not a saved /proc"),
        (lambda proc: shutil.rmtree(proc.parent), "tree: "),
        (lambda proc: (proc.parent / "pagexchange.json").write_text('{"page_size": "x"}'),
         "tree/pagexchange.json: not what was saved there"),
        (lambda proc: (proc.parent / "pagexchange.json").write_bytes(b"\xff{"), "pagexchange.json: not what was saved"),
    ],
)  # fmt: skip
def test_a_damaged_tree_is_an_error_that_names_the_file_and_what_is_wrong(fake, tmp_path, damage, sentence):
    damage(fake / "proc")
    tree, out = ("--proc", str(fake)), (str(tmp_path / "o"), str(tmp_path / "s"))
    for asked in (
        ("snapshot", out[0], *tree),
        ("snapshot", "--save-proc", out[1], *tree),
        (*RUN, "--input", str(fake)),
    ):
        ran = pagexchange(*asked)
        assert (ran.code, ran.out) == (3, ""), ran.err
        assert sentence in ran.err
    assert not (tmp_path / "o").exists()
    assert not (tmp_path / "s").exists()


def test_what_an_incomplete_tree_lacks_of_a_process_is_said(fake):
    (fake / "proc/8/pagemap").unlink()
    snapshot = take(proc=fake)
    assert snapshot.nspaces == 1
    assert "of 1 process the saved tree has no maps, or no pagemap." in snapshot.notes


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "Missing argument 'OUT'; or give --save-proc DIR"),
        (("--save-proc", "s", "--contents"), "--save-proc saves no contents"),
        (("o", "--page-size", "4097"), "4097 bytes: a power of two is expected"),
        (("o", "--page-size", "much"), "--page-size"),
    ],
)
def test_wrong_usage(options, sentence):
    ran = pagexchange("snapshot", *options)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err


def test_both_at_once_are_of_one_instant(fake, tmp_path):
    out, tree = tmp_path / "o", tmp_path / "saved"
    ran = pagexchange("snapshot", str(out), "--proc", str(fake), "--save-proc", str(tree), "--json")
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert (said["path"], said["tree"], said["frames"], said["tree_notes"]) == (str(out), str(tree), 8, [])
    assert said["tree_bytes"] > 0
    assert same(file_format.load(out), take(proc=tree))
    assert pagexchange("snapshot", "--proc", str(fake), "--save-proc", str(tmp_path / "x"), "--json").code == 0


def test_run_takes_a_tree_as_it_takes_the_snapshot_of_it(zoo, tmp_path):
    version, root = zoo
    file_format.save(take(proc=root), tmp_path / "o")
    given = []
    for source in (root, tmp_path / "o"):
        ran = pagexchange("run", "--rounds", "0", "--strategy", "word-swap", "--json", "--input", str(source))
        assert ran.code == 0, ran.err
        given.append(json.loads(ran.out)["input"])
    assert given[0].pop("name") == "saved tree zoo"
    assert given[1].pop("name") == "snapshot o"
    assert given[0].pop("digest") != given[1].pop("digest")  # of the bytes: the same pages in two forms
    assert given[0] == given[1]
    assert given[0]["details"]["kernel"] == KERNELS[version]
