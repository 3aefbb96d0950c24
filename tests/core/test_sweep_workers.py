"""Sweeps as users have them: a command, Dask's own scheduler and workers; killed, interrupted, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from pagexchange.samples.folder import Folder
from tests.core.command_line import pagexchange, start, stranger
from tests.core.sweeps import TEXT, sweep_file

LONG = 60.0
"""Seconds that nothing here takes."""
EXAMPLE = Path(__file__).parents[2] / "examples" / "sweep.toml"
MOVERS = """
import os, time, pathlib, pagexchange
from pagexchange_plugins.word_swap import WordSwap

PLACE = pathlib.Path({place!r})


class Gate:
    "Waits while somebody holds it."

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        (PLACE / "pid").write_text(str(os.getpid()))
        (PLACE / "began").touch()
        while (PLACE / "hold").exists():
            time.sleep(0.02)
        return WordSwap().exchange_data(arena)


class Crash:
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        def move(pieces, a, b):
            os.abort()

        return move
"""
GATED = TEXT.replace('data = "temp-page"', 'data = "gate"')


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which everybody who is started finds the strangers' movers, and has a cache of its own."""
    stranger(tmp_path, MOVERS.format(place=str(tmp_path)), gate="stranger_plugins:Gate", crash="stranger_plugins:Crash")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PAGEXCHANGE_OFF_CPU", "1")  # a busy machine is no matter here
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parents(pid: int) -> Iterator[int]:
    while pid > 1:
        yield pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_the_two_commands_of_the_manual(place: Path) -> None:
    ran = pagexchange("sweep", str(EXAMPLE), "--out", "runs/demo", "--rounds", "3")
    assert ran.code == 0, ran.err
    assert "4 points to do on 1 host, 0 already there" in ran.err
    folder = Folder.open("runs/demo")
    assert len(folder.cells) == 8
    assert len(folder.samples()) == 8 * 3
    assert all(cell.verdict == "exact" for cell in folder.cells.values())
    assert all(host.after for host in folder.hosts.values())
    again = pagexchange("sweep", str(EXAMPLE), "--out", "runs/demo", "--rounds", "3")
    assert again.code == 0
    assert "0 points to do on 1 host, 4 already there" in again.err
    table = pagexchange("merge", "runs/demo", "--table")
    assert table.code == 0
    assert table.out.count("list-exchange") == 4
    assert len(Folder.open("runs/demo").samples()) == 8 * 3


