"""How the pairs of a step are moved: exchanged, or demoted to free frames and promoted into what became free."""

from __future__ import annotations

import errno
import time
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.strategy import Strategy
from pagexchange_native.tier.heat import Heat

Pairs = NDArray[np.int64]
CLOCK: Final = time.perf_counter_ns
SLICE: Final = 64
"""Pairs that are migrated between two looks at the clock."""


class Moved(NamedTuple):
    """What came of a step's pairs."""

    moves: Pairs
    """(old frame, new frame) of each page that moved."""
    done: int
    refused: int
    left: int
    promoted: int
    demoted: int
    stalls: int
    frames_taken: int
    back_and_forth: int
    frames: int
    """That hold what moved."""
    others_cpu_ns: int
    """CPU time of the threads besides the caller's."""


def exchanged(strategy: Strategy, heat: Heat, chosen: Pairs, run: int, soon: float, until: int | None) -> Moved:
    """Exchange the pages of pairs of blocks, in place or as the strategy does it."""
    pairs = frames_of(chosen, run)
    by_frame = np.full(len(pairs), -errno.ECANCELED, np.int32)  # as it stays where a plug-in raises
    rest = None if until is None else max(1.0, (until - CLOCK()) / 1000)
    before = heat.swap(chosen)
    try:
        result = strategy.exchange(pairs, max_call_us=rest, out=by_frame)
    finally:
        statuses = by_frame
        if run > 1:
            by_block = by_frame.reshape(-1, run)
            statuses = by_block.min(axis=1)  # of several refusals the one with the largest errno
            torn = (by_block == 0) & (statuses[:, None] != 0)
            if torn.any():
                strategy.exchange(pairs[torn.reshape(-1)]).raise_for_status()
        moves, done, refused, left, again, frames = heat.settle(chosen, statuses, before, soon)
    cpu_ns = sum(cpu for _, cpu in result.thread_ns[1:])
    return Moved(
        frames_of(moves, run), done, refused, left, done * run, done * run, 0, result.frames_got, again * run, frames,
        cpu_ns,
    )  # fmt: skip


def migrated(
    strategy: Strategy, heat: Heat, chosen: Pairs, nodes: tuple[int, int], soon: float, until: int | None
) -> Moved:
    """Migrate: demote cold pages until the hot ones find frames and the low watermark stays free; then promote.

    A promotion that finds no free frame is a stall. `nodes`: numbers of the fast and the slow one.
    """
    parts: list[Moved] = []
    step = len(chosen) if until is None else SLICE
    at = 0
    while at < len(chosen) and (until is None or not at or CLOCK() < until):
        parts.append(_migrated(strategy, heat, chosen[at : at + step], nodes, soon))
        at += step
    sums = (sum(values) for values in zip(*(part[1:] for part in parts), strict=True))
    none = Moved(np.zeros((0, 2), np.int64), *(0 for _ in Moved._fields[1:]))
    if not parts:
        return none
    moves = np.concatenate([part.moves for part in parts])
    return Moved(moves, *sums)._replace(left=max(0, len(chosen) - at))


def _migrated(strategy: Strategy, heat: Heat, chosen: Pairs, nodes: tuple[int, int], soon: float) -> Moved:
    fast, slow = nodes
    hot, cold = np.ascontiguousarray(chosen[:, 0]), np.ascontiguousarray(chosen[:, 1])
    frames = np.cumsum(heat.frames(cold))
    wanted = int(frames[-1]) + heat.low_fast - heat.free_fast
    down = strategy.migrate(cold[: int(np.searchsorted(frames, wanted)) + 1] if wanted > 0 else cold[:0], slow)
    up = strategy.migrate(hot, fast)
    again = frames_moved = 0
    moves = []
    for result in (down, up):  # in this order: a promoted page may lie where a demoted one was
        went = result.placed != result.pfns
        old, new = result.pfns[went], result.placed[went]
        heat.refused(np.ascontiguousarray(result.pfns[result.status != 0]))
        some, held = heat.follow(old, new, soon)
        again, frames_moved = again + some, frames_moved + held
        moves.append(np.stack([old, new], axis=1))
    refused = int(np.count_nonzero(up.status))
    return Moved(
        moves=np.concatenate(moves),
        done=len(hot) - refused,
        refused=refused,
        left=0,
        promoted=len(moves[1]),
        demoted=len(moves[0]),
        stalls=int(np.count_nonzero(up.status == -errno.ENOMEM)),
        frames_taken=up.frames_got + down.frames_got,
        back_and_forth=again,
        frames=frames_moved,
        others_cpu_ns=sum(cpu for result in (up, down) for _, cpu in result.thread_ns[1:]),
    )


def frames_of(pairs: Pairs, run: int) -> Pairs:
    """Return the frames of pairs of blocks, one row for each frame of a block."""
    if run == 1:
        return pairs
    inside = np.arange(run, dtype=np.int64)
    return (pairs[:, None, :] * run + inside[None, :, None]).reshape(-1, 2)
