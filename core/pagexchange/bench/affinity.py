"""Which CPUs a cell gets: always the same ones, so that its caches are its own, and never those of the load."""

from __future__ import annotations

import os


def usable() -> list[int]:
    """CPUs that this process may use, ascending."""
    return sorted(os.sched_getaffinity(0))


def cpus_for(threads: int) -> list[int]:
    """The last ones: the first serve most of the interrupts."""
    return usable()[-threads:]


def others(taken: list[int]) -> list[int]:
    """CPUs beside those."""
    return [cpu for cpu in usable() if cpu not in taken]
