"""An arena is not taken from under a call: close() in another thread, in a number's __index__, in a forked child."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange_native.arena.region import Region
from pagexchange_native.errors import ArenaAccessError, ArenaError
from pagexchange_native.xarray.array import XArray
from pagexchange_native.xarray.cursor import Cursor
from tests.native.arena_state import run_python

SETUP = """
import errno, sys, threading, time
import numpy as np
from pagexchange.arena.arena import Arena
from pagexchange.oracle import check
from pagexchange_native.bench import time_loop
from pagexchange_native.errors import ArenaError
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.xarray.array import XArray
from pagexchange_native.xarray.cursor import Cursor
from tests.core.pages import strategy

N = 20_000


class Scene:
    def __init__(self):
        self.arena = arena = Arena.create([("fast", N + 600), ("slow", N + 600)], reserve=False)
        self.file, self.space = arena.new_mapping(), arena.new_space()
        self.pfns, self.at = arena.alloc(0, N), np.arange(N)
        self.cached = arena.alloc(1, 400)
        arena.cache_add(self.file, np.arange(400), self.cached)
        self.mapped = arena.alloc(1, 64)
        arena.map(self.space, np.arange(64), self.mapped)
        self.array = XArray(arena)
        self.cursor = Cursor(self.array)
        self.one = int(self.cached[0])
        self.pairs = np.stack([self.pfns[:400], arena.alloc(1, 400)], axis=1)
        self.bound = strategy(arena)
        self.pages = {"mapping": np.zeros(N, np.uint64), "index": self.at % 400, "pfn": self.at}
        arena.pin(int(self.pfns[5]))
"""
# Those that run without the GIL have much to do; the others are called again and again.
CALLS = {
    "set_flags": "s.arena.set_flags(s.pfns, 4)",
    "set_flags that stay": "s.arena.set_flags(s.pfns, 128)",
    "clear_flags": "s.arena.clear_flags(s.pfns, 4)",
    "alloc": "s.arena.alloc(1, 300)",
    "free": "s.arena.free(s.pfns)",
    "reserve_frames": "s.arena.reserve_frames(s.pfns[:-10])",
    "cache_add": "s.arena.cache_add(s.file, s.at + 1000, s.pfns)",
    "cache_remove": "[s.arena.cache_remove(s.file, i) for i in range(400)]",
    "cache_load": "s.arena.cache_load(s.file, 3)",
    "map": "s.arena.map(s.space, s.at + 1000, s.pfns)",
    "unmap": "[s.arena.unmap(s.space, i) for i in range(64)]",
    "translate": "s.arena.translate(s.space, 3)",
    "set_private": "s.arena.set_private(s.cached, 7)",
    "get and put": "s.arena.get(s.one) and s.arena.put(s.one)",
    "pin": "s.arena.pin(s.one), s.arena.unpin(s.one)",
    "lock": "s.arena.lock(s.one) and s.arena.unlock(s.one)",
    "expected_refs": "s.arena.expected_refs(s.one)",
    "new_mapping": "s.arena.new_mapping()",
    "new_space": "s.arena.new_space()",
    "nodes": "s.arena.nodes, s.arena.geometry(), s.arena.published(), s.arena.workers",
    "views": "s.arena.frames[0, 0], s.arena.entries['refs'][3], s.arena.flags[1], s.arena.memory[7]",
    "frame": "str(s.arena.frame(s.one))",
    "oracle": "check(s.arena)",
    "exchange": "s.bound.exchange(s.pairs)",
    "exchange by name": "s.arena.exchange(s.pairs, threads=2)",
    "bulk_store": "s.array.bulk_store(s.at, s.at)",
    "bulk_load": "s.array.bulk_load(s.at)",
    "words": "s.array.words(s.at)",
    "array": "s.array.store(5, 7), s.array.load(5), s.array.find(0), s.array.set_mark(5, 1), s.array.destroy()",
    "cursor": "s.cursor.set(5), s.cursor.store(9), s.cursor.load(), s.cursor.find(), s.cursor.check()",
    "find_slot": "XArrayCursor()(s.pages, s.arena)",
    "bench": "time_loop('bare', s.arena.frames, s.pairs)",
}
AGAINST_CLOSE = """
sys.setswitchinterval(1e-5)
for name, call in CALLS.items():
    print(name, flush=True)
    code = compile(call, name, "eval")
    for turn in range(3):
        s = Scene()
        begun, refused = threading.Event(), threading.Event()
        def work():
            begun.set()
            while not (s.arena.closed or refused.is_set()):
                try:
                    eval(code)
                except (ArenaError, ValueError, LookupError, OSError):
                    pass  # closed; full, or done already by the call before
        thread = threading.Thread(target=work)
        thread.start()
        begun.wait()
        time.sleep(0.0005 * turn)
        end = time.monotonic() + 20
        while True:
            try:
                s.arena.close()
                break
            except BufferError as error:  # a view, or the call
                assert "calls are still at work" in str(error) or "views of the arena" in str(error), error
                assert time.monotonic() < end, f"{name}: never closed: {error}"
                refused.set()
                time.sleep(0.001)
        thread.join()
