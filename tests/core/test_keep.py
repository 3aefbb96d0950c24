"""`run --out`: what a run measured lies in a folder, as it was measured, whatever ended the run."""

from __future__ import annotations

import errno
import json
import os

import pytest

from pagexchange.host import read
from pagexchange.runs.cells import cells
from pagexchange.samples.folder import Folder
from pagexchange.samples.naming import out_path
from tests.core.command_line import SMALL, pagexchange

TWO = ("--strategy", "word-swap", "--strategy", "whole-word")


def kept(path, *args):
    ran = pagexchange("run", *SMALL, *TWO, "--rounds", "2", "--out", str(path), *args)
    assert ran.code == 0, ran.err
    return Folder.open(path), ran


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("runs") / "night", "--json")


def test_each_strategy_is_a_cell_and_each_timed_call_a_sample(night):
    folder, ran = night
    result = json.loads(ran.out)
    (host,) = folder.hosts.values()
    ids = {cell.name: cell.id for cell in folder.manifest.cells}
    swap, refused = (folder.cells[ids[name], host.id] for name in ("word-swap", "whole-word"))
    assert (swap.verdict, swap.error, swap.refused, swap.frames) == ("exact", "", {}, 0)
    assert (refused.verdict, list(refused.refused)) == ("refused", ["EBADMSG"])
    rounds = next(s["rounds"] for s in result["strategies"] if s["name"] == "word-swap")
    assert [
        (s.cell, s.round, s.position, s.exchanged, s.wall_ns, s.cpu_ns, s.parts["data"]) for s in folder.samples()
    ] == [
        (ids["word-swap"], r["round"], r["position"], r["exchanged"], r["ns"]["total"], r["cpu_ns"], r["ns"]["data"])
        for r in rounds
    ]
    assert len(rounds) == 2
    started = [s.started_ns for s in folder.samples()]
    assert started == sorted(started)
    assert host.after is not None
    assert host.environment["cpu"] == result["environment"]["cpu"]


def test_the_manifest_says_how_to_do_it_again(night):
    folder, ran = night
    manifest = folder.manifest
    assert (manifest.verb, manifest.name, manifest.seed) == ("run", "night", 1)
    assert manifest.command == [
        "pagexchange",
        "run",
        *SMALL,
        *TWO,
        "--rounds",
        "2",
        "--out",
        str(folder.path),
        "--json",
    ]
    assert manifest.input.kind == "synthetic"
    assert manifest.input.digest == json.loads(ran.out)["input"]["digest"]
    assert manifest.versions.distributions == {"pagexchange": manifest.versions.pagexchange}
    config = read.load(read.Source("again", manifest.config.encode(), None))
    assert list(config.strategies) == ["whole-word", "word-swap"]
    assert config.run.rounds == 2
    assert cells(config, list(config.strategies.values()), manifest.input.digest) == manifest.cells


def test_what_is_measured_again_has_its_id_again_and_what_is_not_has_another(tmp_path, night):
    ids = [cell.id for cell in night[0].manifest.cells]
    again, _ = kept(tmp_path / "again", "--verify", "none", "-q")
    assert [cell.id for cell in again.manifest.cells] == ids
    for number, change in enumerate(("run.seed=2", "arena.page_size=8192", "strategy.word-swap.threads=2")):
        other, _ = kept(tmp_path / str(number), "--set", change)
        changed = [cell.id != id_ for cell, id_ in zip(other.manifest.cells, ids, strict=True)]
        assert changed == [number < 2, True]


def test_a_file_counts_by_what_is_in_it(tmp_path):
    for name, text in (("a", ""), ("b", "# other\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.toml").write_text(text + read.load().layout.text)
    folders = []
    for name, layout in (("1", "a/own.toml"), ("2", "b/own.toml")):
        folder, _ = kept(tmp_path / name, "--set", f"arena.layout={tmp_path / layout}")
        assert f'layout = "{tmp_path / layout}"' in folder.manifest.config
        folders.append(folder)
    assert folders[0].manifest.cells == folders[1].manifest.cells


def test_a_folder_that_is_there_is_refused_before_anything_runs(tmp_path, monkeypatch):
    (tmp_path / "notes").touch()
    monkeypatch.setattr("pagexchange.runs.inputs.workbench", None)
    ran = pagexchange("run", "--out", str(tmp_path))
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == f"{tmp_path}: there is something in it, and nothing is overwritten: choose another name\n"


def test_a_name_is_found_below_a_folder(tmp_path, monkeypatch):
    ran = pagexchange("run", *SMALL, *TWO, "--rounds", "0", "--out", f"{tmp_path}/runs/")
    (made,) = (tmp_path / "runs").iterdir()
    assert ran.err.endswith(f"kept in {made}\n")
    assert made.name.startswith("run-2")
    assert Folder.latest(tmp_path / "runs").samples() == []
    assert out_path(None, "bench", "2026-11-29T04:24:16Z", []).parts[0] == "runs"


def test_a_disk_that_becomes_full_costs_no_result(tmp_path, monkeypatch):
    write, left = os.write, [2]

    def full(handle, data):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data)

    monkeypatch.setattr("pagexchange.samples.folder.os.write", full)
    ran = pagexchange("run", *SMALL, *TWO, "--rounds", "4", "--out", str(tmp_path / "night"))
    assert ran.code == 3
    assert "All 2 did as expected" in ran.out
    file = tmp_path / "night" / "samples.jsonl"
    assert ran.err.endswith(f"{file}: cannot be written: No space left on device; what was finished before is kept\n")
    read_again = Folder.open(tmp_path / "night")
    assert [sample.round for sample in read_again.samples()] == [0, 1]


def test_what_was_measured_before_ctrl_c_is_kept(tmp_path, monkeypatch):
    append = Folder.append

    def interrupted(self, samples):
        append(self, samples)
        raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "append", interrupted)
    ran = pagexchange("run", *SMALL, *TWO, "--rounds", "3", "--out", str(tmp_path / "night"))
    assert ran.code == 130
    folder = Folder.open(tmp_path / "night")
    assert len(folder.samples()) == 1
    assert {cell.error for cell in folder.cells.values()} == {
        "interrupted after 1 of 3 rounds", "interrupted after 0 of 3 rounds"
    }  # fmt: skip
