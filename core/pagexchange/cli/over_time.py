"""Shares over time as rows of bars, one for each way, on one scale: for the terminal."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rich.text import Text

from pagexchange.cli.layout import text
from pagexchange.cli.sparkline import ASCII_BARS, BARS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType

LEAST: Final = 16
"""Bars of a row, also where the terminal has no room for them."""
MOST: Final = 100


class OverTime:
    """A row of bars for each way: the share of accesses that hit the fast node, from left to right.

    Parameters
    ----------
    rows
        Names, and shares from 0 to 1, of equally long times.
    seconds
        How long all of it is.
    """

    def __init__(self, rows: Sequence[tuple[str, Sequence[float]]], seconds: float, *, ascii_only: bool) -> None:
        self._rows, self._seconds = rows, seconds
        self._bars = ASCII_BARS if ascii_only else BARS

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        names = max(len(name) for name, _ in self._rows) + 2
        # Behind the bars stand the first and the last share, ` 31% to  74%`.
        width = min(max(options.max_width - names - 14, LEAST), MOST)
        top = max(max(values) for _, values in self._rows)
        low, high = self._bars[0], self._bars[-1]
        yield Text.assemble(
            ("Accesses that hit the fast node", "bold"),
            f"  over {self._seconds:.3g} s; {low} is 0%, {high} {top:.0%}",
            no_wrap=False,
        )
        yield Text()
        for name, values in self._rows:
            bars = "".join(bar(value / top if top else 0.0, self._bars) for value in narrowed(values, width))
            span = f"{values[0]:4.0%} to {values[-1]:4.0%}"
            yield Text.assemble(text(name.ljust(names)), bars, "  ", (span, "dim"), no_wrap=True, overflow="ignore")


def bar(share: float, bars: str) -> str:
    """Return the bar of a share of the greatest: the first for 0, the last for 1."""
    return bars[min(int(share * len(bars)), len(bars) - 1)]


def narrowed(values: Sequence[float], width: int) -> list[float]:
    """Return at most so many values: neighbours share one, their mean."""
    count = min(len(values), width)
    edges = [len(values) * n // count for n in range(count + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
