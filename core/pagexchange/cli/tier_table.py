"""A tier's run for people: who loses how much, the picture over time, what moving took, and the answer.

This module says the words and chooses the columns; `layout` puts them on paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from pagexchange.cli.layout import Layouts, Paragraph, count, table
from pagexchange.cli.notes import reported
from pagexchange.cli.over_time import OverTime
from pagexchange.cli.ranking import doubts
from pagexchange.model.sizes import format_size
from pagexchange.model.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from pagexchange.cli.layout import Words
    from pagexchange.tier.result import TierResult, WayResult

LEFT: Final = ("way", "verdict")
UNITS: Final = (("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1.0))


def blocks(result: TierResult, *, ascii_only: bool = False) -> list[RenderableType]:
    """The report of a tier's run, top to bottom."""
    marks = ("ok", "NOT OK") if ascii_only else ("✓", "✗")
    ways = ranked(result)
    out: list[RenderableType] = [_heading(result), Text(), _table(result, ways, marks)]
    shown = [(way.name, way.over_time) for way in ways if way.over_time]
    if shown:
        out += [Text(), OverTime(shown, result.stream.seconds, ascii_only=ascii_only)]
    if any(way.moved is not None and way.way != result.reference for way in ways):
        out += [Text(), Paragraph(("What it took", "bold"), "  in the median round"), Text(), _took(result, ways)]
    out += [Text(), *_remarks(result)]
    return [*out, *(Paragraph(*words) for words in _closing(result)), _legend(result, marks)]


def ranked(result: TierResult) -> list[WayResult]:
    """Ways by what they lose; those without a figure last."""
    return sorted(result.ways, key=lambda way: (way.verdict != "exact", way.cost is None, way.cost and way.cost.middle))


def duration(ns: float) -> str:
    """A time with its unit: `212 ns`, `1.2 us`, `35 ms`."""
    unit, size = next((unit for unit in UNITS if ns >= unit[1] * 0.9995), ("ns", 1.0))
    value = ns / size
    return f"{value:.0f} {unit}" if value >= 9.95 or unit == "ns" else f"{value:.1f} {unit}"


def _heading(result: TierResult) -> Paragraph:
    stream = result.stream
    ticks = f"{stream.ticks:,} ticks of {duration(stream.tick_ns)}"
    weight = f", each for {stream.weight:,.0f}" if stream.weight > 1.5 else ""
    nodes = ", ".join(
        f"{node.name} {format_size(node.frames * stream.page_size)} ({count(node.free)} free)" for node in result.nodes
    )
    parts = [
        stream.name,
        f"{stream.pages:,} pages of {format_size(stream.page_size)}",
        f"{duration(stream.seconds * 1e9)} in {ticks}",
        f"{count(stream.accesses)} accesses a tick{weight}",
        nodes,
        result.real_nodes,
        f"at most {counted(result.pairs, 'pair')} a step",
        counted(result.rounds, "round"),
        f"{result.rounds_done} of them done" if result.rounds_done < result.rounds else "",
        f"seed {result.seed}",
    ]
    return Paragraph((f"pagexchange {result.pagexchange}", "bold"), "  " + ", ".join(part for part in parts if part))


def _table(result: TierResult, ways: list[WayResult], marks: tuple[str, str]) -> Layouts:
    rows = [_row(result, way, marks) for way in ways]
    main = ("way", "verdict", "hits", "lost ns", "ratio", "95 %", "won")
    rest = ("CPU", "moved", "frames", "stalls", "read p50", "p99", "worst")
    return Layouts(
        [table(rows, (*main, *rest), left=LEFT)],
        [table(rows, main, left=LEFT), table(rows, ("way", *rest), left=LEFT)],
    )


def _row(result: TierResult, way: WayResult, marks: tuple[str, str]) -> dict[str, Words]:
    good, bad = marks
    fine = way.verdict == "exact"
    bold = "bold" if way.name == result.best else ""
    doubt = "!" if way.trusted is False else ""
    reads, moved = way.reads, way.moved
    idle = way.way == result.reference
    return {
        "way": (way.name, bold),
        "verdict": (
            f"{way.verdict} {good if fine else '' if way.verdict == 'not run' else bad}".rstrip(),
            "good" if fine else "bad",
        ),
        "hits": "-" if way.hit_share is None else f"{way.hit_share:.1%}",
        "lost ns": (f"{way.cost.middle:.1f}{doubt}" if way.cost else "-", "bad" if doubt else bold),
        "ratio": ("-" if way.ratio is None else "level" if way.level else f"{way.ratio.middle:.2f}x", bold),
        "95 %": (_interval(way), "dim"),
        "won": "-" if way.won_share is None else f"{way.won_share:+.1%}",
        "CPU": "-" if way.cpu_share is None or idle else f"{way.cpu_share:.1%}",
        "moved": "-" if not way.bytes_per_s else f"{way.bytes_per_s / 1e6:,.1f} MB/s",
        "frames": "-" if moved is None or idle else count(moved.frames) if moved.frames else "nothing",
        "stalls": ("-" if moved is None or idle else count(moved.stalls), "warn" if moved and moved.stalls else ""),
        "read p50": "-" if reads is None or reads.median_ns is None else duration(reads.median_ns),
        "p99": "-" if reads is None or reads.p99_ns is None else duration(reads.p99_ns),
        "worst": "-" if reads is None or reads.worst_ns is None else duration(reads.worst_ns),
    }


