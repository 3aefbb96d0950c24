"""A run for people: one table, a note where there is something to say, one closing line.

This module says the words and chooses the columns; `layout` puts them on paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from pagexchange.arena.hugepages import of_all
from pagexchange.cli.layout import Layouts, Paragraph, count, nanoseconds, table
from pagexchange.cli.notes import notes
from pagexchange.cli.ranking import closing, ranked, winner
from pagexchange.model.sizes import format_size
from pagexchange.model.words import counted
from pagexchange_native.engine.steps import COSTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from pagexchange.cli.layout import Words
    from pagexchange.runs.result import InputInfo, RunResult, StrategyResult

LEFT: Final = ("strategy", "verdict")
SPLIT: Final = {"map" if cost == "mapping" else cost: cost for cost in COSTS}
"""Head of a column -> the engine's cost: where the time of a pair went."""
SPLITS: Final[dict[str | None, str]] = {
    "real": "nodes as recorded", "drawn": "nodes drawn", "interleave": "nodes in turns", "halves": "nodes by halves",
}  # fmt: skip
"""How a snapshot's pages came to be on two nodes, in words."""


def blocks(result: RunResult, *, ascii_only: bool = False) -> list[RenderableType]:
    """The report of a run, top to bottom."""
    marks = ("ok", "NOT OK") if ascii_only else ("✓", "✗")
    out: list[RenderableType] = [_heading(result), Text(), _table(result, marks)]
    remarks = list(notes(result))
    if remarks:
        out += [Text(), *remarks]
    if result.input.free is not None:
        out += [Text(), *_pressure(result)]
    return [*out, Text(), Paragraph(*closing(result)), _legend(result, marks)]


def _heading(result: RunResult) -> Paragraph:
    given = result.input
    threads = sorted({s.threads for s in result.strategies})
    worked = sorted({s.workers for s in result.strategies if s.workers})
    parts = [
        f"{given.name}",
        f"{counted(given.pairs, 'pair')} of {_folios(given)}" + _asked(given.pairs, given.pairs_asked),
        f"flags as in {given.layout}" if given.layout else "",
        of_all(given.huge_bytes, given.arena_bytes) if given.huge else "",
        SPLITS.get(given.details.get("split"), ""),
        f"{_numbers(threads)} thread{'' if threads == [1] else 's'}" if threads else "",
        f"of which {_numbers(worked)} worked" if any(0 < s.workers < s.threads for s in result.strategies) else "",
        ("checked, not timed", "1 round")[result.rounds] if result.rounds < 2 else f"{result.rounds} rounds",
        f"{result.rounds_done} of them done" if result.rounds_done < result.rounds else "",
        f"seed {result.seed}",
    ]
    return Paragraph((f"pagexchange {result.pagexchange}", "bold"), "  " + ", ".join(p for p in parts if p))


def _numbers(several: list[int]) -> str:
    return "/".join(map(str, several))


def _asked(done: int, asked: int | None) -> str:
    return "" if asked is None or asked <= done else f" ({asked:,} were asked for)"


def _folios(given: InputInfo) -> str:
    """What a pair consists of: pages of one size, or folios from the smallest to the largest."""
    orders = [int(order) for order in given.orders] or [0]
    small, large = (format_size(given.page_size << order) for order in (min(orders), max(orders)))
    if max(orders) == 0:
        return f"{small} pages"
    return f"{large} folios" if small == large else f"folios, {small} to {large}"


def _table(result: RunResult, marks: tuple[str, str]) -> Layouts:
    """Who is how fast and lost what. Where the split of the time does not fit beside it, it stands below."""
    best = winner(result)
    rows = [_row(s, best, marks) for s in ranked(result)]
    if not any(s.ns_per_pair for s in result.strategies):  # nothing was timed
        return Layouts([table(rows, ("strategy", "verdict", "pairs", "allocates"), left=LEFT)])
    speed, parts = ("strategy", "verdict", "pairs", "ns/pair", "ratio"), (*SPLIT, "GB/s")
    # Below the first table a row of dashes would say nothing: who was not timed is seen above.
    timed = [row for row, s in zip(rows, ranked(result), strict=True) if s.ns_per_pair]
    return Layouts(
        [table(rows, (*speed, *parts, "allocates"), left=LEFT)],
        [table(rows, (*speed, "allocates"), left=LEFT), table(timed, ("strategy", *parts), left=LEFT)],
    )


