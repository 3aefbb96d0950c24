"""How wide a report is written."""

import io

from pagexchange.commands.common import width


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
