"""Row P11: memory that breaks while a page is moved costs what lay in it, and nothing else.

A broken page is made by laying the mapping of an empty file over it: whoever touches it gets SIGBUS, as with memory
that the machine has taken out of use."""

import ctypes
import errno
import mmap
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.errors import ArenaFullError
from pagexchange.model.statuses import EHWPOISON
from pagexchange.oracle import check
from tests.stepping import Stepped

CHILD = Path(__file__).with_name("dying_memory_child.py")
TOLD_THE_PAGE = Path(__file__).parents[1] / "faults/told_the_page.c"
PIECE = 4096  # what breaks at once
MOVERS = ["list-exchange", "word-swap", "rfc-2019", "copy-page"]


def lay_over(arena: Arena, pfn: int, piece: int, fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.mmap.restype = ctypes.c_void_p
    at = int(arena.frames.ctypes.data + pfn * arena.page_size + piece * PIECE) & -PIECE
    made = libc.mmap(at, PIECE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | 0x10, fd, 0)  # MAP_FIXED
    assert made == at, os.strerror(ctypes.get_errno())


def break_memory(arena: Arena, pfn: int, piece: int = 0) -> None:
    fd = os.memfd_create("empty")
    lay_over(arena, pfn, piece, fd)
    os.close(fd)


def make(page_size: int = 4096, n: int = 10, order: int = 0) -> tuple[Arena, np.ndarray, np.ndarray]:
    """An arena and n pairs of pages, each filled with words of its own."""
    arena = Arena.create(nodes=[("fast", 64 << order), ("slow", 64 << order)], page_size=page_size)
    fast, slow = arena.alloc("fast", n, order=order), arena.alloc("slow", n, order=order)
    for pfn in (*fast, *slow):
        arena.frames[pfn : pfn + (1 << order)] = content(arena, pfn, order)
    return arena, fast, slow


def content(arena: Arena, pfn: int, order: int = 0) -> np.ndarray:
    words = arena.page_size // 8 << order
    return (np.arange(words, dtype=np.uint64) + np.uint64(pfn * 1000003)).reshape(1 << order, -1)


def poisoned(arena: Arena) -> list[int]:
    return [pfn for pfn in range(arena.nframes) if "hwpoison" in arena.frame(pfn).flags]


def holds(arena: Arena, frame: int, page: int, order: int = 0) -> bool:
    return np.array_equal(arena.frames[frame : frame + (1 << order)], content(arena, page, order))


@pytest.mark.parametrize("strategy", [*MOVERS, "numpy"])
@pytest.mark.parametrize("side", ["fast", "slow"])
@pytest.mark.parametrize("at", [0, 4, 9])
def test_one_broken_frame_refuses_its_pair_and_the_others_are_exchanged(strategy: str, side: str, at: int) -> None:
    arena, fast, slow = make()
    broken, whole = (fast[at], slow[at]) if side == "fast" else (slow[at], fast[at])
    break_memory(arena, broken)
    result = arena.exchange(np.column_stack([fast, slow]), strategy)
    assert result.status.tolist() == [-EHWPOISON if i == at else 0 for i in range(10)]
    why = f"EHWPOISON: frame {broken} has a memory error; free it, and it goes offline"
    assert result.messages() == [f"pair {at} (pfn {fast[at]} <-> {slow[at]}): {why}"]
    assert poisoned(arena) == [broken]
    assert holds(arena, whole, whole)
    for i in set(range(10)) - {at}:
        assert holds(arena, fast[i], slow[i])
        assert holds(arena, slow[i], fast[i])
    assert check(arena) == []


@pytest.mark.parametrize("strategy", MOVERS)
@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("piece", [0, 1, "last"])
@pytest.mark.parametrize("side", ["fast", "slow"])
def test_what_was_moved_before_the_error_is_moved_back(strategy: str, order: int, piece: int | str, side: str) -> None:
    arena, fast, slow = make(n=3, order=order)
    number = (1 << order) - 1 if piece == "last" else int(piece)
    broken, whole = (fast[1], slow[1]) if side == "fast" else (slow[1], fast[1])
    break_memory(arena, broken + number)
    status = arena.exchange(np.column_stack([fast, slow]), strategy).status
    assert status.tolist() == [0, -EHWPOISON, 0]
    assert poisoned(arena) == sorted({int(broken), int(broken) + number})
    assert holds(arena, whole, whole, order)
    rest = [i for i in range(1 << order) if i != number]
    assert np.array_equal(arena.frames[broken : broken + (1 << order)][rest], content(arena, broken, order)[rest])
    assert holds(arena, fast[0], slow[0], order)
    assert holds(arena, slow[2], fast[2], order)
    assert check(arena) == []


@pytest.mark.parametrize("strategy", MOVERS)
@pytest.mark.parametrize("side", ["fast", "slow"])
def test_a_page_of_a_file_is_found_where_it_was_when_it_cannot_be_moved(strategy: str, side: str) -> None:
    """Its slot may not lead to the new frame before the data are there: they never come."""
    arena, fast, slow = make(n=3)
    file = arena.new_mapping("file")
    arena.cache_add(file, np.arange(6), [*fast, *slow])
    break_memory(arena, (fast if side == "fast" else slow)[1])
    assert arena.exchange(np.column_stack([fast, slow]), strategy).status.tolist() == [0, -EHWPOISON, 0]
    found = [arena.cache_load(file, index) for index in range(6)]
    assert found == [slow[0], fast[1], slow[2], fast[0], slow[1], fast[2]]
    assert check(arena) == []


@pytest.mark.parametrize("piece", [0, 5, 31, 32, 63])
def test_a_folio_that_threads_share_is_put_back_in_all_its_ranges(piece: int) -> None:
    arena, fast, slow = make(n=2, order=6)
    break_memory(arena, int(slow[0]) + piece)
    result = arena.exchange([[fast[0], slow[0]]], "list-exchange", threads=4)
    assert result.status.tolist() == [-EHWPOISON]
    assert holds(arena, fast[0], fast[0], 6)
    rest = [i for i in range(64) if i != piece]
    assert np.array_equal(arena.frames[slow[0] : slow[0] + 64][rest], content(arena, slow[0], 6)[rest])
    assert arena.exchange([[fast[1], slow[1]]], "list-exchange", threads=4).ok
    assert check(arena) == []


def test_several_broken_frames_in_several_batches_and_threads() -> None:
    arena = Arena.create(nodes=[("fast", 600), ("slow", 600)])
    fast, slow = arena.alloc("fast", 600), arena.alloc("slow", 600)
    arena.frames[fast], arena.frames[slow] = fast[:, None], slow[:, None]
    bad = [0, 1, 127, 128, 129, 300, 301, 302, 599]
    for i in bad:
        break_memory(arena, slow[i] if i % 2 else fast[i])
    status = arena.exchange(np.column_stack([fast, slow]), threads=3).status
    assert np.flatnonzero(status).tolist() == bad
    good = np.setdiff1d(np.arange(600), bad)
    assert (arena.frames[fast[good]] == slow[good, None]).all()
    assert (arena.frames[slow[good]] == fast[good, None]).all()
    assert check(arena) == []


def test_both_frames_broken() -> None:
    arena, fast, slow = make(n=2)
    break_memory(arena, fast[0])
    break_memory(arena, slow[0])
    assert arena.exchange(np.column_stack([fast, slow])).status.tolist() == [-EHWPOISON, 0]
    assert int(fast[0]) in poisoned(arena)


def test_a_marked_frame_is_refused_without_being_touched_and_goes_offline_when_freed() -> None:
    arena, fast, slow = make()
    break_memory(arena, slow[3])
    pairs = np.column_stack([fast, slow])
    arena.exchange(pairs)
    assert arena.exchange(pairs).status.tolist() == [0, 0, 0, -EHWPOISON, *[0] * 6]
    arena.free(slow)
    assert arena.frame(slow[3]).state == "offline"
    assert check(arena) == []
    rest = arena.alloc("slow", 63)
    assert slow[3] not in rest
    with pytest.raises(ArenaFullError):
        arena.alloc("slow", 1)
    assert arena.exchange([[fast[0], slow[3]]]).status.tolist() == [-errno.ENXIO]
    assert poisoned(arena) == [int(slow[3])]


def test_a_broken_temporary_page_costs_its_pair_a_retry_and_no_data() -> None:
    arena, fast, slow = make()
    temp = int(arena.alloc("fast", 1)[0])
    arena.free([temp])  # the next one to be taken
    break_memory(arena, temp)
    pairs = np.column_stack([fast, slow])
    assert arena.exchange(pairs[:1], "copy-page").status.tolist() == [-11]  # EAGAIN
    assert arena.frame(temp).state == "offline"
    assert holds(arena, fast[0], fast[0])
    assert holds(arena, slow[0], slow[0])
    assert arena.exchange(pairs, "copy-page").ok
    assert check(arena) == []


# ---- frames that are smaller than the machine's page -----------------------------------------------------------------

SMALL = [1024, 2048]
OWN = [*MOVERS, "numpy"]


@pytest.mark.parametrize("strategy", OWN)
@pytest.mark.parametrize("page_size", SMALL)
@pytest.mark.parametrize("side", ["fast", "slow"])
def test_frames_of_one_broken_page_are_refused_when_they_are_touched(strategy: str, page_size: int, side: str) -> None:
    arena, fast, slow = make(page_size)
    hit, per = (fast if side == "fast" else slow), PIECE // page_size
    break_memory(arena, hit[5])
    together = {i for i in range(10) if hit[i] // per == hit[5] // per}
    assert len(together) == per
    assert arena.exchange([[fast[5], slow[5]]], strategy).status.tolist() == [-EHWPOISON]
    assert poisoned(arena) == [hit[5]]  # the others are as broken, and nobody has been there
    result = arena.exchange(np.column_stack([fast, slow]), strategy)
    assert result.status.tolist() == [-EHWPOISON if i in together else 0 for i in range(10)]
    assert poisoned(arena) == sorted(int(hit[i]) for i in together)
    healthy = slow if side == "fast" else fast
    for i in range(10):
        if i in together:
            assert holds(arena, healthy[i], healthy[i])
        else:
            assert holds(arena, fast[i], slow[i])
            assert holds(arena, slow[i], fast[i])
    assert check(arena) == []


@pytest.mark.parametrize("strategy", MOVERS)
def test_two_small_frames_of_one_broken_page_trade_nothing(strategy: str) -> None:
    arena, fast, _ = make(1024)
    break_memory(arena, fast[4])
    assert arena.exchange([[fast[4], fast[6]], [fast[0], fast[1]]], strategy).status.tolist() == [-EHWPOISON, 0]
    assert set(poisoned(arena)) & {int(fast[4]), int(fast[6])}
    assert check(arena) == []


@pytest.fixture(scope="session")
def told_the_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library to preload: of each broken page the first report names the page, as the kernel's does."""
    compiler = shutil.which("cc") or shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])
    if compiler is None:
        pytest.skip("needs a C compiler")
    made = tmp_path_factory.mktemp("told") / "told_the_page.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, TOLD_THE_PAGE, "-ldl"], check=True)
    return str(made)


