"""What a run measured: plain values, the same for the table, for `--json` and for a program that calls `run()`.

Times are nanoseconds, sizes are bytes, errors are errno names. `None` means "not measured" or "not available", never 0.
A new field may be added within one `SCHEMA`; a field that changes its meaning or goes away raises the number.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

import msgspec

from pagexchange.exits import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_PLUGIN,
    EXIT_UNEXPECTED,
    EXIT_UNSOUND,
    EXIT_UNTRUSTED,
)
from pagexchange.measure.pressure import Pressure
from pagexchange.model.config import Expect
from pagexchange.model.words import plain
from pagexchange.samples.schema import Clock
from pagexchange_native.engine.steps import COSTS

SCHEMA: Final = 1

Verdict = Literal["exact", "loses", "refused", "starved", "wrong", "unchecked", "failed", "not run"]
"""exact: every exchanged pair is right in every part, every refused pair is untouched.
loses: the pages are where they should be, but page flags were lost; `lost` names them.
refused: not one pair was exchanged, and nothing changed.
starved: the same, for the single reason that no free frame was left.
wrong: contents, identity, counts or slots are wrong, or a refused pair was touched.
unchecked: something was exchanged, and nothing was compared (`--verify none`).
failed: the plug-in (or its construction) raised; `reason` says what.
not run: interrupted before its first round was over, or the arena was wrong before anybody's turn."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Nanoseconds, by the steps of an exchange. What the `total` of a call holds beyond the five is the call itself.

    The five are the engine's `COSTS`, written out because a reader of the JSON, and a type checker, look here.
    """

    total: float
    lock: float
    flags: float
    data: float
    mapping: float
    finish: float

    def per(self, n: int) -> Costs:
        """The same costs divided by `n` pairs."""
        return Costs(**{name: round(getattr(self, name) / n, 2) for name in ("total", *COSTS)})


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A median, or a ratio of two, and from where to where it may lie: 95 %, see `samples.statistics`."""

    middle: float
    low: float | None = None
    """None, and `high` too: one sample has no interval."""
    high: float | None = None


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One timed call: the raw sample that the medians are made of."""

    round: int
    """Which round; all strategies run once in each, in an order shuffled by the seed."""
    position: int
    """Which place the strategy had in this round's order."""
    exchanged: int
    ns: Costs
    """For the whole call, not per pair."""
    cpu_ns: int
    """CPU time of the call, all threads of the process: its wall time less that in which they had no CPU."""
    verified: bool
    """Whether the oracle compared everything after this call (it does so untimed, once per strategy at least)."""
    attempt: int = 0
    """Above 0: the turn was taken again, since the one before was pushed aside; that one is kept, too."""
    aside: bool = False
    """Pushed aside: others had its CPU for so long that it is left out, where most of the strategy's rounds are not."""
    started_ns: int = 0
    """Since the run began."""
    wall_ns: int = 0
    """Wall time of the call: `ns.total`."""
    threads: list[tuple[int, int]] = []
    """(wall, CPU) of each thread where several worked, the caller's first, each from its own start to its end."""
    cpus: list[int] = []
    """CPUs that the threads were pinned to; empty: to none."""


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing that is not as it should be after an exchange."""

    kind: str
    """`flag`, or the part of the arena: `contents`, `identity`, `refs`, `slot`, `mark`, `pte`, `counter`, ..."""
    name: str
    """The flag's name, or a short description."""
    count: int
    """Pages (or words) concerned."""
    example: str = ""
    """The first one, in words."""


class PlugIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who served one of the three questions (or wrapped the answer)."""

    question: str
    """`flags`, `data`, `mapping` or `wrap`."""
    name: str
    distribution: str
    version: str | None = None
    details: dict[str, str] = {}
    """What the object says of itself: the instruction set chosen, buffers, options."""


class StrategyResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one strategy did."""

    name: str
    summary: str = ""
    verdict: Verdict
    expected: Expect
    as_expected: bool | None
    """Whether they agree; None: these pages cannot show it, and `reason` says why."""
    reason: str = ""
    """Why it failed, or what there is to say about the verdict, in a sentence."""
    pairs: int
    """Pairs asked for."""
    exchanged: int
    refused: dict[str, int] = {}
    """errno name -> pairs."""
    ns_per_pair: Costs | None = None
    """Medians of wall time over the rounds that count, each part's its own, per exchanged pair; `None` if no pair was
    exchanged or timed."""
    ns_per_pair_low: float | None = None
    """Fastest round's total."""
    ns_per_pair_high: float | None = None
    """Slowest round's total."""
    gb_per_s: float | None = None
    """Page bytes that changed place (two pages a pair), in 10^9 bytes per second of `ns_per_pair.total`."""
    frames_asked: int = 0
    """Frames asked of the allocator, in one call over all pairs."""
    frames_allocated: int = 0
    """Frames got from the allocator in that call. 0 is the proof of "in place"."""
    below_low: int = 0
    """Allocations in that call that went below a node's low watermark."""
    below_min: int = 0
    moved: dict[str, int] = {}
    """Data plug-in -> pairs that it exchanged in that call: of a chain, the later ones those that found no frame."""
    retries: int = 0
    mode: str = ""
    threads: int = 1
    """Asked for."""
    workers: int = 0
    """Threads that shared the list in the checked call: fewer where it had too few batches for more."""
    isa: str | None = None
    plugins: list[PlugIn] = []
    lost: list[Lost] = []
    report: dict[str, Any] = {}
    """What the plug-ins themselves want to have here: the hook `strategy_report`."""
    rounds: list[Round] = []
    cost: Figure | None = None
    """Nanoseconds per exchanged pair by the run's `clock`: what the table shows and ratios are made of."""
    ratio: Figure | None = None
    """Of `cost` to that of the run's `reference`."""
    level: bool | None = None
    """No lead to the reference: 1 is in the ratio's interval, or it is within 3 %. None: there is no interval."""
    off_cpu: float | None = None
    """Share of its rounds' time, 0 to 1, in which its threads had no CPU; of a turn that was taken again, the last."""
    trusted: bool | None = None
    """False: most of its rounds were pushed aside, however often they were taken again. None: there is none."""


