"""A forked child has no arena: every use says so, none crashes, and the parent's arena stays whole."""

from pathlib import Path

import pytest

from tests.native.arena_state import run_python
from tests.native.test_arena_views import USES

FORK = """
import gc, os, sys
from pagexchange.arena.arena import Arena
from pagexchange.errors import ForkedArenaError
from tests.native.test_arena_views import USES
path = sys.argv[1] if len(sys.argv) > 1 else None
arena = Arena.create([("fast", 64), ("slow", 64)], path=path)
page = int(arena.alloc("fast")[0])
arena.frames[page] = 7

def child(work):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid

def wait(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def test_every_use_in_a_child_is_refused_by_name_and_the_parent_goes_on() -> None:
    code = """
def work():
    for name, use in USES.items():
        try:
            use(arena)
        except ForkedArenaError:
            print(name)
    assert arena.forked and not arena.closed
    print(repr(arena))
    arena.close()
    assert arena.closed
wait(child(work))
print(int(arena.frames[page].sum()), arena.forked)
arena.put(page)
arena.close()
"""
    lines = run_python(FORK + code).splitlines()
    assert lines == [*USES, "<Arena of the parent process>", f"{7 * 512} False"]


@pytest.mark.parametrize("end", ["arena.close()", "global arena; del arena; gc.collect()", "pass"])
def test_a_child_leaves_the_file_and_the_memory_alone(tmp_path: Path, end: str) -> None:
    path = tmp_path / "arena"
    code = f"""
def work():
    {end}
wait(child(work))
print(os.path.exists(path), int(arena.frames[page].sum()))
arena.close()
print(os.path.exists(path))
"""
    assert run_python(FORK + code, str(path)).split() == ["True", str(7 * 512), "False"]


def test_an_arena_that_is_collected_while_the_child_begins_is_the_parents_still(tmp_path: Path) -> None:
    code = """
import gc, os, sys
os.register_at_fork(after_in_child=gc.collect)  # before the arena is told of the fork
from pagexchange.arena.arena import Arena
arena = Arena.create([("fast", 64)], path=sys.argv[1])
gc.disable()
cycle = [arena]
cycle.append(cycle)
del arena, cycle
pid = os.fork()
if pid == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.path.exists(sys.argv[1]))
"""
    assert run_python(code, str(tmp_path / "arena")).split() == ["0", "True"]


def test_a_child_makes_an_arena_of_its_own() -> None:
    code = """
def work():
    with Arena.create([("fast", 64)]) as own:
        own.frames[own.alloc("fast")] = 1
        print(own.forked, own.nodes[0]["free"])
wait(child(work))
"""
    assert run_python(FORK + code).split() == ["False", "63"]


def test_a_child_that_lives_on_does_not_keep_its_dead_parent_alive(tmp_path: Path) -> None:
    # The lock is that of the mapping and of the open file: a child that had either would hold it.
    code = """
from tests.native.test_arena_create import lock_byte
up, ready = os.pipe()
read, write = os.pipe()
def work():
    os.close(write)
    os.write(ready, b"x")
    os.read(read, 1)                         # ends when the parent does
pid = child(work)
os.read(up, 1)
other = os.open(path, os.O_RDWR)
try:
    lock_byte(other)
except BlockingIOError:
    print("held")
arena.close()
lock_byte(other)
print("free")
os.close(write)
wait(pid)
"""
    assert run_python(FORK + code, str(tmp_path / "arena")).split() == ["held", "free"]
