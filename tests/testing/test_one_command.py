"""One command judges a stranger's plug-ins, which lie in another distribution, from any folder."""

import re
from pathlib import Path

import pytest

from pagexchange.testing import CLAUSES
from tests.testing.suite import COMMAND, SITE, run

MODULE = '''
from dataclasses import dataclass
import numpy as np
import pagexchange

@dataclass(frozen=True)
class Swap:
    """Swap the pieces from the last to the first."""
    step: int = 8

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        def move(pieces, a, b):
            for low in range(0, len(a), self.step):
                x, y = a[low : low + self.step], b[low : low + self.step]
                pieces[x], pieces[y] = pieces[y], pieces[x]
        return move

class Careless:
    """Wraps a mover, and writes where it has no business."""

    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        inner = yield
        def move(pieces, a, b):
            inner(pieces, a, b)
            pieces[0, 0] = 1
        return move

@dataclass(frozen=True)
class Needs:
    """Has no default."""
    step: int
    exchange_data = Swap.exchange_data

@dataclass(frozen=True)
class NeedsToo:
    """Has no default, and wraps."""
    step: int

    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        return (yield)

class Half(Swap):
    """Answers two questions, and serves one of them."""

    @pagexchange.hookimpl
    def exchange_flags(self, arena):
        swap = np.uint64(arena.layout.mask("swap"))
        return lambda a, b: (a & ~swap | b & swap, b & ~swap | a & swap)

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        return None

class Raises:
    """Asked for anything."""

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        raise ZeroDivisionError("no arena is good enough")

class Refuses:
    """Has no option, and cannot be made."""

    def __init__(self):
        raise ValueError("not today")

    @pagexchange.hookimpl
    def exchange_data(self, arena): ...

class Nothing:
    """Has no hook."""
'''

STRATEGIES = """
schema = 1
[strategy.mine]
flags = "masked-word"
data = { plugin = "stranger-swap", step = 3 }
mapping = "xarray"
"""


WRONG = ("python-few", "python-many", "python-many-2-threads", "python-3-threads-one-folio")


@pytest.fixture
def stranger(tmp_path: Path):
    """A folder with somebody's strategies file; beside it, on the path, his installed distribution."""

    def install(*plugins: str) -> Path:
        site = tmp_path / SITE
        info = site / "stranger-2.5.dist-info"
        info.mkdir(parents=True)
        (site / "stranger_swap.py").write_text(MODULE)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 2.5\n")
        (info / "entry_points.txt").write_text("\n".join(["[pagexchange.plugins]", *plugins]) + "\n")
        (tmp_path / "home" / "deep").mkdir(parents=True)
        (tmp_path / "home" / "my.toml").write_text(STRATEGIES)
        return tmp_path / "home" / "deep"

    return install


def test_a_strangers_plug_in_is_judged_by_one_command(stranger):
    folder = stranger("stranger-swap = stranger_swap:Swap")
    code, output = run(folder, *COMMAND, "--strategies", "../my.toml", "-k", "mine or stranger", "-v")
    assert code == 0, output
    assert "1 strategy of ../my.toml: mine (exact)" in output
    assert "plug-ins of stranger 2.5: stranger-swap" in output
    assert "TestStrategies::test_the_contents_move[mine-linux-6.18-anon-file-order4] PASSED" in output
    assert "TestDataMovers::test_data_exchanges_every_byte[stranger-swap[step=3]-5x16KiB] PASSED" in output
    assert "TestDataMovers::test_data_exchanges_every_byte[stranger-swap-1x2048KiB] PASSED" in output


