"""Samples as a word of little bars: strewn ones are seen at once, beside others of the same table."""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS: Final = "▁▂▃▄▅▆▇█"
ASCII_BARS: Final = "_.:-=+*#"
FULL: Final = 2.0
"""A full bar is this many times the least sample, or more where `top` says so."""


def spread(values: Sequence[float]) -> float:
    """Return how many times the least sample the greatest one is; of none 1."""
    return max(values) / min(values) if values else 1.0


def sparkline(values: Sequence[float], *, top: float = FULL, width: int = 15, ascii_only: bool = False) -> str:
    """Return samples, in the order in which they were taken, as bars.

    The lowest bar is the least sample, and a bar grows with the logarithm: so a row whose samples lie close together
    is flat, and one whose samples differ by `top` reaches it, whatever their unit is.

    Parameters
    ----------
    values
        Above 0.
    top
        What a full bar is, in multiples of the least sample; of a table, one for all rows. Less than 2 is 2.
    width
        Characters at most. Of more samples neighbours share a bar, the greatest of them: what is seen is the worst.
    ascii_only
        For a stream that has no others.
    """
    bars = ASCII_BARS if ascii_only else BARS
    shown = _at_most(values, width)
    least, full = min(values, default=1.0), log(max(top, FULL))
    return "".join(bars[min(int(log(value / least) / full * len(bars)), len(bars) - 1)] for value in shown)


def _at_most(values: Sequence[float], width: int) -> list[float]:
    count = min(len(values), width)
    edges = [len(values) * n // count for n in range(count + 1)] if count else []
    return [max(values[start:end]) for start, end in pairwise(edges)]
