"""A picture of lines: values of several cells along an axis, by the logarithm, each line with its name at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from pagexchange.html.elements import Element, element, number
from pagexchange.html.scale import Scale, around

WIDTH: Final = 500
LEFT: Final = 62
RIGHT: Final = 128
"""For the names."""
TOP: Final = 10
BOTTOM: Final = 38
LINE: Final = 13
"""Between two names."""
COLOURS: Final = 8
SHAPES: Final = ("round", "square")
"""Of the marks on a line: where colours are alike to somebody, these and the name at its end tell it from others."""


class Series(NamedTuple):
    """A line."""

    name: str
    number: int
    """Decides colour and mark: of one name the same in every picture."""
    values: Sequence[float | None]
    """One for each place; None: there is none, and the line has a gap."""
    lows: Sequence[float | None] = ()
    highs: Sequence[float | None] = ()
    """Where the values may lie."""
    dashed: bool = False

    @property
    def colour(self) -> str:
        """The class of what belongs to it."""
        return f"c{self.number % COLOURS}"


class Base(NamedTuple):
    """A line to compare with."""

    name: str
    values: Sequence[float]
    """One for each place."""


class Frame(NamedTuple):
    """Where values and places are."""

    scale: Scale
    xs: Sequence[float]
    bottom: float


def chart(
    series: Sequence[Series],
    *,
    title: str,
    places: Sequence[str],
    across: str,
    up: str,
    label: Callable[[float], str],
    base: Base | None = None,
) -> Element:
    """Draw lines.

    Parameters
    ----------
    title
        What it shows, for those who do not see it.
    places
        Words under the axis; they stand at equal distances.
    across, up
        What the axes are, with units.
    label
        A value of the upright axis in words.
    """
    known = [value for line in series for value in (*line.values, *line.lows, *line.highs) if value is not None]
    bottom = TOP + max(190.0, LINE * (len(series) + 2))
    step = (WIDTH - LEFT - RIGHT - 24) / max(len(places) - 1, 1)
    scale = around([*known, *(base.values if base is not None else ())], bottom, TOP)
    frame = Frame(scale, [LEFT + 12 + n * step for n in range(len(places))], bottom)
    return element(
        "svg",
        element("title", title),
        *upright(frame, up, label),
        *_level(frame, places, across),
        element("path", d=path_of(frame, base.values), class_="base") if base is not None else None,
        *(_line(line, frame) for line in series),
        *names([*([(base.name, base.values, "ink")] if base is not None else []),
                 *((line.name, line.values, line.colour) for line in series)], frame),
        width=WIDTH, height=bottom + BOTTOM, viewBox=f"0 0 {WIDTH} {number(bottom + BOTTOM)}", role="img",
        class_="lines",
        data_low=f"{scale.low!r}", data_high=f"{scale.high!r}",
    )  # fmt: skip


def upright(frame: Frame, up: str, label: Callable[[float], str], *, end: float = WIDTH - RIGHT) -> list[Element]:
    """The upright axis: lines at its ticks, words, and what it is."""
    ticks = frame.scale.ticks(7)
    lines = "".join(f"M{LEFT} {number(frame.scale(value))}H{number(end)}" for value in ticks)
    words = [element("text", label(value), x=LEFT - 6, y=frame.scale(value) + 4) for value in ticks]
    middle = number((TOP + frame.bottom) / 2)
    return [
        element("path", d=lines, class_="grid"),
        element("g", *words, class_="end"),
        element("text", up, transform=f"translate(11 {middle}) rotate(-90)", class_="mid"),
    ]


def _level(frame: Frame, places: Sequence[str], across: str) -> list[Element]:
    # Words that would meet are left out; the last one stays.
    room = max((len(word) for word in places), default=1) * 6.2 + 8
    step = frame.xs[1] - frame.xs[0] if len(places) > 1 else room
    every = -int(-room // step)
    words = [
        element("text", word, x=x, y=frame.bottom + 15)
        for n, (x, word) in enumerate(zip(frame.xs, places, strict=True))
        if (len(places) - 1 - n) % every == 0
    ]
    name = element("text", across, x=(LEFT + WIDTH - RIGHT) / 2, y=frame.bottom + BOTTOM - 5)
    return [element("g", *words, name, class_="mid")]


def path_of(frame: Frame, values: Sequence[float | None]) -> str:
    """What a line through values is drawn by."""
    drawn, pen = "", "M"
    for x, value in zip(frame.xs, values, strict=True):
        drawn += "" if value is None else f"{pen}{number(x)} {number(frame.scale(value))}"
        pen = "M" if value is None else "L"
    return drawn


def _line(line: Series, frame: Frame) -> Element:
    path = path_of(frame, line.values)
    marks = path.replace("M", "L")[1:].replace("L", "h0M")
    bars = "".join(
        f"M{number(x)} {number(frame.scale(low))}V{number(frame.scale(high))}"
        for x, low, high in zip(frame.xs, line.lows, line.highs, strict=False)
        if low is not None and high is not None
    )
    return element(
        "g",
        element("title", line.name),
        element("path", d=bars, class_="bars") if bars else None,
        element("path", d=path, class_="line"),
        element("path", d=f"M{marks}h0", class_=f"marks {SHAPES[line.number % len(SHAPES)]}"),
        class_=f"{line.colour} dashed" if line.dashed else line.colour,
    )


def names(
    lines: Sequence[tuple[str, Sequence[float | None], str]], frame: Frame, *, start: float = WIDTH - RIGHT + 12
) -> list[Element]:
    """Names at the ends of their lines, moved apart where they would lie on each other."""
    ends = []
    for name, values, colour in lines:
        known = [(x, frame.scale(value)) for x, value in zip(frame.xs, values, strict=True) if value is not None]
        if known:
            ends.append((*known[-1], name, colour))
    ends.sort(key=lambda end: end[1])
    places: list[float] = []
    for _, y, _, _ in ends:
        places.append(max(y, places[-1] + LINE if places else float(TOP)))
    # What has been pushed below the picture pushes the others up again.
    limit = frame.bottom + 4
    for n in reversed(range(len(places))):
        places[n] = min(places[n], limit)
        limit = places[n] - LINE
    drawn = []
    for (x, y, name, colour), place in zip(ends, places, strict=True):
        leader = f"M{number(x + 6)} {number(y)}L{number(start - 4)} {number(place)}"
        drawn.append(element("path", d=leader, class_=f"leader {colour}"))
        drawn.append(element("text", name, x=start, y=place + 4, class_=f"label {colour}"))
    return drawn
