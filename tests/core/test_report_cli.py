"""`pagexchange report`: where the page is written, and what a damaged folder, or none, is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from pagexchange.samples.folder import Folder
from tests.core import run_folders
from tests.core.command_line import pagexchange


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A run in runs/ of the working directory."""
    monkeypatch.chdir(tmp_path)
    return run_folders.plain(Path("runs/first"), rounds=3)


def test_the_page_of_the_last_run_lies_in_its_folder(run: Folder) -> None:
    later = run_folders.manifest("run", [], name="second", started="2026-11-30T00:00:00Z")
    Folder.create(Path("runs/second"), later)
    done = pagexchange("report")
    assert (done.code, done.out, done.err) == (0, "runs/second/report.html\n", "")
    assert "<h1>second</h1>" in Path("runs/second/report.html").read_text()
    assert pagexchange("report").code == 0  # and again
    Folder.open("runs/second")  # which is a run folder as before


@pytest.mark.parametrize("name", ["first", "runs/first"])
def test_a_run_is_named_by_its_path_or_by_its_name(run: Folder, name: str) -> None:
    done = pagexchange("report", name)
    assert (done.code, done.out) == (0, "runs/first/report.html\n")


def test_another_file_is_not_replaced_unless_that_is_said(run: Folder) -> None:
    Path("mine.html").write_text("mine")
    done = pagexchange("report", "-o", "mine.html")
    assert done.code == 2
    assert "mine.html: is there already; --force replaces it" in done.err
    assert Path("mine.html").read_text() == "mine"
    assert pagexchange("report", "-o", "mine.html", "--force").out == "mine.html\n"
    assert Path("mine.html").read_text().startswith("<!DOCTYPE html>")
    assert pagexchange("report", "-o", "-").out == Path("mine.html").read_text()


def test_of_a_damaged_folder_the_page_shows_what_is_left_and_the_code_says_it(run: Folder) -> None:
    (file, *_) = sorted(Path("runs/first/cells").iterdir())
    file.write_text(file.read_text()[:40])
    with Path("runs/first/samples.jsonl").open("a") as stream:
        stream.write('{"cell":"12')
    done = pagexchange("report")
    assert (done.code, done.out) == (3, "runs/first/report.html\n")
    assert f"{file}: not a cell of a run: cut short" in done.err
    assert "the last line was cut off" in done.err
    made = Path("runs/first/report.html").read_text()
    assert "Red: do not quote" in made
    assert f"The folder is damaged: {file}" in made


def test_what_is_no_run_folder_is_said_to_be_none(run: Folder) -> None:
    for name, words in (("nowhere", "no such folder"), ("runs", "has no manifest.json")):
        done = pagexchange("report", name)
        assert (done.code, done.out) == (3, "")
        assert words in done.err
    (run.path / "manifest.json").unlink()
    done = pagexchange("report")
    assert done.code == 3
    assert "no run folder is in it" in done.err


def test_a_place_that_cannot_be_written_to_is_an_error_with_its_name(run: Folder) -> None:
    done = pagexchange("report", "-o", "missing/page.html")
    assert done.code == 3
    assert "missing/page.html" in done.err
