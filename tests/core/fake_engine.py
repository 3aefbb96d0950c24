"""A slow exchange in Python, on a real arena: so that the run can be tested apart from the engine."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.arena.strategy import Strategy
from pagexchange.errors import PluginError
from pagexchange.host.built import BuiltStrategy, Later, Served
from pagexchange.host.discovery import manager
from pagexchange.model.config import Expect, StrategySpec
from pagexchange.model.layout import Layout
from pagexchange.model.sizes import format_size
from pagexchange.oracle.format import NODE
from pagexchange.runs.result import InputInfo, RunResult
from pagexchange.runs.run import run
from pagexchange.runs.verdict import Stamping
from pagexchange.runs.workbench import Made, Workbench
from pagexchange_native.engine.steps import COSTS

LAYOUT = Layout.load("linux-6.18")


@dataclass
class FakeResult:
    status: NDArray[np.int32]
    ns: dict[str, float]
    retries: int = 0
    touched: tuple[str, ...] = ()
    moved: dict[str, int] = field(default_factory=dict)
    frames_got: int = 0
    workers: int = 1
    thread_ns: tuple[tuple[int, int], ...] = ()


@dataclass
class FakeStrategy:
    """A strategy that is its own plug-in, and which ways to go wrong."""

    spec: StrategySpec
    loses: int = 0
    """Flag bits that stay behind."""
    refuses: int = 0
    """errno for every pair, 0 none."""
    takes: int = 0
    """Frames taken from the allocator for the call."""
    after: Callable[[Arena, NDArray[np.int64], int], None] | None = None
    """Called at the end of each call, with its number."""
    touched: tuple[str, ...] = ()
    fails: str = ""
    """Why it cannot be built."""
    fails_in_call: int = 0
    describes: dict[str, str] = field(default_factory=dict)
    """What its mover says about itself."""
    threads: int = 1
    calls: int = 0
    finished: int = 0
    arena: Any = None

    def bind(self, arena: Arena) -> Strategy:
        if self.fails:
            raise PluginError(self.fails, plugin=self.spec.name)
        self.arena = arena
        return cast("Strategy", self)

    @property
    def built(self) -> BuiltStrategy:
        flags, data, mapping = (
            Served(question, self.spec.name, self, False, "fakes", "1.0", __file__, {}, ())
            for question in ("flags", "data", "mapping")
        )
        return BuiltStrategy(self.spec, flags, (data,), mapping, None, (), (), (), manager().hook, cast("Later", None))

    def describe(self) -> dict[str, str]:
        return self.describes

    def finish(self) -> dict[str, Any]:
        self.finished += 1
        return {"calls": self.calls}

    def __call__(self, a: NDArray[np.uint64], b: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """As a flag policy."""
        swap = np.uint64(LAYOUT.mask("swap") & ~self.loses)
        return a & ~swap | b & swap, b & ~swap | a & swap

    def exchange(self, pairs: NDArray[np.int64]) -> FakeResult:
        """Knows anonymous pages of order 0 which nothing points at."""
        self.calls += 1
        start = time.perf_counter_ns()
        status = np.full(len(pairs), -self.refuses, dtype=np.int32)
        if self.takes:
            node = self.arena.memory[self.arena.geometry()["nodes"][0] :][: NODE.itemsize].view(NODE)
            node["asked"] += self.takes
            node["got"] += self.takes
        if not self.refuses:
            busy = (self.arena.entries["owner"][pairs] != 0).any(axis=1)
            status[busy] = -errno.EAGAIN
            self.swap(pairs[~busy])
        if self.after:
            self.after(self.arena, pairs, self.calls)
        if self.calls == self.fails_in_call:
            raise PluginError("broke down", plugin="x")
        total = time.perf_counter_ns() - start + len(pairs)
        return FakeResult(
            status, dict.fromkeys(COSTS, total / 5) | {"total": total}, touched=self.touched, frames_got=self.takes
        )

    def swap(self, pairs: NDArray[np.int64]) -> None:
        a, b = pairs.T
        swap = np.uint64(LAYOUT.mask("swap") & ~self.loses)
        frames, entries = self.arena.frames, self.arena.entries
        frames[a], frames[b] = frames[b], frames[a]
        flags = entries["flags"]
        flags[a], flags[b] = flags[a] & ~swap | flags[b] & swap, flags[b] & ~swap | flags[a] & swap
        for name in ("refs", "mapcount", "mapping", "index", "private", "rmap", "held"):
            values = entries[name]
            values[a], values[b] = values[b].copy(), values[a].copy()


def make(n: int = 40, *, free: int | None = None, locked: int | None = None, lists: int = 1) -> Workbench:
    """A workbench with `n` pairs of pages that all look different, and a few free frames; one pair may be locked."""

    def build() -> Made:
        arena = Arena.create([("fast", n + 8), ("slow", n + 8)], layout=LAYOUT)
        a, b = arena.alloc("fast", n), arena.alloc("slow", n)
        arena.frames[:] = np.arange(arena.frames.size, dtype=np.uint64).reshape(arena.frames.shape)
        arena.set_flags(a, LAYOUT.word("uptodate", "lru"))
        arena.set_flags(b, LAYOUT.word("uptodate", "referenced", "workingset"))
        arena.entries["index"][a] = np.arange(n)
        arena.entries["index"][b] = np.arange(n) + 1000
        if locked is not None:
            arena.lock(int(a[locked]))
        info = InputInfo(
            name="a test", kind="synthetic", pairs=n * lists, pages=2 * n, page_size=4096, frames=2 * n + 16,
            arena_bytes=arena.total_bytes, layout=LAYOUT.name, free=free,
            nodes=[{"name": x["name"], "frames": x["frames"], "free": x["free"]} for x in arena.nodes],
            details={"size": format_size(arena.total_bytes)},
        )  # fmt: skip
        return Made(arena, [np.stack([a, np.roll(b, i)], axis=1) for i in range(lists)], info)

    return Workbench(build)


def fake(name: str, expected: Expect = "exact", **ways: Any) -> FakeStrategy:
    return FakeStrategy(StrategySpec(name, (), (), (), expect=expected), **ways)


def race(
    bench: Workbench,
    strategies: Sequence[FakeStrategy],
    oracle: Stamping | None = None,
    *,
    compare: bool = True,
    **options: Any,
) -> RunResult:
    """Run made-up strategies; the oracle, if none is given, leaves the contents of all pages as they are."""
    if oracle is None and compare:
        oracle = Stamping(stamp=False)

    def bind(spec: StrategySpec, arena: Arena) -> Strategy:
        return next(strategy for strategy in strategies if strategy.spec is spec).bind(arena)

    return run(bench, [strategy.spec for strategy in strategies], bind, oracle, **options)
