"""A call that must not take longer than it may: slices of the list, each as long as the time that is left lets it be.

Pairs that it does not reach are not touched, and get ETIME. At least one pair is done, so that who calls again and
again with what is left comes to an end: a pair that alone takes longer than the call may is one way to be late, a
scheduler that gives the CPU to others is another.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.pace import Pace
from pagexchange.arena.result import ExchangeResult
from pagexchange_native.engine.steps import COSTS, Numbers

Clock = Callable[[], int]
Statuses = NDArray[np.int32]
Slice = Callable[[NDArray[np.int64], Statuses], ExchangeResult]
"""Exchanges some pairs of the list, in their order, and writes their statuses, also if it raises."""

CLOCK: Final[Clock] = perf_counter_ns


def bounded(
    pairs: NDArray[np.int64], status: Statuses, exchange: Slice, arena: LaidOutRegion, max_ns: float, pace: Pace, *,
    sequential: bool, began: int, clock: Clock = CLOCK,
) -> Numbers:  # fmt: skip
    """Exchange as many pairs as fit into the time, and write their statuses.

    Parameters
    ----------
    max_ns, began
        The time, and when it began, by the clock.

    Returns
    -------
    Numbers
        Of the whole call, as `ExchangeResult._numbers`.
    """
    status[:] = -errno.ETIME
    used: NDArray[np.bool_] | None = None
    results: list[ExchangeResult] = []
    pace.begin()
    at, before = 0, clock()
    while at < len(pairs):
        count = pace.fits(max_ns - (before - began), len(pairs) - at)
        if count < 1 and at:
            break
        part = slice(at, at + max(1, count))
        if at and not sequential and used is None:
            used = np.zeros(arena.nframes, np.bool_)
            used[_valid(pairs[:at], arena.nframes)] = True
        if used is None:
            results.append(exchange(pairs[part], status[part]))
        else:
            results.append(_fresh(pairs[part], status[part], exchange, used))
        now = clock()
        pace.took(now - before, part.stop - at)
        at, before = part.stop, now
    return _sum(results, clock() - began)


def _valid(pairs: NDArray[np.int64], nframes: int) -> NDArray[np.int64]:
    """Pairs that name two frames of the arena: only they use any."""
    valid: NDArray[np.int64] = pairs[((pairs >= 0) & (pairs < nframes)).all(axis=1) & (pairs[:, 0] != pairs[:, 1])]
    return valid


def _fresh(pairs: NDArray[np.int64], status: Statuses, exchange: Slice, used: NDArray[np.bool_]) -> ExchangeResult:
    """Exchange the pairs of a slice that name no frame of an earlier one; EINVAL for the others, as in one call."""
    valid = _valid(pairs, len(used))
    if not used[valid].any():
        used[valid] = True
        return exchange(pairs, status)
    again = np.zeros(len(pairs), np.bool_)
    for place, pair in enumerate(pairs):
        if len(_valid(pair[None], len(used))):
            again[place] = used[pair].any()
            used[pair] = True  # a pair that is refused uses its frames, too
    status[again] = -errno.EINVAL
    told = status[~again]
    try:
        return exchange(pairs[~again], told)
    finally:
        status[~again] = told


def _sum(results: list[ExchangeResult], wall_ns: int) -> Numbers:
    """What the slices cost together."""
    numbers = [result._numbers for result in results]
    parts = [sum(one[1][i] for one in numbers) for i in range(len(COSTS))]
    asked, got, retries = (sum(counts) for counts in zip(*(one[2:5] for one in numbers), strict=True))
    violation = int(np.bitwise_or.reduce([one[5] for one in numbers], initial=0))
    workers = max((one[6] for one in numbers), default=0)
    moved = tuple(map(sum, zip(*(one[7] for one in numbers), strict=True)))
    # Of slices that fewer threads shared nothing is said: they were the short ones.
    told = [one[8] for one in numbers if len(one[8]) == workers]
    threads = tuple((sum(w for w, _ in each), sum(c for _, c in each)) for each in zip(*told, strict=True))
    return (
        wall_ns,
        (parts[0], parts[1], parts[2], parts[3], parts[4]),
        asked,
        got,
        retries,
        violation,
        workers,
        moved,
        threads,
    )
