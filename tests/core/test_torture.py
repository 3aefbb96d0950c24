"""The seconds version of `make torture`, and its control."""

from tests.torture import EXCHANGERS, control, torture

ENOUGH = {f"exchanged by {name}": 200 for name, _, _ in EXCHANGERS} | {
    "whole pages read beside an exchange": 200,
    "reads of a page that moved, or was on its way, between look-up and reference": 5,
    "refused EAGAIN": 200,
    "pages written": 50,
    "dirty set or cleared": 50,
    "waiters set or cleared": 50,
    "pages taken out and put in elsewhere": 20,
    "write-backs": 5,
    "pins": 5,
    "locks": 5,
    "pages that came and went": 50,
}
SECONDS = 60.0
"""At most; as a rule two are enough."""


def test_everybody_at_once_loses_nothing_and_tears_nothing() -> None:
    counts = torture(SECONDS, seed=20, enough=ENOUGH)
    assert {what: counts[what] for what, least in ENOUGH.items() if counts[what] < least} == {}


def test_the_readers_see_an_exchange_without_locks() -> None:
    assert "words are foreign" in control(SECONDS, seed=20)
