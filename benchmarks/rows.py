"""The rows that the engine is held to: what is measured, against what, in which arena, and the most that it may be."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cells import FOLIO, LIST, NATIVE, NULL, READ, RFC, WORD
from pagexchange.bench.scenes import Setting
from pagexchange.model.config import Population

MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report."""

    key: str
    what: str
    against: str
    limit: float


@dataclass(frozen=True, slots=True)
class CellRow(Row):
    """A ratio of two cells of one arena."""

    setting: Setting
    above: str
    below: str
    needs_huge: bool = False
    """The figure is for huge pages: without them it says nothing."""


def _dram(kind: Population = "half", order: int = 0, *, huge: bool = True) -> Setting:
    return Setting(kind, GIB, order, "thp" if huge else "base")


_CACHE = Setting("half", MIB)
_RFC = "RFC loop"

CELL_ROWS: tuple[CellRow, ...] = (
    CellRow("null-anon", "engine alone, 1 GiB, anon/anon", _RFC, 0.08, _dram("anon"), NULL, RFC),
    CellRow("null-file", "engine alone, 1 GiB, file/file", _RFC, 0.08, _dram("file"), NULL, RFC),
    CellRow("null-half", "engine alone, 1 GiB, half and half", _RFC, 0.11, _dram(), NULL, RFC),
    CellRow("null-cache", "engine alone, 1 MiB, half and half", _RFC, 0.22, _CACHE, NULL, RFC),
    CellRow("list-huge", "list-exchange, 1 GiB, huge pages", _RFC, 0.66, _dram(), LIST, RFC, True),
    CellRow("list-small", "list-exchange, 1 GiB, 4 KiB pages", _RFC, 0.70, _dram(huge=False), LIST, RFC),
    CellRow("read-huge", "list-exchange, 1 GiB, huge pages", "read both", 0.95, _dram(), LIST, READ, True),
    CellRow("read-small", "list-exchange, 1 GiB, 4 KiB pages", "read both", 0.95, _dram(huge=False), LIST, READ),
    CellRow("list-cache", "list-exchange, 1 MiB", _RFC, 0.58, _CACHE, LIST, RFC),
    CellRow("word-cache", "word-swap, 1 MiB", _RFC, 0.60, _CACHE, WORD, RFC),
    CellRow("folio-rfc", "list-exchange, 2 MiB folios", _RFC, 0.85, _dram(order=9), LIST, RFC),
    CellRow("folio-memcpy", "list-exchange, 2 MiB folios", "memcpy of one", 1.05, _dram(order=9), LIST, FOLIO),
    CellRow("order4-rfc", "list-exchange, 64 KiB folios", _RFC, 0.95, _dram(order=4), LIST, RFC),
)


@dataclass(frozen=True, slots=True)
class CallRow(Row):
    """A call in Python with few pairs, against bare loops over one pair each."""

    way: str
    pairs: int
    loops: int


def _call(way: str, pairs: int, loops: int, limit: float) -> CallRow:
    what = f"{way}, one call, {pairs} pair{'s' * (pairs > 1)}"
    return CallRow(f"{way.partition('.')[0]}-{pairs}", what, f"{loops} RFC loops in cache", limit, way, pairs, loops)


CALL_ROWS: tuple[CallRow, ...] = (
    _call("strategy.exchange", 1, 8, 1.00),
    _call("strategy.exchange", 16, 16, 0.95),
    _call("arena.exchange", 1, 8, 1.00),
    _call("arena.exchange", 16, 16, 0.95),
)

THREADS_NULL = Row("threads-null", "engine alone, two threads, per pair", "one thread", 0.56)
THREADS_LIST = Row("threads-list", "list-exchange, two threads, per pair", "one thread", 0.62)
LARGE = Row("large", "list-exchange, 16 GiB arena, per pair", "1 GiB arena", 1.25)
RECORDS: dict[str, Row] = {
    name: Row(f"record-{name.replace('_', '-')}", f"undo record of {name}, per page", "40 ns or 10 % of the rest", 1.0)
    for name in ("alloc", "free", "cache_add", "cache_remove", "map", "unmap")
}
"""By the name of the call."""
RECOVERY = Row("recovery", "recovery of a slot with 32 pairs", "20 us + 2 us a pair + copy", 1.0)
TIER_LOOP = Row("tier-loop", "a tier's step of 512 pairs but for its exchanges, 1 GiB", "its exchanges", 0.05)
TIER_LOOP_64K = Row("tier-loop-64k", "the same of 64 KiB folios", "its exchanges", 0.05)
TIER_TOUCH = Row("tier-touch", "an access counted by a tier, 1 GiB", "100 ns", 1.0)

PEERS: tuple[str, ...] = (
    RFC,
    READ,
    "read-both-ahead",
    "memcpy",
    "in-place",
    "in-place-ahead",
    "two-at-once-ahead",
    "logged-ahead",
    "temporary-page",
    WORD,
    LIST,
    NATIVE,
    NULL,
)
"""Cells of a full run's tables beside those of the rows."""

TABLES: tuple[Setting, ...] = (
    _CACHE,
    Setting("half", 32 * MIB),
    _dram(),
    _dram(huge=False),
    _dram(order=4),
    _dram(order=9),
)
"""Settings for which a full run has all peers."""
