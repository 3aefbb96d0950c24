"""What a run knows of one strategy so far, call by call, and the result that it makes of this at the end."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.arena.migration import MigrationResult
from pagexchange.arena.result import ExchangeResult
from pagexchange.arena.strategy import Strategy
from pagexchange.host.blame import with_cure
from pagexchange.measure import clocks, trust
from pagexchange.model.config import StrategySpec
from pagexchange.model.statuses import errno_name
from pagexchange.oracle import Migration
from pagexchange.runs.contenders import isa_of, plugins
from pagexchange.runs.result import Costs, Lost, PlugIn, Round, StrategyResult, Verdict, judge
from pagexchange.runs.two_migrations import Traded, TwoMigrations
from pagexchange.runs.workbench import Workbench
from pagexchange.samples import turns
from pagexchange_native.engine.steps import COSTS

Bind: TypeAlias = Callable[[StrategySpec, Arena], Strategy]
"""Makes a strategy ready for an arena; raises PagexchangeError if a plug-in cannot."""


@dataclass
class Outcome:
    """What became of all lists of a workbench: the sum over the calls, one for each list."""

    status: NDArray[np.int32]
    ns: dict[str, float]
    moved: dict[str, int]
    retries: int
    touched: list[str]
    taken: int
    """Frames that the movers took."""
    workers: int
    """Threads that shared a list; of several calls the fewest."""
    cpu_ns: int
    wall_ns: int
    threads: list[tuple[int, int]]
    """(wall, CPU) ns of each thread, where every call says so."""
    waited: bool
    """It may wait by its mode, and something had to be tried again."""
    calls: list[Migration] = field(default_factory=list)
    """Of a migrating strategy, which moves pages elsewhere than a pair says."""

    def aside(self, above: float) -> bool:
        """Whether others had its CPU for more than this share of its time; one that waited knows no such thing."""
        return not self.waited and trust.pushed_aside(self.threads or [(self.wall_ns, self.cpu_ns)], above)


@dataclass
class Tally:
    """What is known of one strategy so far."""

    spec: StrategySpec
    strategy: Strategy | None = None
    generation: int = 0
    """Of the arena that `strategy` is bound to."""
    verdict: Verdict = "not run"
    reason: str = ""
    unshown: str = ""
    """Why the checked call could not show what is expected, if it could not."""
    plugins: list[PlugIn] = field(default_factory=list)
    checked: Outcome | None = None
    """The first call, whose statuses all later ones should have too."""
    lost: list[Lost] = field(default_factory=list)
    allocator: dict[str, int] = field(default_factory=dict)
    """What the checked call changed of `Workbench.statistics`."""
    seconds: float = 0.0
    """Of a call and the way back, as the checked call had them."""
    beside_ns: int = sys.maxsize
    """The least that a call took outside of the engine: what Python does there, when nobody is in the way."""
    rounds: list[Round] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether there is anything to time."""
        return (
            self.verdict in ("exact", "loses", "unchecked")
            and self.checked is not None
            and bool((self.checked.status == 0).any())
        )

    @property
    def threads(self) -> int:
        """Threads that a call may work on, once it is bound."""
        return self.spec.threads if self.strategy is None else self.strategy.threads

    def bind(self, bench: Workbench, bind: Bind) -> None:
        """Make it ready for this very arena: a rebuilt one is another."""
        if self.strategy is None or self.generation != bench.generation:
            self.strategy = bind(self.spec, bench.arena)
            self.plugins = plugins(self.strategy.built)
            # Last: a plug-in that fails above has not touched this arena, and a new one need not be made for it.
            self.generation = bench.generation

    def exchange(self, bench: Workbench) -> Outcome:
        """Call it once for each list; a migrating one twice for each part of a list."""
        assert self.strategy is not None, "it is bound"
        # The wall time of a call, and its parts, are the engine's own, taken inside of it.
        if self.spec.migrates:
            return self._migrate(bench, self.strategy)
        start = clocks.start()
        results = [self.strategy.exchange(pairs) for pairs in bench.lists]
        spent = clocks.since(start)
        return self._outcome([result.status for result in results], results, spent)

    def _migrate(self, bench: Workbench, strategy: Strategy) -> Outcome:
        bench.remember()
        way = TwoMigrations(strategy)
        traded: list[Traded] = []
        results: list[MigrationResult] = []
        spent = clocks.Reading(0, 0, 0)
        for pairs in bench.lists:
            parts = way.parts(pairs)
            start = clocks.start()
            halves = way.move(parts)
            spent = clocks.Reading(*map(sum, zip(spent, clocks.since(start), strict=True)))
            results += [result for half in halves for result in half]
            traded.append(way.settle(pairs, parts, halves))
        outcome = self._outcome([one.status for one in traded], results, spent)
        outcome.calls = [call for one in traded for call in one.calls]
        return outcome

    def _outcome(
        self,
        statuses: Sequence[NDArray[np.int32]],
        results: Sequence[ExchangeResult] | Sequence[MigrationResult],
        spent: clocks.Reading,
    ) -> Outcome:
        """The sum over all calls."""
        wall_ns = sum(result.ns["total"] for result in results)
        self.beside_ns = min(self.beside_ns, spent.wall_ns - wall_ns)
        # Of one thread the clocks here say enough; so they must where a call had one only.
        several = all(result.workers > 1 for result in results)
        each = zip_longest(*(result.thread_ns for result in results), fillvalue=(0, 0)) if several else ()
        return Outcome(
            status=np.concatenate([np.zeros(0, dtype=np.int32), *statuses]),
            ns={name: float(sum(result.ns[name] for result in results)) for name in ("total", *COSTS)},
            moved={name: sum(r.moved[name] for r in results) for name in results[0].moved} if results else {},
            retries=sum(result.retries for result in results),
            touched=list(dict.fromkeys(name for result in results for name in result.touched)),
            taken=sum(result.frames_got for result in results),
            workers=min((result.workers for result in results), default=0),
            cpu_ns=clocks.cpu_within(wall_ns, spent, self.beside_ns),
            wall_ns=wall_ns,
            threads=[(sum(wall for wall, _ in calls), sum(cpu for _, cpu in calls)) for calls in each],
            waited=self.spec.mode != "async" and any(result.retries for result in results),
        )

    def failed(self, error: Exception) -> None:
        """A plug-in raised: say so, with what to do."""
        self.verdict, self.reason = "failed", with_cure(error)

    def result(self, bench: Workbench) -> StrategyResult:
        """Everything as the value that a run returns."""
        spec, checked = self.spec, self.checked
        costs, low, high = medians(turns.counted(self.rounds))
        status = np.zeros(0, dtype=np.int32) if checked is None else checked.status
        exchanged = int((status == 0).sum())
        # A later call may have shown it: then the verdict is another one.
        unshown = self.unshown if self.verdict in ("exact", "refused") else ""
        expected = judge(spec.expect, self.verdict, pressure=bench.info.free is not None)
        return StrategyResult(
            name=spec.name,
            summary=spec.summary,
            verdict=self.verdict,
            expected=spec.expect,
            as_expected=None if unshown else expected,
            reason="; ".join(filter(None, (unshown, self.reason))),
            pairs=len(bench.pairs),
            exchanged=exchanged,
            refused=errno_names(status),
            ns_per_pair=costs,
            ns_per_pair_low=low,
            ns_per_pair_high=high,
            gb_per_s=speed(bench, status, costs),
            frames_asked=self.allocator.get("asked", 0),
            frames_allocated=self.allocator.get("got", 0),
            below_low=self.allocator.get("below_low", 0),
            below_min=self.allocator.get("below_min", 0),
            moved=checked.moved if checked else {},
            retries=checked.retries if checked else 0,
            mode=spec.mode,
            threads=spec.threads,
            workers=checked.workers if checked else 0,
            isa=isa_of(self.plugins),
            plugins=self.plugins,
            lost=self.lost,
            report=self.report,
            rounds=self.rounds,
        )


