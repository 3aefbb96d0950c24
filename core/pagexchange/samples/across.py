"""Ratios across runs: what two sides, each of one run or several, say of the same thing, and how sure that is.

Between two runs of the same code lies more than within one: where its pages came to lie, what else the machine did in
that minute. The rounds of a run share all of it, so an interval from the rounds of one run on each side is too narrow,
by a factor of three on a busy machine, and finds a difference where there is none. Here a run is one value, the median
of its rounds. How far runs lie apart is what several of one side say; with little of that, or nothing, it is supposed
that they lie as far apart as single rounds do, and never less than `PLACEMENT`. docs/decisions.md has the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagexchange.samples.statistics import COVERED, EFFECT, Interval, Relation, relation

PLACEMENT: Final = 0.01
"""Standard deviation, as a share, that is supposed between runs whose rounds agree better than that."""
_PRIOR: Final = 2
"""What is supposed counts as much as so many runs more."""
_FREEDOM: Final = 6
"""Degrees of freedom of what is supposed."""
_SPREAD: Final = 1.4826
"""Of a normal distribution: its standard deviation in units of the median deviation from the median."""

Logs: TypeAlias = NDArray[np.float64]
"""Logarithms of the samples of one run, in the order of its rounds; at least one."""


class Across(NamedTuple):
    """A ratio of two sides."""

    interval: Interval
    """Of this ratio alone, 95 %."""
    strict: Interval
    """With which all ratios that are looked at together are covered, 95 %."""

    def relation(self, *, effect: float = EFFECT) -> Relation:
        """Say how the ratio lies to 1.

        below, above: beyond what chance does anywhere in the whole comparison, and by more than the least effect.
        level: by less, and twice the least effect is out of the question. unclear: all else.
        """
        found = relation(self.strict, effect=effect)
        if found in ("below", "above"):
            return found
        less, twice = abs(log(self.interval.middle)) <= log(1 + effect), (1 + effect) ** 2
        return "level" if less and 1 / twice <= self.interval.low and self.interval.high <= twice else "unclear"


def across(to: Sequence[Logs], of: Sequence[Logs], *, among: int = 1) -> Across:
    """Return the ratio of one side's runs to another's.

    Parameters
    ----------
    to, of
        The runs of each side; the ratio is `of` / `to`.
    among
        How many ratios are looked at together: one in twenty would be outside of its interval by chance.

    Raises
    ------
    ValueError
        A side has no run, or a run no sample.
    """
    if not to or not of or not all(map(len, (*to, *of))):
        raise ValueError("want at least one run on each side, and at least one sample of each run")
    sides = [np.array([np.median(run) for run in side]) for side in (to, of)]
    middle = float(sides[1].mean() - sides[0].mean())
    known = _apart([*to, *of], sides)
    if known is None:
        alone = Interval(exp(middle), 0.0, inf)
        return Across(alone, alone)
    apart, freedom = known
    error = apart * sqrt(1 / len(to) + 1 / len(of))
    alone, strict = (
        Interval(exp(middle), exp(middle - width), exp(middle + width))
        for width in (error * _student((1 - COVERED) / 2 / n, freedom) for n in (1, among))
    )
    return Across(alone, strict)


def repeated(to: Sequence[Logs], of: Sequence[Logs], *, effect: float) -> bool:
    """Whether an effect is there twice: in the first half of each side's runs, and in the second, by as much each time.

    Runs are in the order in which they were made. With one run on a side nothing is repeated, however many rounds it
    has: they share where its pages lay.
    """
    if min(len(to), len(of)) < 2:
        return False
    before, after = ([float(np.median(run)) for run in side] for side in (to, of))
    halves = [log_mean(new) - log_mean(old) for old, new in zip(_halves(before), _halves(after), strict=True)]
    return all(half > log(1 + effect) for half in halves) or all(half < -log(1 + effect) for half in halves)


def log_mean(values: Sequence[float]) -> float:
    """Return the mean of logarithms."""
    return sum(values) / len(values)


def _halves(values: list[float]) -> tuple[list[float], list[float]]:
    middle = len(values) // 2
    return values[:middle], values[middle:]


def _apart(runs: Sequence[Logs], sides: Sequence[Logs]) -> tuple[float, float] | None:
    """Return the standard deviation between runs of one side, and its degrees of freedom; None: nothing says it."""
    spreads = [spread for run in runs if (spread := _spread(run)) is not None]
    free = len(runs) - len(sides)
    if not spreads and not free:
        return None
    # What is supposed, and what is seen, each with its weight.
    supposed = max(sum(spread**2 for spread in spreads) / len(spreads) if spreads else 0.0, PLACEMENT**2)
    supposed *= _PRIOR / (_PRIOR + free)
    seen = sum(float(((side - side.mean()) ** 2).sum()) for side in sides) / (_PRIOR + free)
    # Satterthwaite's: where runs lie further apart than was supposed, only what was seen counts.
    freedom = (supposed + seen) ** 2 / (supposed**2 / _FREEDOM + (seen**2 / free if free else 0.0))
    return sqrt(supposed + seen), freedom


def _spread(run: Logs) -> float | None:
    """Return the standard deviation of single rounds, whatever a few of them say; None: there is one round."""
    if len(run) < 2:
        return None
    if len(run) < 5:
        return float(run.std(ddof=1))
    # Of few values it comes out too small: the correction is Croux and Rousseeuw's.
    return _SPREAD * len(run) / (len(run) - 0.8) * float(np.median(np.abs(run - np.median(run))))


def _student(tail: float, freedom: float) -> float:
    """Return what Student's t exceeds with a probability of `tail`: Cornish and Fisher's series, good from 2 on."""
    z, v = NormalDist().inv_cdf(1 - tail), freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
