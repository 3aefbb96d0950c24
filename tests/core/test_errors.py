"""What a message offers instead of a word that nobody knows."""

from pagexchange.errors import did_you_mean


def test_words_are_listed_up_to_the_limit():
    assert did_you_mean("xyz", ["one", "two"], limit=2) == "; choose one of one, two"
    assert did_you_mean("xyz", ["one", "two"], limit=1) == ""
    assert did_you_mean("xyz", []) == ""
