"""Two threads at once against one: pinned to two CPUs, and counted only while both really ran."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.cells import NULL, cell, spent
from benchmarks.ratios import LEAST
from pagexchange.bench.affinity import usable
from pagexchange.bench.scenes import Scene

SLICES = 16
"""Calls that a thread makes one after the other before the two meet again."""
PAIRS = {NULL: 4096}
"""Pairs of one slice, one or two milliseconds: it should end before the scheduler gives the CPU to somebody else."""
SOME = 1024
CLEAN = 0.95
"""Least share of its wall time that a slice must have had the CPU."""
COVERED = 0.90
"""Least share of a slice in which the other thread was at work in clean slices of its own."""
ENOUGH = 3
"""Clean slices that a round needs of each kind."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One call in one thread, by the monotonic clock."""

    start: int
    end: int
    cpu: int
    """Nanoseconds of CPU time."""

    @property
    def wall(self) -> int:
        """Nanoseconds from start to end."""
        return self.end - self.start

    @property
    def clean(self) -> bool:
        """Whether the thread was not preempted."""
        return self.cpu >= CLEAN * self.wall


def overlapped(mine: Iterable[Slice], others: Iterable[Slice]) -> list[Slice]:
    """Return my clean slices during which the other thread worked, too."""
    theirs = [other for other in others if other.clean]

    def shared(one: Slice) -> int:
        return sum(max(0, min(one.end, other.end) - max(one.start, other.start)) for other in theirs)

    return [one for one in mine if one.clean and shared(one) >= COVERED * one.wall]


class Duo:
    """Two threads, each pinned to a CPU of its own, that exchange pairs of two halves of a scene."""

    def __init__(self, scene: Scene, name: str, cpus: tuple[int, int]) -> None:
        half = len(scene.sides[0]) // 2
        self._scene = scene
        self._parts = (slice(0, half), slice(half, 2 * half))
        self._name, self._cells = name, [cell(scene, name) for _ in cpus]
        self._pairs = PAIRS.get(name, SOME)
        self._threads = [ThreadPoolExecutor(1, initializer=os.sched_setaffinity, initargs=(0, {cpu})) for cpu in cpus]

    def close(self) -> None:
        """End both threads."""
        for thread in self._threads:
            thread.shutdown()

    def alone(self, number: int) -> list[Slice]:
        """Return clean slices of one thread."""
        return [one for one in self._burst(number)[0] if one.clean]

    def together(self) -> list[Slice]:
        """Return clean slices of both threads, both at work all the time."""
        first, second = self._burst(0, 1)
        return overlapped(first, second) + overlapped(second, first)

    def _burst(self, *who: int) -> list[list[Slice]]:
        lists = {n: np.split(self._scene.draw_one(SLICES * self._pairs, self._parts[n]), SLICES) for n in who}
        meet = threading.Barrier(len(who))

        def calls(number: int) -> list[Slice]:
            mine, slices = self._cells[number], []
            meet.wait()
            for pairs in lists[number]:
                start = time.perf_counter_ns()
                cpu = spent(mine, [pairs], self._name)
                slices.append(Slice(start, time.perf_counter_ns(), cpu))
            return slices

        return [call.result() for call in [self._threads[n].submit(calls, n) for n in who]]


def _median(burst: Callable[[], list[Slice]], deadline: float) -> float | None:
    """Return the median wall time of enough slices, or None when time is up."""
    slices: list[Slice] = []
    while len(slices) < ENOUGH:
        if time.monotonic() > deadline:
            return None
        slices += burst()
    return statistics.median(one.wall for one in slices)


def two_against_one(scene: Scene, name: str, rounds: int, seconds: float) -> tuple[list[float], list[float]] | str:
    """Return time per pair with two threads and with one, by round; or why there is none.

    Each round has slices of either thread alone and of both. Both exchange twice the pairs in the time of one.
    """
    cpus = usable()
    if len(cpus) < 2:
        return "one CPU: two threads cannot run at once"
    duo = Duo(scene, name, (cpus[0], cpus[1]))
    bursts = (lambda: duo.alone(0), lambda: duo.alone(1), duo.together)
    two: list[float] = []
    one: list[float] = []
    deadline = time.monotonic() + seconds
    try:
        duo.together()  # warms up
        while len(two) < rounds:
            first, second, both = (_median(burst, deadline) for burst in bursts)
            if first is None or second is None or both is None:
                break
            one.append((first + second) / 2)
            two.append(both / 2)
    finally:
        duo.close()
    if len(two) < LEAST:
        return f"both threads had a CPU at the same time in {len(two)} of {rounds} rounds in {seconds:g} s"
    return two, one
