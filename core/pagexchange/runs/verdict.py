"""From the oracle's comparison of an arena before and after a call to a verdict: what was lost, and by whose fault."""

import errno
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import ArenaError
from pagexchange.hookspecs import MOVES
from pagexchange.host.blame import CURE, suspects
from pagexchange.host.built import BuiltStrategy
from pagexchange.oracle import Finding, Oracle
from pagexchange.oracle import Verdict as Comparison
from pagexchange.pages.within import within
from pagexchange.runs.result import Lost, Verdict
from pagexchange.runs.tally import Outcome
from pagexchange.runs.workbench import Workbench

_AT_WORK: Final = ("flags", *MOVES, "mapping")


class Stamping:
    """The oracle of a run. A workbench goes back to the same state after each call, so its pages are stamped once per
    arena and not once per call, and that state is known: each look at it is both the end of a call and the next start.

    Parameters
    ----------
    seed
        Of the stamps.
    stamp
        False: leave the pages' contents as they are, and compare with copies of them, as much memory again.
    """

    def __init__(self, seed: int = 0, *, stamp: bool = True) -> None:
        self._seed = seed
        self._stamp = stamp
        self._known: Oracle | None = None
        self._generation = 0

    def damage(self, bench: Workbench) -> Comparison | None:
        """What is not as it was when the last call was over, or before the first one not as in any arena; else None.

        Between two calls nobody may write: what is found here is no matter of the next strategy.
        """
        if self._known is None or self._generation != bench.generation:
            self._known = Oracle.before(bench.arena, self._stamp, seed=self._seed)
            self._generation = bench.generation
            broken = self._known.broken()
            if broken is not None:
                return broken
        comparison = self._compare(bench, bench.pairs[:0], np.zeros(0, dtype=np.int32))
        if comparison.kind != "exact":
            return comparison
        self._known = self._known.renewed()
        return None

    def after(self, bench: Workbench, outcome: Outcome) -> Comparison:
        """Compare the arena with what exchanged pairs, or migrated pages, must have made of it since `damage`."""
        if outcome.calls:
            return self._judge(lambda known: known.after_migrations(outcome.calls, taken=outcome.taken))
        return self._compare(bench, bench.pairs, outcome.status, outcome.taken)

    def _compare(
        self, bench: Workbench, pairs: NDArray[np.int64], status: NDArray[np.int32], taken: int | None = None
    ) -> Comparison:
        # Lists are exchanged one after the other, so a frame of one may be in the next: as a chain.
        order: Literal["independent", "sequential"] = "independent" if len(bench.lists) <= 1 else "sequential"
        return self._judge(lambda known: known.after(pairs, status, order, taken=taken))

    def _judge(self, judge: Callable[[Oracle], Comparison]) -> Comparison:
        assert self._known is not None, "damage() comes first"
        try:
            return judge(self._known)
        except ArenaError as error:  # an arena that cannot even be read any more is wrong too
            finding = Finding("arena", -1, "", "", f"the arena cannot be read any more: {error}")
            return Comparison("wrong", {}, [finding], 1, {"arena": 1})


def verdict_of(comparison: Comparison | None, status: NDArray[np.int32]) -> Verdict:
    """The verdict on a call with these statuses, int32[n]; without a comparison what can be said without one."""
    if comparison is not None and comparison.kind == "wrong":
        return "wrong"
    if len(status) and not (status == 0).any():
        return "starved" if (status == -errno.ENOMEM).all() else "refused"
    if comparison is None:
        return "unchecked"
    return "loses" if comparison.kind == "loses" else "exact"


def losses(comparison: Comparison | None) -> list[Lost]:
    """The oracle's findings as values: lost flags by name, everything else by kind with its first example."""
    if comparison is None:
        return []
    flags = [Lost(kind="flag", name=name, count=n) for name, n in comparison.lost.items()]
    first: dict[str, str] = {}
    for finding in comparison.findings:
        first.setdefault(finding.what, finding.sentence)
    others = [
        Lost(kind=kind, name="", count=n, example=first.get(kind, ""))
        for kind, n in comparison.by_kind.items()
        if kind not in ("flag", "flags") or not comparison.lost  # else they are there by name
    ]
    return flags + others


def unsound(comparison: Comparison) -> str:
    """What to say of an arena that is wrong though nobody has exchanged anything in it yet."""
    found = "1 thing was" if comparison.total == 1 else f"{comparison.total:,} things were"
    return (
        f"Before the first exchange {found} not as they must be in any arena, the first: {comparison.findings[0]}. No "
        "strategy is to blame, and none was judged: look at what made the pages (the snapshot, or the program that "
        "filled the arena), then at NumPy and this machine"
    )


def blame(bench: Workbench, built: BuiltStrategy, outcome: Outcome, comparison: Comparison) -> str:
    """Which plug-in a wrong arena is the work of, as far as the findings tell, and what to do."""
    contents = [finding for finding in comparison.findings if finding.what == "contents"]
    movers = suspects(built.at_work(*MOVES))
    placed = _placed(bench, outcome)
    # Bytes in frames of no pair: no list of pairs explains them, so that is said first even if pairs are wrong too.
    if any(not bench.names(finding.pfn) and finding.pfn not in placed for finding in contents):
        return f"{movers} wrote into frames that no pair names. {CURE}"
    if contents:
        done = "copy" if built.spec.migrates else "exchange"
        return f"{movers} did not {done} the contents of the pairs that it was given. {CURE}"
    return f"{suspects(built.at_work(*_AT_WORK))} changed what it must not. {CURE}"


def _placed(bench: Workbench, outcome: Outcome) -> set[int]:
    """The frames that pages were migrated to, tails included."""
    heads = np.concatenate([np.zeros(0, np.int64), *(np.asarray(call.placed) for call in outcome.calls)])
    heads = heads[(heads >= 0) & (heads < bench.arena.nframes)]
    sizes = np.left_shift(1, np.minimum(bench.arena.entries["order"][heads], 9).astype(np.int64))
    return set((np.repeat(heads, sizes) + within(sizes)).tolist())


def blame_for_later(built: BuiltStrategy, comparison: Comparison) -> str:
    """The same where the arena was right at the end of the call and is wrong before the next one."""
    who = suspects(built.at_work(*_AT_WORK))
    return f"{who} wrote after its call was over, as far as can be told: {comparison.findings[0]}. {CURE}"
