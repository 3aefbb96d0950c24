"""The record's protocol, explored state by state: right as it is, and each mistake that we know is found.

`PAGEXCHANGE_PROTOCOL=long` lets one more process die in each model (`make protocol`: many minutes).
"""

import os

import pytest

from tests.protocol.allocator import Allocator
from tests.protocol.checker import Look, Model, Program, Thread, TooManyStatesError, explore, load, store, until
from tests.protocol.claim import Claim
from tests.protocol.data_log import DataLog
from tests.protocol.frames import Frames
from tests.protocol.helpers import Helpers
from tests.protocol.migration import Migration
from tests.protocol.slots import Protocol
from tests.protocol.structure import Structure
from tests.protocol.tails import Tails
from tests.protocol.whole_pages import WholePages

LONG = os.environ.get("PAGEXCHANGE_PROTOCOL") == "long"
QUICK = 200_000  # states
PROTOCOLS = (Claim, Structure, DataLog, Tails, WholePages, Helpers, Allocator, Frames, Migration)
RIGHT = [(protocol, work) for protocol in PROTOCOLS for work in protocol.works]
WRONG = [(protocol, mistake) for protocol in PROTOCOLS for mistake in protocol.mistakes]


def named(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value).replace(" ", "-")


@pytest.mark.parametrize(("protocol", "work"), RIGHT, ids=named)
def test_no_order_of_stores_and_deaths_breaks_the_protocol(protocol: type[Protocol], work: str) -> None:
    found = explore(protocol().model(work, protocol.works[work] + LONG), 5_000_000 if LONG else QUICK)
    print(f"{protocol.__name__} {work}: {found}")
    assert found.wrong is None, str(found)


@pytest.mark.parametrize(("protocol", "mistake"), WRONG, ids=named)
def test_a_mistake_is_found(protocol: type[Protocol], mistake: str) -> None:
    work = protocol.mistakes[mistake]
    found = explore(protocol(mistake).model(work, crashes=1), QUICK)
    if found.wrong is None:  # it takes a death in recovery
        found = explore(protocol(mistake).model(work, crashes=2), QUICK)
    assert found.wrong is not None, f"{mistake}: {found}"
    assert found.trace
    print(f"{mistake}: {found}")


def test_the_mistakes_of_the_first_format_are_among_them() -> None:
    assert {mistake for _, mistake in WRONG} >= {
        "holders counted, given back in recovery",
        "holders counted, kept in recovery",
        "counter added in META",
        "record cleared before the free",
        "HELP counts before the parent's step",
        "publish before log",
        "claim without generation",
    }


# ---- the checker itself ----


def add_one(word: str) -> Program:
    value = yield load(word)
    yield store(word, value + 1)


def test_a_lost_update_is_found_on_the_shortest_way() -> None:
    threads = [Thread(p, add_one, ("n",)) for p in range(2)]
    found = explore(Model({"n": 0}, threads, at_rest=lambda look: None if look["n"] == 2 else "lost", crashes=0))
    assert found.wrong == "lost"
    assert [step.split("    ")[0] for step in found.trace] == [
        "P0 load ('n',)", "P1 load ('n',)", "P0 store 'n' 1", "P1 store 'n' 1",
    ]  # fmt: skip


def unlocked(look: Look) -> bool | None:
    return True if look["lock"] is None else None


def lock_and_unlock(me: int) -> Program:
    yield until(unlocked)
    yield store("lock", me)
    yield store("lock", None)


def test_who_waits_for_the_dead_is_found() -> None:
    threads = [Thread(p, lock_and_unlock, (p,)) for p in range(2)]
    assert explore(Model({"lock": None}, threads, crashes=0)).wrong is None
    found = explore(Model({"lock": None}, threads, crashes=1))
    assert found.wrong is not None
    assert "waits for ever in lock_and_unlock" in found.wrong
    assert any(step.endswith("dies") for step in found.trace)


def turn(word: str) -> Program:
    while True:
        value = yield load(word)
        yield store(word, 1 - value)


def test_who_goes_round_in_a_circle_is_found() -> None:
    found = explore(Model({"n": 0}, [Thread(0, turn, ("n",))], crashes=0))
    assert found.wrong == "the living can never finish"


def test_a_model_that_is_too_large_says_so() -> None:
    with pytest.raises(TooManyStatesError, match="more than 100 states"):
        explore(Claim().model(), limit=100)
