"""Which strategy is first, whether it is ahead by more than luck, and the closing line of a report that says so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pagexchange.cli.layout import count, nanoseconds

if TYPE_CHECKING:
    from pagexchange.cli.layout import Words
    from pagexchange.runs.result import RunResult, StrategyResult


LEVEL: Final = 1.03
"""A smaller ratio is no lead: so much may lie between two runs of the same strategy."""

ORDER: Final = {
    verdict: place
    for place, verdict in enumerate(("exact", "unchecked", "loses", "wrong", "starved", "refused", "failed", "not run"))
}


def ranked(result: RunResult) -> list[StrategyResult]:
    """Strategies as the table shows them: those that lose nothing by speed, then those that lose, then the others."""
    return sorted(
        result.strategies,
        key=lambda s: (ORDER[s.verdict], s.ns_per_pair.total if s.ns_per_pair else float("inf")),
    )


def winner(result: RunResult) -> StrategyResult | None:
    """The fastest strategy that loses nothing."""
    return next((s for s in ranked(result) if s.verdict == "exact" and s.ns_per_pair), None)


def closing(result: RunResult) -> list[Words]:
    """What came out of it: the winner and its lead, warnings, and whether all did as expected."""
    best = winner(result)
    words: list[Words] = []
    if result.interrupted:
        words.append(("Interrupted: what was measured until then is shown. ", "warn"))
    if best and best.ns_per_pair:
        words += [(best.name, "bold"), " " + _why(result, best)]
    words += [(f"{warning} ", "bad") for warning in result.warnings]
    # Last, because read first: whether all did as expected is the exit code in words.
    wrong = [s.name for s in result.strategies if s.as_expected is False and s.verdict != "not run"]
    unshown = [s.name for s in result.strategies if s.as_expected is None]
    left = [s.name for s in result.strategies if s.verdict == "not run"]
    if left:
        words.append((f"Not run: {', '.join(left)}. ", "warn"))
    if unshown:
        words.append((f"Not shown, because the pages do not ask for it: {', '.join(unshown)}. ", "warn"))
    n = len(result.strategies) - len(unshown)
    if wrong:
        words.append((f"NOT as expected: {', '.join(wrong)}.", "bad"))
    elif any(s.verdict == "unchecked" for s in result.strategies):
        words.append(("Nothing was verified.", "warn"))
    elif n and result.as_expected:
        others = "other" if unshown else ""
        said = f"The {others} did as expected." if unshown and n == 1 else "It did as expected."
        words.append((said if n == 1 else f"All {n} {others}".rstrip() + " did as expected.", "good"))
    return words


def _why(result: RunResult, best: StrategyResult) -> str:
    """How far the winner is ahead of the next one that loses nothing, and whether every round agrees."""
    assert best.ns_per_pair
    cost = f"{nanoseconds(best.ns_per_pair.total)} ns per pair"
    frames = best.frames_allocated
    took = f"allocates {count(frames)} frame{'' if frames == 1 else 's'}" if frames else "allocates nothing"
    second = next((s for s in ranked(result) if s.verdict == "exact" and s.ns_per_pair and s is not best), None)
    if second is None or second.ns_per_pair is None:
        return f"takes {cost} and {took}. "
    # Round by round: the two ran in each under the same load, which a difference of medians would count as a lead.
    mine, theirs = (
        {r.round: r.ns.total / r.exchanged for r in strategy.rounds if r.exchanged} for strategy in (best, second)
    )
    common = mine.keys() & theirs.keys()
    n = len(common)
    if not n:
        return f"takes {cost} and {took}; it shares no round with {second.name}, so they are not compared. "
    ahead = sum(mine[number] < theirs[number] for number in common)
    ratio = second.ns_per_pair.total / best.ns_per_pair.total
    rounds = f"{ahead} of {n} round{'' if n == 1 else 's'}"
    if ratio < LEVEL or not clear(ahead, n):
        level = f"and {second.name} are level ({ratio:.2f}x apart, {best.name} ahead in {rounds})"
        return f"{level}: {cost}; {best.name} {took}. "
    lead = f"{cost}, {ratio:.2f}x faster than {second.name}"
    if n == 1:
        return f"is ahead in the one round: {lead}; it {took} and loses nothing. "
    if ahead == n:
        rounds = "both rounds" if n == 2 else f"all {n} rounds"
    return f"wins: {lead}, ahead in {rounds}; it {took} and loses nothing. "


def clear(ahead: int, n: int) -> bool:
    """Whether being ahead in so many of `n` rounds is more than luck: at most 5 % by a fair coin (sign test).

    Fewer than five rounds can never say so; there all of them must agree.
    """
    # Four of four come by chance once in 16: no evidence, so all must agree, and the words say of how many rounds.
    if n < 5:
        return ahead == n
    tail: int = sum(math.comb(n, k) for k in range(ahead, n + 1))
    return tail * 20 <= 1 << n
