"""How a report is laid out: tables, paragraphs, their way to stdout. It imports rich: verbs import it when they print.

A table has no box, numbers stand right. What is printed never depends on the width, only where it stands: nothing is
cut off, and no column goes. A table that does not fit has another layout of the same facts, see `Layouts`.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rich.console import Console
from rich.measure import measure_renderables
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from pagexchange.cli import results, terminal
from pagexchange.strangers import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment

THEME: Final = Theme({"good": "green", "bad": "bold red", "warn": "yellow"})
"""What our styles look like; `dim` and `bold` are rich's own."""

PROSE: Final = 24
"""Characters that text which wraps gets at least."""

GAP: Final = 2
"""Spaces between columns."""

Words: TypeAlias = str | tuple[str, str]
"""Words, or words and their style: good, bad, warn, dim, bold."""


def text(*parts: Words) -> Text:
    """Return the parts as one text.

    Not one character of them reaches rich as markup, or the terminal as a control sequence: names and summaries come
    from strangers' files.
    """
    styled = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((visible(words), style) for words, style in styled))


def nanoseconds(value: float) -> str:
    """Whole nanoseconds, below ten with one decimal."""
    return f"{value:,.0f}" if value >= 9.95 or value == 0 else f"{value:.1f}"


def count(n: int) -> str:
    """A count in full, from a million on in millions."""
    return f"{n:,}" if n < 1_000_000 else f"{n / 1e6:.2f} M"


class Paragraph:
    """Words that wrap, with a hanging indent: all lines but the first begin under the end of the label."""

    def __init__(self, *parts: Words, label: Words = "", indent: int = 0) -> None:
        self.label, self.text = text(label), text(*parts)
        self.text.overflow = "ignore"  # a word that is longer than a line stays whole: a path to be copied
        self.indent = indent
        """Columns that the label takes at least."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        self.label.pad_right(self.indent - len(self.label))
        space = max(PROSE, options.max_width - len(self.label))
        lines = self.text.wrap(console, space) or [Text()]
        for number, line in enumerate(lines):
            line.rstrip()
            start = Text(" " * len(self.label)) if number else self.label
            yield Text.assemble(start, line, no_wrap=True, overflow="ignore")


class Layouts:
    """Tables that say the same, the widest layout first: the first one that fits is shown, else the last.

    The last one is shown however wide it is: a terminal wraps what is too long, rich would cut it.
    """

    def __init__(self, *layouts: Sequence[Table]) -> None:
        self.layouts = layouts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType | Segment]:
        needs = [max(_least_width(table, console, options) for table in tables) for tables in self.layouts]
        fitting = [n for n, need in enumerate(needs) if need <= options.max_width]
        chosen = fitting[0] if fitting else len(needs) - 1
        for number, table in enumerate(self.layouts[chosen]):
            if number:
                yield Text()
            yield from console.render(table, options.update(max_width=max(options.max_width, needs[chosen])))


def _least_width(table: Table, console: Console, options: ConsoleOptions) -> int:
    """Columns of the terminal that a table needs so that nothing but its column of prose wraps."""
    # rich's own measure of a table takes the longest word of a cell for the least, also where it must not wrap.
    free = options.update(max_width=1 << 16)
    natural = [
        column.min_width or measure_renderables(console, free, [column.header, *column.cells]).maximum
        for column in table.columns
    ]
    return sum(natural) + GAP * (len(natural) - 1)


def table(
    rows: Sequence[Mapping[str, Words | Text]],
    heads: Sequence[str],
    *,
    left: Sequence[str],
    prose: str = "",
    room: int = PROSE,
    tall: bool = False,
) -> Table:
    """Return a table of some columns of `rows`.

    Parameters
    ----------
    rows
        Cells by the head of their column.
    heads
        Which columns, from left to right.
    left
        Columns of words; all others are numbers, and stand right.
    prose
        The column that may wrap, if any: the last one.
    room
        Characters that it needs at least: with less the table does not fit.
    tall
        Heads of several words stand on several lines.
    """
    result = Table(box=None, pad_edge=False, padding=(0, GAP // 2), header_style="bold", show_edge=False)
    for head in heads:
        wraps = head == prose
        result.add_column(
            Text(head.replace(" ", "\n") if tall else head),
            justify="left" if wraps or head in left else "right",
            vertical="top",
            no_wrap=not wraps,
            min_width=room if wraps else None,
            overflow="fold",
        )
    for row in rows:
        cells = [row[head] for head in heads]
        result.add_row(*(cell if isinstance(cell, Text) else text(cell) for cell in cells))
    return result


def render(blocks: Iterable[RenderableType], width: int, colour: Any = None) -> str:  # noqa: ANN401 - rich's literals
    """Return blocks as lines of text; `colour`: rich's name of a colour system, None: no escape sequence at all."""
    # Height and width are given: rich would ask the environment for the other, and trust TERM=dumb with 80 columns.
    console = Console(
        file=io.StringIO(), width=width, height=25, color_system=colour, force_terminal=colour is not None,
        no_color=False, theme=THEME, markup=False, emoji=False, highlight=False, legacy_windows=False,
    )  # fmt: skip
    with console.capture() as capture:
        for block in blocks:
            console.print(block, crop=False)
    return re.sub(r"[ ]+$", "", capture.get(), flags=re.MULTILINE)  # a table pads its last column too


def show(blocks: Iterable[RenderableType]) -> None:
    """Print blocks on stdout: in colour on a terminal that can, plain elsewhere."""
    stream = results.stream()
    if stream is None:
        return
    colour = Console(file=stream).color_system if terminal.fancy(stream) else None
    # Not by rich: for a reader that has left it would end the process with a code of its own.
    terminal.write(render(blocks, terminal.width(stream), colour))
