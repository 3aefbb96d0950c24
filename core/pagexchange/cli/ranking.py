"""Which strategy is first, whether it is ahead by more than luck, and the closing line of a report that says so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

from pagexchange.cli.layout import count, nanoseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.cli.layout import Words
    from pagexchange.runs.result import Figure, Meanwhile, RunResult, StrategyResult


ORDER: Final = {
    verdict: place
    for place, verdict in enumerate(("exact", "unchecked", "loses", "wrong", "starved", "refused", "failed", "not run"))
}


def ranked(result: RunResult) -> list[StrategyResult]:
    """Strategies as the table shows them: those that lose nothing by speed, then those that lose, then the others."""
    return sorted(result.strategies, key=lambda s: (ORDER[s.verdict], s.cost.middle if s.cost else math.inf))


def winner(result: RunResult) -> StrategyResult | None:
    """The fastest strategy that loses nothing."""
    return next((s for s in result.strategies if s.name == result.reference), None)


def closing(result: RunResult) -> list[list[Words]]:
    """What came out of it, the words of each paragraph: warnings, doubts, the winner and whether all is as expected."""
    said: list[list[Words]] = [[(warning, "bad")] for warning in result.warnings]
    if doubt := doubts(result.strategies, result.machine):
        said.append([(doubt, "bad")])
    best = winner(result)
    words: list[Words] = []
    if result.interrupted:
        words.append(("Interrupted: what was measured until then is shown. ", "warn"))
    if best and best.cost:
        words += [(best.name, "bold"), _why(result, best, best.cost)]
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
        alone = f"The {others} did as expected." if unshown and n == 1 else "It did as expected."
        words.append((alone if n == 1 else f"All {n} {others}".rstrip() + " did as expected.", "good"))
    return [*said, words] if words else said


class Timed(Protocol):
    """What was timed: a strategy of `run`, or a way of `tier`."""

    # As properties: a field of a frozen struct can be read only.
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def trusted(self) -> bool | None: ...  # noqa: D102
    @property
    def off_cpu(self) -> float | None: ...  # noqa: D102


def doubts(several: Sequence[Timed], machine: Meanwhile) -> str:
    """Whose times cannot be trusted, and what the machine did meanwhile; empty if all can."""
    pushed = [s for s in several if s.trusted is False]
    if not pushed:
        return ""
    everybody = len(pushed) == sum(s.trusted is not None for s in several)
    names = "all" if everybody else ", ".join(s.name for s in pushed)
    away = list(dict.fromkeys(_percent(share) for share in sorted(s.off_cpu or 0.0 for s in pushed)))
    during = machine.during
    facts = [
        "" if during.some_cpu is None else f"somebody waited for a CPU {_percent(during.some_cpu)} of the time",
        f"the hypervisor took {_percent(during.steal)}" if during.steal else "",
        f"the control group was throttled {_percent(during.throttled)} of the time" if during.throttled else "",
        f"load {during.load[0]:.1f}" if during.load else "",
    ]
    return (
        f"Not to be trusted, marked !: {names}. Others had the CPU for {' to '.join([*away[:1], *away[1:][-1:]])} "
        f"of the time of most rounds. Meanwhile {', '.join(filter(None, facts)) or 'the machine says nothing'}. "
        "Run again on a quieter machine."
    )


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _why(result: RunResult, best: StrategyResult, cost: Figure) -> str:
    """How far the winner is ahead of the others that lose nothing, and who is level with it."""
    each = f"{nanoseconds(cost.middle)} ns per pair"
    frames = best.frames_allocated
    took = f"allocates {count(frames)} frame{'' if frames == 1 else 's'}" if frames else "allocates nothing"
    others = [s for s in ranked(result) if s.verdict == "exact" and s is not best and s.ratio]
    if not others or not others[0].ratio:
        return f" takes {each} and {took}. "
    ratio = others[0].ratio
    if ratio.low is None:
        lead = f"{each}, {ratio.middle:.2f}x faster than {others[0].name}"
        return f" is ahead in the one round: {lead}; it {took} and loses nothing. One round has no interval. "
    level = [s for s in others if s.level]
    if not level:
        lead = f"{each}, {ratio.middle:.2f}x faster than {others[0].name} ({ratio.low:.2f} to {ratio.high:.2f})"
        return f" wins: {lead}; it {took} and loses nothing. "
    apart = max(s.ratio.middle for s in level if s.ratio)
    *first, last = (s.name for s in level)
    names = "".join(f", {name}" for name in first) + f" and {last}"
    return f"{names} are level ({'at most ' * bool(first)}{apart:.2f}x apart): {each}; {best.name} {took}. "
