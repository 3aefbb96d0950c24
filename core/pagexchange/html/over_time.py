"""The share of accesses that hit the fast node, over time: a line for each way of a `tier` run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pagexchange.html.elements import Element, element, number
from pagexchange.html.lines import BOTTOM, COLOURS, LEFT, LINE, RIGHT, TOP, Frame, names, path_of, upright
from pagexchange.html.scale import ShareScale
from pagexchange.html.words import duration_tick, share

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 760
CHARACTER: Final = 7
"""Pixels of a name's character, at most in the mean."""
THOUSANDTHS: Final = 1000
"""What a cell's details keep the shares in."""


def picture(lines: Sequence[tuple[str, int, Sequence[float]]], seconds: float) -> Element:
    """Draw lines.

    Parameters
    ----------
    lines
        Names, numbers that decide their colours, and shares from 0 to 1 of equally long times.
    seconds
        How long all of it is.
    """
    bottom = TOP + max(220.0, LINE * (len(lines) + 2))
    top = max((max(values) for _, _, values in lines), default=1.0) or 1.0
    scale = ShareScale(min(top * 1.05, 1.0), bottom, TOP)
    right = WIDTH - min(max(RIGHT, *(CHARACTER * len(name) + 8 for name, _, _ in lines)), WIDTH // 2) - 12
    drawn, ends = [], []
    for name, colour, values in lines:
        step = (right - LEFT) / max(len(values), 1)
        # A value is of a time, and stands in its middle.
        frame = Frame(scale, [LEFT + (n + 0.5) * step for n in range(len(values))], bottom)
        line = element("path", d=path_of(frame, values), class_="line")
        drawn.append(element("g", element("title", name), line, class_=f"c{colour % COLOURS}"))
        ends.append((name, values[-1:], f"c{colour % COLOURS}"))
    frame = Frame(scale, [right], bottom)
    marks = [(n / 4, f"{duration_tick(seconds * 1e9 * n / 4)}" if n else "0") for n in range(5)]
    words = [element("text", word, x=LEFT + at * (right - LEFT), y=bottom + 15) for at, word in marks]
    across = element("text", "time of the stream", x=(LEFT + right) / 2, y=bottom + BOTTOM - 5)
    return element(
        "svg",
        element("title", "Share of accesses that hit the fast node, over time"),
        *upright(frame, "hits on the fast node", share, end=right),
        element("g", *words, across, class_="mid"),
        *drawn,
        *names(ends, frame, start=right + 16),
        width=WIDTH, height=bottom + BOTTOM, viewBox=f"0 0 {WIDTH} {number(bottom + BOTTOM)}", role="img",
        class_="lines",
    )  # fmt: skip