class Meanwhile(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine did before a run, while it ran, and then."""

    before: Pressure = Pressure()
    during: Pressure = Pressure()
    after: Pressure = Pressure()


class InputInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the strategies ran on."""

    name: str
    kind: str
    """`snapshot`, `live` or `synthetic`."""
    digest: str = ""
    """sha256 of the snapshot's file; without one, of what would be in it; of synthetic pages, of what decides them."""
    pairs: int
    """In the list."""
    pairs_asked: int | None = None
    """As `--pairs` or `[workload] pairs` said: there may not have been so many."""
    orders: dict[str, int] = {}
    """Order of folio -> pairs of it; text, because JSON has no other keys."""
    pages: int
    """Pages in the arena at the start."""
    page_size: int
    frames: int
    arena_bytes: int
    huge: str = ""
    """Huge pages that were asked for: `thp`, `hugetlb` or none."""
    huge_bytes: int | None = None
    """Of the arena, as it was before the first round; None: the machine does not say."""
    nodes: list[dict[str, Any]] = []
    """name, frames, free (at the start of each call) per node; after a run `lies`, see `pagexchange.arena.lying`."""
    real_nodes: str = ""
    """Where the nodes' frames lay at the end of the run, in words; empty on a machine of one node, unless asked."""
    layout: str = ""
    free: int | None = None
    """Free frames left per node because `--free` or `[workload] free` said so."""
    details: dict[str, Any] = {}


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `pagexchange run --json` prints."""

    schema: int = SCHEMA
    pagexchange: str
    """Version."""
    seed: int
    environment: dict[str, Any]
    input: InputInfo
    rounds: int
    """Timed rounds asked for, or chosen by time."""
    rounds_done: int = 0
    """Those that at least one strategy has a sample of."""
    interrupted: bool = False
    as_expected: bool
    seconds: float
    """Wall time of the whole run, building and verifying included."""
    unsound: list[Lost] = []
    """What was wrong before the first exchange: nobody's fault, and nobody was judged."""
    warnings: list[str] = []
    """What concerns the run as a whole: sentences."""
    strategies: list[StrategyResult]
    clock: Clock = "wall"
    """What `cost` and `ratio` are of: `cpu` where every strategy works on one thread, else `wall`."""
    reference: str = ""
    """The fastest strategy that loses nothing; empty if there is none."""
    machine: Meanwhile = Meanwhile()

    @property
    def exit_code(self) -> int:
        """What the command line ends with, one of `pagexchange.exits.EXIT_CODES`."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self.unsound:
            return EXIT_UNSOUND
        if any(s.verdict == "failed" for s in self.strategies):
            return EXIT_PLUGIN
        if not self.as_expected:
            return EXIT_UNEXPECTED
        return EXIT_UNTRUSTED if any(s.trusted is False for s in self.strategies) else EXIT_OK


def to_json(value: Any, *, indent: int | None = 2) -> str:  # noqa: ANN401 - any result or dict of plain values
    """One JSON object as text, in ASCII and so the same in every locale, without a newline at its end."""
    text = json.dumps(plain(msgspec.to_builtins(value)), indent=indent, separators=None if indent else (",", ":"))
    return text.replace("\x7f", "\\u007f")  # the one character of ASCII that JSON lets pass and a terminal obeys


def from_json(text: str | bytes) -> RunResult:
    """The run that `to_json` wrote.

    Raises
    ------
    msgspec.ValidationError
        If it is not one, or of another schema.
    """
    result = msgspec.json.decode(text, type=RunResult)
    if result.schema != SCHEMA:
        raise msgspec.ValidationError(f"schema {result.schema}: this version reads schema {SCHEMA}")
    return result


def judge(expected: Expect, verdict: Verdict, *, pressure: bool = False) -> bool:
    """Whether a verdict is what was expected.

    `pressure`: the run held free frames back on purpose, so that a strategy that needs one may starve.
    """
    if verdict == "unchecked":
        return expected != "refused"
    return verdict == expected or (verdict == "starved" and pressure)
