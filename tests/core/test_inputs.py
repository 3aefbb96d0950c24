"""A run says that it wants more memory than there is; it does not wait for the out-of-memory killer to say so."""

import json
import os

import pytest

from pagexchange_native import backing
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
    monkeypatch.setattr("pagexchange.snapshot.reader.processes", lambda proc: [os.getpid()])
    ran = pagexchange("run", "--live", "--rounds", "0", "--strategy", "word-swap", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)["input"]
    assert found["pages"] * (4096 + backing.METADATA) <= 1 << 22
    assert any(note.startswith("a sample: ") for note in found["details"]["notes"])


def test_what_fits_is_run(monkeypatch):
    monkeypatch.setattr(backing, "memory_available", lambda: 1 << 27)
    assert pagexchange("run", "--rounds", "0", "--verify", "none", "--strategy", "word-swap", *SMALL).code == 0
