"""The seconds version of `make torture`, and its controls."""

import re
from pathlib import Path

import pytest

from tests.torture import CONTROLS, EXCHANGERS, MIGRATORS, killed, torture

ENOUGH = {f"exchanged by {name}": 200 for name, _, _ in EXCHANGERS} | {
    **{f"migrated by {name}": 200 for name, _, _ in MIGRATORS},
    "whole pages read beside an exchange": 200,
    "reads of a page that moved, or was on its way, between look-up and reference": 5,
    "refused EAGAIN": 200,
    "pages written": 50,
    "dirty set or cleared": 50,
    "waiters set or cleared": 50,
    "referenced set or cleared": 10,
    "pages taken out and put in elsewhere": 20,
    "write-backs": 5,
    "pins": 5,
    "locks": 5,
    "pages that came and went": 50,
    "new pages that were moved before they had a place": 1,
    "pages mapped and unmapped": 20,
    "refused ENOENT": 200,
}
SECONDS = 300.0
"""At most; as a rule two are enough."""


def test_everybody_at_once_loses_nothing_and_tears_nothing() -> None:
    counts = torture(SECONDS, seed=20, enough=ENOUGH)
    assert {what: counts[what] for what, least in ENOUGH.items() if counts[what] < least} == {}


def test_a_process_that_is_killed_among_them_leaves_every_page_whole_and_takes_no_frame(tmp_path: Path) -> None:
    for number in range(3):
        killed(20 + number, tmp_path / str(number))


@pytest.mark.races
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("torn", "words are foreign"), ("unfrozen", "words are foreign"),
        ("dirty", "its bit `dirty` was lost or came from elsewhere"),
        ("waiters", "`waiters` lost at"), ("referenced", "`referenced` was"),
    ],
)  # fmt: skip
def test_a_planted_fault_is_seen(name: str, words: str) -> None:
    assert words in CONTROLS[name](SECONDS, 20)


def test_a_planted_deadlock_is_seen_while_the_others_work_and_is_said_where(capfd: pytest.CaptureFixture[str]) -> None:
    """By the heartbeat: a run of hours shall not wait for its end to say so."""
    assert "status 2" in CONTROLS["deadlock"](SECONDS, 20)
    said = capfd.readouterr().err
    assert re.search(r"^'holder of \d+' has not gone on for 3 s: a deadlock. seed 20$", said, re.M)
    assert said.count(" in cross\n") == 2  # both stacks
