"""Lines that all look alike: what one pattern finds in them, many lines at once, and which line is another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from pagexchange.pages.files.source import Source
from pagexchange_native import procfs

Passes: TypeAlias = Callable[[bytes], bool]
"""Whether a line that the pattern does not fit may be passed over; it counts it, or says it."""


def found(
    source: Source, pattern: re.Pattern[bytes], wanted: str, passes: Passes
) -> Iterator[tuple[int, list[tuple[bytes, ...]]]]:
    """What the groups of `pattern` are in each line, some thousand lines at once, with the number of the first one.

    Parameters
    ----------
    pattern
        With MULTILINE, from `^` to `$`, of at least two groups; it fits no newline.
    wanted
        What a line should be, for the error about one that is not and may not be passed over.

    Raises
    ------
    TraceError
        Such a line, with its number.
    """
    for number, block in source.blocks():
        rows = pattern.findall(block)
        if len(rows) != block.count(b"\n"):
            # at least one line is another: look at each
            for here, line in enumerate(block.split(b"\n")[:-1], number):
                if not pattern.fullmatch(line) and not passes(line):
                    raise source.error(f"{quoted(line)}: {wanted}", line=here)
        if rows:
            yield number, rows


def each(source: Source, *, cut_shows: bool = False) -> Iterator[tuple[int, bytes]]:
    """Every line that is not empty, without its newline, with its number. cut_shows: see `Source.blocks`."""
    for number, block in source.blocks(cut_shows=cut_shows):
        yield from ((here, line) for here, line in enumerate(block.split(b"\n")[:-1], number) if line.strip())


def quoted(line: bytes) -> str:
    """A line for an error message, as much of it as fits."""
    return repr(procfs.text(line[:80])) if line else "an empty line"