def test_a_plug_in_that_cannot_be_loaded_and_a_wrapper_that_loses_something_are_told_apart(stranger):
    folder = stranger(
        "stranger-swap = stranger_swap:Swap",
        "stranger-wrap = stranger_swap:Careless",
        "stranger-empty = stranger_swap:Nothing",
        "stranger-gone = stranger_swap:Gone",
    )
    code, output = run(folder, *COMMAND, "--strategies=../my.toml", "-k", "stranger and (loaded or wrapper)")
    assert code == 1, output
    failed = {line.partition("::")[2].partition(" ")[0] for line in output.splitlines() if line.startswith("FAILED")}
    assert failed == {
        "test_a_plug_in_can_be_loaded[stranger-empty]",
        "test_a_plug_in_can_be_loaded[stranger-gone]",
        *(f"TestWrappers::test_a_wrapper_is_never_wrong[stranger-wrap-{where}]" for where in WRONG),
    }
    assert f"broken: {CLAUSES['a-plug-in-can-be-loaded']}" in output
    assert "stranger-gone (stranger 2.5, stranger_swap:Gone): failed: cannot be imported: AttributeError" in output
    assert f"broken: {CLAUSES['a-wrapper-is-never-wrong']}" in output


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Raises", "plug-in 'stranger-bad' (stranger 2.5): exchange_data failed: ZeroDivisionError: no arena is good"),
        ("Refuses", "plug-in 'stranger-bad' (stranger 2.5): cannot be made: ValueError: not today"),
    ],
)
def test_where_a_hook_fails_its_own_clause_is_broken_and_the_others_are_not_judged(stranger, name, says):
    folder = stranger("stranger-swap = stranger_swap:Swap", f"stranger-bad = stranger_swap:{name}")
    some = "stranger-bad and (serves or data or contents and linux-5.0 or waiting)"
    code, output = run(folder, *COMMAND, "--strategies=../my.toml", "-vrs", "-k", some)
    assert code == 1, output
    failed = set(re.findall(r"::(test_\w+)\[\S+ FAILED", output))
    assert failed == {"test_a_plug_in_serves_or_declines"}
    assert not re.findall(r"::test_(?!a_plug_in_can_be_loaded)\w+\[\S+ PASSED", output)
    assert re.search(
        r"SKIPPED \[\d\d\] .*: not judged: a-plug-in-serves-or-declines is broken, and its own test", output
    )
    assert f"broken: {CLAUSES['a-plug-in-serves-or-declines']}\n  {says}" in output, output


def test_a_hook_that_fails_is_never_passed_over_if_its_own_test_is_not_run(stranger):
    folder = stranger("stranger-swap = stranger_swap:Swap", "stranger-bad = stranger_swap:Raises")
    code, output = run(folder, *COMMAND, "--strategies=../my.toml", "-k", "stranger-bad and every_byte and 1x4KiB")
    assert code == 1, output
    first, *_, last, judged = output[output.index("broken: ") :].splitlines()[:4]
    assert first == f"broken: {CLAUSES['a-plug-in-serves-or-declines']}"
    assert last == "  so there is nothing here that the clause of this test could judge"
    assert judged == "  judged: exchange_data of plug-in 'stranger-bad' (stranger 2.5)"


def test_a_plug_in_that_needs_an_option_stops_nobody_and_is_judged_as_the_file_uses_it(stranger, tmp_path):
    folder = stranger(
        "stranger-swap = stranger_swap:Needs",
        "stranger-other = stranger_swap:Needs",
        "stranger-wrap = stranger_swap:NeedsToo",
    )
    wrapped = STRATEGIES + 'wrap = [{ plugin = "stranger-wrap", step = 2 }]\n'
    (tmp_path / "home" / "my.toml").write_text(wrapped)
    some = "stranger and (every_byte or never_wrong or loaded)"
    code, output = run(folder, *COMMAND, "--strategies=../my.toml", "-v", "-k", some)
    assert code == 0, output
    for name in ("swap", "other", "wrap"):
        assert (
            f"not judged with its defaults: plug-in 'stranger-{name}' (stranger 2.5): missing key 'step'. "
            "Cure: name it, with its options, in a strategy of the file" in output
        )
    judged = set(re.findall(r"::test_(\w+)\[(stranger\S*?)(?:-python|-native|-\d|\])", output))
    assert judged == {
        ("data_exchanges_every_byte", "stranger-swap[step=3"),
        ("a_wrapper_is_never_wrong", "stranger-wrap[step=2"),
        *(("a_plug_in_can_be_loaded", f"stranger-{name}") for name in ("swap", "other", "wrap")),
    }


def test_a_plug_in_that_declines_one_question_is_judged_for_the_other(stranger):
    folder = stranger("stranger-swap = stranger_swap:Swap", "stranger-half = stranger_swap:Half")
    some = "stranger-half and (the_flags_move and order0 or data)"
    code, output = run(folder, *COMMAND, "--strategies=../my.toml", "-v", "-k", some)
    assert code == 0, output
    assert (
        "declined, so not judged: strategy 'stranger-half': no plug-in answers exchange_data: stranger-half" in output
    )
    assert "::test_the_flags_move[stranger-half-linux-5.0-anon-file-order0] PASSED" in output
    assert not re.findall(r"::test_data_\w+\[\S+ PASSED", output)


