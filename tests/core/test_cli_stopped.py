"""A run that is asked to end, or killed: what it leaves, and what the next one says."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.core.command_line import pagexchange, start, stranger

FILE = """\
schema = 1
[arena]
path = "arena.bin"
nodes = { fast = "1 MiB", slow = "1 MiB" }
[workload]
source = "synthetic"
[strategy.good]
flags = "masked-word"
data = "word-swap"
mapping = "xarray"
wrap = [{ plugin = "trace", to = "calls.txt" }]
"""
LONG = ("run", "s.toml", "--rounds=1000000", "--json")
HANGS = """
import time
import pagexchange

class Hangs:
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        import ctypes
        libc = ctypes.CDLL(None)
        while True:
            try:
                open("hangs", "w").close()  # a signal may come as soon as this is seen
                libc.sleep(1000)  # begun again at once: as compiled code in which no signal is handled
            except BaseException:
                pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(FILE)
    return tmp_path


def running(folder, *args, **options):
    """A run that exchanges."""
    process = start(*args, stdout=-1, stderr=-1, **options)
    until(process, lambda: (folder / "calls.txt").exists())
    return process


def until(process, condition):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT])
def test_who_is_asked_to_end_prints_what_it_has_and_leaves_nothing(folder, number):
    with running(folder, *LONG) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, "")
    assert '"interrupted": true' in out
    assert not (folder / "arena.bin").exists()
    assert pagexchange("run", "-q", "s.toml", "--rounds=0").code == 0


def test_a_signal_that_is_ignored_stays_so(folder):
    """As `nohup` does it."""
    with running(folder, *LONG, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 143


def test_compiled_code_that_never_returns_is_ended_all_the_same(folder):
    stranger(folder, HANGS, hangs="stranger_plugins:Hangs")
    environment = os.environ | {"PYTHONPATH": str(folder)}
    (folder / "s.toml").write_text(FILE.replace("word-swap", "hangs"))
    with start(*LONG, stdout=-1, stderr=-1, env=environment) as process:
        until(process, lambda: (folder / "hangs").exists())
        process.terminate()
        began = time.monotonic()
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert time.monotonic() - began > 5
    assert not (folder / "arena.bin").exists()


def test_what_a_killed_run_left_is_named(folder):
    with running(folder, *LONG) as process:
        worker = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        for verb in ("run", "check"):
            ran = pagexchange(verb, "s.toml")
            assert ran.code == 3
            assert f"File exists; it is the arena of process {worker}, which uses it now; want a path" in ran.err
        process.kill()
        process.communicate(timeout=60)
    for verb in ("run", "check"):
        ran = pagexchange(verb, "s.toml")
        assert ran.code == 3
        left = f"it is an arena that process {worker} left behind when it was killed, and nobody uses it: "
        assert left in ran.err
    assert (folder / "arena.bin").exists()
    (folder / "arena.bin").unlink()
    assert pagexchange("run", "-q", "s.toml", "--rounds=0").code == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_bytes(b"PGX"), "it is no arena; want a path that does not exist"),
        (lambda path: path.mkdir(), "it is no arena; want a path that does not exist"),
        (lambda path: path.symlink_to("elsewhere"), "want a path that does not exist"),
        (os.mkfifo, "it is no arena; want a path that does not exist"),
    ],
)
def test_what_else_is_in_the_way_is_left_there(folder, make, said):
    make(folder / "arena.bin")
    before = os.lstat(folder / "arena.bin")[:6]  # without times
    for verb in ("run", "check"):
        ran = pagexchange(verb, "s.toml")
        assert ran.code == 3
        assert f"cannot create the arena's file: File exists; {said}" in ran.err
    assert os.lstat(folder / "arena.bin")[:6] == before


PRESSED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Presses:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == sys.argv[1]:
            print("pressed", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Presses)
from pagexchange.cli import main
main(["run", "--rounds=0"])
"""


@pytest.mark.parametrize(
    "module",
    ["click", "numpy", "numpy.linalg", "pagexchange_native.engine.exchange", "pagexchange.cli.run", "rich.text"],
)
def test_ctrl_c_is_no_traceback_in_imports_either(module):
    done = subprocess.run([sys.executable, "-P", "-c", PRESSED, module], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (130, "")
    said = [line for line in done.stderr.splitlines() if line and not line.startswith("pagexchange: after")]
    assert said == ["pressed", "pagexchange: interrupted"]  # beside how far it came, on a slow machine
