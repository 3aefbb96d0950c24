"""A slow exchange in Python, on a real Region: so that the run can be tested apart from the engine."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import PluginError
from pagexchange.model.layout import Layout
from pagexchange.model.sizes import format_size
from pagexchange.oracle.format import NODE
from pagexchange.runs.result import InputInfo, PlugIn
from pagexchange.runs.run import Contender
from pagexchange.runs.workbench import Workbench
from pagexchange_native.engine.steps import COSTS

LAYOUT = Layout.load("linux-6.18")


@dataclass
class FakeResult:
    status: NDArray[np.int32]
    ns: dict[str, float]
    retries: int = 0
    touched: tuple[str, ...] = ()
    moved: dict[str, int] = field(default_factory=dict)


@dataclass
class FakeStrategy:
    """Which ways to go wrong."""

    speed: float = 1.0
    loses: int = 0
    """Flag bits that stay behind."""
    refuses: int = 0
    """errno for every pair, 0 none."""
    takes: int = 0
    """Frames taken from the allocator for the call."""
    after: Callable[[FakeArena, NDArray[np.int64], int], None] | None = None
    """Called at the end of each call, with its number."""
    calls: int = 0
    touched: tuple[str, ...] = ()
    fails_in_call: int = 0
    served_by: list[PlugIn] = field(default_factory=list)
    arena: Any = None
    told: list[str] = field(default_factory=list)

    def plugins(self) -> list[PlugIn]:
        return self.served_by

    def started(self) -> None:
        self.told.append("started")

    def finished(self) -> dict[str, Any]:
        self.told.append("finished")
        return {"calls": self.calls}

    def exchange(self, pairs: NDArray[np.int64], threads: int) -> FakeResult:
        result: FakeResult = self.arena.exchange(pairs, self)
        if self.calls == self.fails_in_call:
            raise PluginError("broke down", plugin="x")
        return result


class FakeArena:
    """A Region with an `exchange` that knows anonymous pages of order 0 which nothing points at."""

    layout = LAYOUT

    def __init__(self, region: Any) -> None:
        self.region = region

    def __getattr__(self, name: str) -> Any:
        return getattr(self.region, name)

    def exchange(self, pairs: NDArray[np.int64], strategy: FakeStrategy) -> FakeResult:
        strategy.calls += 1
        start = time.perf_counter_ns()
        status = np.full(len(pairs), -strategy.refuses, dtype=np.int32)
        if strategy.takes:
            node = self.region.memory[self.region.geometry()["nodes"][0] :][: NODE.itemsize].view(NODE)
            node["asked"] += strategy.takes
            node["got"] += strategy.takes
        if not strategy.refuses:
            busy = (self.region.entries["owner"][pairs] != 0).any(axis=1)
            status[busy] = -errno.EAGAIN
            a, b = pairs[~busy].T
            swap = np.uint64(LAYOUT.mask("swap") & ~strategy.loses)
            frames, entries = self.region.frames, self.region.entries
            frames[a], frames[b] = frames[b], frames[a]
            flags = entries["flags"]
            flags[a], flags[b] = flags[a] & ~swap | flags[b] & swap, flags[b] & ~swap | flags[a] & swap
            for name in ("refs", "mapcount", "mapping", "index", "private", "rmap", "held"):
                one = entries[name]
                one[a], one[b] = one[b].copy(), one[a].copy()
        if strategy.after:
            strategy.after(self, pairs, strategy.calls)
        total = (time.perf_counter_ns() - start) * strategy.speed + len(pairs)
        return FakeResult(status, dict.fromkeys(COSTS, total / 5) | {"total": total}, touched=strategy.touched)


def make(
    n: int = 40, *, free: int | None = None, name: str = "a test", locked: int | None = None, lists: int = 1
) -> Workbench:
    """A bench with `n` pairs of pages that all look different, and a few free frames; one pair may be locked."""
    from pagexchange_native.arena.region import Region

    def build() -> tuple[Any, list[NDArray[np.int64]], InputInfo]:
        region = Region.create(nodes=[("fast", n + 8), ("slow", n + 8)], layout=LAYOUT.native())
        a, b = region.alloc("fast", n), region.alloc("slow", n)
        region.frames[:] = np.arange(region.frames.size, dtype=np.uint64).reshape(region.frames.shape)
        region.set_flags(a, LAYOUT.word("uptodate", "lru"))
        region.set_flags(b, LAYOUT.word("uptodate", "referenced", "workingset"))
        region.entries["index"][a] = np.arange(n)
        region.entries["index"][b] = np.arange(n) + 1000
        if locked is not None:
            region.lock(int(a[locked]))
        info = InputInfo(
            name="a test", kind="synthetic", pairs=n * lists, pages=2 * n, page_size=4096, frames=2 * n + 16,
            arena_bytes=region.total_bytes, layout=LAYOUT.name, free=free,
            nodes=[{"name": x["name"], "frames": x["frames"], "free": x["free"]} for x in region.nodes],
            details={"size": format_size(region.total_bytes)},
        )  # fmt: skip
        return FakeArena(region), [np.stack([a, np.roll(b, i)], axis=1) for i in range(lists)], info

    return Workbench(build)


def contender(name: str, **kwargs: Any) -> Contender:
    """A strategy of the fake engine; `expected` goes to the contender, the rest to the strategy."""
    expected = kwargs.pop("expected", "exact")
    fails = kwargs.pop("fails", "")
    strategy = FakeStrategy(**kwargs)

    def build(arena: Any) -> FakeStrategy:
        if fails:
            raise PluginError(fails, plugin=name)
        strategy.arena = arena
        return strategy

    return Contender(name=name, build=build, expected=expected)


@dataclass
class FakeVerdict:
    """Like the real one, it is false when something is wrong."""

    kind: str
    lost: dict[str, int]
    findings: list[Any]
    by_kind: dict[str, int]

    def __bool__(self) -> bool:
        return self.kind == "exact"


class FakeOracle:
    """Compares frames and flags words of order-0 pages with what must be."""

    def __init__(self) -> None:
        self.looks = 0

    def before(self, bench: Workbench) -> Any:
        arena = bench.arena
        return arena.frames.copy(), arena.entries.copy()

    def after(self, before: Any, bench: Workbench, status: NDArray[np.int32]) -> FakeVerdict:
        arena, pairs = bench.arena, bench.pairs
        self.looks += 1
        frames, entries = before
        frames, entries = frames.copy(), entries.copy()
        a, b = pairs[status == 0].T
        frames[a], frames[b] = frames[b], frames[a]
        stay = np.uint64(LAYOUT.mask("stay") | LAYOUT.mask("refuse"))
        old = entries["flags"].copy()
        entries[a], entries[b] = entries[b].copy(), entries[a].copy()
        entries["flags"] = entries["flags"] & ~stay | old & stay
        wrong = int((frames != arena.frames).any(axis=1).sum())
        other = [name for name in entries.dtype.names or () if name not in ("flags", "next", "prev")]
        wrong += sum(int((entries[name] != arena.entries[name]).sum()) for name in other)
        odd = entries["flags"] ^ arena.entries["flags"]
        lost = {f.name: int(((odd & np.uint64(f.mask)) != 0).sum()) for f in LAYOUT.flags}
        lost = {name: n for name, n in lost.items() if n}
        kind = "wrong" if wrong else "loses" if lost else "exact"
        return FakeVerdict(kind, lost, [], {"contents": wrong} if wrong else {})