print("all")
"""


def test_no_call_loses_the_arena_to_another_threads_close() -> None:
    said = run_python(SETUP + f"CALLS = {CALLS!r}\n" + AGAINST_CLOSE, timeout=300)
    assert said.splitlines()[-1] == "all"


class Closing:
    """A number that closes the arena when it is asked for."""

    def __init__(self, arena: Region, number: int = 1) -> None:
        self.arena, self.number = arena, number

    def __index__(self) -> int:
        self.arena.close()
        return self.number

    def __array__(self, dtype: object = None, copy: object = None) -> object:
        self.arena.close()
        return np.array([self.number])


@pytest.mark.parametrize(
    "call",
    [
        lambda a, n: a.alloc(0, n),
        lambda a, n: a.alloc(n),
        lambda a, n: a.alloc(0, 1, n),
        lambda a, n: a.free(n),
        lambda a, n: a.reserve_frames(n),
        lambda a, n: a.get(n),
        lambda a, n: a.put(n),
        lambda a, n: a.pin(n),
        lambda a, n: a.unpin(n),
        lambda a, n: a.lock(n),
        lambda a, n: a.unlock(n),
        lambda a, n: a.expected_refs(n),
        lambda a, n: a.set_flags(n, 4),
        lambda a, n: a.clear_flags([1], n),
        lambda a, n: a.new_mapping(shmem=n),
        lambda a, n: a.cache_add(0, n, [1]),
        lambda a, n: a.cache_add(n, [1], [1]),
        lambda a, n: a.cache_load(0, n),
        lambda a, n: a.cache_remove(0, n),
        lambda a, n: a.set_private([1], n),
        lambda a, n: a.map(0, n, [1]),
        lambda a, n: a.map(n, [1], [1]),
        lambda a, n: a.unmap(0, n),
        lambda a, n: a.translate(n, 3),
        lambda a, n: a.exchange(n),
        lambda a, n: setattr(a, "fail_alloc", n),
        lambda a, n: XArray(a, n),
        lambda a, n: XArray(a).store(n, 1),
        lambda a, n: XArray(a).bulk_store(n, [1]),
        lambda a, n: Cursor(XArray(a)).set(n),
    ],
)
def test_a_number_that_closes_the_arena_is_an_error_at_most(call: object) -> None:
    """The call had checked that the arena is open, and then asked for the number."""
    arena = Arena.create([("fast", 64), ("slow", 64)])
    arena.new_mapping()
    arena.new_space()
    with contextlib.suppress(ArenaError, BufferError, TypeError, ValueError, LookupError):
        call(arena, Closing(arena))  # type: ignore[operator]
    arena.close()


def test_close_is_refused_in_a_call_and_says_so() -> None:
    arena = Arena.create([("fast", 64), ("slow", 64)])
    with pytest.raises(BufferError, match="1 calls are still at work on the arena"):
        arena.cache_add(arena.new_mapping(), Closing(arena), [0])  # type: ignore[arg-type]
    assert not arena.closed
    arena.close()


def test_a_cursor_that_carries_an_error_outlives_its_arena() -> None:
    arena = Arena.create([("fast", 64), ("slow", 64)])
    cursor = Cursor(XArray(arena))
    cursor.set_error(12)
    arena.close()
    with pytest.raises(ArenaError, match="closed"):
        cursor.check()


# ---- the file --------------------------------------------------------------------------------------------------------

FILE = """
import os, signal, sys, threading, time
from pagexchange_native.arena.region import Region
from tests.native.conftest import LAYOUT
class Mine(Region):
    pass
