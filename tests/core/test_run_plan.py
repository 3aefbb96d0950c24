"""`run --dry-run`: what would run, by whom, with which memory; nothing is exchanged and no file is made."""

from __future__ import annotations

import json

import pytest

from pagexchange.arena.strategy import Strategy
from pagexchange.samples.folder import Folder
from tests.core.command_line import SMALL, pagexchange

THREE = ("--strategy", "word-swap", "--strategy", "copy-page", "--strategy", "whole-word")


@pytest.fixture(autouse=True)
def nobody_exchanges(monkeypatch):
    def exchange(*args, **options):
        raise AssertionError("a dry run has exchanged")

    monkeypatch.setattr(Strategy, "exchange", exchange)


def planned(*args):
    ran = pagexchange("run", *SMALL, *THREE, "--dry-run", "--json", *args)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def test_its_cells_are_those_of_the_run(tmp_path, monkeypatch):
    plan = planned("--pairs", "50", "--rounds", "2")
    assert (plan["input"]["pairs"], plan["rounds"], plan["rounds_open"]) == (50, 2, False)
    assert [c["served_by"] for c in plan["contenders"]] == [
        ["whole-word", "xarray", "word-swap"],
        ["masked-word", "xarray", "temp-page"],
        ["masked-word", "xarray", "word-swap"],
    ]
    monkeypatch.undo()
    pagexchange("run", *SMALL, *THREE, "--pairs", "50", "--rounds", "2", "-q", "--out", str(tmp_path / "run"))
    cells = Folder.open(tmp_path / "run").manifest.cells
    assert [c["cell"]["id"] for c in plan["contenders"]] == [cell.id for cell in cells]


def test_more_pages_more_rounds_and_the_oracle_cost_more():
    few, many = (planned("--pairs", pairs, "--rounds", "9") for pairs in ("10", "200"))
    assert 0 < few["bytes"] < many["bytes"] < many["bytes_available"]
    assert few["seconds"] <= many["seconds"]
    large = ("--set", 'arena.nodes={fast="64 MiB", slow="64 MiB"}')
    costs = [
        planned(*large, *args)["seconds"] for args in (["--rounds", "99"], ["--rounds", "0"], ["--verify", "none"])
    ]
    assert costs[0] > costs[1]
    assert planned(*large, "--rounds", "0", "--verify", "none")["seconds"] < costs[1]
    assert 3 <= planned(*large)["rounds"] <= 15


def test_what_would_be_skipped_has_its_reason(monkeypatch):
    monkeypatch.setenv("PAGEXCHANGE_BLOCK", "temp-page")
    plan = planned("--set", 'strategy.word-swap.data=["temp-page", "word-swap"]')
    whole, copy, swap = plan["contenders"]
    assert (whole["skipped"], swap["skipped"], copy["served_by"]) == ("", "", [])
    assert "temp-page is blocked by the variable PAGEXCHANGE_BLOCK" in copy["skipped"]
    assert swap["declined"] == {"temp-page": "is blocked by the variable PAGEXCHANGE_BLOCK"}


def test_people_read_it_and_no_file_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("PAGEXCHANGE_BLOCK", "temp-page")
    out = tmp_path / "runs" / "night"
    ran = pagexchange("run", *SMALL, *THREE, "--dry-run", "--out", str(out))
    assert (ran.code, ran.err) == (0, "")
    text = " ".join(ran.out.split())
    assert text.startswith("Would run 2 strategies, made-up pages, ")
    assert "skipped strategy 'copy-page': no plug-in answers exchange_data" in text
    assert text.endswith(f"on an idle machine, kept in {out}. Nothing was exchanged.")
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_would_refuse_is_refused(tmp_path):
    (tmp_path / "taken").touch()
    for args, said in {
        ("--set", "arena.nodes.fast=4 TiB"): "of memory, the machine has",
        ("--set", f"arena.path={tmp_path}/taken"): "taken",
        ("--out", str(tmp_path / "taken")): "taken: is a file: a run folder is made where nothing is",
        ("--input", str(tmp_path / "no")): "no: cannot be read: No such file or directory",
    }.items():
        ran = pagexchange("run", *SMALL, *THREE, "--dry-run", *args)
        assert (ran.code, ran.out) == (3, "")
        assert said in ran.err
