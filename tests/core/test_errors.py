"""What a message offers instead of a word that nobody knows; errors as another process gets them; how much
of a stranger's value is shown."""

import pickle

import pytest

from pagexchange import errors
from pagexchange.errors import (
    ConfigError,
    PagexchangeError,
    PluginContractError,
    PluginError,
    Problem,
    UnknownPluginError,
    did_you_mean,
)
from pagexchange.exits import EXIT_CODES

CODES = {
    "PagexchangeError": 2, "ConfigError": 2, "UnknownStrategyError": 2, "UnknownFlagError": 2,
    "UnknownPluginError": 2,
    "ArenaError": 3, "ArenaAccessError": 3, "ArenaBusyError": 3, "ArenaFormatError": 3, "ArenaFullError": 3,
    "ForkedArenaError": 3,
    "SnapshotError": 3, "TraceError": 3, "FolderError": 3, "SweepError": 3,
    "MissingExtraError": 2, "PluginError": 4, "PluginContractError": 4,
}  # fmt: skip


def test_every_error_carries_an_exit_code_that_is_documented() -> None:
    tree = [errors.PagexchangeError]
    for error in tree:
        tree += error.__subclasses__()
    own = {error.__name__: error.exit_code for error in tree if error.__name__ in errors.__all__}
    assert own == CODES
    assert set(own.values()) <= set(EXIT_CODES)
    assert set(CODES) == {name for name in errors.__all__ if name.endswith("Error")}


def test_words_are_listed_up_to_the_limit():
    assert did_you_mean("xyz", ["one", "two"], limit=2) == "; choose one of one, two"
    assert did_you_mean("xyz", ["one", "two"], limit=1) == ""
    assert did_you_mean("xyz", []) == ""


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (
            PluginError("broke", plugin="x", distribution="d", version="2"),
            ("plugin", "reason", "distribution", "version"),
        ),
        (UnknownPluginError("mvoer", ["mover"]), ("name", "known")),
        (PluginContractError("exchange_data", "x", "a mover", 3, distribution="d"), ("hook", "plugin", "distribution")),
    ],
)
def test_an_error_that_comes_from_another_process_says_the_same(
    error: PagexchangeError, facts: tuple[str, ...]
) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert [getattr(again, fact) for fact in facts] == [getattr(error, fact) for fact in facts]


def test_an_error_says_no_more_places_and_names_than_it_knows() -> None:
    assert str(PluginError("broke")) == "broke"
    assert str(PluginError("broke", plugin="x")) == "plug-in 'x': broke"
    problem = Problem("s.toml", "is wrong", line=2, column=3, where="run.seed")
    assert str(problem) == "s.toml:2:3: run.seed: is wrong"
    assert str(Problem("--set", "is wrong")) == "--set: is wrong"
    for given, told in (
        ("is wrong", "pagexchange: is wrong"),
        (problem, str(problem)),
        ([problem, problem], f"{problem}\n{problem}"),
        ((), ""),
    ):
        error = ConfigError(given)
        assert str(error) == str(pickle.loads(pickle.dumps(error))) == told
        assert "\n".join(map(str, error.problems)) == told


def test_what_a_plug_in_returned_need_not_be_picklable() -> None:
    error = PluginContractError("exchange_data", "x", "a mover", lambda: None)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


class Unshown:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "NoneType: None"),
        ("a text", "a text"),
        ("x" * 121, "x" * 120),
        (b"y" * 117, "bytes: b'" + "y" * 117 + "'"),
        (b"y" * 118, "bytes: b'" + "y" * 118 + "…"),
        (Unshown(), "Unshown: <Unshown, whose repr() raises ZeroDivisionError>"),
    ],
)
def test_a_value_is_shown_with_its_type_and_as_much_as_a_line_holds(value: object, shown: str) -> None:
    assert str(PluginContractError("exchange_data", "mine", "a callable", value)).endswith(f"but it returned {shown}")
