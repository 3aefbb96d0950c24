"""From the oracle's comparison of an arena before and after a call to a verdict: what was lost, and by whose fault."""

import errno

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import ArenaError
from pagexchange.host.blame import CURE, suspects
from pagexchange.host.built import BuiltStrategy
from pagexchange.oracle import Finding, Oracle, Stamps
from pagexchange.oracle import Verdict as Comparison
from pagexchange.runs.result import Lost, Verdict
from pagexchange.runs.workbench import Workbench


class Stamping:
    """The oracle, with its stamps kept: a workbench goes back to the same state after each call, so the pages are
    stamped once per arena and not once per call.

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
        self._stamps: Stamps | None = None
        self._generation = 0

    def before(self, bench: Workbench) -> Oracle:
        """Capture the arena; stamp it if it is new."""
        if self._generation != bench.generation:
            self._stamps, self._generation = None, bench.generation
        oracle = Oracle.before(bench.arena, self._stamps or self._stamp, seed=self._seed)
        self._stamps = oracle.stamps
        return oracle

    def after(self, oracle: Oracle, bench: Workbench, status: NDArray[np.int32]) -> Comparison:
        """Compare the arena with what the exchanged pairs must have made of it.

        An arena that cannot even be read any more is wrong too.
        """
        try:
            # Lists are exchanged one after the other, so a frame of one may be in the next: as a chain.
            return oracle.after(bench.pairs, status, "independent" if len(bench.lists) <= 1 else "sequential")
        except ArenaError as error:
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


def blame(bench: Workbench, built: BuiltStrategy, comparison: Comparison) -> str:
    """Which plug-in a wrong arena is the work of, as far as the findings tell, and what to do."""
    contents = [finding for finding in comparison.findings if finding.what == "contents"]
    movers = suspects(built.at_work("data"))
    # Bytes in frames of no pair: no list of pairs explains them, so that is said first even if pairs are wrong too.
    if any(not bench.names(finding.pfn) for finding in contents):
        return f"{movers} wrote into frames that no pair names. {CURE}"
    if contents:
        return f"{movers} did not exchange the contents of the pairs that it was given. {CURE}"
    return f"{suspects(built.at_work('flags', 'data', 'mapping'))} changed what it must not. {CURE}"
