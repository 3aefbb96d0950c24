"""The stream of a file: what it saw accessed, when, drawn as often as it was.

A record says of ranges of pages how often they were seen in an interval, not which page was accessed when. So the
accesses of a tick are drawn from what the file says of that time; where it says nothing new, it is as it was before.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import TraceError
from pagexchange.model.words import counted
from pagexchange.pages import files
from pagexchange.samples.schema import Input
from pagexchange.tier.moving import TICK_MS
from pagexchange.tier.stream import LEAST_PAGES, Stream, drawn_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pagexchange.model.config import TierConfig
    from pagexchange.pages.files.source import Progress
    from pagexchange.pages.files.table import Access
    from pagexchange.pages.files.trace import Trace
    from pagexchange.tier.stream import Pages

Ints = NDArray[np.int64]

PACKAGED: Final = "packaged damo record of a hot set that moves"


class Ranges(NamedTuple):
    """Which pages a file names: ranges that do not touch, ascending."""

    start: Ints
    end: Ints

    @property
    def before(self) -> Ints:
        """Pages in the ranges before each."""
        return np.append(0, np.cumsum(self.end - self.start))

    @property
    def pages(self) -> int:
        """All of them."""
        return int((self.end - self.start).sum())

    def joined(self, start: Ints, end: Ints) -> Ranges:
        """These and others: ranges that touch or overlap become one."""
        starts, ends = np.concatenate([self.start, start]), np.concatenate([self.end, end])
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], np.maximum.accumulate(ends[order])
        first = np.append(True, starts[1:] > ends[:-1]) if len(starts) else np.zeros(0, bool)
        last = np.append(first[1:], True) if len(starts) else first
        return Ranges(starts[first], ends[last])


class Recorded(Stream):
    """The stream of a file with accesses.

    Parameters
    ----------
    trace
        As `pagexchange.pages.files.read` gives it.
    given
        What it is: its name is in what is raised.
    most
        Pages that the arena has room for. Where the file has more, neighbours count as one.

    Raises
    ------
    TraceError
        The file names fewer than two pages, or no access.
    """

    def __init__(self, trace: Trace, given: Input, config: TierConfig, most: int, seed: int) -> None:
        self._trace, self._seed = trace, seed
        none = np.zeros(0, np.int64)
        ranges, last, seen = Ranges(none, none), 0, 0.0
        for rows in trace.chunks():
            known = rows[rows["pages"] > 0]
            if len(known):
                ranges = ranges.joined(known["page"], known["page"] + known["pages"])
                last = max(last, int(known["time"].max()))
                seen += float((known["heat"].astype(np.float64) * known["pages"]).sum())
        if ranges.pages < LEAST_PAGES:
            raise TraceError(f"{given.name}: names {counted(ranges.pages, 'page')}: a tier needs two at least")
        if not seen > 0:
            raise TraceError(f"{given.name}: says of no page that it was accessed: there is nothing to play")
        self._ranges, self._before = ranges, ranges.before
        self._granule = -(-ranges.pages // most)
        self.pages = -(-ranges.pages // self._granule)
        self.ticks = config.ticks
        whole = (last / max(config.ticks - 1, 1) if last else 1e6 * TICK_MS) or 1.0
        self.tick_ns = whole if config.tick_ms is None else 1e6 * config.tick_ms
        self.ticks = min(config.ticks, int(last // self.tick_ns) + 1) if last else config.ticks
        self.accesses, self.weight = drawn_of(config.rate, self.tick_ns, config.accesses)
        self.given = given
        self.notes = (*trace.notes, *self._said())

    def play(self, round: int) -> Iterator[Pages]:  # noqa: D102 - as the base says
        random = np.random.default_rng([self._seed, round])
        share, number, size = np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
        for rows in self._by_tick():
            heat = rows["heat"].astype(np.float64) * rows["pages"]
            total = heat.sum()
            if total > 0:  # else as it was before
                hot = heat > 0
                share, size = heat[hot] / total, rows["pages"][hot]
                number = self._number(rows["page"][hot])
            if not len(share):  # before the first access
                yield np.zeros(0, np.uint32)
                continue
            which = np.repeat(np.arange(len(share)), random.multinomial(self.accesses, share))
            page = number[which] + (random.random(len(which)) * size[which]).astype(np.int64)
            yield (page // self._granule).astype(np.uint32)

    def _number(self, page: Ints) -> Ints:
        """Numbers of pages that follow each other without gaps, of pages of the file."""
        at = np.searchsorted(self._ranges.start, page, side="right") - 1
        found: Ints = self._before[at] + page - self._ranges.start[at]
        return found

    def _by_tick(self) -> Iterator[Access]:
        """The rows of each tick, none for a tick of which the file says nothing."""
        return by_tick(self._trace.chunks(), self.tick_ns, self.ticks)

    def _said(self) -> Iterator[str]:
        if self._granule > 1:
            yield (
                f"the file has {counted(self._ranges.pages, 'page')}, more than the arena: {self._granule} neighbours "
                "count as one"
            )
        if self._trace.kind == "state":
            yield "the file is of one moment: its hot pages stay hot"
        yield (
            "the file says which pages are accessed and how often beside each other, not how many accesses reach "
            "memory: that is [tier] rate"
        )


def by_tick(chunks: Iterable[Access], tick_ns: float, ticks: int) -> Iterator[Access]:
    """Cut rows, ascending in time, into those of each tick; ticks without rows get an empty one."""
    parts: list[Access] = []
    tick = 0
    for rows in chunks:
        place = (rows["time"] // tick_ns).astype(np.int64)
        while len(rows):
            here = int(np.searchsorted(place, tick, side="right"))
            if here:
                parts.append(rows[:here])
                rows, place = rows[here:], place[here:]
            if len(rows):  # a later one begins: this tick is whole
                yield np.concatenate(parts) if parts else rows[:0]
                tick, parts = tick + 1, []
                if tick >= ticks:
                    return
    empty = np.concatenate(parts) if parts else None
    while tick < ticks and empty is not None:
        yield empty
        tick, empty = tick + 1, empty[:0]


def packaged(config: TierConfig, most: int, seed: int) -> Recorded:
    """Return the stream that ships with pagexchange; arguments as of `Recorded`."""
    trace = files.packaged()
    return Recorded(trace, Input(name=PACKAGED, kind="file", digest=_digest(trace)), config, most, seed)


def from_file(path: Path, config: TierConfig, most: int, seed: int, progress: Progress | None = None) -> Recorded:
    """Return the stream of a file; arguments as of `Recorded`. TraceError: it cannot be read, or has none in it."""
    trace = files.read(path, progress=progress)
    return Recorded(
        trace, Input(name=f"{path.name} ({trace.form})", kind="file", digest=_digest(trace)), config, most, seed
    )


def _digest(trace: Trace) -> str:
    """sha256 of all rows: of a file and of what `pagexchange snapshot --from` keeps of it the same."""
    found = hashlib.sha256()
    for rows in trace.chunks():
        found.update(np.ascontiguousarray(rows).tobytes())
    return found.hexdigest()
