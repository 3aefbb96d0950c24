"""Medians and ratios with an interval: what samples say, and how sure that is.

The interval is the bootstrap's: samples are drawn again with replacement, `RESAMPLES` times, and of what comes out the
middle 95 % are kept. It supposes no distribution, which times do not have, and the same seed gives the same interval.
Of few samples that is too narrow: of three it reaches from the least to the greatest, which is 75 %. So it is widened
as Student's t widens the interval of a mean: 2.7 times for three samples, 1.6 for five, 1.1 for fifteen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 2000
COVERED: Final = 0.95
"""Of an interval."""
EFFECT: Final = 0.03
"""The least difference that counts: so much may lie between two runs of the same code."""
_NORMAL: Final = 1.95996
_STUDENT: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""What 95 % of a normal distribution, and of Student's with 1 to 10 degrees of freedom, lie within."""
_AT_ONCE: Final = 1 << 20
"""Numbers drawn at a time: of long samples not all of them, which may be gigabytes."""

Values: TypeAlias = Mapping[int, float] | Sequence[float] | NDArray[np.float64]
"""Samples; by their round, where it says what was measured side by side. All are above 0."""

Relation: TypeAlias = Literal["below", "above", "level", "unclear"]
"""below, above: by more than luck and more than the least effect. level: no effect that counts, and the interval is
narrow enough to say so. unclear: the interval has 1 in it, and effects that would count."""


class Interval(NamedTuple):
    """A figure, and from where to where it may lie."""

    middle: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """False of one sample: it has a value and no interval, which then reaches from 0 to infinity."""
        return self.high < inf

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


def median(values: Values, *, seed: int = 0) -> Interval:
    """Return the median of samples.

    Raises
    ------
    ValueError
        There is no sample, or one is not above 0.
    """
    numbers = _numbers(values)
    return _interval(float(np.median(numbers)), _medians(np.random.default_rng(seed), numbers)[0], len(numbers))


def ratio(values: Values, to: Values, *, seed: int = 0) -> Interval:
    """Return the ratio of two medians.

    Where both are given by their rounds, and these are the same, rounds are drawn and not samples: what the machine did
    in a round hits both sides, and goes out. Samples of different runs have no rounds in common, also where the numbers
    are the same: they are to be given as plain sequences.

    Raises
    ------
    ValueError
        As of `median`.
    """
    above, below = _numbers(values), _numbers(to)
    drawn = _ratios(np.random.default_rng(seed), values, to)
    return _interval(float(np.median(above) / np.median(below)), drawn, min(len(above), len(below)))


def geometric_mean(ratios: Sequence[tuple[Values, Values]], *, seed: int = 0) -> Interval:
    """Return the geometric mean of several ratios of medians, each given by its samples, as `ratio` takes them.

    Raises
    ------
    ValueError
        There is no ratio, or as of `median`.
    """
    if not ratios:
        raise ValueError("the mean of no ratios: want at least one")
    random = np.random.default_rng(seed)
    logs = np.zeros(RESAMPLES)
    middle, fewest = 0.0, RESAMPLES
    for values, to in ratios:
        above, below = _numbers(values), _numbers(to)
        logs += np.log(_ratios(random, values, to))
        middle += float(np.log(np.median(above) / np.median(below)))
        fewest = min(fewest, len(above), len(below))
    return _interval(float(np.exp(middle / len(ratios))), np.exp(logs / len(ratios)), fewest)


def relation(to_one: Interval, *, effect: float = EFFECT) -> Relation:
    """Say how a ratio lies to 1."""
    least, most = 1 / (1 + effect), 1 + effect
    if 1 in to_one:
        return "level" if least <= to_one.low and to_one.high <= most else "unclear"
    if least <= to_one.middle <= most:
        return "level"
    return "above" if to_one.middle > 1 else "below"


def level(to_one: Interval, *, effect: float = EFFECT) -> bool:
    """Whether a ratio is no lead: 1 is in its interval, or it is within the least effect."""
    return relation(to_one, effect=effect) in ("level", "unclear")


def overlap(one: Interval, other: Interval) -> bool:
    """Whether two intervals have a value in common."""
    return one.low <= other.high and other.low <= one.high


def _numbers(values: Values) -> NDArray[np.float64]:
    numbers = np.asarray(list(values.values()) if isinstance(values, Mapping) else values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"samples: want a list of at least one, got shape {numbers.shape}")
    if not (np.isfinite(numbers) & (numbers > 0)).all():
        raise ValueError("samples: want numbers above 0")
    return numbers


def _ratios(random: np.random.Generator, values: Values, to: Values) -> NDArray[np.float64]:
    """Ratios of the medians of samples that were drawn again, float64[RESAMPLES]."""
    if isinstance(values, Mapping) and isinstance(to, Mapping) and values.keys() == to.keys():
        rounds = sorted(values)
        above, below = _medians(random, *(np.array([side[number] for number in rounds]) for side in (values, to)))
    else:
        (above,), (below,) = _medians(random, _numbers(values)), _medians(random, _numbers(to))
    return above / below


def _medians(random: np.random.Generator, *sides: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Medians of samples that were drawn again, float64[RESAMPLES] for each side: the same places of all of them."""
    n = len(sides[0])
    medians = [np.empty(RESAMPLES) for _ in sides]
    step = max(1, _AT_ONCE // n)
    for start in range(0, RESAMPLES, step):
        end = min(start + step, RESAMPLES)
        drawn = random.integers(0, n, (end - start, n))
        for side, found in zip(sides, medians, strict=True):
            found[start:end] = np.median(side[drawn], axis=1)
    return medians


def _interval(middle: float, drawn: NDArray[np.float64], samples: int) -> Interval:
    if samples < 2:
        return Interval(middle, 0.0, inf)
    low, high = np.quantile(drawn, [(1 - COVERED) / 2, (1 + COVERED) / 2]).tolist()
    # By factors, since all are ratios, or times, which are never below 0. Rounding may leave the middle a bit outside.
    wider = _wider(samples)
    return Interval(middle, middle * min(low / middle, 1.0) ** wider, middle * max(high / middle, 1.0) ** wider)


def _wider(samples: int) -> float:
    """How much wider than the bootstrap's, whose variance is n - 1 of n, the interval of n samples has to be."""
    free, z = samples - 1, _NORMAL
    # Beyond the table the first terms of the series in 1 / free are exact to a thousandth.
    series = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    student = _STUDENT[free - 1] if free <= len(_STUDENT) else series
    return float(student / z * np.sqrt(samples / free))
