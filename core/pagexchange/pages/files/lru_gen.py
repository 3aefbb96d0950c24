"""/sys/kernel/debug/lru_gen: how many pages of each control group are how old, by node (multi-generational LRU).

    memcg     1 /
     node     0
              3         12        512        256

A line is a generation: its number, its age in ms, pages anonymous and of files. Which pages they are it does not say:
the pages of the trace are numbered one generation after the other, the oldest first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pagexchange.pages.files.form import About, Form
from pagexchange.pages.files.lines import each, quoted
from pagexchange.pages.files.numa_maps import HOTTEST
from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import Access, table

_LINE: Final = re.compile(
    rb"(memcg) +\d{1,10} .*| (node) +(\d{1,4}) *| +(\d{1,19}) +\d{1,19} +(\d{1,15})[ x]* +(\d{1,15})[ x]*"
)
_WANTED: Final = "`memcg ID PATH`, ` node N` or a generation (number, age in ms, pages anonymous, of files) is expected"


def _fits(source: Source) -> bool:
    return re.match(rb"memcg +\d+ [^\n]*\n node +\d+ *\n", source.head) is not None


def _rows(source: Source, about: About) -> Iterator[Access]:
    about.numbers, about.kind, about.page_size = "block", "state", 0
    about.notes.append("which pages are how old is not said: they are numbered by control group, node and age.")

    page = 0
    for node, generations in _lists(source, about):
        oldest = min(generations)
        span = max(generations) - oldest
        for number, pages in sorted(generations.items()):
            if pages:
                yield table([0], page, pages, HOTTEST * (number - oldest) / span if span else 0, -1, node)
                page += pages


def _lists(source: Source, about: About) -> Iterator[tuple[int, dict[int, int]]]:
    """Node and generations of each control group's list: pages by number of the generation."""
    node, generations = -1, dict[int, int]()
    for number, line in each(source):
        match = _LINE.fullmatch(line)
        if match is None:
            if not line.startswith(b"   "):
                raise source.error(f"{quoted(line)}: {_WANTED}", line=number)
            about.passed["lines of statistics"] += 1  # lru_gen_full has them below a generation
        elif match[1] or match[2]:
            if generations:
                yield node, generations
            node, generations = int(match[3]) if match[2] else -1, {}
        elif node < 0:
            raise source.error("a generation that belongs to no node: ` node N` is expected before it", line=number)
        else:
            generations[int(match[4])] = int(match[5]) + int(match[6])
    if generations:
        yield node, generations


FORM: Final = Form(
    "lru_gen", "lines `memcg ID PATH`, ` node N` and generations of the multi-generational LRU", _fits, _rows
)
