"""The main job: every strategy on the same pages, checked page by page, then timed in turns.

First each strategy exchanges the whole list once, and the oracle compares everything before and after: that is the
verdict, and the warm-up. Then come the timed rounds. In each round every strategy runs once, in an order shuffled by
the seed, always from the same state of the arena; so what the machine does meanwhile hits all of them alike, and the
ratios within a run can be trusted where absolute times cannot. Nothing but the call lies between the clock readings.
At the end the oracle compares the whole arena with how it was before the first timed round.
"""

import errno
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagexchange import __version__
from pagexchange.errors import PagexchangeError
from pagexchange.model.config import StrategySpec
from pagexchange.oracle import Oracle
from pagexchange.oracle import Verdict as Comparison
from pagexchange.runs.environment import collect
from pagexchange.runs.result import Costs, Round, RunResult
from pagexchange.runs.tally import Bind, Tally
from pagexchange.runs.verdict import Stamping, blame, losses, verdict_of
from pagexchange.runs.workbench import Workbench

ROUNDS: Final = (3, 15)
"""Least and most rounds when their number is left open."""
BUDGET = 10.0
"""Seconds that the rounds may take then, about."""

Progress: TypeAlias = Callable[[int, int, str], None]
"""Is told `(done, total, what)`: `done` of `total` calls are over, and `what` comes now. Never within a timed call."""


