"""Linux's own exchange of two pages: two calls of move_pages(2), one each way, through free frames."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pagexchange.linux.own_pages import Numbers, OwnPages
from pagexchange_native import procfs
from pagexchange_native.arena import real_nodes

_REPEATS: Final = 9


class Exchanged(NamedTuple):
    """What two calls did."""

    status: NDArray[np.int32]
    """int32[n, 2]: of each page of each pair 0, or -errno, and then it may lie where it lay."""
    wall_ns: int
    """Of both calls."""
    cpu_ns: int
    failed: int
    """Calls that Linux did not carry out in full, so that it was asked again where their pages are: 0 to 2."""

    @property
    def pairs(self) -> int:
        """Pairs whose pages have both arrived."""
        return int(np.count_nonzero((self.status == 0).all(axis=1)))


class MovePages:
    """Moves of some pages between the two nodes that they begin on.

    A call that meets one page that cannot be moved writes no status of its batch (its result says how many are left):
    then Linux is asked again, without targets, where each page is.

    Parameters
    ----------
    pages
        With two nodes.
    """

    def __init__(self, pages: OwnPages) -> None:
        assert pages.nodes is not None
        self.pages, (self.fast, self.slow) = pages, pages.nodes
        self._slow_first = False

    def move(self, numbers: Numbers, node: int) -> tuple[NDArray[np.int32], int, int, bool]:
        """Move pages by one call: statuses as of `Exchanged`, wall and CPU time, whether Linux was asked again."""
        addresses = self.pages.addresses[numbers]
        targets = np.full(len(addresses), node, np.int32)
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        left, status = real_nodes.HERE.move(addresses, targets)
        wall, cpu = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
        if left:
            status = real_nodes.HERE.where(addresses)
        stayed = left if left < 0 else -errno.EBUSY
        return np.where(status == node, 0, np.where(status < 0, status, stayed)).astype(np.int32), wall, cpu, bool(left)

    def exchange(self, on_fast: Numbers, on_slow: Numbers) -> Exchanged:
        """Move pages of the fast node to the slow one, and as many the other way; which way comes first alternates."""
        ways = [(0, on_fast, self.slow), (1, on_slow, self.fast)]
        status = np.zeros((len(on_fast), 2), np.int32)
        wall = cpu = failed = 0
        for side, numbers, node in reversed(ways) if self._slow_first else ways:
            status[:, side], took, used, again = self.move(numbers, node)
            wall, cpu, failed = wall + took, cpu + used, failed + again
        self._slow_first = not self._slow_first
        return Exchanged(status, wall, cpu, failed)

    def fixed_cost(self, most: int = 512) -> tuple[float, float]:
        """Return nanoseconds of wall time: what a call takes whatever it moves, and what each page takes besides.

        From calls of one page against calls of many (`most`, or all of a half), there and back, medians. The pages are
        the first ones, and end on the fast node.
        """
        many = np.arange(min(most, self.pages.count), dtype=np.int64)
        times: dict[int, list[int]] = {1: [], len(many): []}
        for _ in range(_REPEATS):
            for count, taken in times.items():
                for node in (self.slow, self.fast):
                    taken.append(self.move(many[:count], node)[1])
        one, all_ = (float(np.median(times[count])) for count in (1, len(many)))
        each = max(all_ - one, 0.0) / (len(many) - 1) if len(many) > 1 else 0.0
        return max(one - each, 0.0), each


def migrated(root: Path = Path("/")) -> int:
    """Return how many base pages Linux has migrated since it was started (`pgmigrate_success`); -1: it does not say."""
    try:
        lines = procfs.lines(root / "proc/vmstat")
    except OSError:
        return -1
    return next((int(line.split()[1]) for line in lines if line.startswith(b"pgmigrate_success ")), -1)


def warnings(root: Path = Path("/")) -> list[str]:
    """Return sentences on what moves pages besides, while it is measured."""
    try:
        balancing = b"".join(procfs.lines(root / "proc/sys/kernel/numa_balancing")).strip()
    except OSError:
        return []
    if balancing in (b"", b"0"):
        return []
    return [f"numa_balancing is {balancing.decode(errors='replace')}: Linux moves pages between nodes at the same time"]