arena = Mine.create(nodes=[("fast", 8), ("slow", 8)], layout=LAYOUT, path=sys.argv[1])
def work(arena):
    time.sleep(100)
"""


@pytest.mark.parametrize(
    ("end", "code", "stays"),
    [
        ("", 0, False), ("sys.exit(3)", 3, False), ("1 / 0", 1, False),
        ("os.kill(os.getpid(), signal.SIGINT)", -2, False),  # Python ends by the signal
        ("view = arena.frames", 0, False), ("arena.me = arena.frames", 0, False),
        ("threading.Thread(target=work, args=[arena], daemon=True).start(); time.sleep(0.1)", 0, False),
        ("os.rename(sys.argv[1], sys.argv[1] + '2'); open(sys.argv[1], 'w').close()", 0, True),
        ("os.fork() or sys.exit(0); os.wait(); assert os.path.exists(sys.argv[1])", 0, False),
        ("os._exit(0)", 0, True), ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", -15, True),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); os.kill(os.getpid(), signal.SIGTERM)", 143, False),
    ],
)  # fmt: skip
def test_the_file_goes_with_the_interpreter(tmp_path: Path, end: str, code: int, stays: bool) -> None:
    path = tmp_path / "arena"
    run_python(FILE + end, str(path), returncode=code)
    assert path.exists() == stays


def test_what_a_killed_process_left_is_told_from_what_a_running_one_has(tmp_path: Path) -> None:
    path = tmp_path / "arena"
    run_python(FILE + "os.kill(os.getpid(), signal.SIGKILL)", str(path), returncode=-signal.SIGKILL)
    with pytest.raises(ArenaAccessError, match="left behind when it was killed, and nobody uses it: remove it"):
        Arena.create([("fast", 8), ("slow", 8)], path=path)
    path.unlink()
    with Arena.create([("fast", 8), ("slow", 8)], path=path):
        with pytest.raises(ArenaAccessError, match=f"the arena of process {os.getpid()}, which uses it now"):
            Arena.create([("fast", 8), ("slow", 8)], path=path)
        assert path.exists()
    os.mkfifo(path)
    with pytest.raises(ArenaAccessError, match="it is no arena; want a path"):
        Arena.create([("fast", 8), ("slow", 8)], path=path)


# ---- a forked child --------------------------------------------------------------------------------------------------

FORK = """
import os, sys
import numpy as np
from pagexchange_native.arena.region import Region
from tests.native.conftest import LAYOUT
arena = Region.create(nodes=[("fast", 8), ("slow", 8)], layout=LAYOUT)
frames, other = arena.frames, np.zeros(8)
child = os.fork()
if child == 0:
    HERE
    os._exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, int(frames[3, 3]))
"""
READS = "frames[3, 3]"
MESSAGE = "a view of an arena that was made before fork() was used in the child"


@pytest.mark.parametrize(
    ("here", "code", "told"),
    [
        (READS, -11, True), ("frames[3, 3] = 7", -11, True),
        ("own = Region.create(nodes=[('fast', 9)], layout=LAYOUT); own.frames[:] = 5; frames[3, 3] = 7", -11, True),
        ("os.fork() or frames[3, 3]; sys.exit(os.waitstatus_to_exitcode(os.wait()[1]) + 20)", 9, True),
        ("os.kill(os.getpid(), 11)", -11, False), ("import ctypes; ctypes.string_at(8)", -11, False),
        ("other[:] = 3; assert arena.forked", 0, False),
    ],
)  # fmt: skip
def test_a_view_from_before_a_fork_says_what_is_wrong(here: str, code: int, told: bool) -> None:
    """It was signal 11, and no word; and a new mapping could lie where the old view writes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # A sanitizer is not to report it either.
    environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0"
    command = [sys.executable, "-c", FORK.replace("HERE", here)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout.split() == [str(code), "0"], done.stderr
    assert done.stderr.count(MESSAGE) == told
    assert done.stderr.count("spawn") == told
