"""Who wins and by how much, in sentences: the same for the terminal, for JSON and for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagexchange.model.config import NOTHING
from pagexchange.samples import statistics
from pagexchange.tier.figures import shared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagexchange.samples.statistics import Interval
    from pagexchange.tier.figures import Costs


def sentences(lost: Mapping[str, Costs], slow_ns: float) -> list[str]:
    """Return the answer.

    Parameters
    ----------
    lost
        Way -> nanoseconds lost per access, by round; of the ways that lost no page, in any order. Of one there is no
        answer.
    slow_ns
        What an access to the slow node was taken to cost.
    """
    known = {name: costs for name, costs in lost.items() if costs}
    order = sorted(known, key=lambda name: statistics.median(known[name]).middle)
    if len(order) < 2:  # nobody to compare with
        return []
    first, price = order[0], f"at {slow_ns:g} ns for a slow access"
    level = [name for name in order if name != NOTHING and NOTHING in known and _level(_ratio(known, name, NOTHING))]
    if level and (first == NOTHING or first in level):
        best = level[0]
        return [
            f"No way is ahead of doing nothing {price}: {best} loses {_times(_ratio(known, best, NOTHING))} as much."
        ]
    if first == NOTHING:
        said = f"Nothing is best {price}: what moving wins does not pay for it"
        return [f"{said}. {_next(known, order)}".rstrip()]
    if NOTHING not in known:
        return [f"{first} loses least {price}. {_next(known, order)}".rstrip()]
    to_nothing = _ratio(known, first, NOTHING)
    won = 1 - to_nothing.middle
    said = f"{first} wins {price}: it loses {_times(to_nothing)} the time that nothing loses, {won:.0%} less"
    alone = "" if to_nothing.known else " One round has no interval."
    return [f"{said}. {_next(known, order)}".rstrip() + alone]


def _next(known: Mapping[str, Costs], order: list[str]) -> str:
    """How far behind the others are."""
    first, *others = [name for name in order if name != NOTHING or name == order[0]]
    level = [name for name in others if _level(_ratio(known, name, first))]
    behind = [name for name in others if name not in level]
    said = []
    if level:
        are = "is" if len(level) == 1 else "are"
        said.append(f"{_listed(level)} {are} level with it")
    if behind:
        ratios = [f"{name} {_times(_ratio(known, name, first))}" for name in behind]
        said.append(f"{_listed(ratios)} as much")
    return "; ".join(said) + "." if said else ""


def _ratio(known: Mapping[str, Costs], name: str, to: str) -> Interval:
    return statistics.ratio(*shared(known[name], known[to]))


def _level(ratio: Interval) -> bool:
    """No lead, as far as an interval says so; one round has none, and then the figures stand for themselves."""
    return ratio.known and statistics.level(ratio)


def _times(ratio: Interval) -> str:
    span = f" ({ratio.low:.2f} to {ratio.high:.2f})" if ratio.known else ""
    return f"{ratio.middle:.2f}{span} times"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