def _interval(way: WayResult) -> str:
    if way.ratio is None or way.ratio.low is None or way.ratio.high is None:
        return "-"
    return f"{way.ratio.low:.2f}-{way.ratio.high:.2f}"


def _took(result: TierResult, ways: list[WayResult]) -> Layouts:
    rows = [_taken(way) for way in ways if way.moved is not None and way.way != result.reference]
    heads = ("way", "promoted", "demoted", "refused", "back and forth", "below low", "below min", "choose", "move")
    return Layouts([table(rows, heads, left=LEFT)], [table(rows, heads, left=LEFT, tall=True)])


def _taken(way: WayResult) -> dict[str, Words]:
    moved = way.moved
    assert moved is not None, "only those are asked for"
    busy = max(moved.choose_ns + moved.move_ns, 1)
    return {
        "way": way.name,
        "promoted": count(moved.promoted),
        "demoted": count(moved.demoted),
        "refused": (count(moved.refused), "warn" if moved.refused else ""),
        "back and forth": count(moved.back_and_forth),
        "below low": (count(moved.below_low), "warn" if moved.below_low else ""),
        "below min": (count(moved.below_min), "warn" if moved.below_min else ""),
        "choose": (f"{moved.choose_ns / busy:.0%}", "dim"),
        "move": (f"{moved.move_ns / busy:.0%}", "dim"),
    }


def _remarks(result: TierResult) -> Iterator[RenderableType]:
    """What there is to say of the stream, and of each way that something is wrong with."""
    labels = ["stream", *[""] * len(result.stream.notes)]
    notes = [(label, note.rstrip("."), "") for label, note in zip(labels, result.stream.notes, strict=False)]
    for way in result.ways:
        if way.reason:
            notes.append((way.name, way.reason, "bad"))
        elif way.moved is not None and way.way != result.reference and not way.moved.done:
            notes.append((way.name, _still(way.moved.asked, way.moved.stalls or way.moved.below_min), "warn"))
        if way.reads is not None and way.reads.wrong:
            notes.append((way.name, f"a reader met {counted(way.reads.wrong, 'wrong page')} meanwhile", "bad"))
        notes += [(way.name, f"{name}: {reported(value)}", "") for name, value in way.report.items()]
    indent = max((len(label) for label, _, _ in notes), default=0) + 2
    for label, words, style in notes:
        yield Paragraph((words, style) if style else words, label=(label, "dim"), indent=indent)
    if notes:
        yield Text()


def _still(asked: int, starved: int) -> str:
    if not asked:
        return "moved no page: its policy asked for none"
    return "moved no page" + (": no frame was free to move one to, or through" if starved else ": all were refused")


def _closing(result: TierResult) -> list[list[Words]]:
    said: list[list[Words]] = [[(warning, "bad")] for warning in result.warnings]
    if doubt := doubts(result.ways, result.machine):
        said.append([(doubt, "bad")])
    if result.interrupted:
        said.append([("Interrupted: what was played until then is shown.", "warn")])
    for n, sentence in enumerate(result.answer):
        said.append([(sentence, "bold" if n == 0 else "")])
    if result.linux:
        said.append([(result.linux, "dim")])
    wrong = [way.name for way in result.ways if way.verdict in ("wrong", "failed")]
    if wrong:
        said.append([(f"NOT as it should be: {', '.join(wrong)}.", "bad")])
    return said


def _legend(result: TierResult, marks: tuple[str, str]) -> Paragraph:
    good, bad = marks
    words = (
        f"How to read: lost ns: per access, what those to the slow node take longer ({result.slow_ns:g} ns each: "
        f"{result.slow_source}) and the CPU time of choosing and moving; ratio to nothing (lower is better) and its "
        "95 % interval over the rounds; won: of the stream's time, against nothing; CPU: of the stream's time; "
        "frames: allocated; stalls: promotions that found none; read: what a reader on another CPU waited for a page "
        f"while pages moved; {good} each page was whole where it should be, {bad} not."
    )
    return Paragraph((words, "dim"))
