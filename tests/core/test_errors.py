"""What a message offers instead of a word that nobody knows; errors as another process gets them."""

import pickle

import pytest

from pagexchange.errors import PagexchangeError, PluginContractError, PluginError, UnknownPluginError, did_you_mean


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


def test_what_a_plug_in_returned_need_not_be_picklable() -> None:
    error = PluginContractError("exchange_data", "x", "a mover", lambda: None)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
