"""What the undo record costs calls that change structure, against what it may: 40 ns a page, or a tenth of the rest.

There is no engine without the record to compare with. So the words that a call saves are counted on a real call, and as
many stores are timed with saving and without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import RECORDS
from pagexchange.arena.arena import Arena
from pagexchange.oracle.format import SLOT
from pagexchange_native.bench import time_record

Pfns = NDArray[np.int64]
PAGES = 4096
OPERATIONS = 4096
SINGLE = 64
"""Calls of one page in which the saved words are counted."""
LEAST_NS, SHARE = 40.0, 0.10
_MARK = np.uint64(2**64 - 1)


def allowed(call_ns: float, record_ns: float) -> float:
    """Return what the record of a call may cost, in ns: the larger of 40 ns and a tenth of the call without it."""
    return max(LEAST_NS, SHARE * (call_ns - record_ns))


def saved_words(arena: Arena, call: Callable[[], object]) -> int:
    """Count the words that a call of one page saves: places of the undo records that it has written to.

    Where a call has several sections, one after the other, the longest counts.
    """
    offset, count, size = arena.geometry()["slots"]
    slots = arena.memory[offset : offset + count * size].view(SLOT)
    records = [slots[name]["where"] for name in ("saved", "saved_node")]
    for where in records:
        where[:] = _MARK
    call()
    return sum(int(np.count_nonzero(where != _MARK)) for where in records)


class Calls:
    """The calls in an order in which each finds its pages, on an arena of their own."""

    def __init__(self, seed: int) -> None:
        self.arena = Arena.create(nodes={"fast": "64 MiB"}, watermarks=(0, 0, 0))
        self._rng = np.random.default_rng(seed)
        self._file, self._space = self.arena.new_mapping("bench"), self.arena.new_space("bench")

    def turn(self, pages: int) -> Iterator[tuple[str, Callable[[], object]]]:
        """Give each call once, to be made before the next is asked for; the pages lie at random places of the file."""
        arena, places = self.arena, self._rng.permutation(4 * PAGES)[:pages]
        one_by_one = places.tolist()
        pfns: list[Pfns] = []
        for add, remove in (
            (
                lambda: arena.cache_add(self._file, places, pfns[-1]),
                lambda: [arena.cache_remove(self._file, i) for i in one_by_one],
            ),
            (
                lambda: arena.map(self._space, places, pfns[-1]),
                lambda: [arena.unmap(self._space, i) for i in one_by_one],
            ),
        ):
            yield "alloc", lambda: pfns.append(arena.alloc("fast", pages))
            yield ("cache_add" if len(pfns) == 1 else "map"), add
            yield ("cache_remove" if len(pfns) == 1 else "unmap"), remove
        pfns.append(arena.alloc("fast", pages))
        yield "free", lambda: arena.free(pfns[-1])


def records(rounds: int, seed: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return the record's cost and what is allowed, in ns per page, by round, for each key of `RECORDS`."""
    calls = Calls(seed)
    words: dict[str, list[int]] = {name: [] for name in RECORDS}
    for _ in range(SINGLE):
        for name, call in calls.turn(1):
            words[name].append(saved_words(calls.arena, call))
    cost: dict[str, list[float]] = {name: [] for name in RECORDS}
    most: dict[str, list[float]] = {name: [] for name in RECORDS}
    for _ in range(rounds):
        for name, call in calls.turn(PAGES):
            start = time.thread_time_ns()
            call()
            call_ns = (time.thread_time_ns() - start) / PAGES
            n = round(float(np.mean(words[name])))
            spent = [time_record(n, OPERATIONS, save=save) / OPERATIONS for save in (True, False)]
            cost[name].append(spent[0] - spent[1])
            most[name].append(allowed(call_ns, cost[name][-1]))
    return {name: (cost[name], most[name]) for name in RECORDS}
