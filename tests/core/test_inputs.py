"""Which pages a run gets; and it says that it wants more memory than there is, before it is killed for it."""

import json
import os
import re

import pytest

from pagexchange.host import read
from pagexchange.pages.snapshot import format as file_format
from pagexchange.runs import inputs
from pagexchange.runs.inputs import workbench
from pagexchange_native.arena import backing
from tests.core.command_line import SMALL, pagexchange


@pytest.mark.parametrize(
    "asked",
    [
        ("--set", "workload.source=synthetic", "--set", 'arena.nodes={fast="1 TiB", slow="1 TiB"}'),
        ("--free", "1000000000"),
        ("--pairs", "100000000000"),
    ],
    ids=["frames", "free frames", "pairs"],
)
def test_more_memory_than_there_is_is_refused_before_it_is_taken(asked, monkeypatch):
    monkeypatch.setattr(backing, "memory_available", lambda: 1 << 33)
    ran = pagexchange("run", "--rounds", "0", *asked)
    assert (ran.code, ran.out) == (3, "")
    assert "the machine has 8,192 MiB available" in ran.err


@pytest.mark.parametrize("option", ["--free", "--pairs"])
def test_a_number_beyond_all_machines_is_refused_by_its_option(option):
    ran = pagexchange("run", option, "99999999999999999")
    assert (ran.code, ran.out) == (2, "")
    assert f"Invalid value for '{option}'" in ran.err


