"""How a judgement is passed: what is the candidate's fault, what is nobody's, and what the plain partners find."""

import ctypes
import os
import re
import signal
from typing import Any

import numpy as np
import pytest

from pagexchange import Arena
from pagexchange.errors import PluginError
from pagexchange.host.discovery import Registry
from pagexchange.host.read import load
from pagexchange.oracle.format import COUNTERS, read
from pagexchange.testing import CLAUSES
from pagexchange.testing.candidates.candidate import Candidate, of_object
from pagexchange.testing.candidates.partners import entry_of, slot_of
from pagexchange.testing.scene import reading, recovery
from pagexchange.testing.scene.cells import Cell
from pagexchange.testing.scene.picture import Picture
from pagexchange.testing.scene.scene import Scene
from pagexchange.testing.verdict import judge
from pagexchange_native.movers.word_swap import WordSwap

CLAUSE = "data-exchanges-every-byte"


def right() -> Candidate:
    return Candidate("right", load().strategy("list-exchange"), Registry())


def mover(make: Any) -> Candidate:
    return of_object("mine", "data", make, "exact")


def raising(error: BaseException) -> Any:
    def make(arena: object) -> Any:
        raise error

    return make


def test_who_interrupts_a_test_is_not_judged_for_it() -> None:
    (served,) = mover(lambda arena: lambda pieces, a, b: None).answers("data", Scene(Cell()).arena)
    with pytest.raises(KeyboardInterrupt):
        judge.ask(CLAUSE, served, raising(KeyboardInterrupt()), None)


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(0),
        GeneratorExit(),
        pytest.exit.Exception("x"),
        pytest.skip.Exception("x"),
        pytest.fail.Exception("x"),
    ],
)
def test_a_plug_in_cannot_skip_or_end_the_test_that_judges_it(error: BaseException) -> None:
    (served,) = mover(lambda arena: lambda pieces, a, b: None).answers("data", Scene(Cell()).arena)
    with pytest.raises(pytest.fail.Exception, match=rf"(?s)broken: {CLAUSE}.* raised {type(error).__name__}"):
        judge.ask(CLAUSE, served, raising(error), None)


@pytest.mark.parametrize("error", [SystemExit(3), ZeroDivisionError("three")])
def test_what_else_a_call_raises_breaks_the_clause(error: BaseException) -> None:
    (served,) = mover(lambda arena: lambda pieces, a, b: None).answers("data", Scene(Cell()).arena)
    with pytest.raises(pytest.fail.Exception) as caught:
        judge.ask(CLAUSE, served, raising(error), None)
    first, second = str(caught.value).splitlines()
    assert first == f"broken: {CLAUSES[CLAUSE]}"
    assert f"plug-in 'mine': its object for exchange_data raised {type(error).__name__}: {error}" in second


@pytest.mark.parametrize("how", ["bound", "answers"])
def test_to_raise_while_being_made_breaks_a_clause_and_to_decline_does_not(how: str) -> None:
    arena = Scene(Cell()).arena

    def made(make: Any) -> object:
        return judge.bound(mover(make), arena) if how == "bound" else judge.answers(mover(make), "data", arena)

    for fails, sentence in (
        (raising(ZeroDivisionError("half a page")), "ZeroDivisionError: half a page"),
        (lambda arena: 3, "it returned int: 3"),
    ):
        with pytest.raises((pytest.fail.Exception, pytest.skip.Exception)) as caught:
            made(fails)
        assert caught.type is pytest.fail.Exception
        first, second, third = str(caught.value).splitlines()
        assert first == f"broken: {CLAUSES['a-plug-in-serves-or-declines']}"
        assert sentence in second
        assert "nothing here that the clause of this test could judge" in third
    for declines in (raising(PluginError("serves none")), lambda arena: None):
        with pytest.raises(pytest.skip.Exception, match="declined: "):
            made(declines)
    assert made(lambda arena: lambda pieces, a, b: None)


def test_exchanges_that_never_meet_the_readers_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(Cell(left="file"))
    monkeypatch.setattr(reading, "_MOST", 3)
    (sentence,) = reading.read_while(right().build(scene.arena), scene)
    assert re.fullmatch(r"3 exchanges moved \d+ pairs while readers read \d+ pages", sentence)


