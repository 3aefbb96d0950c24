"""A plug-in that ends the process is named, its strategy has failed, and everything else is reported as if it were not
there: by a crash, by `os._exit`, by C's `exit`, wherever it is called."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pagexchange.samples.folder import Folder
from tests.core.command_line import SMALL, START, start, stranger
from tests.core.tier.small import FLAGS

CODE = """
import atexit, ctypes, os, signal, time
import pagexchange

def swap(pieces, a, b):
    held = pieces[a]
    pieces[a] = pieces[b]
    pieces[b] = held

def segv(): ctypes.string_at(0)
def leaves(): os._exit(0)
def aborts(): os.abort()
def kills(): os.kill(os.getpid(), signal.SIGKILL)
def exits(): ctypes.CDLL(None).exit(3)

class Plain:
    @pagexchange.hookimpl
    def exchange_data(self, arena): return swap

def made(end):
    class Hook:
        @pagexchange.hookimpl
        def exchange_data(self, arena): end()
    class Move:
        @pagexchange.hookimpl
        def exchange_data(self, arena): return lambda pieces, a, b: end()
    class Init(Plain):
        def __init__(self): end()
    class Report(Plain):
        @pagexchange.hookimpl
        def strategy_report(self): end()
    return {"hook": Hook, "move": Move, "init": Init, "report": Report}

class Pairs:
    @pagexchange.hookimpl
    def pair_pages(self, arena): return lambda view: segv()

class Around:
    @pagexchange.hookimpl(wrapper=True)
    def pair_pages(self, arena):
        yield
        return lambda view: segv()

class Later(Plain):
    def __init__(self): atexit.register(os._exit, 0)

class Late(Plain):
    def __init__(self): atexit.register(segv)

class Sleeps:
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        def move(pieces, a, b):
            print("moving", flush=True)
            time.sleep(60)
        return move

def __getattr__(name):
    if name == "Imported":
        segv()
    place, end = name.split("_")
    return made(globals()[end])[place]
