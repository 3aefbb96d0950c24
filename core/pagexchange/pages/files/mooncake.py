"""Blocks of a key-value cache, as Mooncake published its traces: a request a line, as JSON.

    {"timestamp": 0, "input_length": 9013, "output_length": 3, "hash_ids": [46, 47, 48]}

The time is in ms; an id is a block of 512 tokens, and one that was there before is used again. vLLM's, aiperf's and
GuideLLM's benchmarks read and write the same lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from pagexchange.pages.files.form import About, Form
from pagexchange.pages.files.lines import each, quoted
from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import Access, table

_MS: Final = 1_000_000


class _Request(msgspec.Struct):
    timestamp: float
    hash_ids: list[int]


_DECODER: Final = msgspec.json.Decoder(_Request)


def _fits(source: Source) -> bool:
    first = source.head.lstrip().partition(b"\n")[0]
    return first.startswith(b"{") and b'"hash_ids"' in first


def _rows(source: Source, about: About) -> Iterator[Access]:
    about.numbers, about.page_size = "block", 0
    about.notes.append("a block is read or made, and the file does not say which; its bytes depend on the model.")
    for number, line in each(source, cut_shows=True):
        try:
            request = _DECODER.decode(line)
            ids = np.array(request.hash_ids, dtype=np.int64)
            time = round(request.timestamp * _MS)
        except (msgspec.DecodeError, OverflowError, ValueError) as error:
            wanted = 'a request is expected: {"timestamp": MS, "hash_ids": [N, ...]}'
            raise source.error(f"{quoted(line)}: {error}; {wanted}", line=number) from None
        if not len(ids):
            about.passed["requests without blocks"] += 1
            continue
        # neighbouring ids, as those of one request mostly are, become one row
        first = np.flatnonzero(np.diff(ids, prepend=ids[0] - 2) != 1)
        yield table(time, ids[first], np.diff(first, append=len(ids)))


FORM: Final = Form(
    "Mooncake's requests", 'a line of JSON with "timestamp" and "hash_ids" for each request', _fits, _rows
)
