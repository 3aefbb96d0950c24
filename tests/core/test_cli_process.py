"""The command in a process of its own: pipes, terminals, Ctrl-C, and the codes that a shell sees."""

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from fcntl import ioctl

import pytest

from tests.core.command_line import SMALL, start

ONE = ("run", *SMALL, "--strategy", "word-swap")


@contextmanager
def terminal(columns=100):
    """(this end, the other end) of a new terminal."""
    mine, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    try:
        yield mine, theirs
    finally:
        os.close(mine)
        os.close(theirs)


def drain(fd: int, until: str = "", seconds: float = 60.0) -> str:
    """What a terminal shows: until a word appears, or until nothing more is there."""
    seen = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (until and until.encode() in seen):
        if select.select([fd], [], [], 0.5 if until else 0.05)[0]:
            seen += os.read(fd, 65536)
        elif not until:
            break
    assert until.encode() in seen, f"{until!r} did not appear: {seen[-500:]!r}"
    return seen.decode()


ENV = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")} | {"TERM": "xterm"}


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((*ONE, "--rounds=0"), 0),
        ((*ONE, "--rounds=0", "--set", "strategy.word-swap.expect=loses"), 1),
        (("run", "--pears", "3"), 2),
        (("run", "--input", os.devnull), 3),
        ((*ONE, "--rounds=0", "--set", "strategy.word-swap.data=null"), 4),
    ],
)
def test_a_shell_sees_the_documented_codes(args, code, tmp_path):
    # as `python -m` does it, from a folder that is not the repository's
    done = subprocess.run(
        [sys.executable, "-m", "pagexchange", *args], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_in_a_pipe_there_is_no_colour_and_no_progress():
    with start(*ONE, "--rounds=2", stdout=-1, stderr=-1, env=ENV) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err == ""
    assert "\x1b" not in out
    assert "✓" in out


def test_an_ascii_pipe_gets_words_for_marks():
    with start(*ONE, "--rounds=0", stdout=-1, stderr=-1, env=ENV | {"PYTHONIOENCODING": "ascii"}) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "exact ok" in out


@pytest.mark.parametrize("args", [("list",), ("run", *SMALL, "--rounds=0", "--json"), ("--help",)])
def test_a_reader_that_leaves_early_is_no_error(args):
    theirs, ours = os.pipe()
    os.close(theirs)
    try:
        with start(*args, stdout=ours, stderr=-1) as process:
            _, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
    assert (process.returncode, err) == (0, "")


def test_head_gets_its_line():
    line = 'set -o pipefail; "$0" -P -c "from pagexchange.cli import main; main()" list --json | head -1'
    done = subprocess.run(["bash", "-c", line, sys.executable], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_a_terminal_shows_colour_and_a_progress_bar_that_goes_away():
    with terminal() as (mine, theirs):
        with start(*ONE, "--rounds=3", stdout=theirs, stderr=theirs, env=ENV) as process:
            shown = drain(mine, "How to read")
            process.wait(timeout=60)
        shown += drain(mine)
    assert process.returncode == 0
    assert "checking word-swap" in shown
    assert "round 3 of 3: word-swap" in shown
    assert "\x1b[32m" in shown  # green: as expected
    assert "\x1b[2K" in shown  # the bar is erased


def test_only_the_table_goes_to_a_file_while_the_terminal_shows_progress(tmp_path):
    with terminal() as (mine, theirs), (tmp_path / "out").open("w+") as out:
        with start(*ONE, "--rounds=3", "--json", stdout=out, stderr=theirs, env=ENV) as process:
            shown = drain(mine, "round 3 of 3")
            process.wait(timeout=60)
        drain(mine)
        out.seek(0)
        assert json.load(out)["rounds"] == 3
    assert "How to read" not in shown


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_is_as_wide_as_the_terminal(columns):
    with terminal(columns) as (mine, theirs):
        with start("run", *SMALL, "--rounds=1", stdout=theirs, stderr=-1, env=ENV) as process:
            shown = drain(mine, "How to read")
            process.communicate(timeout=60)
        shown += drain(mine)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).splitlines()
    assert max(map(len, lines)) <= columns
    assert any(("finish" in line) == (columns == 120) for line in lines if line.startswith("strategy"))


@pytest.mark.parametrize("what", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_declined(what):
    with terminal() as (mine, theirs):
        with start("list", stdout=theirs, stderr=-1, env=ENV | what) as process:
            process.communicate(timeout=60)
        shown = drain(mine)
    assert "word-swap" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("form", ["table", "json"])
def test_an_interrupted_run_ends_in_130_and_shows_what_it_has(form):
    args = [*ONE, "--rounds=1000000", *(["--json"] if form == "json" else [])]
    with terminal() as (mine, theirs), start(*args, stdout=-1, stderr=theirs, env=ENV) as process:
        drain(mine, "round 3 of")
        os.set_blocking(mine, False)
        process.send_signal(signal.SIGINT)
        out = read_all(process, mine)
    assert process.returncode == 130
    if form == "json":
        data = json.loads(out)
        assert data["interrupted"]
        assert data["strategies"][0]["verdict"] == "exact"
        assert 2 <= len(data["strategies"][0]["rounds"]) < 1000000
    else:
        assert "Interrupted: what was measured until then is shown." in out
        assert re.search(r"^word-swap +exact ✓ +[\d,.]+!? ", out, re.MULTILINE)  # !: others had the CPU


def read_all(process, mine: int) -> str:
    """The output, while the terminal is emptied so that nobody waits for room in it."""
    out = b""
    fd = process.stdout.fileno()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        ready, _, _ = select.select([fd, mine], [], [], 1.0)
        if mine in ready:
            os.read(mine, 65536)
        if fd in ready:
            part = os.read(fd, 65536)
            if not part:
                break
            out += part
    process.wait(timeout=10)
    return out.decode()


def test_an_interrupt_before_anything_was_measured_ends_in_130():
    with terminal() as (mine, theirs), start("run", stdout=-1, stderr=theirs, env=ENV) as process:
        drain(mine, "making the arena")
        process.send_signal(signal.SIGINT)
        out = read_all(process, mine)
    assert process.returncode == 130
    assert "Traceback" not in out
