"""What `valgrind --tool=lackey --trace-mem=yes` prints: every access of a program, one a line.

    I  0401ab70,3
     S 1fff000758,8
     L 1fff000a45,1
     M 0421d040,4

Load, Store, Modify (both), address in hexadecimal and bytes. Instructions are counted and left out.
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
_LINE: Final = re.compile(rb"(?m)^(?:I  | ([SLM]) )([0-9a-f]{1,16}),(\d{1,5})$")
_VALGRIND: Final = re.compile(rb"(==|--)\d+(==|--)")
_WANTED: Final = (
    "` L ADDRESS,BYTES` or one with S, M or I is expected; valgrind's --log-file=FILE keeps out what the program prints"
)


def _fits(source: Source) -> bool:
    return len(_LINE.findall(source.head)) > source.head.count(b"\n") // 2


def _rows(source: Source, about: About) -> Iterator[Access]:
    about.numbers = "vpn"
    about.notes.append("lackey has no clock: an access of data stands for 1 ns.")

    def passes(line: bytes) -> bool:
        valgrinds = _VALGRIND.match(line) is not None
        about.passed["lines of valgrind's own"] += valgrinds
        return valgrinds

    def accesses() -> Iterator[tuple[touches.Ints, touches.Ints]]:
        for _, lines in found(source, _LINE, _WANTED, passes):
            data = [(int(at, 16), int(size), kind) for kind, at, size in lines if kind]
            if len(lines) > len(data):
                about.passed["instructions"] += len(lines) - len(data)
            if not data:
                continue
            first, size, kind = zip(*data, strict=True)
            begin = np.array(first, dtype=np.uint64)
            page = (begin >> np.uint64(_PAGE)).astype(np.int64)
            last = (
                (begin + np.maximum(np.array(size), 1).astype(np.uint64) - np.uint64(1)) >> np.uint64(_PAGE)
            ).astype(np.int64)
            write = np.array([one != b"L" for one in kind], dtype=np.int64)
            # one that reaches into the next page is an access of both
            over = last > page
            yield np.concatenate([page, last[over]]), np.concatenate([write, write[over]])

    yield from touches.rows(accesses())


FORM: Final = Form(
    "lackey's accesses", "lines as ` S 1fff000758,8` of valgrind --tool=lackey --trace-mem=yes", _fits, _rows
)