def _row(s: StrategyResult, best: StrategyResult | None, marks: tuple[str, str]) -> dict[str, Words]:
    good, bad = marks
    mark = "?" if s.as_expected is None else "" if s.verdict == "unchecked" else good if s.as_expected else bad
    style = (
        "bad"
        if s.as_expected is False
        else "warn"
        if s.as_expected is None
        else "good"
        if s.verdict == "exact"
        else "warn"
    )
    bold = "bold" if s is best else ""
    cost = s.ns_per_pair
    ratio = f"{cost.total / best.ns_per_pair.total:.2f}x" if cost and best and best.ns_per_pair else "-"
    frames = count(s.frames_allocated) if s.frames_allocated else ("nothing" if s.exchanged else "-")
    return {
        "strategy": (s.name, bold),
        "verdict": (f"{s.verdict} {mark}".rstrip(), style),
        "pairs": count(s.exchanged),
        "ns/pair": (nanoseconds(cost.total) if cost else "-", bold),
        "ratio": (ratio, bold),
        **{head: (nanoseconds(getattr(cost, name)) if cost else "-", "dim") for head, name in SPLIT.items()},
        "GB/s": (f"{s.gb_per_s:.1f}" if s.gb_per_s else "-", "dim"),
        "allocates": (frames, "warn" if s.frames_allocated else ""),
    }


def _pressure(result: RunResult) -> Iterator[RenderableType]:
    """The second table: what being short of free frames does to each strategy."""
    nodes = ", ".join(f"{node['name']} {node['free']:,}" for node in result.input.nodes)
    asked = result.input.free or 0
    left = "no free frame" if asked == 0 else "1 free frame" if asked == 1 else f"{count(asked)} free frames"
    if any(int(node["free"]) < asked for node in result.input.nodes):
        left = f"at most {left}"  # the pages of the input took more than would leave so many
    yield Paragraph(("Under pressure", "bold"), f"  {left} left per node" + (f" ({nodes})" if nodes else ""))
    yield Text()
    rows = [_pressed(s) for s in ranked(result) if s.verdict not in ("failed", "not run")]
    heads = ("strategy", "exchanged", "frames asked", "frames got", "below low", "below min", "ENOMEM")
    yield Layouts([table(rows, heads, left=LEFT)], [table(rows, heads, left=LEFT, tall=True)])
    units = "exchanged and ENOMEM count pairs; below low and below min count requests for a folio's frames."
    yield Paragraph((units, "dim"))


def _pressed(s: StrategyResult) -> dict[str, Words]:
    short = "warn" if s.frames_asked > s.frames_allocated else ""
    return {
        "strategy": s.name,
        "exchanged": count(s.exchanged),
        "frames asked": (count(s.frames_asked), "warn" if s.frames_asked else ""),
        "frames got": (count(s.frames_allocated), short),
        "below low": (count(s.below_low), "warn" if s.below_low else ""),
        "below min": (count(s.below_min), "warn" if s.below_min else ""),
        "ENOMEM": (count(s.refused.get("ENOMEM", 0)), short),
    }


def _legend(result: RunResult, marks: tuple[str, str]) -> Paragraph:
    good, bad = marks
    times = (
        "ns per exchanged pair and its parts from lock to finish, medians of the rounds; ratio to the fastest that "
        "loses nothing (lower is better); "
    )
    if not any(s.ns_per_pair for s in result.strategies):
        times = ""
    return Paragraph(
        (
            f"How to read: {times}frames allocated; {good} as expected, {bad} not"
            + (", ? not shown by these pages." if any(s.as_expected is None for s in result.strategies) else "."),
            "dim",
        )
    )
