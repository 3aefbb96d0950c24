"""What is timed on the pages of a scene: strategies with everything on, the engine alone, bare loops, limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

import pagexchange
from benchmarks.rounds import Sample
from benchmarks.scenes import Pairs, Scene
from pagexchange_native.bench import time_loop
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.movers.list_exchange import ListExchange
from pagexchange_native.movers.mover import DataMover, NullMover
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord

Timed = Callable[[Sequence[Pairs]], int]
"""Runs all lists; returns CPU nanoseconds of the thread."""

RFC = "rfc loop"
READ = "read both"
FOLIO = "memcpy of one folio"
LIST = "list-exchange"
WORD = "word-swap"
NATIVE = "list, native call"
NULL = "engine alone"

WORDS: dict[str, str] = {
    RFC: "the loop of 2019, 8 bytes at a time",
    READ: "both pages read, no prefetch",
    FOLIO: "one folio copied onto the other, half the bytes",
    LIST: "the strategy, everything on",
    WORD: "the strategy, everything on",
    NATIVE: "the same as list-exchange, without the call in Python",
    NULL: "everything on but the data, native call",
    "in place": "a bare loop with the widest registers, no prefetch",
    "in place, ahead": "the same, next pair fetched ahead",
    "two at once, ahead": "the same, two pairs at once",
    "logged, ahead": "one pair after the other, under the undo log",
    "read both, ahead": "both pages read, next pair fetched ahead",
    "memcpy": "as many bytes copied as an exchange moves",
    "temporary page": "three memcpy through one page",
}
"""Every cell, in words."""

BARE = ("in place", "in place, ahead", "two at once, ahead")
"""Loops that exchange the bytes and nothing else, as fast as it is known how to."""

_MOVERS: dict[str, Callable[[], DataMover]] = {NATIVE: ListExchange, NULL: NullMover}

_LOOPS: dict[str, tuple[str, bool]] = {
    RFC: ("rfc", False),
    READ: ("read", False),
    FOLIO: ("memcpy-one", False),
    "in place": ("bare", False),
    "in place, ahead": ("bare", True),
    "two at once, ahead": ("bare-two", True),
    "logged, ahead": ("undo", True),
    "read both, ahead": ("read", True),
    "memcpy": ("memcpy", False),
    "temporary page": ("copy3", False),
}


def _loop(scene: Scene, name: str) -> Sample:
    """A loop without any engine, timed inside the native code."""
    loop, ahead = _LOOPS[name]
    frames, order = scene.arena.frames, scene.setting.order

    def sample() -> float:
        pairs = np.concatenate(scene.draw())
        return time_loop(loop, frames, pairs, prefetch=ahead, order=order)[0] / len(pairs)

    return sample


def strategy(scene: Scene, name: str) -> Timed:
    """A strategy of the shipped file as a user calls it: bound once, called for each list."""
    exchange = pagexchange.strategy(name, scene.arena).exchange

    def run(lists: Sequence[Pairs]) -> int:
        start = time.thread_time_ns()
        results = [exchange(pairs) for pairs in lists]
        spent = time.thread_time_ns() - start
        for result in results:
            result.raise_for_status()
        return spent

    return run


def engine(scene: Scene, name: str) -> Timed:
    """The engine with everything on by its native call, with a mover of `_MOVERS`."""
    arena = scene.arena
    exchange = Exchanger(arena, MaskedWord(arena.layout.native()["swap"]), [_MOVERS[name]()], XArrayCursor()).exchange

    def run(lists: Sequence[Pairs]) -> int:
        statuses = [np.empty(len(pairs), np.int32) for pairs in lists]
        start = time.thread_time_ns()
        for pairs, status in zip(lists, statuses, strict=True):
            exchange(pairs, status)
        spent = time.thread_time_ns() - start
        refused = sum(int(np.count_nonzero(status)) for status in statuses)
        if refused:
            raise RuntimeError(f"{name}: {refused} pairs were refused")
        return spent

    return run


def timed(scene: Scene, name: str) -> Timed:
    """The cells that go through the engine, by name."""
    return engine(scene, name) if name in _MOVERS else strategy(scene, name)


def sample_of(scene: Scene, name: str) -> Sample:
    """A cell by name, on lists of its own each time."""
    if name in _LOOPS:
        return _loop(scene, name)
    run = timed(scene, name)

    def sample() -> float:
        lists = scene.draw()
        return run(lists) / sum(len(pairs) for pairs in lists)

    return sample


def samples_of(scene: Scene, names: Iterable[str]) -> dict[str, Sample]:
    """Several cells on one scene."""
    return {name: sample_of(scene, name) for name in names}
