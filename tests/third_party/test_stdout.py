"""Stdout is the result and nothing else, whoever prints: a plug-in, compiled code, another process, the watchdog."""

import json
import os
import subprocess
import sys

import pytest

from tests.core.command_line import SMALL, START, pagexchange, stranger

CODE = """
import atexit, ctypes, os, subprocess, sys
import pagexchange

libc = ctypes.CDLL(None)

def talk(where):
    print("print", where)
    sys.stdout.write("write\\n")
    if sys.__stdout__:
        sys.__stdout__.write("the first stdout\\n")
    os.write(1, b"descriptor\\n")
    libc.puts(b"puts")
    subprocess.run(["echo", "a process of its own"])

talk("imported")
atexit.register(talk, "at exit")

class Talks:
    def __init__(self): talk("made")
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        talk("asked")
        def move(pieces, a, b):
            talk("moving")
            held = pieces[a]
            pieces[a] = pieces[b]
            pieces[b] = held
        move.describe = lambda: talk("describing") or {"a": "b"}
        return move
    @pagexchange.hookimpl
    def run_finished(self): talk("finished")
    @pagexchange.hookimpl
    def strategy_report(self): talk("reporting")
"""
ENDS = "try: main(sys.argv[1:])\nexcept SystemExit: print('and the caller')\n"


@pytest.fixture
def folder(tmp_path):
    stranger(tmp_path, CODE, talks="stranger_plugins:Talks")
    table = 'schema = 1\n[strategy.talks]\nflags = "masked-word"\ndata = "talks"\nmapping = "xarray"\n'
    (tmp_path / "s.toml").write_text(table)
    return tmp_path


def command(folder, *args, shell="", code=START):
    env = os.environ | {"PYTHONPATH": str(folder), "PAGEXCHANGE_PATIENCE": "0"}
    line = ["bash", "-c", f'exec "$0" -P -c "$@" {shell}', sys.executable, code, *args]
    return subprocess.run(line, capture_output=True, text=True, cwd=folder, env=env, timeout=100)


VERBS = {
    "run": ("run", "s.toml", *SMALL, "--rounds=1", "--json"),
    "explain": ("explain", "talks", "s.toml", "--json"),
    "list": ("list", "--json"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_what_plug_ins_print_goes_to_stderr(folder, verb):
    done = command(folder, *VERBS[verb])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["schema"] == 1
    said = (
        "print imported",
        "write",
        "the first stdout",
        "descriptor",
        "puts",
        "a process of its own",
        "print at exit",
    )
    assert [words for words in said if words not in done.stderr] == []


def test_what_they_print_while_a_file_is_checked_too(folder):
    done = command(folder, "check", "s.toml")
    assert done.stdout == "s.toml: nothing is wrong; 1 strategy: talks\n"
    assert "print made" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_stderr_does_not_bring_it_back(folder, verb):
    done = command(folder, *VERBS[verb], shell="2>&-")
    assert json.loads(done.stdout)["schema"] == 1


def test_a_watchdog_that_speaks_while_stderr_is_closed_says_nothing(folder):
    slow = CODE.replace('talk("moving")', "import time; time.sleep(0.3)").replace("subprocess.run", "len")
    (folder / "stranger_plugins.py").write_text(slow)
    env = os.environ | {"PYTHONPATH": str(folder), "PAGEXCHANGE_PATIENCE": "0.05"}
    line = [
        "bash",
        "-c",
        'exec "$0" -P -c "$@" 2>&-',
        sys.executable,
        START,
        *VERBS["run"][:-2],
        "--rounds=0",
        "--json",
    ]
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder, env=env, timeout=100)
    assert json.loads(done.stdout)["schema"] == 1


def test_a_caller_prints_to_stdout_again_when_the_command_is_over(folder):
    done = command(folder, *VERBS["run"], code="import sys; from pagexchange.cli import main\n" + ENDS)
    assert done.stdout.endswith("}\nand the caller\n")
    assert json.loads(done.stdout.removesuffix("and the caller\n"))["schema"] == 1
    assert "print at exit" in done.stderr


def test_a_stream_in_the_place_of_stdout_gets_the_result_alone(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    loud = CODE[CODE.index("class ") :].replace('talk("', 'print("')
    (folder / "stranger_plugins.py").write_text(f"import pagexchange\nprint('loud')\n{loud}")
    ran = pagexchange("run", str(folder / "s.toml"), *SMALL, "--rounds=0", "--json")
    assert json.loads(ran.out)["schema"] == 1
    assert "loud" in ran.err