"""
FAILS = {
    "hook-segv": ("exchange_data", "killed by signal 11 (SIGSEGV) ("),
    "move-segv": ("an exchange", "killed by signal 11 (SIGSEGV) ("),
    "init-leaves": ("its __init__", "ended with exit status 0 ("),
    "report-leaves": ("strategy_report", "ended with exit status 0 ("),
    "move-leaves": ("an exchange", "ended with exit status 0 ("),
    "move-aborts": ("an exchange", "killed by signal 6 (SIGABRT) ("),
    "move-kills": ("an exchange", "killed by signal 9 (SIGKILL), as Linux does where memory runs out, or by somebody"),
    "hook-exits": ("exchange_data", "ended with exit status 3"),
    "imported": ("its import", "killed by signal 11 (SIGSEGV)"),
}


def file(folder: Path, *names: str) -> str:
    lines = ["schema = 1"]
    for name in names:
        lines += [f"[strategy.s-{name}]", 'flags = "masked-word"', f'data = "{name}"', 'mapping = "xarray"']
    (folder / "s.toml").write_text("\n".join(lines))
    return str(folder / "s.toml")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    names = {name: name.replace("-", "_") for name in FAILS}
    attributes = {
        "imported": "Imported",
        "later": "Later",
        "late": "Late",
        "plain": "Plain",
        "pairs": "Pairs",
        "around": "Around",
        "sleeps": "Sleeps",
    }
    names = {name.replace("-", "_"): f"stranger_plugins:{attributes.get(name, at)}" for name, at in names.items()}
    names |= {name: f"stranger_plugins:{at}" for name, at in attributes.items()}
    stranger(tmp_path, CODE, **names)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def command(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-P", "-c", START, *args]
    return subprocess.run(line, capture_output=True, text=True, env=os.environ | env, timeout=300)


def test_a_run_names_it_and_reports_all_others(folder):
    kept = folder / "kept"
    done = command("run", file(folder, *FAILS, "word-swap", "plain"), *SMALL, "--rounds=1", "--json", f"--out={kept}")
    assert done.returncode == 4, done.stderr
    strategies = {one["name"]: one for one in json.loads(done.stdout)["strategies"]}
    assert len(strategies) == len(FAILS) + 2
    for name in ("word-swap", "plain"):
        assert strategies[f"s-{name}"]["verdict"] == "exact"
        assert len(strategies[f"s-{name}"]["rounds"]) == 1
    for name, (where, how) in FAILS.items():
        one = strategies[f"s-{name}"]
        assert one["verdict"] == "failed"
        assert one["reason"].startswith(f"plug-in {name!r} (stranger 2.5): in {where}: the process was {how}")
    # Each process but the last has begun the folder: what is in it is of one run.
    whole = Folder.open(kept)
    assert {cell.name: cell.error == "" for cell in whole.cells.values()} == {
        name: one["verdict"] == "exact" for name, one in strategies.items()
    }
    assert len(whole.samples()) == 2


def test_a_tier_names_a_pairing_too_and_begins_its_folder_anew(folder):
    kept = folder / "kept"
    name = file(folder, "word-swap", "move-segv")
    with Path(name).open("a") as toml:
        for added, key in (("bad", 'pairing = "pairs"'), ("wrapped", 'wrap = ["around"]')):
            toml.write(f'\n[strategy.{added}]\nflags = "masked-word"\ndata = "word-swap"\nmapping = "xarray"\n{key}\n')
    done = command("tier", name, *FLAGS, "--set=tier.ways=[]", "--json", f"--out={kept}")
    assert done.returncode == 4, done.stderr
    ways = {one["name"]: one for one in json.loads(done.stdout)["ways"]}
    assert {name: one["verdict"] for name, one in ways.items()} == {
        "nothing": "exact", "s-word-swap": "exact", "s-move-segv": "failed", "bad": "failed",
        "wrapped": "failed",
    }  # fmt: skip
    crashed = "the process was killed by signal 11 (SIGSEGV) ("
    assert ways["bad"]["reason"].startswith(f"plug-in 'pairs' (stranger 2.5): in pair_pages: {crashed}")
    assert ways["wrapped"]["reason"].startswith(f"plug-in 'around' (stranger 2.5): in pair_pages: {crashed}")
    assert ways["s-move-segv"]["reason"].startswith(f"plug-in 'move-segv' (stranger 2.5): in an exchange: {crashed}")
    assert "already" not in done.stderr
    whole = Folder.open(kept)
    assert len(whole.samples()) == 2


def test_the_other_verbs_name_it_too(folder):
    name = file(folder, "hook-segv", "word-swap")
    done = command("check", name)
    assert done.returncode == 4
    assert "s.toml:4:8: strategy.s-hook-segv.data: plug-in 'hook-segv' (stranger 2.5): in exchange_data" in done.stderr
    assert "1 error\n" in done.stderr
    done = command("explain", "s-hook-segv", name)
    assert (done.returncode, done.stdout) == (4, "")
    assert "plug-in 'hook-segv' (stranger 2.5): in exchange_data: the process was killed by signal 11" in done.stderr
    done = command("list", "--json")
    states = {one["name"]: one for one in json.loads(done.stdout)["plugins"]}
    assert done.returncode == 0
    assert states["imported"]["state"] == "failed"
    assert states["imported"]["reason"] == "in its import: the process was killed by signal 11 (SIGSEGV)"
    assert states["plain"]["state"] == "ok"


@pytest.mark.parametrize(("name", "code"), [("later", 0), ("late", 4)])
def test_what_ends_the_process_behind_the_result_does_not_change_the_result(folder, name, code):
    done = command("run", file(folder, name), *SMALL, "--rounds=0", "--json")
    assert json.loads(done.stdout)["as_expected"]
    assert done.returncode == code
    said = "after the result the process was killed by signal 11 (SIGSEGV); these plug-ins were in it: 'late' (stranger"
    assert (said in done.stderr) == (name == "late")


def test_it_can_be_turned_off(folder):
    done = command("run", file(folder, "move-segv"), *SMALL, PAGEXCHANGE_SUPERVISE="0")
    assert done.returncode == -signal.SIGSEGV


def waiting(folder):
    """A run in the middle of a plug-in's call, and its child."""
    process = start("run", file(folder, "sleeps"), *SMALL, "--rounds=0", "--json", stdout=-1, stderr=-1)
    assert process.stderr is not None
    assert process.stderr.readline() == "moving\n"
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return process, int(child)


def gone(pid: int) -> bool:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_to_the_one_that_waits_ends_the_one_that_works(folder):
    process, _ = waiting(folder)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["interrupted"]


def test_both_end_by_the_signal_that_one_was_sent(folder):
    process, child = waiting(folder)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert gone(child)


def test_the_one_that_works_does_not_outlive_the_one_that_waits(folder):
    process, child = waiting(folder)
    process.kill()
    process.communicate(timeout=60)
    assert gone(child)


def test_whoever_kills_a_plug_in_that_hangs_gets_the_rest(folder):
    process, child = waiting(folder)
    os.kill(child, signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "plug-in 'sleeps' (stranger 2.5): in an exchange" in json.loads(out)["strategies"][0]["reason"]


def test_an_arena_with_a_path_leaves_no_file_behind(folder):
    path = Path("/dev/shm") / f"pagexchange-test-{os.getpid()}"
    name = file(folder, "move-segv", "plain")
    done = command("run", name, *SMALL, "--rounds=0", "--json", "--set", f'arena.path="{path}"')
    assert done.returncode == 4, done.stderr
    assert not path.exists()
    assert [one["verdict"] for one in json.loads(done.stdout)["strategies"]] == ["failed", "exact"]