def run(
    bench: Workbench,
    specs: Sequence[StrategySpec],
    bind: Bind,
    oracle: Stamping | None,
    *,
    rounds: int | None = None,
    seed: int = 0,
    verify_all: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Run every strategy on the workbench's pairs.

    Parameters
    ----------
    bind
        Makes a strategy ready for an arena; called again when the arena had to be made anew.
    oracle
        None: nothing is compared, and the verdict of a strategy that exchanges something is `unchecked`.
    rounds
        Timed calls per strategy; 0 checks only. None: as many as fit into `BUDGET`.
    seed
        Decides the order within the rounds.
    verify_all
        Let the oracle compare everything after each timed call too, not only once per strategy.
    progress
        Called before each exchange.

    Returns
    -------
    RunResult
        Also when a plug-in failed (that strategy's verdict is `failed`) and when Ctrl-C was pressed (`interrupted`; the
        state that was reached is in it).
    """
    started = time.perf_counter()
    environment = collect()
    turns = _Turns(bench, [Tally(spec) for spec in specs], bind, oracle, rounds, seed, progress)
    interrupted, drift = False, ""
    try:
        turns.check_all()
        drift = turns.time_all(verify_all=verify_all)
    except KeyboardInterrupt:
        interrupted = True
    turns.finish_all()
    results = [tally.result(bench) for tally in turns.tallies]
    return RunResult(
        pagexchange=__version__,
        seed=seed,
        environment=environment,
        input=bench.info,
        rounds=turns.rounds or 0,
        interrupted=interrupted,
        as_expected=all(result.as_expected for result in results) and not drift,
        warnings=[f"{drift}. Run again with --verify all to see which strategy it is."] if drift else [],
        seconds=round(time.perf_counter() - started, 3),
        strategies=results,
    )


class _Turns:
    """Whose turn it is: the checked calls, then the rounds, each in an order that the seed decides."""

    def __init__(
        self,
        bench: Workbench,
        tallies: list[Tally],
        bind: Bind,
        oracle: Stamping | None,
        rounds: int | None,
        seed: int,
        progress: Progress | None,
    ) -> None:
        self.bench, self.tallies, self.bind, self.oracle = bench, tallies, bind, oracle
        self.rounds = rounds
        self.random = random.Random(seed)  # an order, not a secret
        self.progress = progress
        self.done = 0

    @property
    def total(self) -> int:
        """Calls in all; while the number of rounds is open, with the most that it may become."""
        return len(self.tallies) * (1 + (ROUNDS[1] if self.rounds is None else self.rounds))

    def tell(self, what: str) -> None:
        """Say what comes now."""
        if self.progress:
            self.progress(self.done, self.total, what)
        self.done += 1

    def check_all(self) -> None:
        """Let each strategy run once, checked and untimed; then choose the number of rounds if it is open."""
        for tally in self.random.sample(self.tallies, len(self.tallies)):
            self.tell(f"checking {tally.spec.name}")
            _check(self.bench, tally, self.bind, self.oracle)
        if self.rounds is None:
            least, most = ROUNDS
            one_round = sum(tally.seconds for tally in self.tallies if tally.runs)
            self.rounds = most if not one_round else max(least, min(most, int(BUDGET / one_round)))

    def time_all(self, *, verify_all: bool) -> str:
        """Run the rounds; return how the arena differs afterwards from what it was, empty if it does not."""
        bench, rounds = self.bench, self.rounds or 0
        before = self.oracle.before(bench) if self.oracle and rounds else None
        generation = bench.generation
        for number in range(rounds):
            fit = [tally for tally in self.tallies if tally.runs]
            # The calls of strategies that fell out count as over at the start of the round.
            self.done = len(self.tallies) * (number + 2) - len(fit)
            for position, tally in enumerate(self.random.sample(fit, len(fit))):
                self.tell(f"round {number + 1} of {rounds}: {tally.spec.name}")
                _time(bench, tally, self.bind, self.oracle if verify_all else None, number, position)
        # An arena made anew meanwhile is another one: the damage was found and has its verdict already.
        if self.oracle is None or before is None or generation != bench.generation:
            return ""
        nothing_exchanged = np.full(len(bench.pairs), -errno.ECANCELED, dtype=np.int32)
        comparison = self.oracle.after(before, bench, nothing_exchanged)
        if comparison.kind == "exact":
            return ""
        return f"after the timed rounds the arena is not as it was before them: {comparison}"

    def finish_all(self) -> None:
        """Tell the observers that it is over, interrupted or not, and keep what the plug-ins report."""
        for tally in self.tallies:
            if tally.strategy:
                try:
                    tally.report = tally.strategy.finish()
                except PagexchangeError as error:
                    tally.failed(error)
        if self.progress:
            self.progress(self.total, self.total, "")


def _check(bench: Workbench, tally: Tally, bind: Bind, oracle: Stamping | None) -> None:
    """The untimed first call: verified in full. Leaves the arena as it was."""
    before = oracle.before(bench) if oracle else None
    statistics = bench.statistics()  # they only grow, and going back leaves them: so their difference counts
    start = time.perf_counter()
    try:
        outcome = tally.exchange(bench, bind)
    except PagexchangeError as error:
        _failed(bench, tally, error)
        return
    tally.seconds = time.perf_counter() - start
    tally.checked = outcome
    tally.allocator = {name: value - statistics[name] for name, value in bench.statistics().items()}
    if outcome.touched:
        tally.reason = f"its flag policy would move {', '.join(outcome.touched)}: bits that stay with the frame"
    comparison = _compare(oracle, before, bench, outcome.status)
    tally.verdict, tally.lost = verdict_of(comparison, outcome.status), losses(comparison)
    if comparison is not None and tally.verdict == "wrong":
        tally.reason = _blame(bench, tally, comparison)
    del before, comparison  # copies as large as the arena, and views that would keep the old one's memory
    start = time.perf_counter()
    _go_back(bench, outcome.status, wrong=tally.verdict == "wrong")
    tally.seconds += time.perf_counter() - start


def _time(bench: Workbench, tally: Tally, bind: Bind, oracle: Stamping | None, number: int, position: int) -> None:
    """One timed call. Leaves the arena as it was."""
    before = oracle.before(bench) if oracle else None
    try:
        outcome = tally.exchange(bench, bind)
    except PagexchangeError as error:
        _failed(bench, tally, error)
        return
    status = outcome.status
    tally.rounds.append(
        Round(
            round=number,
            position=position,
            exchanged=int((status == 0).sum()),
            ns=Costs(**outcome.ns),
            cpu_ns=outcome.cpu_ns,
            verified=oracle is not None,
        )
    )
    comparison = _compare(oracle, before, bench, status)
    wrong = comparison is not None and comparison.kind == "wrong"
    # A loss that the checked call had too is known and named; a fresh one is a worse verdict.
    if comparison is not None and (wrong or (comparison.kind == "loses" and tally.verdict == "exact")):
        tally.verdict, tally.lost = comparison.kind, losses(comparison)
    if comparison is not None and wrong:
        tally.reason = _blame(bench, tally, comparison)
    elif tally.checked is not None and not np.array_equal(status, tally.checked.status):
        changed = int((status != tally.checked.status).sum())
        tally.reason = f"round {number + 1}: {changed:,} pairs got another status than in the checked call"
    del before, comparison
    _go_back(bench, status, wrong=wrong)


def _compare(
    oracle: Stamping | None, before: Oracle | None, bench: Workbench, status: NDArray[np.int32]
) -> Comparison | None:
    return oracle.after(before, bench, status) if oracle and before is not None else None


def _blame(bench: Workbench, tally: Tally, comparison: Comparison) -> str:
    assert tally.strategy is not None, "nothing was exchanged"
    return blame(bench, tally.strategy.built, comparison)


def _go_back(bench: Workbench, status: NDArray[np.int32], *, wrong: bool) -> None:
    """Bring the arena back to where it was: a wrong one cannot be undone."""
    if wrong:
        bench.rebuild()
    else:
        bench.rewind(status)


def _failed(bench: Workbench, tally: Tally, error: PagexchangeError) -> None:
    """A plug-in raised. How far the call came is not known, so the arena is made anew unless it never began."""
    tally.failed(error)
    if tally.strategy is not None and tally.generation == bench.generation:
        bench.rebuild()