def test_a_crash_is_the_exit_status_of_its_cell_and_the_others_are_measured(place: Path) -> None:
    text = TEXT.replace('data = "temp-page"', 'data = "crash"').replace("[20, 40]", "[20]")
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "pagexchange", "sweep", sweep_file(place, text), "--out", "crashed"],
        capture_output=True, text=True, check=False, timeout=LONG,
    )  # fmt: skip
    assert ran.returncode == 4, ran.stderr
    cells = {cell.name: cell for cell in Folder.open("crashed").cells.values()}
    assert cells["copy-page"].exit == -signal.SIGABRT
    assert "plug-in 'crash' (stranger 2.5)" in cells["copy-page"].error
    assert cells["word-swap"].verdict == "exact"
    samples = Folder.open("crashed").samples()
    assert {sample.cell for sample in samples} == {cells["word-swap"].id}
    assert len(samples) == 2


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(place: Path) -> None:
    command = ("sweep", sweep_file(place, GATED), "--out", "stopped")
    (place / "hold").touch()
    sweeping = start(*command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    wait_for((place / "began").exists)
    measuring = int((place / "pid").read_text())
    sweeping.send_signal(signal.SIGINT)
    _, said = sweeping.communicate(timeout=LONG)
    assert sweeping.returncode == 130, said
    assert said.splitlines()[-1] == "pagexchange: interrupted"
    wait_for(lambda: not Path(f"/proc/{measuring}").exists())
    (place / "hold").unlink()
    assert not Folder.open("stopped").cells
    ran = pagexchange(*command)
    assert ran.code == 0, ran.err
    assert "2 points to do on 1 host, 0 already there" in ran.err
    assert len(Folder.open("stopped").cells) == 4


def test_the_plan_is_printed_and_nothing_is_done(place: Path) -> None:
    ran = pagexchange("sweep", sweep_file(place), "--out", "none", "--dry-run")
    assert ran.code == 0
    assert [" ".join(line.split()) for line in ran.out.splitlines() if line] == [
        "Would measure 2 points, 4 cells, on each host",
        "point memory cells",
        "workload.pairs = 20 2 MiB word-swap, copy-page",
        "workload.pairs = 40 2 MiB word-swap, copy-page",
        "Arenas of up to 2 MiB, kept in none. Nothing was measured.",
    ]
    assert not Path("none").exists()


def test_a_folder_of_another_sweep_is_refused_with_the_cure(place: Path) -> None:
    file = sweep_file(place)
    assert pagexchange("sweep", file, "--out", "one", "--strategy", "word-swap").code == 0
    ran = pagexchange("sweep", file, "--out", "one")
    assert ran.code == 3
    assert "it has 2 cells, this one 4, and 2 are the same in both" in ran.err
    assert "bring both together with `pagexchange merge`" in ran.err


def test_a_scheduler_that_is_not_there_is_said_and_leaves_no_folder(place: Path) -> None:
    ran = pagexchange(
        "sweep", sweep_file(place), "--out", "none", "--scheduler", "tcp://127.0.0.1:1", "--patience", "0.2"
    )
    assert ran.code == 3
    assert "no scheduler answers at tcp://127.0.0.1:1" in ran.err
    assert not Path("none").exists()


def test_without_the_library_the_extra_is_named(place: Path) -> None:
    program = (
        "import sys; sys.modules['distributed'] = None; from pagexchange.cli import main; "
        f"main(['sweep', {sweep_file(place)!r}, '--out', 'none'])"
    )
    ran = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=LONG)
    assert ran.returncode == 2
    assert "a sweep needs distributed, which is not installed. Cure: pip install 'pagexchange[dask]'" in ran.stderr
    assert not Path("none").exists()


def _dask(tool: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", f"distributed.cli.dask_{tool}", *arguments, "--no-dashboard"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.slow
def test_a_worker_and_then_the_scheduler_are_killed(place: Path) -> None:
    address = place / "scheduler.json"
    started = [_dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(address))]
    try:
        options = ("--scheduler-file", str(address), "--no-nanny", "--nthreads", "1", "--local-directory", str(place))
        workers = [_dask("worker", *options, PAGEXCHANGE_HOST=host) for host in ("one", "one", "two")]
        started += workers
        wait_for(address.exists)
        scheduler = json.loads(address.read_text())["address"]
        command = ("sweep", sweep_file(place, GATED), "--out", "killed", "--scheduler", scheduler, "--host", "one")
        (place / "hold").touch()
        sweeping = start(*command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        wait_for((place / "began").exists)
        measuring = int((place / "pid").read_text())
        (busy,) = (worker for worker in workers if worker.pid in parents(measuring))
        busy.kill()
        wait_for(lambda: not Path(f"/proc/{measuring}").exists())
        (place / "hold").unlink()
        _, said = sweeping.communicate(timeout=LONG)
        assert sweeping.returncode == 0, said
        assert "has gone; it is done again" in said
        first = Folder.open("killed")
        assert len(first.cells) == 4
        (host,) = first.hosts
        assert host.startswith("one-")

        (place / "began").unlink()
        (place / "hold").touch()
        sweeping = start(*command, "--again", "--patience", "1", stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        wait_for((place / "began").exists)
        started[0].kill()
        _, said = sweeping.communicate(timeout=LONG)
        assert sweeping.returncode == 3, said
        assert "the scheduler has gone" in said
        assert "came later" not in said
        assert Folder.open("killed").cells == first.cells
    finally:
        (place / "hold").unlink(missing_ok=True)
        for process in started:
            process.kill()
            process.wait()
