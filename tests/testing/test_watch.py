"""A candidate that the run does not survive is named, with the clause and the cure; the run does not look like one
that passed."""

import pytest

from pagexchange.testing import CLAUSES
from tests.core.command_line import stranger
from tests.testing.suite import COMMAND, SITE, run

MODULE = '''
import ctypes, os, re
import pagexchange
{on_import}

class Bad:
    """Does not come back."""

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        {in_hook}
        def move(pieces, a, b):
            {in_call}
            pieces[a], pieces[b] = pieces[b], pieces[a]
        return move
'''
LOOP = "while True: pass"
HOLDS_THE_GIL = 're.match("(a+)+$", 60 * "a" + "b")'
CRASH = "ctypes.string_at(0)"
LEAVE = "os._exit(0)"
ONE = ("-k", "bad and (test_data_exchanges_every_byte and 1x4KiB or serves and linux-5.0 or loaded)")

MINE = """
import os
from pagexchange.testing import DataMoverContract

class TestMine(DataMoverContract):
    def make(self):
        return lambda pieces, a, b: os._exit(0)
"""


@pytest.fixture
def judged(tmp_path):
    """Judge a plug-in that does something when it is imported, asked, or called: exit code, and what was written."""

    def judge(*options: str, **does: str) -> tuple[int, str]:
        (tmp_path / SITE).mkdir()
        code = MODULE.format(**{"on_import": "", "in_hook": "", "in_call": ""} | does)
        stranger(tmp_path / SITE, code, "awful", bad="awful_plugins:Bad")
        (tmp_path / "home" / "deep").mkdir(parents=True)
        return run(tmp_path / "home" / "deep", *COMMAND, *ONE, *options)

    return judge


@pytest.mark.parametrize("does", [LOOP, HOLDS_THE_GIL])
def test_a_call_that_never_returns_is_ended_and_named(judged, does):
    code, output = judged("--seconds=2", in_call=does)
    assert code not in (0, 1)
    *_, clause, place, who, cure = output.strip().splitlines()
    assert clause == f"broken: {CLAUSES['data-exchanges-every-byte']}"
    assert place.endswith("::TestDataMovers::test_data_exchanges_every_byte[bad-1x4KiB]")
    assert who == (
        "  exchange_data of plug-in 'bad' (awful 2.5): never returned: 2 s have passed, and the run was ended"
    )
    assert cure == (
        "  Cure: the stacks above say where it is; --seconds gives it another time, 0 any; "
        "PAGEXCHANGE_BLOCK=bad judges the others without it"
    )
    assert "awful_plugins.py" in output  # the stacks


@pytest.mark.parametrize(("does", "status"), [(CRASH, None), (LEAVE, 1), ("os._exit(7)", 7), ("os.abort()", None)])
def test_a_call_that_ends_the_run_is_named(judged, does, status):
    code, output = judged(in_call=does)
    assert code == status or (status is None and code < 0)
    *_, clause, place, who, cure = output.strip().splitlines()
    assert clause == f"broken: {CLAUSES['data-exchanges-every-byte']}"
    assert place.endswith("::TestDataMovers::test_data_exchanges_every_byte[bad-1x4KiB]")
    assert who == (
        "  exchange_data of plug-in 'bad' (awful 2.5): the process of this run ended here, by a crash, by an exit, "
        "or by a signal from outside"
    )
    assert cure == (
        "  Cure: the stack above, if there is one, says where; this test alone, in a debugger, says more; "
        "PAGEXCHANGE_BLOCK=bad judges the others without it"
    )


@pytest.mark.parametrize(
    ("where", "clause", "who"),
    [
        ("on_import", "a-plug-in-can-be-loaded", "plug-in 'bad' (awful 2.5)"),
        ("in_hook", "a-plug-in-serves-or-declines", "exchange_data of plug-in 'bad' (awful 2.5)"),
    ],
)
def test_what_ends_the_run_before_the_first_test_is_named_too(judged, where, clause, who):
    code, output = judged(**{where: LEAVE})
    assert code == 1
    assert output.strip().splitlines()[-3] == f"broken: {CLAUSES[clause]}"
    assert f"  {who}: the process of this run ended here" in output


def test_a_test_of_ones_own_is_watched_too(tmp_path):
    folder = tmp_path / "home" / "deep"
    folder.mkdir(parents=True)
    (folder / "test_mine.py").write_text(MINE)
    code, output = run(folder, "test_mine.py", "-k", "every_byte")
    assert code == 1
    assert f"broken: {CLAUSES['data-exchanges-every-byte']}\n  test_mine.py::TestMine::test_data_exchanges" in output
    assert "exchange_data of plug-in 'TestMine': the process of this run ended here" in output


def test_nothing_is_said_of_a_run_that_ends_by_itself(judged):
    code, output = judged("--seconds=0")
    assert code == 0, output
    assert "ended here" not in output
    assert "never returned" not in output


@pytest.mark.parametrize("given", ["-1", "nan", "soon"])
def test_a_time_that_no_test_can_keep_is_refused(tmp_path, given):
    folder = tmp_path / "home" / "deep"
    folder.mkdir(parents=True)
    code, output = run(folder, *COMMAND, f"--seconds={given}")
    assert code == 4
    assert "argument --seconds: " in output
