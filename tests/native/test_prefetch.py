"""What the loops fetch ahead, seen by single-stepping: which hint, and which addresses."""

import ctypes
import os
import platform
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.testing.scene.stepping import Stepped, stop_for_parent
from pagexchange_native.bench import time_loop
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.movers.list_exchange import ListExchange
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord

pytestmark = [
    pytest.mark.plain_build,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 instructions"),
]

PAGE, LINE = 4096, 64
PTRACE_GETREGS: Final = 12
# Places in struct user_regs_struct: the registers by their numbers in instructions, and the program counter.
NUMBERED: Final = (10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0)
COUNTER, KEPT = 16, 27
HINTS: Final = {
    (0x18, 0): "nta", (0x18, 1): "t0", (0x18, 2): "t1", (0x18, 3): "t2", (0x0D, 0): "prefetch", (0x0D, 1): "w",
}  # fmt: skip

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def hint(code: bytes, registers: Sequence[int]) -> tuple[str, int] | None:
    """The name and the address of a prefetch instruction; None for another one."""
    rex = code[0] if code[0] & 0xF0 == 0x40 else 0
    code = code[1:] if rex else code
    if code[0] != 0x0F or code[1] not in (0x18, 0x0D) or code[2] >= 0xC0:
        return None
    mode, low = code[2] >> 6, code[2] & 7
    address, at = 0, 3
    if low == 4:  # a scaled index
        scale, index, low = code[3] >> 6, code[3] >> 3 & 7 | (rex & 2) << 2, code[3] & 7
        address, at = (registers[NUMBERED[index]] << scale if index != 4 else 0), 4
    address += registers[NUMBERED[low | (rex & 1) << 3]]
    size = (0, 1, 4)[mode]
    address += int.from_bytes(code[at : at + size], "little", signed=True)
    return HINTS[code[1], code[2] >> 3 & 7], address % (1 << 64)


def fetched(prepare: Callable[[], Callable[[], object]]) -> list[tuple[str, int]]:
    """Run what `prepare` returns in a child, an instruction at a time; every hint that it came to."""
    pid = os.fork()
    if pid == 0:
        try:
            work = prepare()
            stop_for_parent()
            work()
            os.kill(os.getpid(), signal.SIGSTOP)
        finally:
            os._exit(1)
    found = []
    registers = (ctypes.c_uint64 * KEPT)()
    with Stepped(pid) as child, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        while child.step():
            assert libc.ptrace(PTRACE_GETREGS, pid, None, registers) == 0
            if seen := hint(os.pread(memory.fileno(), 16, registers[COUNTER]), list(registers)):
                found.append(seen)
    return found


def lines_of(frames: np.ndarray, pair: np.ndarray) -> list[tuple[str, int]]:
    """A hint for each line of the first base page of both folios."""
    start = frames.ctypes.data
    return sorted(("t1", start + int(frame) * PAGE + line) for frame in pair for line in range(0, PAGE, LINE))


def fetched_by_loop(loop: str, frames: np.ndarray, pairs: np.ndarray, order: int = 0) -> list[tuple[str, int]]:
    """The hints of a bare loop, those of its frames alone."""
    found = fetched(lambda: lambda: time_loop(loop, frames, pairs, prefetch=True, order=order))
    start, end = frames.ctypes.data, frames.ctypes.data + frames.nbytes
    return sorted(seen for seen in found if start <= seen[1] < end)


@pytest.mark.parametrize("loop", ["undo", "bare", "bare-two", "read"])
def test_a_page_is_fetched_while_the_next_but_one_before_it_moves(loop: str) -> None:
    frames = np.ones((12, PAGE // 8), np.uint64)
    pairs = np.array([[0, 6], [8, 2], [4, 10]], dtype=np.int64)
    assert fetched_by_loop(loop, frames, pairs) == lines_of(frames, pairs[2])


def test_of_a_large_folio_only_the_first_base_page_is_fetched() -> None:
    frames = np.ones((12, PAGE // 8), np.uint64)
    pairs = np.array([[8, 2], [4, 10]], dtype=np.int64)
    assert fetched_by_loop("undo", frames, pairs, order=1) == lines_of(frames, pairs[1])


def test_neighbours_are_left_to_the_hardware() -> None:
    frames = np.ones((12, PAGE // 8), np.uint64)
    for order, both_sides in (0, [[4, 11], [0, 6], [1, 7]]), (1, [[0, 6], [2, 8]]):
        assert fetched_by_loop("undo", frames, np.array(both_sides, dtype=np.int64), order) == []
    for one_side in ([[4, 11], [0, 6], [1, 8]], [[4, 11], [0, 6], [2, 7]]):
        pairs = np.array(one_side, dtype=np.int64)
        assert fetched_by_loop("undo", frames, pairs) == lines_of(frames, pairs[-1])


def hints_of(mover: DataMover, n: int = 3, order: int = 0) -> int:
    """How many an exchange of some pairs comes to, in the engine and in the mover."""

    def prepare() -> Callable[[], object]:
        arena = Arena.create(nodes=[("fast", n << order), ("slow", n << order)], watermarks=(0, 0, 0))
        fast, slow = arena.alloc("fast", n, order), arena.alloc("slow", n, order)
        pairs = np.ascontiguousarray(np.column_stack([fast, slow[::-1]]))
        engine = Exchanger(arena, MaskedWord(arena.layout.native()["swap"]), [mover], XArrayCursor())
        status = np.ones(n, np.int32)
        engine.exchange(pairs, status)  # every page is there, everything is bound
        assert not status.any()
        return lambda: engine.exchange(pairs, status)

    return len(fetched(prepare))


def test_a_list_exchange_fetches_ahead_and_a_word_swap_does_not() -> None:
    alone = hints_of(WordSwap())
    assert hints_of(ListExchange(prefetch=False)) == alone
    assert hints_of(ListExchange()) == alone + 2 * PAGE // LINE


def test_the_tails_of_a_folio_are_fetched_two_pairs_ahead() -> None:
    of_pages, of_folios = (hints_of(WordSwap(), 5, order) for order in (0, 2))
    assert of_folios == of_pages + (5 - 2) * 2 * 3
