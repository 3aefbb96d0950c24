"""What `perf mem report -D -x,` prints: a line for each sample, with a header that names the columns.

    # PID, TID, IP, ADDR, PHYS ADDR, LOCAL WEIGHT, DSRC, SYMBOL
    4242,4243,0x55d0c0a01200,0x7f3c0a001040,0x1a2b3c040,212,0x68100142,masim:do_seq_wo

PHYS ADDR is there after `perf mem record --phys-data` and with `perf mem report -p`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from pagexchange.pages.files import touches
from pagexchange.pages.files.form import About, Form
from pagexchange.pages.files.lines import found
from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import Access

_PAGE: Final = 12
_HEADER: Final = re.compile(rb"(?m)^# (PID, TID, IP, ADDR, [A-Z ,]*DSRC, [A-Z ,]*SYMBOL)\s*$")
_LOAD, _STORE = 0x2, 0x4
"""Bits of perf's data source (include/uapi/linux/perf_event.h, PERF_MEM_OP_*)."""


def _fits(source: Source) -> bool:
    return _HEADER.search(source.head) is not None


def _rows(source: Source, about: About) -> Iterator[Access]:
    header = _HEADER.search(source.head)
    assert header is not None  # it fits
    columns = header[1].decode().split(", ")
    physical = "PHYS ADDR" in columns
    about.numbers = "pfn" if physical else "vpn"
    about.notes.append("perf mem report prints no times: a sample stands for 1 ns, in the order of the file.")
    where = "PHYS ADDR" if physical else "ADDR"
    # the symbol is the last one and may hold commas
    parts = [
        {where: rb"0x([0-9a-f]{1,16})", "DSRC": rb"0x([0-9a-f]{1,16})"}.get(name, rb"[^,\n]*") for name in columns[:-1]
    ]
    pattern = re.compile(rb"(?m)^" + b",".join(parts) + rb",[^\n]*$")
    wanted = f"{','.join(columns)} are expected, as the header says"

    def passes(line: bytes) -> bool:
        comment = not line.strip() or line.startswith(b"#")
        about.passed["empty lines and comments"] += comment
        return comment

    def samples() -> Iterator[tuple[touches.Ints, touches.Ints]]:
        for _, lines in found(source, pattern, wanted, passes):
            address = np.array([int(line[0], 16) for line in lines], dtype=np.uint64)
            op = np.array([int(line[1], 16) & 0x1F for line in lines], dtype=np.int64)
            known = address != 0
            if not known.all():
                about.passed["samples without an address"] += int((~known).sum())
            write = np.where(op & _STORE, 1, np.where(op & _LOAD, 0, -1))
            yield (address[known] >> np.uint64(_PAGE)).astype(np.int64), write[known]

    yield from touches.rows(samples())


FORM: Final = Form("perf mem", "a line `# PID, TID, IP, ADDR, ...` of perf mem report -D -x,", _fits, _rows)
