"""What `page-types -L` or `-l` prints (tools/mm/page-types.c): a line for each frame, or for each run of frames.

    voffset  cgroup  map-cnt  offset  len  flags        the header names the columns; tabs are between them
    1a2b3                              __RUDlA____Ma_b____________r____f_____F_1

offset, len and voffset are hexadecimal. The letters stand for bits, in the order of the bits that page-types knows,
which has grown; the length says which order it is. Without -r it hides the bits above 31 and which frames are of one
folio. With -N there is no summary behind, which is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np

from pagexchange.pages.files import flag_state
from pagexchange.pages.files.form import About, Form, Words
from pagexchange.pages.files.lines import each, quoted
from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import MAX_PAGE, Access
from pagexchange.pages.snapshot.proc.kpageflags import BITS

_HEADER: Final = re.compile(rb"(?m)^((?:voffset\t|foffset\t|cgroup\t|map-cnt\t)*offset\t(?:len\t)?flags)$")
_ROWS: Final = 1 << 15

# letters and the bits that they are, in the order of page-types; None: not a bit of /proc/kpageflags
_LOW: Final = tuple(zip("LERUDlASWIBMasbHTGuXnxtozi", range(26), strict=True))
_PGTABLE: Final = (("g", 26),)
_HACKERS: Final = tuple(zip("rmdPpOhcf", range(32, 41), strict=True))
_ARCH_2: Final = (("H", 41),)
_EXCLUSIVE: Final = (("d", BITS["OWNER_2"]),)  # the bit by another name, for anonymous pages
_READAHEAD: Final = (("I", BITS["RECLAIM"]),)
_SLOB: Final = (("P", None),)
_SLUB: Final = (("A", None), ("E", None))
_PAGEMAP: Final = (("F", None), ("w", None), ("1", None))
_ORDERS: Final = (
    _LOW + _PGTABLE + _HACKERS + _ARCH_2 + _EXCLUSIVE + _READAHEAD + _SLUB + _PAGEMAP,  # 44, since Linux 6.4
    _LOW + _PGTABLE + _HACKERS + _ARCH_2 + _READAHEAD + _SLOB + _SLUB + _PAGEMAP,  # 44, since 5.12
    _LOW + _PGTABLE + _HACKERS + _READAHEAD + _SLOB + _SLUB + _PAGEMAP,  # 43, since 4.18
    _LOW + _HACKERS + _READAHEAD + _SLOB + _SLUB + _PAGEMAP,  # 42, since 4.3
)
_NO_COMPOUND: Final = sum(1 << BITS[name] for name in ("COMPOUND_HEAD", "COMPOUND_TAIL"))


def _fits(source: Source) -> bool:
    return _HEADER.search(source.head) is not None


@lru_cache(maxsize=1 << 12)
def _bits(letters: bytes) -> int | None:
    """The word that these letters are; None: no page-types that is known here prints them."""
    text = letters.decode("latin-1")
    for order in _ORDERS:
        if len(order) == len(text) and all(one in ("_", letter) for one, (letter, _) in zip(text, order, strict=True)):
            set_bits = {bit for one, (_, bit) in zip(text, order, strict=True) if one != "_" and bit is not None}
            return sum(1 << bit for bit in set_bits)
    return None


def _words(source: Source, about: About) -> Iterator[Words]:
    columns: list[bytes] = []
    held: list[tuple[int, int, int, int]] = []
    raw, summary = False, False
    for number, line in each(source):
        header = _HEADER.fullmatch(line)
        summary = summary or line.lstrip(b" ").startswith(b"flags\tpage-count")
        if header or summary or not columns:
            columns = header[1].split(b"\t") if header else columns
            if not header:
                about.passed["lines around the list"] += 1
            continue
        first, size, count, word = _line(source, number, line, columns)
        raw = raw or bool(word >> 32 or word & _NO_COMPOUND)
        held.append((first, size, count, word))
        if len(held) >= _ROWS:
            yield _together(held, b"map-cnt" in columns)
            held = []
    if held:
        yield _together(held, b"map-cnt" in columns)
    if not raw:
        about.notes.append(
            "page-types without -r hides which frames are of one folio: each is taken as one of its own."
        )


def _line(source: Source, number: int, line: bytes, columns: list[bytes]) -> tuple[int, int, int, int]:
    """First frame, frames, mapcount and word of a line."""
    fields = dict(zip(columns, line.split(b"\t"), strict=False))
    try:
        if len(line.split(b"\t")) != len(columns):
            raise ValueError(f"{len(columns)} columns are expected")
        first, size = int(fields[b"offset"], 16), int(fields.get(b"len", b"1"), 16)
        count = int(fields.get(b"map-cnt", b"0"))
        if (word := _bits(fields[b"flags"])) is None:
            raise ValueError("flags of 42, 43 or 44 letters and `_`, as page-types prints them, are expected")
        if not 0 <= first < MAX_PAGE or not 1 <= size < MAX_PAGE or count < 0:
            raise ValueError("a number that is out of range")
    except ValueError as error:
        raise source.error(f"{quoted(line)}: {error}", line=number) from None
    return first, size, count, word


def _together(lines: list[tuple[int, int, int, int]], counted: bool) -> Words:
    first, size, mapped, word = zip(*lines, strict=True)
    return Words(
        np.array(first, dtype=np.int64), np.array(size, dtype=np.int64), np.array(word, dtype=np.uint64),
        np.array(mapped, dtype=np.int64) if counted else None,
    )  # fmt: skip


def _rows(source: Source, about: About) -> Iterator[Access]:
    return flag_state.rows(_words(source, about), about)


FORM: Final = Form(
    "page-types listing", "a line `offset<TAB>flags` or `offset<TAB>len<TAB>flags`, as page-types -L or -l prints it",
    _fits, _rows, _words,
)  # fmt: skip
