"""`pagexchange bench` as a user has it: a run folder, a table, and plug-ins that crash, hang, raise and eat memory."""

import collections
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from pagexchange.bench.affinity import cpus_for, usable
from pagexchange.bench.axes import Point
from pagexchange.bench.load import Load
from pagexchange.bench.process import CellError, CellProcess
from pagexchange.bench.task import Task
from pagexchange.cli.bench import bench
from pagexchange.samples.folder import Folder
from tests.core.command_line import pagexchange, start, stranger
from tests.core.folders import refuse_invalid

BROKEN = """
import os, signal, time
import pagexchange

CALLS = 0


def mover(what, after=0):
    class Mover:
        @pagexchange.hookimpl
        def exchange_data(self, arena):
            def move(pieces, a, b):
                global CALLS
                CALLS += 1
                pieces[a], pieces[b] = pieces[b], pieces[a]
                if CALLS > after:
                    what()
            return move
    return Mover


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def hang():
    time.sleep(3600)


def error():
    raise RuntimeError("I give up")


def eat():
    bytearray(1 << 45)


Crashes = mover(crash)
CrashesLater = mover(crash, after=200)
Hangs = mover(hang, after=200)
Raises = mover(error)
Eats = mover(eat)
Leaves = mover(lambda: os._exit(7))
"""
PLUGINS = ("crashes", "crashes-later", "hangs", "raises", "eats", "leaves")
TINY = ("--size", "64 KiB", "--batch", "4", "--rounds", "1", "--peers", "rfc-loop")


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A folder with the plug-ins above, on the path of every process; and a file with a strategy for each."""
    attributes = {name.replace("-", "_"): name.title().replace("-", "") for name in PLUGINS}
    stranger(tmp_path, BROKEN, **{name: f"stranger_plugins:{value}" for name, value in attributes.items()})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    tables = [
        f'[strategy.{name}]\nflags = "masked-word"\ndata = "{name}"\nmapping = "xarray"\n'
        for name in ("word-swap", *PLUGINS)
    ]
    file = tmp_path / "strategies.toml"
    file.write_text("schema = 1\n" + "".join(tables))
    return file


def test_what_a_plug_in_does_to_its_process_is_its_cells_exit_status_and_the_others_go_on(broken, tmp_path) -> None:
    chosen = [arg for name in ("word-swap", *PLUGINS) if name != "hangs" for arg in ("--strategy", name)]
    done = pagexchange("bench", str(broken), *TINY, *chosen, "--out", str(tmp_path / "run"))
    assert done.code == 4, done.err
    cells = {cell.name: cell for cell in Folder.open(tmp_path / "run").cells.values()}
    assert cells["rfc-loop"].exit == cells["word-swap"].exit == 0
    assert cells["word-swap"].verdict == "exact"
    assert cells["crashes"].exit == -signal.SIGSEGV
    assert "killed by signal 11 (SIGSEGV) while it made its pages" in cells["crashes"].error
    assert cells["crashes-later"].exit == -signal.SIGSEGV
    assert "(SIGSEGV) while its turn" in cells["crashes-later"].error
    assert cells["leaves"].exit == 7
    assert "exited with status 7" in cells["leaves"].error
    assert cells["raises"].exit == 4
    assert "'raises' (stranger 2.5)" in cells["raises"].error
    assert "I give up" in cells["raises"].error
    assert cells["eats"].exit == 4
    assert "MemoryError" in cells["eats"].error
    for name in set(PLUGINS) - {"hangs"}:
        assert f"{name}: exit status {cells[name].exit}" in done.out
    assert refuse_invalid(tmp_path / "run") == {"Manifest", "Host", "Cell", "Sample"}
    samples = Folder.open(tmp_path / "run").samples()
    assert {sample.cell for sample in samples} == {cells["rfc-loop"].id, cells["word-swap"].id}
    assert all(sample.exchanged == sample.pairs for sample in samples)
    swaps = [sample for sample in samples if sample.cell == cells["word-swap"].id]
    assert all(len(sample.call_ns) == sample.calls for sample in swaps)


def task(file: Path, name: str, **changes) -> Task:
    values: dict[str, Any] = {
        "config": file.read_text(), "name": name, "kind": "strategy", "point": Point(64 << 10, batch=4), "seed": 1,
        "cpus": sorted(os.sched_getaffinity(0))[-1:], "memory": 1 << 20, "pairs": 64, "calls": 16,
    }  # fmt: skip
    return Task(**(values | changes))


def test_a_cell_that_hangs_is_killed_at_its_deadline(broken) -> None:
    process = CellProcess(task(broken, "hangs"), deadline=60)
    try:
        process.ready()
        process.deadline = 0.2
        with pytest.raises(CellError, match=r"hung: no answer within 0.2 s while its turn \d+; it was killed") as error:
            collections.deque(map(process.turn, range(100)))
        assert error.value.exit_status == -signal.SIGKILL
        assert not alive(process.pid)
    finally:
        process.close()


def test_a_cell_of_a_peer_takes_turns_and_ends_when_it_is_closed(broken) -> None:
    process = CellProcess(task(broken, "rfc-loop", kind="peer"), deadline=60)
    try:
        assert not process.ready().idle
        turn = process.turn(1)
        assert turn.pairs == turn.exchanged == 64
        assert turn.threads
    finally:
        process.close()
    assert not alive(process.pid)


def test_a_request_for_far_too_much_memory_fails_before_linux_chooses_whom_to_kill(broken) -> None:
    """`bytearray` would be refused by Linux itself; the limit is what refuses what Linux would overcommit."""
    code = "import resource; from pagexchange.bench import worker; worker._limit(1 << 20); bytearray(3 << 30)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert "MemoryError" in done.stderr


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def workers(mark: str) -> list[int]:
    """Processes of cells with a mark in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"pagexchange.bench.worker" in command and f"BENCH_TEST={mark}".encode() in environment:
            found.append(int(entry.name))
    return found


