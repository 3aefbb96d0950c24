"""Clocks: time that passes, and time that the calling thread and the whole process had a CPU.

The engine's workers read theirs themselves, see `ExchangeResult.thread_ns`.
"""

from __future__ import annotations

from time import monotonic_ns, process_time_ns, thread_time_ns
from typing import NamedTuple


class Reading(NamedTuple):
    """The clocks at one moment, or what they went on between two; nanoseconds."""

    wall_ns: int
    thread_ns: int
    """CPU time of the calling thread."""
    process_ns: int
    """CPU time of all threads, ended ones too."""


def start() -> Reading:
    """Read the clocks before something: the wall clock first, so that it encloses the others."""
    return Reading(monotonic_ns(), thread_time_ns(), process_time_ns())


def since(before: Reading) -> Reading:
    """Read the clocks after it: what they went on since `start`, in the same thread."""
    process, thread, wall = process_time_ns(), thread_time_ns(), monotonic_ns()
    return Reading(wall - before.wall_ns, thread - before.thread_ns, process - before.process_ns)


def cpu_within(wall_ns: int, around: Reading, beside_ns: int) -> int:
    """Return the CPU time of a part, by its wall time and by what the clocks went on around it, in the whole process.

    Parameters
    ----------
    beside_ns
        What lies around the part takes so much of either clock when nobody is in the way: the least that was seen. The
        engine's work has Python's around it, of a short list as much again.
    """
    return max(around.process_ns - min(around.wall_ns - wall_ns, beside_ns), 0)