def medians(rounds: list[Round]) -> tuple[Costs | None, float | None, float | None]:
    """Costs per exchanged pair, ns: the medians, and the lowest and the highest total. None without a sample."""
    per = [timed.ns.per(timed.exchanged) for timed in rounds if timed.exchanged]
    if not per:
        return None, None, None
    # Each part separately, not the parts of the median call: a pause in one call then shows in no part.
    costs = Costs(**{name: round(median(getattr(sample, name) for sample in per), 2) for name in ("total", *COSTS)})
    return costs, min(sample.total for sample in per), max(sample.total for sample in per)


def speed(bench: Workbench, status: NDArray[np.int32], costs: Costs | None) -> float | None:
    """Bytes that changed place, both pages of a pair counted, per ns: that is 10^9 bytes per second."""
    done = status == 0
    if costs is None or not costs.total or not done.any():
        return None
    # 2^order frames in each of two folios: 2 << order
    moved = int((2 << bench.orders[done]).sum()) * bench.info.page_size
    return round(moved / int(done.sum()) / costs.total, 3)


def errno_names(status: NDArray[np.int32]) -> dict[str, int]:
    """Refused pairs by errno name, most frequent first."""
    values, counts = np.unique(-status[status != 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {errno_name(int(values[i])): int(counts[i]) for i in order}