def gone(pids: list[int]) -> bool:
    return not any(map(alive, pids))


def eventually(what) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_cells_end_with_the_command_however_that_ends_and_what_was_finished_is_kept(tmp_path, number, code) -> None:
    mark = f"{os.getpid()}-{number}"
    long = ("--size", "64 KiB", "--batch", "4,8", "--rounds", "1000000", "--peers", "rfc-loop")
    process = start(
        "bench", *long, "--strategy", "word-swap", "--out", str(tmp_path / "run"), stdout=-1, stderr=-1,
        env=os.environ | {"BENCH_TEST": mark},
    )  # fmt: skip
    samples = tmp_path / "run" / "samples.jsonl"
    assert eventually(lambda: samples.exists() and samples.stat().st_size)
    pids = workers(mark)
    assert len(pids) == 2
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert eventually(lambda: gone(pids))
    folder = Folder.open(tmp_path / "run", strict=False)
    assert folder.samples()
    if number == signal.SIGINT:
        assert "Interrupted: what was measured until then is shown and kept." in out
        assert "word-swap" in out


def test_a_dry_run_says_what_would_be_measured_and_makes_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = pagexchange("bench", "--quick", "--order", "0,9", "--dry-run")
    assert done.code == 0
    said = " ".join(done.out.split())
    expected = ("Would measure", "seed 1, ratios to rfc-loop", "numpy-loop", "left out", "Nothing was measured.")
    for words in expected:
        assert words in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--size", "l4"), "size 'l4'"),
        (("--order", "0,x"), "expected an integer from 0 to 9, got 'x'"),
        (("--load", "heavy"), "unknown value 'heavy'"),
        (("--batch", ""), "expected an integer"),
    ],
)
def test_a_wrong_value_of_an_axis_is_a_usage_error(args, said) -> None:
    done = pagexchange("bench", *args, "--dry-run")
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("option", "typed", "offered"),
    [
        ("size", "l1,l", ["l1,l1", "l1,l2", "l1,l3"]),
        ("load", "", ["idle", "busy"]),
        ("peers", "memcpy,rf", ["memcpy,rfc-loop"]),
        ("reference", "two", ["two-at-once-ahead", "two-pass"]),
        ("order", "1", []),
    ],
)
def test_a_shell_completes_the_words_of_an_axis_behind_the_last_comma(option, typed, offered) -> None:
    (found,) = [param for param in bench.params if param.name == option]
    assert [item.value for item in found.shell_complete(click.Context(bench), typed)] == offered


def test_the_load_runs_on_a_cpu_that_no_cell_has_and_ends_with_its_block() -> None:
    cpus = usable()
    if len(cpus) < 2:
        pytest.skip("one CPU")
    with Load(beside=cpus_for(1)) as load:
        assert os.sched_getaffinity(load.pid) == {cpus[0]}
        assert alive(load.pid)
    assert not alive(load.pid)
