"""One turn of a cell: some lists, one call each, and the clocks around them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import msgspec

from pagexchange.bench.scenes import Pairs


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one turn. Times are nanoseconds."""

    calls: int
    pairs: int
    exchanged: int
    wall_ns: int
    cpu_ns: int
    """Of all threads of the process."""
    threads: list[tuple[int, int]] = []
    """(wall, cpu) of each thread, where they can be told apart."""
    parts: dict[str, float] = {}
    """Cost split, of all calls."""
    call_ns: list[int] = []
    """Wall time of each call."""


class Cell(Protocol):
    """What is timed, on the pages of a scene."""

    def turn(self, lists: Sequence[Pairs]) -> Turn:
        """Do all lists, timed."""
        ...

    def check(self, pairs: Pairs) -> dict[str, Any]:
        """Do one list, and say what became of the pages: fields of `samples.schema.Cell`.

        Raises
        ------
        WrongError
            They are not as they must be.
        """
        ...


class WrongError(Exception):
    """Pages are not as an exchange leaves them."""


def timed(call: Callable[[Pairs], object], lists: Sequence[Pairs], one_thread: bool = True) -> tuple[list[int], int]:
    """Call for each list; return the wall time of each call and the CPU time of all.

    One reading of the clock lies between two calls, some 60 ns with the loop: it is in both.
    """
    cpu = time.thread_time_ns if one_thread else time.process_time_ns
    now = time.perf_counter_ns
    marks = [0] * (len(lists) + 1)
    start = cpu()
    marks[0] = now()
    for number, pairs in enumerate(lists, 1):
        call(pairs)
        marks[number] = now()
    spent = cpu() - start
    return [after - before for before, after in pairwise(marks)], spent
