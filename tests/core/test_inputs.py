"""A run says that it wants more memory than there is; it does not wait for the out-of-memory killer to say so."""

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


def test_what_fits_is_run(monkeypatch):
    monkeypatch.setattr(backing, "memory_available", lambda: 1 << 27)
    assert pagexchange("run", "--rounds", "0", "--verify", "none", "--strategy", "word-swap", *SMALL).code == 0
