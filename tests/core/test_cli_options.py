"""Options that verbs share: plug-ins that are left out, the log, progress in a pipe."""

import gc
import json
import logging
import os
import re

import pytest

from pagexchange.cli.logs import fills_stderr
from pagexchange.cli.progress import Lines, progress_bar
from pagexchange.host import read, tracing
from pagexchange.host.blocking import Blocking
from tests.core.command_line import SMALL, pagexchange, stranger

ONE = ("run", *SMALL, "--strategy", "word-swap", "--rounds=1")

STRANGER = """
from dataclasses import dataclass
import pagexchange

@dataclass(frozen=True)
class Mover:
    "Moves."

    raises: bool = False

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        if self.raises:
            raise RuntimeError("no \\x1b[2J today")
        def move(pieces, a, b):
            held = pieces[a]
            pieces[a], pieces[b] = pieces[b], held
        return move

@dataclass(frozen=True)
class Looks:
    "Looks."

    @pagexchange.hookimpl
    def exchange_started(self, strategy, arena, pairs):
        pass
"""

FILE = """\
schema = 1
[workload]
source = "synthetic"
[arena]
nodes = { fast = "1 MiB", slow = "1 MiB" }
[strategy.mine]
flags = "masked-word"
data = ["mover", "word-swap"]
mapping = "xarray"
wrap = ["looks"]
"""


@pytest.fixture
def strange(tmp_path, monkeypatch):
    """A file with a stranger's mover before a built-in one."""
    folder = tmp_path / "site"
    folder.mkdir()
    stranger(folder, STRANGER, mover="stranger_plugins:Mover", looks="stranger_plugins:Looks")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("PAGEXCHANGE_BLOCK", raising=False)
    file = tmp_path / "s.toml"
    file.write_text(FILE)
    return str(file)


def movers(*args):
    ran = pagexchange("explain", "mine", *args, "--json")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    skipped = {s["name"]: s["reason"] for s in data["skipped"]}
    return [p["name"] for p in data["plugins"] if p["question"] == "data"], skipped


# ---- plug-ins that are left out --------------------------------------------------------------------------------------


def test_a_plug_in_that_is_left_out_is_as_if_it_declined_and_the_reason_is_said(strange, monkeypatch):
    assert movers(strange) == (["mover", "word-swap"], {})
    assert movers(strange, "-p", "no:mover") == (["word-swap"], {"mover": "is blocked by -p no:mover"})
    external = "is blocked by --no-external-plugins"
    assert movers(strange, "--no-external-plugins") == (["word-swap"], {"mover": external, "looks": external})
    # With what the file and the variable say; whoever said it last is named.
    monkeypatch.setenv("PAGEXCHANGE_BLOCK", "word-swap,looks")
    assert movers(strange, "-p", "no:looks", "--set", 'plugins.block=["word-swap"]') == (
        ["mover"],
        {"looks": "is blocked by -p no:looks", "word-swap": "is blocked by the variable PAGEXCHANGE_BLOCK"},
    )


def test_run_leaves_out_what_it_is_told_to(strange):
    ran = pagexchange("run", strange, "--rounds=0", "--json", "--no-external-plugins")
    (mine,) = json.loads(ran.out)["strategies"]
    assert (ran.code, [p["name"] for p in mine["plugins"]]) == (0, ["masked-word", "xarray", "word-swap"])
    ran = pagexchange("run", strange, "--rounds=0", "--json", "-p", "no:mover", "-p", "no:word-swap")
    (mine,) = json.loads(ran.out)["strategies"]
    assert (ran.code, mine["verdict"]) == (4, "failed")
    assert "mover is blocked by -p no:mover; word-swap is blocked by -p no:word-swap" in mine["reason"]


def test_check_finds_what_a_run_without_the_plug_in_would(strange):
    assert pagexchange("check", strange, "-p", "no:mover").code == 0
    ran = pagexchange("check", strange, "-p", "no:mover", "-p", "no:word-swap")
    assert (ran.code, ran.out) == (4, "")
    assert "is blocked by -p no:word-swap" in ran.err


