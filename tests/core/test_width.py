"""What a stream is written: how wide, in which characters, with colour or without."""

import io

import pytest

from pagexchange.cli.terminal import fancy, say, speaks_unicode, width


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_pipe_gets_a_hundred_columns(monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda fallback: (_ for _ in ()).throw(AssertionError("asked")))
    assert width(io.StringIO()) == 100


def test_columns_holds_in_a_pipe_and_on_a_terminal_but_not_below_forty(monkeypatch):
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setenv("COLUMNS", "77")
        assert width(stream) == 77
        monkeypatch.setenv("COLUMNS", "3")
        assert width(stream) == 40


def test_a_character_that_the_encoding_lacks_is_written_as_its_escape(monkeypatch):
    ascii_only = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    monkeypatch.setattr("sys.stdout", ascii_only)
    say("✓ né\nnext \x1b")
    assert ascii_only.buffer.getvalue() == b"\\u2713 n\\xe9\nnext \\x1b\n"


class Encoded:
    def __init__(self, encoding):
        self.encoding = encoding


@pytest.mark.parametrize(
    ("stream", "can"),
    [
        (Encoded("utf-8"), True),
        (Encoded("ascii"), False),
        (Encoded("latin-1"), False),
        (Encoded("no-such-encoding"), False),
        (Encoded(None), False),
        (object(), False),
    ],
)
def test_check_marks_are_written_where_the_encoding_has_them(stream, can):
    assert speaks_unicode(stream) is can


@pytest.mark.parametrize(
    ("stream", "variables", "welcome"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
    ],
)
def test_colour_is_for_terminals_that_can_and_want_it(stream, variables, welcome, monkeypatch):
    for name, value in ({"NO_COLOR": "", "TERM": "xterm"} | variables).items():
        monkeypatch.setenv(name, value)
    assert bool(fancy(stream)) is welcome
