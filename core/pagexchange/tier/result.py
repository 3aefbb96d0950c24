"""What `pagexchange tier` found: plain values, the same for the table, for `--json` and for a program.

Times are nanoseconds, sizes bytes. `None` means "not measured", never 0. Within one `SCHEMA` fields may be added; one
that changes its meaning or goes away raises the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from pagexchange.exits import EXIT_INTERRUPTED, EXIT_OK, EXIT_PLUGIN, EXIT_UNEXPECTED, EXIT_UNTRUSTED
from pagexchange.runs.result import Figure, Meanwhile, PlugIn

SCHEMA: Final = 1

Verdict = Literal["exact", "wrong", "failed", "not run"]
"""exact: after every round each page was where the moves say, whole, and found by its identity.
wrong: it was not; `reason` has the first one. failed: a plug-in raised. not run: interrupted before its first round."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a way did in one round, summed over its steps."""

    accesses: int
    """As drawn; each stands for `weight` of the stream."""
    hits: int
    """Of them on the fast node."""
    asked: int = 0
    """Pairs that the policy wanted to trade."""
    done: int = 0
    refused: int = 0
    left: int = 0
    """Pairs that the time of a step was over for."""
    promoted: int = 0
    """Pages that came to the fast node."""
    demoted: int = 0
    back_and_forth: int = 0
    """Pages that moved back soon after they had moved."""
    stalls: int = 0
    """Promotions that found no free frame."""
    frames: int = 0
    """Frames that the allocator gave."""
    below_low: int = 0
    """Requests for a frame that found a node below its low watermark."""
    below_min: int = 0
    """The same for min: they were refused."""
    bytes: int = 0
    """Of the pages that moved."""
    choose_ns: int = 0
    """Wall time in which the policy chose."""
    move_ns: int = 0
    """Wall time in which pages moved."""
    wall_ns: int = 0
    """Of all steps."""
    cpu_ns: int = 0
    """CPU time of all steps, of all threads: choosing and moving."""


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One timed round of a way: the raw sample."""

    round: int
    """All ways play the same stream in it, in turns from tick to tick."""
    position: int
    """Place in the order of the round's first tick."""
    attempt: int = 0
    """Above 0: the round was played again, since the one before was pushed aside; that one is kept, too."""
    aside: bool = False
    """Others had its CPU for so long that it is left out, where most of its rounds are not."""
    started_ns: int = 0
    """Since the start."""
    moved: Moved
    cost_ns: int
    """Time lost: what accesses to the slow node took longer, and the CPU time of choosing and moving."""

    # What `samples.turns` asks of a turn.

    @property
    def exchanged(self) -> int:
        """Pairs that traded places, or moved both ways."""
        return self.moved.done

    @property
    def wall_ns(self) -> int:
        """Of all steps."""
        return self.moved.wall_ns

    @property
    def cpu_ns(self) -> int:
        """Of all steps."""
        return self.moved.cpu_ns

    @property
    def threads(self) -> Sequence[tuple[int, int]]:
        """Not told apart."""
        return ()


class Reads(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader met that read pages on another CPU while the steps of one round ran."""

    reads: int
    median_ns: float | None = None
    p99_ns: float | None = None
    worst_ns: float | None = None
    waits: int = 0
    """Times that it found a page on its way and looked again."""
    wrong: int = 0
    """Reads that gave another word than must be there, or found no page."""


class WayResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one way did."""

    name: str
    """Of the way; with a policy behind a slash where several play."""
    way: str
    policy: str = ""
    """Plug-in that says who trades with whom; empty: nobody does."""
    summary: str = ""
    verdict: Verdict
    reason: str = ""
    plugins: list[PlugIn] = []
    report: dict[str, Any] = {}
    """What the plug-ins reported at the end of its first timed round: the hook `strategy_report`."""
    moved: Moved | None = None
    """Of the median round by cost. None: it has no round."""
    hit_share: float | None = None
    """Share of accesses that hit the fast node, 0 to 1: median of the rounds."""
    over_time: list[float] = []
    """The same by time, of the first round: each value of equally many ticks."""
    bytes_per_s: float | None = None
    """Of moved pages, per second of the stream."""
    cpu_share: float | None = None
    """CPU time of choosing and moving, as a share of the stream's time."""
    reads: Reads | None = None
    cost: Figure | None = None
    """Nanoseconds lost per access: what slow ones took longer, and choosing and moving took, by all accesses."""
    ratio: Figure | None = None
    """Of `cost` to that of `nothing`."""
    level: bool | None = None
    """1 is in that interval, or it is within 3 %. None: there is no interval."""
    won_share: float | None = None
    """Time won against `nothing` as a share of the stream's time; below 0: lost."""
    off_cpu: float | None = None
    """Share of its steps' time in which its threads had no CPU."""
    trusted: bool | None = None
    rounds: list[Played] = []


class StreamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What was played."""

    name: str
    kind: str
    """`drawn` or `file`."""
    digest: str
    pages: int
    page_size: int
    ticks: int
    tick_ns: float
    seconds: float
    """ticks x tick_ns."""
    accesses: int
    """Of a tick, as drawn."""
    weight: float
    """Accesses that each of them stands for."""
    notes: list[str] = []


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A node at the start of each round."""

    name: str
    frames: int
    free: int
    min: int
    low: int
    high: int


class TierResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `pagexchange tier --json` prints."""

    schema: int = SCHEMA
    pagexchange: str
    """Version."""
    seed: int
    environment: dict[str, Any]
    stream: StreamInfo
    nodes: list[NodeInfo]
    """The fast one first."""
    real_nodes: str = ""
    """Where their frames lay, in words; empty on a machine of one node, unless asked."""
    slow_ns: float
    """What an access to the slow node takes longer: as given, not measured."""
    slow_source: str = ""
    """Where that comes from, in words."""
    pairs: int
    """That a step may ask for."""
    rounds: int
    """Timed rounds asked for, or that there was time for."""
    rounds_done: int = 0
    interrupted: bool = False
    seconds: float
    ways: list[WayResult]
    """In the order in which they were given; `nothing` first."""
    reference: str
    """What ratios are to: `nothing`."""
    best: str = ""
    """The way with the least cost of those that are exact; empty: there is none."""
    answer: list[str] = []
    """Who wins and by how much, in sentences."""
    linux: str = ""
    """What Linux's own exchange of as many pairs took on the same real nodes, in a sentence; or why it is not here."""
    warnings: list[str] = []
    machine: Meanwhile = Meanwhile()

    @property
    def exit_code(self) -> int:
        """What the command line ends with, one of `pagexchange.exits.EXIT_CODES`."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if any(way.verdict == "failed" for way in self.ways):
            return EXIT_PLUGIN
        if any(way.verdict == "wrong" for way in self.ways):
            return EXIT_UNEXPECTED
        return EXIT_UNTRUSTED if any(way.trusted is False for way in self.ways) else EXIT_OK