def test_list_shows_what_is_left_out_and_by_what(strange):
    data = json.loads(pagexchange("list", "--json", "--no-external-plugins", "-p", "no:null", "--block", "trace").out)
    blocked = {p["name"]: p["reason"] for p in data["plugins"] if p["state"] == "blocked"}
    assert blocked == {
        "mover": "by --no-external-plugins",
        "looks": "by --no-external-plugins",
        "null": "by -p no:null",
        "trace": "by -p no:trace",
    }


@pytest.mark.parametrize("verb", [("run",), ("list",), ("explain", "word-swap"), ("check",)])
def test_a_name_that_is_none_is_an_error_with_the_nearest_one(verb):
    ran = pagexchange(*verb, "-p", "no:wordswap")
    assert (ran.code, ran.out) == (2, "")
    assert "unknown plug-in 'wordswap'; did you mean 'word-swap'?" in ran.err
    ran = pagexchange(*verb, "-p", "word-swap")
    assert (ran.code, ran.out) == (2, "")
    assert "'word-swap': want no:NAME" in " ".join(ran.err.split())


def test_the_resolved_configuration_has_what_was_left_out_of_what_it_names(strange, monkeypatch):
    monkeypatch.setenv("PAGEXCHANGE_BLOCK", "looks,null")
    assert read.load(strange, blocking=Blocking(("mover", "trace"))).block == ("looks", "mover")
    assert read.load(strange, overrides=['plugins.block=["trace"]'], blocking=Blocking(external=True)).block == (
        "trace", "looks", "mover",
    )  # fmt: skip


# ---- the log ---------------------------------------------------------------------------------------------------------


def events(text):
    """The log's lines without time and logger."""
    return [re.sub(r"^\S+Z pagexchange[a-z._]*: ", "", line) for line in text.splitlines()]


def test_the_log_says_what_happens_when_and_the_result_is_alone_on_stdout():
    plain, ran = pagexchange(*ONE, "--json"), pagexchange(*ONE, "--json", "-v")
    assert (plain.err, ran.code) == ("", 0)
    assert json.loads(ran.out).keys() == json.loads(plain.out).keys()
    lines = events(ran.err)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z pagexchange: pagexchange ", ran.err)
    assert lines[0].endswith("--rounds=1 --json -v")
    expected = [
        "made the arena: <Arena 512 frames",
        "bound word-swap: flags masked-word, mapping xarray, data word-swap",
        "checked word-swap: exact, ",
        "round 1: word-swap: 0.",
        "exit code 0",
    ]
    places = [next(n for n, line in enumerate(lines) if line.startswith(start)) for start in expected]
    assert places == sorted(places)
    assert not [line for line in lines if "asks" in line]


def test_the_calls_of_hooks_are_logged_but_not_those_of_a_timed_call(strange):
    ran = pagexchange("run", strange, "--rounds=2", "-q", "-vv")
    lines = events(ran.err)
    assert "exchange_data: asks mover" in lines
    assert any(line.startswith("exchange_data: -> <function Mover.exchange_data.<locals>.move at") for line in lines)
    assert lines.count("exchange_started: asks looks") == 1  # of the checked call, not of two rounds
    gc.collect()
    assert not tracing._traced  # the log keeps no manager


def test_what_a_hook_raises_is_logged_and_blamed_as_without_a_log(strange):
    args = ("run", strange, "--rounds=0", "--json", "--set", "strategy.mine.data.0.raises=true")
    plain, ran = (pagexchange(*args, *more) for more in ((), ("-vv",)))
    reasons = [json.loads(one.out)["strategies"][0]["reason"] for one in (plain, ran)]
    assert (plain.code, ran.code) == (4, 4)
    assert reasons[0] == reasons[1]
    assert "exchange_data: raises RuntimeError('no \\x1b[2J today')" in events(ran.err)
    assert "\x1b" not in ran.err