@pytest.mark.plain_build
@pytest.mark.parametrize("strategy", OWN)
def test_the_frame_is_found_when_linux_names_the_page_alone(
    strategy: str, told_the_page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", told_the_page)
    code = f"""
        from tests.core.test_memory_error import PIECE, holds, poisoned
        from pagexchange.oracle import check
        arena, fast, slow = make(1024)
        # Of the pair itself, of the one before it in the list, and of one that nobody moves.
        for hit, of in ((slow[6], [[fast[6], slow[6]]]), (fast[3], [[fast[2], slow[2]], [fast[3], slow[3]]])):
            break_memory(arena, hit)
            before = set(poisoned(arena))
            status = arena.exchange(of, "{strategy}").status.tolist()
            first = next(i for i, pair in enumerate(of) if min(pair) // 4 == hit // 4 or max(pair) // 4 == hit // 4)
            assert status == [0] * first + [-133] * (len(of) - first), status
            touched = {{int(p) for pair in of for p in pair if p // 4 == hit // 4}}
            assert set(poisoned(arena)) - before == touched, (poisoned(arena), touched)
            assert all(holds(arena, p, p) for pair in of for p in pair if p // 4 != hit // 4)
        assert check(arena) == []
        print("found")
    """
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "found\n"), done.stderr


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, for what is meant to end it."""
    begin = """
        import os, signal, sys, time
        import numpy as np
        import pagexchange
        from tests.core.test_memory_error import break_memory, make
        arena, fast, slow = make()
        pairs = np.column_stack([fast, slow])
        assert arena.exchange(pairs).ok  # the guard is in place
    """
    program = textwrap.dedent(begin) + textwrap.dedent(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, *options, "-c", program], capture_output=True, text=True, cwd=root, env=environment, timeout=60
    )


def test_a_memory_error_outside_of_an_exchange_still_ends_the_process() -> None:
    assert run("break_memory(arena, fast[0]); arena.frames[fast[0]].sum()").returncode == -signal.SIGBUS


def test_a_signal_that_somebody_sent_still_ends_the_process() -> None:
    assert run("os.kill(os.getpid(), signal.SIGBUS); signal.pause()").returncode == -signal.SIGBUS


def test_a_fault_handler_that_was_there_still_reports() -> None:
    done = run("break_memory(arena, fast[0]); arena.frames[fast[0]].sum()", "-X", "faulthandler")
    assert done.returncode == -signal.SIGBUS
    assert "Bus error" in done.stderr


def test_a_handler_set_later_does_not_disarm_the_guard() -> None:
    code = """
        signal.signal(signal.SIGBUS, lambda *a: os._exit(9))
        time.sleep(0.001)  # who has the signal is not asked in every call
        break_memory(arena, fast[2])
        assert arena.exchange(pairs).status.tolist() == [0, 0, -133, *[0] * 7]
        print("went on")
    """
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr


@pytest.mark.plain_build
@pytest.mark.parametrize("side", ["fast", "slow"])
@pytest.mark.parametrize("strategy", ["list-exchange", "copy-page"])
def test_memory_that_breaks_at_any_instruction_costs_no_unmarked_page(tmp_path: Path, strategy: str, side: str) -> None:
    stores = 4096 // 64  # at least, of one frame
    seen = set()
    for store in (1, stores // 2, stores - 1, 10**9):
        path = tmp_path / "frame"
        path.write_bytes(b"")
        with Stepped(CHILD, str(path), strategy, side) as child:
            changes, last = 0, path.read_bytes()
            while changes < store and child.step():
                now = path.read_bytes()
                changes += now != last
                last = now
            assert changes >= min(store, stores)  # it was stepped through the move
            os.truncate(path, 0)
            code, marked = child.end().split()  # status of its first pair, frames marked: it has checked them
        seen.add((int(code), int(marked)))
    if strategy == "list-exchange":
        assert seen == {(0, 0), (-EHWPOISON, 1), (-EHWPOISON, 2)}  # in place, the healthy page can lose a part
    else:
        assert seen == {(0, 0), (-EHWPOISON, 1)}  # through a temporary page it cannot
