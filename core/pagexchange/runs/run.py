"""The main job: every strategy on the same pages, checked page by page, then timed in turns.

First each strategy exchanges the whole list once, and the oracle compares everything before and after: that is the
verdict, and the warm-up. Then come the timed rounds. In each round every strategy runs once, in an order shuffled by
the seed, always from the same state of the arena; so what the machine does meanwhile hits all of them alike, and the
ratios within a run can be trusted where absolute times cannot. Nothing but the call lies between the clock readings.
At the end the oracle compares the whole arena with how it was before the first timed round.

Between two calls nobody may write. So the oracle also looks before each checked call: what is wrong there is put to the
strategy that ran last, and before the first call of all to nobody.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagexchange import __version__
from pagexchange.errors import PagexchangeError
from pagexchange.host.tracing import untraced
from pagexchange.model.config import StrategySpec
from pagexchange.model.words import counted
from pagexchange.oracle import Verdict as Comparison
from pagexchange.runs.environment import collect
from pagexchange.runs.result import Costs, Round, RunResult
from pagexchange.runs.tally import Bind, Outcome, Tally
from pagexchange.runs.unshown import not_shown
from pagexchange.runs.verdict import Stamping, blame, blame_for_later, losses, unsound, verdict_of
from pagexchange.runs.workbench import Workbench

_LOG: Final = logging.getLogger(__name__)
ROUNDS: Final = (3, 15)
"""Least and most rounds when their number is left open."""
BUDGET = 10.0
"""Seconds that the rounds may take then, about."""

Progress: TypeAlias = Callable[[int, int, str], None]
"""Is told `(done, total, what)`: `done` of `total` calls are over, and `what` comes now. Never within a timed call."""

Keep: TypeAlias = Callable[[str, Round], None]
"""Is told the name of a strategy and what a timed call of it gave, once that has returned."""


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
    keep: Keep | None = None,
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
    keep
        Called after each timed call.

    Returns
    -------
    RunResult
        Also when a plug-in failed (that strategy's verdict is `failed`) and when Ctrl-C was pressed (`interrupted`; the
        state that was reached is in it).
    """
    started = time.perf_counter()
    environment = collect()
    turns = _Turns(bench, [Tally(spec) for spec in specs], bind, oracle, rounds, seed, progress, keep)
    interrupted, drift = False, ""
    broken: Comparison | None = None
    try:
        turns.check_all()
        drift = turns.time_all(verify_all=verify_all)
    except KeyboardInterrupt:
        interrupted = True
    except _UnsoundError as error:
        broken = error.comparison
    turns.finish_all()
    results = [tally.result(bench) for tally in turns.tallies]
    return RunResult(
        pagexchange=__version__,
        seed=seed,
        environment=environment,
        input=bench.info,
        rounds=turns.rounds or 0,
        interrupted=interrupted,
        rounds_done=max((len(result.rounds) for result in results), default=0),
        as_expected=all(result.as_expected is not False for result in results) and not drift and broken is None,
        unsound=losses(broken),
        warnings=[f"{sentence}." for sentence in (drift, "" if broken is None else unsound(broken)) if sentence],
        seconds=round(time.perf_counter() - started, 3),
        strategies=results,
    )


