"""How the pairs of a step are moved: exchanged, or demoted to free frames and promoted into what became free."""

from __future__ import annotations

import errno
import time
from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.result import CallResult
from pagexchange.arena.strategy import Strategy
from pagexchange_native.tier.heat import Heat
from pagexchange_native.tier.step import MADE, TierStep, frames_of

Pairs = NDArray[np.int64]
CLOCK: Final = time.perf_counter_ns
SLICE: Final = 64
"""Pairs that are migrated between two looks at the clock."""


def exchanged(strategy: Strategy, heat: Heat, chosen: Pairs, run: int, soon: float, until: int | None) -> TierStep:
    """Exchange the pages of pairs of blocks, in place or as the strategy does it."""
    pairs = chosen if run == 1 else frames_of(chosen, run)
    rest = None if until is None else max(1.0, (until - CLOCK()) / 1000)
    before, by_frame = heat.swap(chosen)
    got = others_ns = 0
    try:
        result = strategy.exchange(pairs, max_call_us=rest, out=by_frame)
        got, others_ns = result.frames_got, _others_ns(result)
    finally:
        statuses = by_frame
        if run > 1:
            by_block = by_frame.reshape(-1, run)
            statuses = by_block.min(axis=1)  # of several refusals the one with the largest errno
            torn = (by_block == 0) & (statuses[:, None] != 0)
            if torn.any():
                strategy.exchange(pairs[torn.reshape(-1)]).raise_for_status()
        step = heat.settle(chosen, statuses, before, soon, got, others_ns)
    return step


def migrated(
    strategy: Strategy, heat: Heat, chosen: Pairs, nodes: tuple[int, int], soon: float, until: int | None
) -> TierStep:
    """Migrate: demote cold pages until the hot ones find frames and the low watermark stays free; then promote.

    A promotion that finds no free frame is a stall. `nodes`: numbers of the fast and the slow one.
    """
    parts: list[TierStep] = []
    size = len(chosen) if until is None else SLICE
    at = 0
    while at < len(chosen) and (until is None or not at or CLOCK() < until):
        parts.append(_migrated(strategy, heat, chosen[at : at + size], nodes, soon))
        at += size
    if not parts:
        return TierStep()
    sums = Counter[str]()
    for part in parts:
        sums.update(part.numbers())
    sums.update(asked=len(chosen), left=max(0, len(chosen) - at))
    return TierStep(np.concatenate([part.moves for part in parts]), **{name: sums[name] for name in MADE})


def _migrated(strategy: Strategy, heat: Heat, chosen: Pairs, nodes: tuple[int, int], soon: float) -> TierStep:
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
    return TierStep(
        np.concatenate(moves),
        done=len(hot) - refused,
        refused=refused,
        promoted=len(moves[1]),
        demoted=len(moves[0]),
        stalls=int(np.count_nonzero(up.status == -errno.ENOMEM)),
        frames_taken=up.frames_got + down.frames_got,
        back_and_forth=again,
        bytes=frames_moved * strategy.arena.page_size,
        cpu_ns=_others_ns(up) + _others_ns(down),
    )


def _others_ns(result: CallResult) -> int:
    """CPU time of the threads besides the caller's."""
    return sum(cpu for _, cpu in result.thread_ns[1:]) if result.workers > 1 else 0
