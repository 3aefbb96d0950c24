"""What the rows are made of: cells of `pagexchange bench`, and the engine by its native call, on lists of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

import pagexchange
from benchmarks.rounds import Sample
from pagexchange.bench.catalogue import OTHERS
from pagexchange.bench.scenes import Pairs, Scene, Setting
from pagexchange.bench.strategies import StrategyCell
from pagexchange.bench.turn import Cell, Turn
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.movers.list_exchange import ListExchange
from pagexchange_native.movers.mover import DataMover, NullMover
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord

RFC = "rfc-loop"
READ = "read-both"
FOLIO = "memcpy-one-folio"
LIST = "list-exchange"
WORD = "word-swap"
NATIVE = "list-native-call"
NULL = "engine-alone"

BARE = ("in-place", "in-place-ahead", "two-at-once-ahead")
"""Loops that exchange the bytes and nothing else, as fast as it is known how to."""

WORDS: dict[str, str] = {
    LIST: "the strategy, everything on",
    WORD: "the strategy, everything on",
    NATIVE: "the same as list-exchange, without the call in Python",
    NULL: "everything on but the data, native call",
} | {name: OTHERS[name].words for name in (
    RFC, READ, FOLIO, *BARE, "logged-ahead", "read-both-ahead", "memcpy", "temporary-page"
)}  # fmt: skip
"""Every cell, in words."""

SAMPLE_PAIRS = 1 << 17
"""Base pages that are exchanged for each sample at most: all of 1 GiB. Of a larger arena that many are drawn."""
SAMPLE_BYTES = 64 << 20
"""Bytes of pairs in a sample at least: a small set is exchanged again and again, in another order each time."""

_MOVERS: dict[str, Callable[[], DataMover]] = {NATIVE: ListExchange, NULL: NullMover}


class EngineCell:
    """The engine with everything on by its native call, with a mover of `_MOVERS`."""

    def __init__(self, scene: Scene, name: str) -> None:
        arena = scene.arena
        masked = MaskedWord(arena.layout.native()["swap"])
        self._name, self._exchange = name, Exchanger(arena, masked, [_MOVERS[name]()], XArrayCursor()).exchange

    def turn(self, lists: Sequence[Pairs]) -> Turn:
        """One call for each list."""
        statuses = [np.empty(len(pairs), np.int32) for pairs in lists]
        wall, start = time.perf_counter_ns(), time.thread_time_ns()
        for pairs, status in zip(lists, statuses, strict=True):
            self._exchange(pairs, status)
        cpu_ns, wall_ns = time.thread_time_ns() - start, time.perf_counter_ns() - wall
        done = sum(int(np.count_nonzero(status == 0)) for status in statuses)
        return Turn(calls=len(lists), pairs=sum(map(len, lists)), exchanged=done, wall_ns=wall_ns, cpu_ns=cpu_ns)

    def check(self, pairs: Pairs) -> dict[str, object]:
        """Nothing: it is the strategies' engine, which they are judged with."""
        return {}


def cell(scene: Scene, name: str) -> Cell:
    """Return a cell by name."""
    if name in _MOVERS:
        return EngineCell(scene, name)
    if name in OTHERS:
        return OTHERS[name].make(scene, 1)
    return StrategyCell(scene, pagexchange.strategy(name, scene.arena), 1)


def spent(cell: Cell, lists: Sequence[Pairs], name: str) -> int:
    """Take a turn; return CPU nanoseconds of the thread. RuntimeError: a pair was refused, which costs less."""
    turn = cell.turn(lists)
    if turn.exchanged < turn.pairs:
        raise RuntimeError(f"{name}: {turn.pairs - turn.exchanged} pairs were refused")
    return turn.cpu_ns


def shape(setting: Setting, share: int = 1) -> tuple[int, int]:
    """Return pairs of one list - all of a set in cache, a share of one in DRAM - and lists of one sample."""
    pairs = min(setting.folios, (SAMPLE_PAIRS >> setting.order) // share)
    return pairs, max(1, SAMPLE_BYTES // (2 * pairs * setting.page_size << setting.order))


def sample_of(scene: Scene, name: str, share: int = 1) -> Sample:
    """A cell by name, on lists of its own each time."""
    timed, (pairs, lists) = cell(scene, name), shape(scene.setting, share)

    def sample() -> float:
        drawn = scene.lists(pairs, lists, "random", scene.rng)
        return spent(timed, drawn, name) / (pairs * len(drawn))

    return sample


def samples_of(scene: Scene, names: Iterable[str], share: int = 1) -> dict[str, Sample]:
    """Several cells on one scene."""
    return {name: sample_of(scene, name, share) for name in names}
