"""A process in which the n-th call of a scenario fails, for n = 1, 2, ... until nothing is left to fail.

`python fail_nth_child.py SCENARIO ERRNO FOLDER`, with the library of fail_nth.c loaded first. After each failure the
process has the files, mappings and threads that it had before, and what the scenario worked on is as it was. Prints one
line of JSON per failure: the call, what was raised, and what it said.
"""

import ctypes
import errno
import gc
import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

import pagexchange
from pagexchange.cli import main as command
from pagexchange.errors import PagexchangeError
from pagexchange.oracle import check
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot import take
from tests.core.test_snapshot_take import ANON, CACHE, FakeProc

libc = ctypes.CDLL(None)
NODES = [("fast", 640), ("slow", 640)]


class Scenario:
    """Something that is done again and again; `verify` says what must hold after it, whether it failed or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def do(self) -> object:
        raise NotImplementedError

    def verify(self, made: object) -> None:
        """`made` is None after a failure."""


class Create(Scenario):
    """An arena, in memory, in a file, reserved."""

    options: dict[str, Any] = {}  # noqa: RUF012

    def do(self) -> object:
        return pagexchange.Arena.create(NODES, **self.options)

    def verify(self, made: object) -> None:
        if isinstance(made, pagexchange.Arena):
            pairs = np.column_stack([made.alloc("fast", 20), made.alloc("slow", 20)])
            assert made.exchange(pairs).ok
            assert check(made) == []
            made.close()
        assert not list(self.folder.iterdir())


class Reserved(Create):
    options = {"reserve": True, "huge": "thp"}  # noqa: RUF012


class InFile(Create):
    def do(self) -> object:
        return pagexchange.Arena.create(NODES, path=self.folder / "arena")


class OnArena(Scenario):
    """Something that is done on one arena, and must leave all its bytes."""

    threads = 1

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.arena = pagexchange.Arena.create(NODES)
        self.pairs = np.column_stack([self.arena.alloc("fast", 9), self.arena.alloc("slow", 9)])
        self.big = np.column_stack([self.arena.alloc("fast", 1, 6), self.arena.alloc("slow", 1, 6)])
        self.arena.frames[:] = np.arange(self.arena.nframes, dtype=np.uint64)[:, None]
        self.strategy = pagexchange.strategy("list-exchange", self.arena)
        self.before = self.picture()

    def picture(self) -> Any:
        return self.arena.frames.copy(), self.arena.entries.copy()

    def verify(self, made: object) -> None:
        """Everything is where it was, nothing is held, and a strategy from before still exchanges."""
        for now, was in zip(self.picture(), self.before, strict=True):
            assert (now == was).all()
        assert check(self.arena) == []
        for _ in range(2):
            assert self.strategy.exchange(self.pairs, threads=4).ok


class Build(OnArena):
    """A strategy of plug-ins in Python and native ones, from the shipped file."""

    name = "copy-page"

    def do(self) -> object:
        return pagexchange.strategy(self.name, self.arena)


class BuildPython(Build):
    name = "numpy"


class Exchange(OnArena):
    """A list over four threads, there and back, by a strategy that has made no worker yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.made = [pagexchange.strategy("word-swap", self.arena) for _ in range(40)]

    def do(self) -> object:
        bound = self.made.pop()
        assert bound.exchange(self.pairs, threads=4).ok
        while True:  # the way back must not fail in the middle of the scenario
            try:
                assert bound.exchange(self.pairs, threads=4).ok
                return bound
            except (MemoryError, OSError):
                continue


class ExchangeFolio(OnArena):
    """One large folio over four threads."""

    def do(self) -> object:
        bound = self.strategy
        assert bound.exchange(self.big, threads=4).ok
        while True:
            try:
                assert bound.exchange(self.big, threads=4).ok
                return bound
            except (MemoryError, OSError):
                continue