def test_native_pairs_that_are_made_to_fail_are_refused_and_lose_nothing(stranger, tmp_path):
    folder = stranger("stranger-swap = stranger_swap:Swap")
    wrapped = STRATEGIES.replace("mine", "faulty").replace('{ plugin = "stranger-swap", step = 3 }', '"word-swap"')
    wrapped += 'wrap = [{ plugin = "faults", every = 2, error = "EBUSY" }]\n'
    (tmp_path / "home" / "my.toml").write_text(wrapped)
    code, output = run(folder, *COMMAND, "--strategies", "../my.toml", "-k", "faulty and order0 and linux-6.18")
    assert code == 1, output
    failed = {
        line.partition("::test_")[2].partition("[")[0] for line in output.splitlines() if line.startswith("FAILED")
    }
    assert failed == {"every_pair_is_exchanged"}
    assert "pair 1 has status -EBUSY" in output


def test_a_strategy_and_a_plug_in_of_one_name_have_names_of_their_own(stranger, tmp_path):
    folder = stranger("stranger-swap = stranger_swap:Swap")
    text = STRATEGIES.replace("mine", "stranger-swap").replace('{ plugin = "stranger-swap", step = 3 }', '"word-swap"')
    (tmp_path / "home" / "my.toml").write_text(text)
    code, output = run(folder, *COMMAND, "--strategies", "../my.toml", "--collect-only", "-k", "stranger and order0")
    assert code == 0, output
    assert "[stranger-swap-linux-6.18-anon-file-order0]" in output
    assert "[stranger-swap-data-linux-6.18-anon-file-order0]" in output


def test_without_a_file_the_packaged_strategies_are_judged(stranger):
    code, output = run(stranger(), *COMMAND, "--collect-only")
    assert code == 0, output
    assert "8 strategies of the packaged strategies.toml: " in output
    assert "[list-exchange-linux-5.0-anon-anon-order0]" in output
    assert "[rfc-2019-unknown-flag-file-file-order0-one-mapping]" in output


def test_a_file_that_brings_a_layout_is_judged_under_it_too(stranger, tmp_path):
    folder = stranger("stranger-swap = stranger_swap:Swap")
    layout = '[flags]\nlocked = { bit = 0, policy = "stay", meaning = "the lock" }\n'
    layout += 'warm = { bit = 1, policy = "swap", meaning = "touched" }\n'
    (tmp_path / "home" / "own.toml").write_text('schema = 1\nname = "bare"\n' + layout)
    (tmp_path / "home" / "my.toml").write_text(STRATEGIES + '[arena]\nlayout = "own.toml"\n')
    code, output = run(folder, *COMMAND, "--strategies", "../my.toml", "-k", "own-layout", "-v")
    assert code == 0, output
    assert "test_the_flags_move[mine-own-layout-anon-file-order0] PASSED" in output


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (None, ["../my.toml: no such file"]),
        (
            STRATEGIES.replace('"xarray"', '"xary"'),
            ["../my.toml:6:11", "unknown plug-in 'xary'; did you mean 'xarray'?"],
        ),
        (STRATEGIES.replace("step = 3", 'step = "x"'), ["../my.toml:5:"]),
        ("schema = 1\n[strategy.a]\n[run]\nsped = 1\n", ["my.toml:4:1", "missing key 'flags'"]),
    ],
)
def test_what_is_wrong_with_the_file_is_one_usage_error(stranger, tmp_path, text, problems):
    folder = stranger("stranger-swap = stranger_swap:Swap")
    (tmp_path / "home" / "my.toml").unlink()
    if text is not None:
        (tmp_path / "home" / "my.toml").write_text(text)
    code, output = run(folder, *COMMAND, "--strategies", "../my.toml")
    assert code == 4, output
    assert output.count("ERROR: --strategies: ") == 1
    for problem in problems:
        assert problem in output
    assert "Traceback" not in output


def test_other_runs_of_pytest_load_nothing_of_it(stranger):
    folder = stranger()
    (folder / "test_mine.py").write_text(
        "import sys\n"
        "def test_mine(pytestconfig):\n"
        "    assert not {'pagexchange', 'pagexchange.testing', 'numpy'} & set(sys.modules)\n"
        "    assert 'strategies' not in vars(pytestconfig.option)\n"
    )
    code, output = run(folder, "test_mine.py")
    assert code == 0, output
    code, output = run(folder, "test_mine.py", "--strategies=my.toml")
    assert code == 4, output
    assert output.strip() == "ERROR: --strategies: my.toml: no such file"  # nobody else has the option
