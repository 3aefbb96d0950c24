"""Run folders as arguments: found by path or by name, completed by the shell."""

from pathlib import Path

import click
import pytest

from pagexchange.cli.folders import RunFolder, found


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/base-1", "runs/base-2", "kept", ".hidden/old"):
        Path(name).mkdir(parents=True)
        Path(name, "manifest.json").write_text("{}")
    for name in ("runs/empty", "kernel/src", "locked"):
        Path(name).mkdir(parents=True)


def completed(typed):
    parameter = click.Argument(["run"], type=RunFolder())
    context = click.Context(click.Command("report"))
    return [(item.type, item.value) for item in parameter.shell_complete(context, typed)]


def plain(*values):
    return [("plain", value) for value in values]


def test_run_folders_are_completed_and_those_a_folder_further_down(runs):
    assert completed("") == plain("kept", "runs/base-1", "runs/base-2")
    assert completed("k") == plain("kept")
    assert completed("runs/") == plain("runs/base-1", "runs/base-2")
    assert completed("./runs/base-2") == plain("./runs/base-2")
    assert completed(".h") == plain(".hidden/old")
    assert completed(f"{Path.cwd()}/ke") == plain(f"{Path.cwd()}/kept")


def test_a_run_is_completed_by_its_name_too(runs):
    assert completed("base-") == plain("base-1", "base-2")


def test_where_there_is_no_run_the_shell_completes_folders(runs):
    for typed in ("ker", "kernel/", "nowhere/x"):
        assert completed(typed) == [("dir", typed)]


def test_a_folder_is_found_by_its_name_in_runs_but_a_path_comes_first(runs):
    assert found("base-1") == Path("runs/base-1")
    assert found("./base-1") == Path("base-1")
    assert found("nowhere") == Path("nowhere")
    Path("base-2").mkdir()
    assert found("base-2") == Path("base-2")