def test_the_plain_walk_finds_a_page_by_each_of_its_indexes_and_nothing_beyond() -> None:
    arena = Arena.create([("only", 512)], mappings=3)
    lone, many = arena.new_mapping(), arena.new_mapping()
    places = [(lone, 0, 0)]  # one page at index 0 has no node
    places += [(many, index, order) for index, order in ((0, 0), (2, 1), (64, 4), (128, 6), (5000, 0))]
    for mapping, index, order in places:
        pfn = int(arena.alloc(0, 1, order)[0])
        arena.cache_add(mapping, index, pfn)
        for at in range(index, index + (1 << order)):
            place, entry = slot_of(read(arena), mapping, at)
            assert entry == entry_of(pfn) == arena.memory[place : place + 8].view(np.uint64)[0], at
    raw = read(arena)
    nowhere = [(lone, 1), (lone, 1 << 40), *((many, at) for at in (1, 63, 80, 5001, 1 << 18, 1 << 63)), (many + 1, 0)]
    assert [slot_of(raw, *where) for where in nowhere] == [(0, 0)] * len(nowhere)


def test_a_picture_shows_what_differs() -> None:
    scene, same = Scene(Cell()), Scene(Cell())
    assert Picture.of(scene.arena).differences(Picture.of(same.arena)) == []
    used = int(same.arena.alloc(0)[0])
    before, after = Picture.of(scene.arena), Picture.of(same.arena)
    assert any(line.startswith(f"frame {used}: state is ") for line in before.differences(after))
    same.arena.free([used])
    read(same.arena).slots["counter"][3, len(COUNTERS)] += 5  # node 1's first, as one of the slots counts it
    (sentence,) = before.differences(Picture.of(same.arena))
    assert sentence.startswith("node 1: counters are [")


class Odd(WordSwap):
    """Declares a log, and does something else from its second call on; the first one is not stepped through."""

    kind = "undo"
    calls = 0

    @property
    def log(self) -> Any:
        return self.kind

    def move_rows(self, a: Any, b: Any, temp: Any = None, record: Any = None) -> None:
        self.calls += 1
        if self.calls > 1:
            self.odd(record)

    def odd(self, record: Any) -> None: ...


class UnknownLog(Odd):
    kind = "whole-page"


class NamesNoStep(Odd):
    def odd(self, record: Any) -> None:
        record[0] = 0xFF


class NamesNoRow(Odd):
    def odd(self, record: Any) -> None:
        record[7] = 1  # row 256


class GoesBackwards(Odd):
    def odd(self, record: Any) -> None:
        for row in (1, 0):
            record[6] = row


class Crashes(Odd):
    def odd(self, record: Any) -> None:
        ctypes.string_at(0)


class IsKilled(Odd):
    def odd(self, record: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("mover", "sentence"),
    [
        (UnknownLog, "its log is 'whole-page', from which nothing can be finished"),
        (Odd, "it wrote nothing"),
        (NamesNoStep, "from 1 of 1 states the pages cannot be finished; write 0: the publish word 0xff names"),
        (NamesNoRow, "the publish word 0x100000000000002 names no step of the move"),
        (GoesBackwards, "; it went back from pair 1 to pair 0: pairs are taken in ascending order"),
        (Crashes, "ended the process that moved"),
        (IsKilled, "ended the process that moved"),
    ],
)
def test_a_mover_that_cannot_be_finished_is_told_why(mover: type[Odd], sentence: str) -> None:
    try:
        (line,) = recovery.not_recovered([mover()])
    except pytest.fail.Exception as failed:
        line = str(failed)
    assert sentence in line


def test_a_state_that_is_wrong_before_the_exchange_is_no_candidates_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(Cell())
    strategy = judge.bound(right(), scene.arena)
    real = np.argsort
    monkeypatch.setattr(np, "argsort", lambda *values, **options: real(*values, **options)[::-1])
    with pytest.raises(pytest.fail.Exception, match=r"before any exchange .* nobody is judged: look at this machine"):
        judge.exchange(strategy, scene)
    monkeypatch.undo()
    assert judge.exchange(strategy, scene).verdict.kind == "exact"