def test_live_takes_a_sample_that_fits_into_half_of_the_memory_and_says_so(monkeypatch):
    monkeypatch.setattr(backing, "memory_available", lambda: 1 << 23)
    monkeypatch.setattr("pagexchange.pages.snapshot.proc.reader.processes", lambda proc: [os.getpid()])
    ran = pagexchange("run", "--live", "--rounds", "0", "--strategy", "word-swap", "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)["input"]
    assert made["pages"] * (4096 + backing.METADATA) <= 1 << 22
    assert any(note.startswith("a sample: ") for note in made["details"]["notes"])


def watched(monkeypatch):
    """The names of the sections that are unpacked from now on."""
    names, unpack = [], file_format._unpack

    def watching(name, *rest):
        names.append(name)
        return unpack(name, *rest)

    monkeypatch.setattr(file_format, "_unpack", watching)
    return names


def test_a_snapshot_with_more_pages_than_fit_is_refused_before_all_of_it_is_unpacked(tmp_path, monkeypatch):
    file_format.save(file_format.packaged(), tmp_path / "s.pgxsnap")
    unpacked = watched(monkeypatch)
    monkeypatch.setattr(backing, "memory_available", lambda: 100 << 20)
    ran = pagexchange("run", "--rounds", "0", "--input", str(tmp_path / "s.pgxsnap"))
    assert (ran.code, ran.out) == (3, "")
    assert re.search(r"s.pgxsnap: this takes about \d+ MiB of memory, the machine has 100 MiB available", ran.err)
    assert unpacked == ["pfn", "flags"]


def test_a_snapshot_without_a_page_is_refused_before_all_of_it_is_unpacked(tmp_path, monkeypatch):
    empty = file_format.packaged()
    empty.flags[:] = 0
    file_format.save(empty, tmp_path / "s.pgxsnap")
    unpacked = watched(monkeypatch)
    ran = pagexchange("run", "--rounds", "0", "--input", str(tmp_path / "s.pgxsnap"))
    assert (ran.code, ran.out) == (3, "")
    assert "s.pgxsnap: the snapshot holds no page that an exchange could move" in ran.err
    assert unpacked == ["pfn", "flags"]


def test_a_run_asks_for_what_it_compares_with_too(tmp_path, monkeypatch):
    with workbench(read.load()).arena as arena:
        used = arena.nframes - sum(node["free"] for node in arena.nodes)
        parts = arena.geometry()
        tables = sum(parts[name][1] * parts[name][2] for name in ("entries", "xanodes", "tables", "mappings", "spaces"))
        needed = used * 4096 + 3 * tables
    for available, code in ((needed - 1, 3), (needed, 0)):
        monkeypatch.setattr(backing, "memory_available", lambda available=available: available)
        ran = pagexchange("run", "-q", "--rounds", "0", "--verify", "none", "--strategy", "word-swap")
        assert ran.code == code, ran.err


def test_memory_that_huge_pages_took_is_not_asked_for_again():
    def asked(huge):
        with workbench(read.load(overrides=[f"arena.huge={huge}"])).arena as arena:
            return inputs.still_taken(arena), arena.collapsed, arena.nframes - sum(n["free"] for n in arena.nodes)

    plain, _, used = asked("no")
    backed, collapsed, _ = asked("thp")
    if collapsed is None or collapsed.came < collapsed.asked:
        pytest.skip(f"this machine does not make huge pages of all of it on demand: {collapsed}")
    assert backed == plain - used * 4096


def test_what_fits_is_run(monkeypatch):
    monkeypatch.setattr(backing, "memory_available", lambda: 1 << 27)
    assert pagexchange("run", "--rounds", "0", "--verify", "none", "--strategy", "word-swap", *SMALL).code == 0


def test_the_snapshot_is_the_packaged_one_that_of_the_file_or_the_one_asked_for(tmp_path):
    whole = file_format.packaged()
    for name, frames in (("in-the-file", 4000), ("asked-for", 5000)):
        file_format.save(whole.select(whole.pfn.argsort()[:frames]), tmp_path / f"{name}.pgxsnap")
    (tmp_path / "s.toml").write_bytes(
        read.packaged().replace(b"[workload]\n", b'[workload]\nsnapshot = "in-the-file.pgxsnap"\n')
    )
    config = read.load(tmp_path / "s.toml")
    asked = str(tmp_path / "asked-for.pgxsnap")
    for made, name in (
        (workbench(read.load()), "packaged snapshot"),
        (workbench(config), "snapshot in-the-file.pgxsnap"),
        (workbench(config, file=asked), "snapshot asked-for.pgxsnap"),
        (workbench(read.load(), file=asked), "snapshot asked-for.pgxsnap"),
    ):
        assert (made.info.name, made.info.kind) == (name, "snapshot")
        made.close()


def synthetic(*overrides):
    small = ['arena.nodes={fast="1 MiB", slow="2 MiB"}', "workload.source=synthetic", *overrides]
    made = workbench(read.load(overrides=small))
    made.close()
    return made.info


@pytest.mark.parametrize(
    ("overrides", "pages"),
    [
        (["workload.pairs=100"], 200),
        (["workload.pairs=224"], 448),
        (["workload.pairs=225"], 448),
        (["workload.pairs=1000"], 448),
        (["workload.pairs=10", "workload.orders={0=1, 3=1}"], 448),
        ([], 192 + 384),
    ],
)
def test_as_many_made_up_pages_as_pairs_but_an_eighth_of_the_smaller_node_stays_free(overrides, pages):
    info = synthetic(*overrides)
    assert (info.name, info.kind, info.pages) == ("made-up pages", "synthetic", pages)


def test_made_up_pages_leave_as_many_frames_free_as_the_file_says():
    info = synthetic("workload.free=7")
    assert ([node["free"] for node in info.nodes], info.free) == ([7, 7], 7)


@pytest.mark.parametrize("hot", [0, 1])
def test_where_no_page_is_hotter_than_another_a_run_says_so_but_a_number_of_pairs_is_kept(hot):
    alike = [*SMALL, "--rounds", "0", "--strategy", "word-swap", "--set", f"workload.hot={hot}"]
    ran = pagexchange("run", *alike)
    assert (ran.code, ran.out) == (3, "")
    sentence = "made-up pages: there is no hot page on 'slow' with a colder one of its order on 'fast'"
    assert ran.err == f"pagexchange: {sentence}\n"
    assert pagexchange("run", *alike, "--pairs", "5").code == 0
