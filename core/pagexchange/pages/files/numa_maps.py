"""/proc/PID/numa_maps: where the pages of a process lie at first, by area and node.

    7f1c40000000 prefer:1 anon=512 dirty=512 active=0 N0=384 N1=128 kernelpagesize_kB=4

Which pages of an area lie on which node the file does not say, and an area may have holes: its pages are taken to
follow each other from its address on, those of the lowest node first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pagexchange.pages.files.form import About, Form
from pagexchange.pages.files.lines import each, quoted
from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import Access, table

_PAGE: Final = 12
HOTTEST: Final = 7
"""Heat of a state is from 0 to this, as that of a snapshot."""
_LINE: Final = re.compile(
    rb"([0-9a-f]{1,16}) (?:default|local|prefer|bind|interleave|weighted interleave)[^ ]*(?: \([a-z ]+\))?((?: .*)?)"
)
_COUNT: Final = re.compile(rb"(?:^| )(N\d{1,9}|active|kernelpagesize_kB)=(\d{1,12})(?= |$)")
_WANTED: Final = "ADDRESS POLICY [NAME=VALUE ...] is expected"


def _fits(source: Source) -> bool:
    first = source.head.partition(b"\n")[0]
    return _LINE.fullmatch(first) is not None


def _rows(source: Source, about: About) -> Iterator[Access]:
    about.numbers, about.kind = "vpn", "state"
    about.notes.append(
        "which pages of an area are on which node is not said: those of the lowest node are taken first."
    )
    for number, line in each(source):
        area = _LINE.fullmatch(line)
        if area is None:
            raise source.error(f"{quoted(line)}: {_WANTED}", line=number)
        counts = {name: int(value) for name, value in _COUNT.findall(area[2])}
        nodes = sorted((int(name[1:]), value) for name, value in counts.items() if name.startswith(b"N") and value)
        if not nodes:
            about.passed["areas without pages"] += 1
            continue
        size = counts.get(b"kernelpagesize_kB", 4)
        if size < 4 or size & (size - 1):
            raise source.error(f"kernelpagesize_kB={size}: a power of two of 4 or more is expected", line=number)
        pages = [value * (size // 4) for _, value in nodes]
        page, begins = int(area[1], 16) >> _PAGE, []
        for count in pages:
            begins.append(page)
            page += count
        # all are on the active list where `active` is not said
        total = sum(value for _, value in nodes)
        heat = HOTTEST * min(counts.get(b"active", total), total) / total
        yield table(0, begins, pages, heat, -1, [node for node, _ in nodes])


FORM: Final = Form("numa_maps", "lines as `7f1c40000000 default anon=512 N0=512 kernelpagesize_kB=4`", _fits, _rows)