class _UnsoundError(Exception):
    """The arena is wrong, and nobody has exchanged anything in it yet."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__(str(comparison))
        self.comparison = comparison


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
        keep: Keep | None,
    ) -> None:
        self.bench, self.tallies, self.bind, self.oracle = bench, tallies, bind, oracle
        self.rounds = rounds
        self.random = random.Random(seed)  # an order, not a secret
        self.progress, self.keep = progress, keep
        self.done = 0
        self.last: Tally | None = None
        """Who exchanged last in the arena as it is now; None: nobody yet."""

    @property
    def total(self) -> int:
        """Calls in all; while the number of rounds is open, with the most that it may become."""
        return len(self.tallies) * (1 + (ROUNDS[1] if self.rounds is None else self.rounds))

    def tell(self, what: str) -> None:
        """Say what comes now."""
        if self.progress:
            self.progress(self.done, self.total, what)
        self.done += 1

    def settle(self) -> None:
        """See that the arena is as it must be before a call; what is wrong is the work of who ran last."""
        damage = self.oracle.damage(self.bench) if self.oracle else None
        if damage is None:
            return
        _LOG.info("the arena is damaged: %s", damage)
        if self.last is None:
            raise _UnsoundError(damage)
        self.last.verdict, self.last.lost = "wrong", losses(damage)
        assert self.last.strategy is not None, "it has run"
        self.last.reason = blame_for_later(self.last.strategy.built, damage)
        self.rebuild()
        self.settle()

    def rebuild(self) -> None:
        """Make the arena anew: in this one nobody has exchanged yet."""
        self.bench.rebuild()
        self.last = None

    def check_all(self) -> None:
        """Let each strategy run once, checked and untimed; then choose the number of rounds if it is open."""
        for tally in self.random.sample(self.tallies, len(self.tallies)):
            self.tell(f"checking {tally.spec.name}")
            self.settle()
            self.check(tally)
        self.settle()
        if self.rounds is None:
            least, most = ROUNDS
            one_round = sum(tally.seconds for tally in self.tallies if tally.runs)
            self.rounds = most if not one_round else max(least, min(most, int(BUDGET / one_round)))
            _LOG.info("%s of %.3f s each, as many as fit into %.0f s", counted(self.rounds, "round"), one_round, BUDGET)

    def time_all(self, *, verify_all: bool) -> str:
        """Run the rounds; return how the arena differs afterwards from what it was, empty if it does not."""
        rounds, generation = self.rounds or 0, self.bench.generation
        for number in range(rounds):
            fit = [tally for tally in self.tallies if tally.runs]
            # The calls of strategies that fell out count as over at the start of the round.
            self.done = len(self.tallies) * (number + 2) - len(fit)
            for position, tally in enumerate(self.random.sample(fit, len(fit))):
                self.tell(f"round {number + 1} of {rounds}: {tally.spec.name}")
                # An arena made anew is looked at before its first call as well: the end is compared with that.
                if verify_all or generation != self.bench.generation:
                    self.settle()
                    generation = self.bench.generation
                if tally.runs:  # no damage was found that it has done since it was drawn
                    self.time(tally, number, position, verify=verify_all)
        timed = [tally for tally in self.tallies if tally.rounds]
        # A look after each call, or one strategy alone: then it is known whose work it is.
        if verify_all or len(timed) == 1:
            self.settle()
            return ""
        if self.oracle is None or not rounds or generation != self.bench.generation:
            return ""
        damage = self.oracle.damage(self.bench)
        if damage is None:
            return ""
        again = "Run again with --verify all to see which strategy it is"
        return f"after the timed rounds the arena is not as it was before them: {damage}. {again}"

    def check(self, tally: Tally) -> None:
        """The untimed first call: verified in full. Leaves the arena as it was."""
        bench = self.bench
        statistics = bench.statistics()  # they only grow, and going back leaves them: so their difference counts
        start = time.perf_counter()
        outcome = self.exchange(tally)
        if outcome is None:
            return
        tally.seconds = time.perf_counter() - start
        tally.checked = outcome
        tally.allocator = {name: value - statistics[name] for name, value in bench.statistics().items()}
        if outcome.touched:
            tally.reason = f"its flag policy would move {', '.join(outcome.touched)}: bits that stay with the frame"
        comparison = self.oracle.after(bench, outcome) if self.oracle else None
        tally.verdict, tally.lost = verdict_of(comparison, outcome.status), losses(comparison)
        _LOG.info("checked %s: %s, %.3f s", tally.spec.name, tally.verdict, tally.seconds)
        wrong = tally.verdict == "wrong"
        if comparison is not None and wrong:
            tally.reason = _blame(bench, tally, comparison)
        start = time.perf_counter()
        self.go_back(outcome.status, wrong=wrong)
        tally.seconds += time.perf_counter() - start
        self.say_what_is_not_shown(tally, outcome)

    def say_what_is_not_shown(self, tally: Tally, outcome: Outcome) -> None:
        assert tally.strategy is not None, "it has run"
        spec, flags = tally.spec, tally.strategy.built.flags
        try:
            tally.unshown = not_shown(self.bench, flags, spec.expect, tally.verdict, outcome.status)
        except PagexchangeError as error:  # a policy that serves the engine, and does not like to be asked
            tally.failed(error)

    def time(self, tally: Tally, number: int, position: int, *, verify: bool) -> None:
        """One timed call. Leaves the arena as it was."""
        with untraced():
            outcome = self.exchange(tally)
        if outcome is None:
            return
        _LOG.info("round %d: %s: %.6f s", number + 1, tally.spec.name, outcome.ns["total"] / 1e9)
        status = outcome.status
        tally.rounds.append(
            Round(
                round=number,
                position=position,
                exchanged=int((status == 0).sum()),
                ns=Costs(**outcome.ns),
                cpu_ns=outcome.cpu_ns,
                verified=verify and self.oracle is not None,
            )
        )
        if self.keep:
            self.keep(tally.spec.name, tally.rounds[-1])
        comparison = self.oracle.after(self.bench, outcome) if self.oracle and verify else None
        wrong = comparison is not None and comparison.kind == "wrong"
        # A loss that the checked call had too is known and named; a fresh one is a worse verdict.
        if comparison is not None and (wrong or (comparison.kind == "loses" and tally.verdict == "exact")):
            tally.verdict, tally.lost = comparison.kind, losses(comparison)
        if comparison is not None and wrong:
            tally.reason = _blame(self.bench, tally, comparison)
        elif tally.checked is not None and not np.array_equal(status, tally.checked.status):
            changed = int((status != tally.checked.status).sum())
            tally.reason = f"round {number + 1}: {counted(changed, 'pair')} got another status than in the checked call"
        self.go_back(status, wrong=wrong)

    def exchange(self, tally: Tally) -> Outcome | None:
        """Call a strategy; None: a plug-in raised, and the arena is as it was or made anew."""
        try:
            outcome = tally.exchange(self.bench, self.bind)
        except PagexchangeError as error:
            tally.failed(error)
            _LOG.info("%s failed: %s", tally.spec.name, tally.reason)
            # How far the call came is not known, so the arena is made anew unless it never began.
            if tally.strategy is not None and tally.generation == self.bench.generation:
                self.rebuild()
            return None
        self.last = tally
        return outcome

    def go_back(self, status: NDArray[np.int32], *, wrong: bool) -> None:
        """Bring the arena back to where it was: a wrong one cannot be undone."""
        if wrong:
            self.rebuild()
        else:
            self.bench.rewind(status)

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


def _blame(bench: Workbench, tally: Tally, comparison: Comparison) -> str:
    assert tally.strategy is not None, "nothing was exchanged"
    return blame(bench, tally.strategy.built, comparison)