def test_a_log_file_is_appended_to_and_stderr_stays_quiet(tmp_path):
    file = tmp_path / "run.log"
    for _ in range(2):
        ran = pagexchange(*ONE, "-q", "--log-file", str(file))
        assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert events(file.read_text()).count("exit code 0") == 2


@pytest.mark.parametrize(
    ("path", "why"),
    [("/dev/full", "No space left on device"), ("missing/x.log", "No such file or directory"), (".", "Is a directory")],
)
@pytest.mark.parametrize("verb", [("run", "no-such.toml"), ("list",), ("check", "no-such.toml"), ("explain", "x")])
def test_a_log_file_that_cannot_be_written_is_an_error_before_anything_runs(verb, path, why, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = pagexchange(*verb, "--log-file", path)
    assert (ran.code, ran.out, ran.err) == (3, "", f"pagexchange: --log-file {path}: cannot be written: {why}\n")


def test_a_disk_that_is_full_later_ends_the_log_and_not_the_run(tmp_path, monkeypatch):
    file = tmp_path / "run.log"
    write = os.write
    written: list[bytes] = []

    def full(fd, data):
        if written and b"Z pagexchange" in data:
            raise OSError(28, "No space left on device")
        written.append(data)
        return write(fd, data)

    monkeypatch.setattr(os, "write", full)
    ran = pagexchange(*ONE, "-q", "--log-file", str(file))
    assert (ran.code, ran.err.count("No space left on device; the log ends here")) == (0, 1)
    assert len(events(file.read_text())) == 1


def test_a_failed_command_says_so_in_its_log(tmp_path):
    file = tmp_path / "run.log"
    assert pagexchange("run", "no-such.toml", "--log-file", str(file)).code == 2
    assert events(file.read_text())[-1] == "ConfigError: no-such.toml: no such file"


def test_after_a_command_nobody_logs(tmp_path):
    pagexchange("list", "-vv", "--json")
    logger = logging.getLogger("pagexchange")
    assert (logger.handlers, logger.level, logger.propagate) == ([], logging.NOTSET, True)
    assert not fills_stderr()


# ---- progress in a pipe ----------------------------------------------------------------------------------------------


def told(capsys, seconds):
    """The moments at which a line came, of a command that says what comes now each second."""
    now = [0.0]
    lines = Lines(clock=lambda: now[0])
    moments = []
    for second in range(seconds + 1):
        now[0] = float(second)
        lines(second, 4000, f"round {second}")
        said = capsys.readouterr()
        assert said.out == ""
        if said.err:
            assert said.err == f"pagexchange: after {second} s: round {second}, {second:,} of 4,000\n"
            moments.append(second)
    return moments


def test_lines_come_at_growing_distances(capsys):
    assert told(capsys, 4) == []
    assert told(capsys, 1500) == [5, 10, 20, 40, 80, 160, 320, 620, 920, 1220]


def test_what_is_not_known_yet_is_not_counted(capsys):
    now = iter([0.0, 7.0, 30.0])
    lines = Lines(clock=lambda: next(now))
    lines(0, 0, "making the arena")
    lines(9, 9, "")  # it is over
    assert capsys.readouterr().err == "pagexchange: after 7 s: making the arena\n"


@pytest.mark.parametrize("args", [("-q",), ("-v",)])
def test_no_line_of_progress_comes_with_q_nor_beside_the_log(args, monkeypatch):
    monkeypatch.setenv("PAGEXCHANGE_PROGRESS", "1e-9")
    assert "pagexchange: after" in pagexchange(*ONE).err
    assert "pagexchange: after" not in pagexchange(*ONE, *args).err


@pytest.mark.parametrize(("said", "first"), [("", 5.0), ("soon", 5.0), ("60", 60.0), ("0", None), ("-1", None)])
def test_a_pipe_gets_lines_from_a_moment_on_that_the_environment_may_choose(said, first, monkeypatch):
    monkeypatch.setenv("PAGEXCHANGE_PROGRESS", said)
    with progress_bar(show=True) as progress:
        assert getattr(progress, "first", None) == first
