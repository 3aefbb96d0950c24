"""The main job: every strategy on the same pages, checked page by page, then timed in turns.

First each strategy exchanges the whole list once, and the oracle compares everything before and after: that is the
verdict, and the warm-up. Then come the timed rounds. In each round every strategy runs once, in an order shuffled by
the seed, always from the same state of the arena; so what the machine does meanwhile hits all of them alike, and the
ratios within a run can be trusted where absolute times cannot. Nothing but the call lies between the clock readings.
At the end the oracle compares the whole arena with how it was before the first timed round.
"""

from __future__ import annotations

import errno
import random
import time
from dataclasses import dataclass, field
from importlib import metadata
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pagexchange.errors import ArenaError, PagexchangeError
from pagexchange.host.discovery import OWN
from pagexchange.model.statuses import errno_name
from pagexchange.runs.environment import collect
from pagexchange.runs.result import Costs, Lost, PlugIn, Round, RunResult, StrategyResult, Verdict, judge
from pagexchange_native.engine.steps import COSTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pagexchange.runs.result import Expected
    from pagexchange.runs.workbench import Workbench

ROUNDS = (3, 15)
"""Least and most rounds when their number is left open."""
BUDGET = 10.0
"""Seconds that the rounds may take then, about."""
CURE = (
    "Cure: mend it as pagexchange/hookspecs.py says, or leave it out; pagexchange.testing says which clause it breaks"
)
"""What to do about a plug-in that fails or spoils something, where its error does not know better."""


class Ready(Protocol):
    """A strategy that is ready for one arena."""

    def exchange(self, pairs: NDArray[np.int64], threads: int) -> Any:  # noqa: ANN401 - an ExchangeResult
        """Exchange the list: a result with `status`, `ns`, `moved`, `retries`, `touched`."""
        ...

    def plugins(self) -> list[PlugIn]:
        """Who serves each question."""
        ...

    def started(self) -> None:
        """Tell the observers among the plug-ins that a run begins."""
        ...

    def finished(self) -> dict[str, Any]:
        """Tell them that it is over; what they want to have in the report."""
        ...


@dataclass(frozen=True)
class Contender:
    """A strategy as the run needs it."""

    name: str
    build: Callable[[Any], Ready]
    """Makes it ready for an arena; raises PagexchangeError if a plug-in cannot."""
    summary: str = ""
    expected: Expected = "exact"
    mode: str = "async"
    threads: int = 1


class Oracle(Protocol):
    """Looks at a bench before and after an exchange."""

    def before(self, bench: Workbench) -> Any:  # noqa: ANN401
        """Take down everything there is."""

    def after(self, before: Any, bench: Workbench, status: NDArray[np.int32]) -> Any:  # noqa: ANN401
        """Compare with what must be: a verdict with `kind`, `lost`, `findings`, `by_kind`."""


class Stamping:
    """The project's oracle, with its stamps kept: a bench goes back to the same state after each call, so the pages
    are stamped once per arena and not once per call."""

    def __init__(self, seed: int = 0, threads: int = 1) -> None:
        self._seed, self._threads = seed, threads
        self._stamps: Any = True
        self._generation = 0

    def before(self, bench: Workbench) -> Any:  # noqa: ANN401 - an oracle.Oracle
        """Capture the arena; stamp it if it is new."""
        from pagexchange.oracle import Oracle

        if self._generation != bench.generation:
            self._stamps, self._generation = bench.stamps, bench.generation
        taken = Oracle.before(bench.arena, self._stamps, layout=bench.layout, seed=self._seed, threads=self._threads)
        self._stamps = taken.stamps
        return taken

    def after(self, before: Any, bench: Workbench, status: NDArray[np.int32]) -> Any:  # noqa: ANN401 - a Verdict
        """Compare the arena with what the exchanged pairs must have made of it."""
        return before.after(bench.pairs, status, "independent" if len(bench.lists) <= 1 else "sequential")