class Record(Scenario):
    """A snapshot of a made-up /proc, saved."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        proc = folder / "proc"
        proc.mkdir()
        made_up = FakeProc(proc)
        made_up.flags[10:14] = ANON
        made_up.flags[20:22] = CACHE
        made_up.area(7, 1000, [10, 11, None, 12])
        made_up.area(8, 9000, [20, 21, 13], perms="r-xp", inode=55, name="/a/file")
        self.proc = made_up.write()
        self.file = folder / "snapshot"

    def do(self) -> object:
        recorded = take(proc=self.proc)
        file_format.save(recorded, self.file)
        return recorded

    def verify(self, made: object) -> None:
        if made is not None or self.file.exists():  # whole, or not there
            assert len(file_format.load(self.file)) == 6
            self.file.unlink()
        assert [path.name for path in self.folder.iterdir()] == ["proc"]


class Load(Scenario):
    """A snapshot from a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.wanted = take(pids=[os.getpid()], limit=50)
        file_format.save(self.wanted, folder / "snapshot")

    def do(self) -> object:
        return file_format.load(self.folder / "snapshot")

    def verify(self, made: object) -> None:
        assert made is None or (made.pfn == self.wanted.pfn).all()  # type: ignore[attr-defined]


class Run(Scenario):
    """The main job, as a command."""

    def do(self) -> object:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        args = ["run", "--set", "workload.source=synthetic", "--set", 'arena.nodes={fast="1 MiB", slow="1 MiB"}']
        code: Any = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                command([*args, "--rounds", "1"])
            except SystemExit as stop:
                code = stop.code
        said = err.buffer.getvalue().decode()
        assert "Traceback" not in said, said
        if code not in (0, None):
            raise PagexchangeError(f"exit {code}: {said}")
        return True


SCENARIOS: dict[str, Callable[[Path], Scenario]] = {
    "create": Create, "create-reserved": Reserved, "create-file": InFile, "build": Build, "build-python": BuildPython,
    "exchange": Exchange, "exchange-folio": ExchangeFolio, "record": Record, "load": Load, "run": Run,
}  # fmt: skip


def held() -> tuple[dict[str, str], list[str], int]:
    """Open files, mappings of arenas and of the folder's files, number of threads."""
    files = {}
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - Path.iterdir leaves its own file open in the list
        try:
            files[number] = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        except OSError:
            continue
    with open("/proc/self/maps") as lines:  # noqa: PTH123
        maps = [line.split()[0] for line in lines if "pagexchange (deleted)" in line or sys.argv[3] in line]
    return files, maps, len(os.listdir("/proc/self/task"))  # noqa: PTH208


def failing(scenario: Scenario, nth: int, code: int) -> dict[str, Any] | None:
    """Do it once, with the n-th call failing; None when it made fewer calls."""
    made: object = None
    raised: BaseException | None = None
    libc.fail_nth_arm(nth, code)
    try:
        made = scenario.do()
    except BaseException as error:
        raised = error
    name = libc.fail_nth_disarm()
    if raised is not None and name is None:
        raise raised
    found = None if name is None else {"nth": nth, "call": name.decode(), "raised": "", "said": "", "clear": True}
    if found and raised is not None:
        plain = {"", os.strerror(code), f"[Errno {code}] {os.strerror(code)}"}
        clear = isinstance(raised, (PagexchangeError, OSError, MemoryError)) and str(raised) not in plain
        found |= {"raised": type(raised).__name__, "said": str(raised), "clear": clear}
    raised = None
    scenario.verify(made)
    return found


def main() -> None:
    libc.fail_nth_disarm.restype = ctypes.c_char_p
    name, code, folder = sys.argv[1], getattr(errno, sys.argv[2]), Path(sys.argv[3])
    scenario = SCENARIOS[name](folder)
    for _ in range(2):
        scenario.verify(scenario.do())  # everything is imported, bound and warm
    gc.collect()
    before = held()
    gc.disable()  # a collection in the middle would count calls that are not the scenario's
    step = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    nth = 1
    while (found := failing(scenario, nth, code)) is not None:
        gc.collect()
        found["leaked"] = [repr(now) for now, was in zip(held(), before, strict=True) if now != was]
        print(json.dumps(found), flush=True)
        nth += step


if __name__ == "__main__":
    main()
