"""Whose turn it is: the checked calls, the timed rounds, and once more the turns that others pushed aside."""

import logging
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from pagexchange.errors import PagexchangeError
from pagexchange.host.tracing import untraced
from pagexchange.measure import trust
from pagexchange.measure.affinity import Pinning
from pagexchange.model.words import counted
from pagexchange.oracle import Verdict as Comparison
from pagexchange.runs.result import Costs, Round
from pagexchange.runs.tally import Bind, Outcome, Tally
from pagexchange.runs.unshown import not_shown
from pagexchange.runs.verdict import Stamping, blame, blame_for_later, losses, verdict_of
from pagexchange.runs.workbench import Workbench
from pagexchange.samples import turns

_LOG: Final = logging.getLogger(__name__)
ROUNDS: Final = (3, 15)
"""Least and most rounds when their number is left open."""
BUDGET = 10.0
"""Seconds that the rounds may take then, about."""
AGAIN: Final = (1.0, 0.5)
"""What turns that were pushed aside may cost once more: so many seconds, or this share of the rounds' time."""
ATTEMPTS: Final = 3
"""How often one is taken again."""

Progress: TypeAlias = Callable[[int, int, str], None]
"""Is told `(done, total, what)`: `done` of `total` calls are over, and `what` comes now. Never within a timed call."""

Keep: TypeAlias = Callable[[str, Round], None]
"""Is told the name of a strategy and what a timed call of it gave, once that has returned."""


class UnsoundError(Exception):
    """The arena is wrong, and nobody has exchanged anything in it yet."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__(str(comparison))
        self.comparison = comparison


class InTurns:
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
        self.began = time.monotonic_ns()
        self.aside = trust.limit()
        self.pinning = Pinning()
        self.looked = 0
        """Generation of the arena when it was last looked at, in the rounds."""
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
            raise UnsoundError(damage)
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
        self.pinning.choose()
        try:
            return self._time_all(verify_all=verify_all)
        finally:
            self.pinning.release()

    def _time_all(self, *, verify_all: bool) -> str:
        rounds, start = self.rounds or 0, time.monotonic()
        self.looked = self.bench.generation
        for number in range(rounds):
            fit = [tally for tally in self.tallies if tally.runs]
            # The calls of strategies that fell out count as over at the start of the round.
            self.done = len(self.tallies) * (number + 2) - len(fit)
            for position, tally in enumerate(self.random.sample(fit, len(fit))):
                self.tell(f"round {number + 1} of {rounds}: {tally.spec.name}")
                self.take_turn(tally, number, position, verify_all=verify_all)
        least, share = AGAIN
        budget = trust.Budget(max(least, share * (time.monotonic() - start)))
        self.again(budget, verify_all=verify_all)
        timed = [tally for tally in self.tallies if tally.rounds]
        # A look after each call, or one strategy alone: then it is known whose work it is.
        if verify_all or len(timed) == 1:
            self.settle()
            return ""
        if self.oracle is None or not rounds or self.looked != self.bench.generation:
            return ""
        damage = self.oracle.damage(self.bench)
        if damage is None:
            return ""
        again = "Run again with --verify all to see which strategy it is"
        return f"after the timed rounds the arena is not as it was before them: {damage}. {again}"

    def take_turn(self, tally: Tally, number: int, position: int, attempt: int = 0, *, verify_all: bool) -> None:
        """One turn of a round, if there is still one to take."""
        # An arena made anew is looked at before its first call as well: the end is compared with that.
        if verify_all or self.looked != self.bench.generation:
            self.settle()
            self.looked = self.bench.generation
        if tally.runs:  # no damage was found that it has done since it was drawn
            self.time(tally, number, position, attempt, verify=verify_all)

    def again(self, budget: trust.Budget, *, verify_all: bool) -> None:
        """Take the turns that were pushed aside once more, on the CPUs that are calm now, while the budget lasts."""
        for attempt in range(1, ATTEMPTS + 1):
            left = [
                (tally, turn)
                for tally in self.tallies
                if tally.runs
                for turn in turns.final(tally.rounds)
                if turn.aside
            ]
            if left:
                self.pinning.choose()
            for tally, turn in self.random.sample(left, len(left)):
                if self.progress:
                    self.progress(self.total, self.total, f"round {turn.round + 1} again: {tally.spec.name}")
                once_more = partial(self.take_turn, tally, turn.round, turn.position, attempt, verify_all=verify_all)
                budget.spend(once_more, expected=tally.seconds)

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
            tally.reason = _blame(bench, tally, outcome, comparison)
        start = time.perf_counter()
        self.go_back(outcome, wrong=wrong)
        tally.seconds += time.perf_counter() - start
        self.say_what_is_not_shown(tally, outcome)

    def say_what_is_not_shown(self, tally: Tally, outcome: Outcome) -> None:
        """Ask whether the checked call could show what is expected of the strategy."""
        assert tally.strategy is not None, "it has run"
        spec, flags = tally.spec, tally.strategy.built.flags
        try:
            tally.unshown = not_shown(self.bench, flags, spec.expect, tally.verdict, outcome.status)
        except PagexchangeError as error:  # a policy that serves the engine, and does not like to be asked
            tally.failed(error)

    def time(self, tally: Tally, number: int, position: int, attempt: int, *, verify: bool) -> None:
        """One timed call. Leaves the arena as it was."""
        cpus = self.pinning.to(tally.threads)
        started = time.monotonic_ns() - self.began
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
                attempt=attempt,
                aside=outcome.aside(self.aside),
                started_ns=started,
                wall_ns=outcome.wall_ns,
                threads=outcome.threads,
                cpus=cpus,
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
            tally.reason = _blame(self.bench, tally, outcome, comparison)
        elif tally.checked is not None and not np.array_equal(status, tally.checked.status):
            changed = int((status != tally.checked.status).sum())
            tally.reason = f"round {number + 1}: {counted(changed, 'pair')} got another status than in the checked call"
        self.go_back(outcome, wrong=wrong)

    def exchange(self, tally: Tally) -> Outcome | None:
        """Call a strategy; None: a plug-in raised, and the arena is as it was or made anew."""
        try:
            tally.bind(self.bench, self.bind)
            outcome = tally.exchange(self.bench)
        except PagexchangeError as error:
            tally.failed(error)
            _LOG.info("%s failed: %s", tally.spec.name, tally.reason)
            # How far the call came is not known, so the arena is made anew unless it never began.
            if tally.strategy is not None and tally.generation == self.bench.generation:
                self.rebuild()
            return None
        self.last = tally
        return outcome

    def go_back(self, outcome: Outcome, *, wrong: bool) -> None:
        """Bring the arena back to where it was: a wrong one cannot be undone."""
        if wrong:
            self.rebuild()
        else:
            self.bench.rewind(outcome.status, outcome.calls)

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


def _blame(bench: Workbench, tally: Tally, outcome: Outcome, comparison: Comparison) -> str:
    assert tally.strategy is not None, "nothing was exchanged"
    return blame(bench, tally.strategy.built, outcome, comparison)