class Progress(Protocol):
    """Is told what comes next. Never called between the two clock readings of a timed call."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """`done` of `total` calls are over; `what` comes now."""


@dataclass
class _Tally:
    """What is known of one strategy so far."""

    contender: Contender
    ready: Ready | None = None
    generation: int = 0
    verdict: Verdict = "not run"
    reason: str = ""
    plugins: list[PlugIn] = field(default_factory=list)
    status: NDArray[np.int32] | None = None
    lost: list[Lost] = field(default_factory=list)
    allocator: dict[str, int] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    seconds: float = 0.0
    """Of a call and the way back, as the checked call had them."""
    rounds: list[Round] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether there is anything to time."""
        return (
            self.verdict in ("exact", "loses", "unchecked")
            and self.status is not None
            and bool((self.status == 0).any())
        )


def run(
    bench: Workbench,
    contenders: Sequence[Contender],
    oracle: Oracle | None,
    *,
    rounds: int | None = None,
    seed: int = 0,
    verify_all: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Run every contender on the bench's pairs.

    Parameters
    ----------
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
    tallies = [_Tally(contender) for contender in contenders]
    turns = random.Random(seed)  # an order, not a secret
    total, done = len(tallies) * (1 + (ROUNDS[1] if rounds is None else rounds)), 0
    interrupted, drift = False, ""

    def tell(what: str) -> None:
        nonlocal done
        if progress:
            progress(done, total, what)
        done += 1

    try:
        for tally in turns.sample(tallies, len(tallies)):
            tell(f"checking {tally.contender.name}")
            _check(bench, tally, oracle)
        if rounds is None:
            least, most = ROUNDS
            one_round = sum(tally.seconds for tally in tallies if tally.runs)
            rounds = most if not one_round else max(least, min(most, int(BUDGET / one_round)))
            total = len(tallies) * (1 + rounds)
        still = np.full(len(bench.pairs), -errno.ECANCELED, dtype=np.int32)
        before = oracle.before(bench) if oracle and rounds else None
        generation = bench.generation
        for number in range(rounds):
            fit = [tally for tally in tallies if tally.runs]
            done = len(tallies) + number * len(tallies) + len(tallies) - len(fit)
            for position, tally in enumerate(turns.sample(fit, len(fit))):
                tell(f"round {number + 1} of {rounds}: {tally.contender.name}")
                _time(bench, tally, oracle if verify_all else None, number, position)
        if oracle and rounds and generation == bench.generation:
            found = _compare(oracle, before, bench, still)
            if found.kind != "exact":
                drift = f"after the timed rounds the arena is not as it was before them: {found}"
        del before
    except KeyboardInterrupt:
        interrupted = True
    for tally in tallies:
        _finish(tally)
    if progress:
        progress(total, total, "")
    pressure = bench.info.free is not None
    results = [_result(tally, bench, pressure=pressure) for tally in tallies]
    return RunResult(
        pagexchange=metadata.version("pagexchange"),
        seed=seed,
        environment=environment,
        input=bench.info,
        rounds=rounds or 0,
        interrupted=interrupted,
        as_expected=all(result.as_expected for result in results) and not drift,
        warnings=[f"{drift}. Run again with --verify all to see which strategy it is."] if drift else [],
        seconds=round(time.perf_counter() - started, 3),
        strategies=results,
    )


@dataclass
class _Outcome:
    """What became of all lists of a bench: the sum over the calls, one for each list."""

    status: NDArray[np.int32]
    ns: dict[str, float]
    moved: dict[str, int]
    retries: int
    touched: list[str]
    cpu_ns: int


def _exchange(bench: Workbench, tally: _Tally) -> _Outcome:
    """One call for each list, on a strategy built for this very arena."""
    if tally.ready is None or tally.generation != bench.generation:
        tally.ready = tally.contender.build(bench.arena)
        tally.plugins = tally.ready.plugins()
        tally.generation = bench.generation
        tally.ready.started()
    start = time.process_time_ns()
    results = [tally.ready.exchange(pairs, tally.contender.threads) for pairs in bench.lists]
    cpu_ns = time.process_time_ns() - start
    status = [np.zeros(0, dtype=np.int32), *(np.asarray(result.status) for result in results)]
    return _Outcome(
        status=np.concatenate(status),
        ns={name: float(sum(result.ns[name] for result in results)) for name in ("total", *COSTS)},
        moved={name: sum(result.moved[name] for result in results) for name in results[0].moved} if results else {},
        retries=sum(int(result.retries) for result in results),
        touched=list(dict.fromkeys(name for result in results for name in result.touched)),
        cpu_ns=cpu_ns,
    )


def _check(bench: Workbench, tally: _Tally, oracle: Oracle | None) -> None:
    """The untimed first call: verified in full. Leaves the arena as it was."""
    before = oracle.before(bench) if oracle else None
    allocator = bench.statistics()
    start = time.perf_counter()
    try:
        result = _exchange(bench, tally)
    except PagexchangeError as error:
        _failed(bench, tally, error)
        return
    tally.seconds = time.perf_counter() - start
    status = tally.status = result.status
    tally.allocator = {name: value - allocator[name] for name, value in bench.statistics().items()}
    tally.moved, tally.retries = result.moved, result.retries
    if result.touched:
        tally.reason = f"its flag policy would move {', '.join(result.touched)}: bits that stay with the frame"
    found = _compare(oracle, before, bench, status) if oracle else None
    tally.verdict = _verdict(None if found is None else found.kind, status)
    tally.lost = _lost(found)
    if tally.verdict == "wrong":
        tally.reason = _blame(bench, tally, found)
    del before, found
    start = time.perf_counter()
    if tally.verdict == "wrong":
        bench.rebuild()
    else:
        bench.rewind(status)
    tally.seconds += time.perf_counter() - start


def _time(bench: Workbench, tally: _Tally, oracle: Oracle | None, number: int, position: int) -> None:
    """One timed call. Leaves the arena as it was."""
    before = oracle.before(bench) if oracle else None
    try:
        result = _exchange(bench, tally)
    except PagexchangeError as error:
        _failed(bench, tally, error)
        return
    status = result.status
    tally.rounds.append(
        Round(
            round=number,
            position=position,
            exchanged=int((status == 0).sum()),
            ns=Costs(**result.ns),
            cpu_ns=result.cpu_ns,
            verified=oracle is not None,
        )
    )
    found = _compare(oracle, before, bench, status) if oracle else None
    wrong = found is not None and found.kind == "wrong"
    if found is not None and (wrong or (found.kind == "loses" and tally.verdict == "exact")):
        tally.verdict, tally.lost = found.kind, _lost(found)
        if wrong:
            tally.reason = _blame(bench, tally, found)
    del before, found
    assert tally.status is not None
    if not np.array_equal(status, tally.status):
        changed = int((status != tally.status).sum())
        tally.reason = f"round {number + 1}: {changed:,} pairs got another status than in the checked call"
    if wrong:
        bench.rebuild()
    else:
        bench.rewind(status)


def _finish(tally: _Tally) -> None:
    """Tell the observers that it is over, interrupted or not, and keep what they report."""
    if tally.ready:
        try:
            tally.report = tally.ready.finished()
        except PagexchangeError as error:
            tally.verdict, tally.reason = "failed", _told(error)


def _failed(bench: Workbench, tally: _Tally, error: PagexchangeError) -> None:
    """A plug-in raised. Nobody knows how far the call came, so the arena is made anew unless it never began."""
    tally.verdict, tally.reason = "failed", _told(error)
    if tally.ready is not None and tally.generation == bench.generation:
        bench.rebuild()


def _told(error: PagexchangeError) -> str:
    """An error in words, with what to do about it."""
    known = "Cure: " in str(error) or not getattr(error, "plugin", "")
    return str(error) if known else f"{error}. {CURE}"


def _verdict(kind: str | None, status: NDArray[np.int32]) -> Verdict:
    if kind == "wrong":
        return "wrong"
    if len(status) and not (status == 0).any():
        return "starved" if (status == -errno.ENOMEM).all() else "refused"
    if kind is None:
        return "unchecked"
    return "loses" if kind == "loses" else "exact"


def _compare(oracle: Oracle, before: Any, bench: Workbench, status: NDArray[np.int32]) -> Any:  # noqa: ANN401
    """The oracle's verdict; an arena that it cannot even read any more is wrong too."""
    try:
        return oracle.after(before, bench, status)
    except ArenaError as error:
        from pagexchange.oracle.findings import Finding
        from pagexchange.oracle.findings import Verdict as Judgement

        finding = Finding("arena", -1, "", "", f"the arena cannot be read any more: {error}")
        return Judgement("wrong", {}, [finding], 1, {"arena": 1})


def _blame(bench: Workbench, tally: _Tally, found: Any) -> str:  # noqa: ANN401 - the oracle's verdict
    """Which plug-in a wrong arena is the work of, as far as the findings tell."""

    def named(*questions: str) -> str:
        asked = [p for p in tally.plugins if p.question in (*questions, "wrap")]
        asked = [p for p in asked if p.distribution != OWN] or asked  # our own are tested: a stranger's first
        chosen = dict.fromkeys(f"{p.name!r} ({p.distribution} {p.version})" for p in asked)
        return ("plug-in " if len(chosen) == 1 else "one of the plug-ins ") + ", ".join(chosen)

    contents = [one for one in found.findings if one.what == "contents"]
    if any(not bench.names(one.pfn) for one in contents):
        return f"{named('data')} wrote into frames that no pair names. {CURE}"
    if contents:
        return f"{named('data')} did not exchange the contents of the pairs that it was given. {CURE}"
    return f"{named('flags', 'data', 'mapping')} changed what it must not. {CURE}"


def _lost(found: Any) -> list[Lost]:  # noqa: ANN401 - the oracle's verdict
    """The oracle's findings as values: lost flags by name, everything else by kind with its first example."""
    if found is None:
        return []
    lost = [Lost(kind="flag", name=name, count=n) for name, n in found.lost.items()]
    first: dict[str, str] = {}
    for finding in found.findings:
        first.setdefault(finding.what, finding.sentence)
    lost += [
        Lost(kind=kind, name="", count=n, example=first.get(kind, ""))
        for kind, n in found.by_kind.items()
        if kind not in ("flag", "flags") or not found.lost
    ]
    return lost


def errno_names(status: NDArray[np.int32]) -> dict[str, int]:
    """Refused pairs by errno name, most frequent first."""
    values, counts = np.unique(-status[status != 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {errno_name(int(values[i])): int(counts[i]) for i in order}


def _result(tally: _Tally, bench: Workbench, *, pressure: bool) -> StrategyResult:
    one, status = tally.contender, tally.status
    exchanged = 0 if status is None else int((status == 0).sum())
    samples = [r for r in tally.rounds if r.exchanged]
    costs, low, high = None, None, None
    if samples:
        per = [r.ns.per(r.exchanged) for r in samples]
        # each part by itself: a pause in one call then shows in no part
        costs = Costs(**{name: round(median(getattr(one, name) for one in per), 2) for name in ("total", *COSTS)})
        low, high = min(one.total for one in per), max(one.total for one in per)
    isa = next((p.details["isa"] for p in tally.plugins if p.question == "data" and "isa" in p.details), None)
    moved = 0
    if status is not None and exchanged:
        moved = int((2 << bench.orders[status == 0]).sum()) * bench.info.page_size
    speed = moved / exchanged / costs.total if costs and costs.total and exchanged else None
    return StrategyResult(
        name=one.name,
        summary=one.summary,
        verdict=tally.verdict,
        expected=one.expected,
        as_expected=judge(one.expected, tally.verdict, pressure=pressure),
        reason=tally.reason,
        pairs=len(bench.pairs),
        exchanged=exchanged,
        refused={} if status is None else errno_names(status),
        ns_per_pair=costs,
        ns_per_pair_low=low,
        ns_per_pair_high=high,
        gb_per_s=speed and round(speed, 3),
        frames_asked=tally.allocator.get("asked", 0),
        frames_allocated=tally.allocator.get("got", 0),
        below_low=tally.allocator.get("below_low", 0),
        below_min=tally.allocator.get("below_min", 0),
        moved=tally.moved,
        retries=tally.retries,
        mode=one.mode,
        threads=one.threads,
        isa=isa,
        plugins=tally.plugins,
        lost=tally.lost,
        report=tally.report,
        rounds=tally.rounds,
    )
