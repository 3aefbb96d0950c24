"""A damo record as JSON, alone or packed by zlib as damo writes it by default (`damo record`, damonitor/damo).

A list of records, one for each target; each has "snapshots", each of these "regions" of bytes with `nr_accesses` and
`age`. Most numbers are text, some of them with commas. Records of older versions lack keys; only those that are needed
here must be there. A snapshot counts the accesses of the interval that ends at `end_time`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from pagexchange.pages.files import damon
from pagexchange.pages.files.form import About, Form
from pagexchange.pages.files.jsonstream import JsonStream
from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import Access

_Number = int | str
_HOLDERS: Final = frozenset({"damon_records", "record_list", "damo_records"})
"""Keys of newer records under which the list is."""
_DEEPEST: Final = 8


class _Accesses(msgspec.Struct):
    samples: int | float | str | None = None
    percent: int | float | str | None = None


class _Region(msgspec.Struct):
    start: _Number
    end: _Number
    nr_accesses: _Accesses | int | str | None = None


class _Snapshot(msgspec.Struct):
    end_time: int | float | str
    regions: list[_Region]


_DECODER: Final = msgspec.json.Decoder(_Snapshot)


def _fits(source: Source) -> bool:
    head = source.head.lstrip()
    return head[:1] in (b"[", b"{") and (b'"snapshots"' in head or b'"damon_records"' in head)


def _rows(source: Source, about: About) -> Iterator[Access]:
    stream = JsonStream(source)
    targets = damon.Targets(about)
    for record, at, text in _snapshots(stream):
        try:
            snapshot = _DECODER.decode(text)
            time = _whole(snapshot.end_time)
            regions = [(_whole(r.start), _whole(r.end), _heat(r.nr_accesses)) for r in snapshot.regions]
        except (msgspec.DecodeError, ValueError) as error:
            raise source.error(f"the snapshot that begins here: {error}", byte=at) from None
        # what damo adds so that a file of one snapshot has two times
        regions = [region for region in regions if region[1:] != (0, -1)]
        if not regions:
            continue
        first, last, heat = zip(*regions, strict=True)
        rows = targets.rows(record, [time] * len(regions), first, last, heat)
        if isinstance(rows, str):
            raise source.error(f"the snapshot that begins here: {rows}", byte=at)
        yield rows
    stream.end()


def _snapshots(stream: JsonStream, depth: int = 0) -> Iterator[tuple[str, int, bytes]]:
    """Which target, where in the file, and the bytes of each snapshot."""
    first = stream.peek()
    if depth > _DEEPEST or first not in (b"[", b"{"):
        stream.value()
    elif first == b"[":
        for _ in stream.elements():
            yield from _snapshots(stream, depth + 1)
    else:
        target = ""
        for key in stream.members():
            if key == "snapshots":
                for _ in stream.elements():
                    stream.peek()  # so that the place is that of the snapshot and not of the space before it
                    yield target, stream.at, stream.value()
            elif key in _HOLDERS:
                yield from _snapshots(stream, depth + 1)
            else:
                text = stream.value()
                target = text.decode(errors="replace") if key == "target_id" else target


def _whole(value: float | str) -> int:
    """A number of a record. ValueError: it is none."""
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value)  # damo guesses the first start
    text = value.replace(",", "")
    try:
        return int(text)
    except ValueError:
        # a float where damo computed a time
        try:
            return int(float(text))
        except (ValueError, OverflowError):
            wanted = "a number is expected, as 4,194,304. `damo report` writes numbers with units: give the record"
            raise ValueError(f"{value[:40]!r}: {wanted}") from None


def _heat(accesses: _Accesses | int | str | None) -> float:
    if isinstance(accesses, _Accesses):
        seen = accesses.percent if accesses.samples is None else accesses.samples
    else:
        seen = accesses
    if seen is None:
        raise ValueError("a region without nr_accesses")
    return float(seen.replace(",", "").rstrip(" %")) if isinstance(seen, str) else float(seen)


FORM: Final = Form("damo record (JSON)", 'JSON with a key "snapshots", packed by zlib or not', _fits, _rows)
