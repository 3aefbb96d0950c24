"""Samples of `perf mem record -d --phys-data` or `perf record -d`, printed by `perf script` with these fields:

    perf script -F comm,pid,tid,time,event,addr,phys_addr,data_src,weight

    masim 4242/4242 12.345678: cpu/mem-loads/P: 7f3c0a001040 68100142 |OP LOAD|LVL L1 hit|SNP None|... 212 1a2b3c040

perf prints the fields in an order of its own: the address, the source of the data with its words, the weight, and at
last the physical address. Only the address must be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from pagexchange.pages.files.form import About, Form
from pagexchange.pages.files.lines import found
from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import Access, table

_PAGE: Final = 12
_LINE: Final = re.compile(
    rb"(?m)^ *\S.*? (\d{1,10})\.(\d{6,9}): +(?:\d+ +)?(?:\S+): +([0-9a-f]{1,16})"
    rb"(?: +[0-9a-f]{1,16} +\|OP ([A-Z/]+)[^|\n]*\|[^\n]*?[^ \n]+(?: {2,}\d{1,20} +([0-9a-f]{1,16})| +[0-9a-f]{1,16})?"
    rb"| +([0-9a-f]{1,16}))? *$"
)
_WANTED: Final = (
    "a sample is expected, as `perf script -F comm,pid,tid,time,event,addr,phys_addr,data_src,weight` prints it"
)
_WRITE: Final = {b"LOAD": 0, b"STORE": 1}


def _fits(source: Source) -> bool:
    return _LINE.search(source.head) is not None


def _rows(source: Source, about: About) -> Iterator[Access]:
    # perf does not always know the physical address: of a page fault it is 0
    given = [int(line[4] or line[5] or b"0", 16) > 0 for line in _LINE.findall(source.head)]
    physical = 2 * sum(given) > len(given)
    about.numbers = "pfn" if physical else "vpn"
    about.notes.append("a sample is one access: how many there were between two samples perf knows, and not this file.")

    def passes(line: bytes) -> bool:
        comment = not line.strip() or line.startswith(b"#")
        about.passed["empty lines and comments"] += comment
        return comment

    for _, lines in found(source, _LINE, _WANTED, passes):
        rows = [
            (
                _ns(second, fraction),
                int(behind or alone or b"0", 16) if physical else int(address, 16),
                _WRITE.get(op, -1),
            )
            for second, fraction, address, op, behind, alone in lines
        ]
        time, address, write = (np.array(column, dtype=np.uint64 if k == 1 else np.int64)
                                for k, column in enumerate(zip(*rows, strict=True)))  # fmt: skip
        known = address != 0
        if not known.all():
            about.passed["samples without an address"] += int((~known).sum())
        yield table(time[known], (address[known] >> np.uint64(_PAGE)).astype(np.int64), 1, 1, write[known])


def _ns(second: bytes, fraction: bytes) -> int:
    return int(second) * 1_000_000_000 + int(fraction.ljust(9, b"0"))


FORM: Final = Form(
    "perf script", "lines as `COMM PID/TID TIME: EVENT: ADDR ...` of perf script -F ...,addr,...", _fits, _rows
)
