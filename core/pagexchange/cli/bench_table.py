"""A bench for people: the plan, a table for each point, a sentence of what won there, the legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from pagexchange.bench.axes import Point
from pagexchange.bench.catalogue import OTHERS
from pagexchange.bench.summary import missing
from pagexchange.bench.tune import pasted, tune
from pagexchange.bench.verdict import winner_words
from pagexchange.cli import dry_run
from pagexchange.cli.layout import Layouts, Paragraph, nanoseconds, table
from pagexchange.cli.sparkline import sparkline, spread
from pagexchange.model.config import AXES
from pagexchange.model.sizes import format_size
from pagexchange.model.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from pagexchange.bench.plan import Plan
    from pagexchange.bench.summary import Figure, PointFigures
    from pagexchange.cli.layout import Words
    from pagexchange.samples.folder import Folder

LEFT: Final = ("cell", "verdict", "against", "turns")
WORTH: Final = ("size", "order", "batch")
"""Axes that are always said."""


def plan_blocks(plan: Plan) -> list[RenderableType]:
    """What would be measured."""
    names = dict.fromkeys(cell.planned.name for cell in plan.cells)
    return dry_run.blocks(
        "measure",
        f"{counted(len(plan.cells), 'cell')} at {counted(len(plan.points.points), 'point')}, "
        f"{counted(plan.rounds, 'round')}, seed {plan.config.run.seed}, ratios to {plan.reference}",
        [
            {
                "point": point.words(_axes(plan.axes())),
                "cells": str(sum(map(len, groups))),
                "groups": str(len(groups)),
                "memory": format_size(max(sum(cell.bytes for cell in group) for group in groups)),
            }
            for point, groups in plan.groups()
        ],
        left=("point",),
        remarks=[
            ("cells", ", ".join(names)),
            *(("left out", f"{sentence}.") for sentence in dict.fromkeys([*plan.points.left_out, *plan.left_out])),
        ],
        takes=dry_run.takes(plan.bytes, f"{format_size(plan.memory)} may be taken", plan.seconds),
        done="measured",
    )


def blocks(
    folder: Folder, found: list[PointFigures], plan: Plan, *, ascii_only: bool, interrupted: bool
) -> list[RenderableType]:
    """Everything that was found, top to bottom."""
    manifest = folder.manifest
    axes = _axes(manifest.axes)
    out: list[RenderableType] = [
        Paragraph(
            (f"pagexchange {manifest.versions.pagexchange}", "bold"),
            f"  bench, {counted(plan.rounds, 'round')}, seed {manifest.seed}, {_fixed(manifest.axes, axes)}",
        )
    ]
    for point in found:
        timed = [figure for figure in point.figures if figure.cost]
        top = max((spread(list(figure.costs.values())) for figure in timed), default=1.0)
        rows = [_row(figure, top, manifest.reference, ascii_only) for figure in _ordered(point)]
        out += [Text(), Paragraph((_point(point.point, axes), "bold"))]
        out.append(_table(rows))
        out += _notes(point)
        sentence = winner_words(point)
        if sentence:
            out.append(Paragraph(sentence))
    out += [Text(), *_closing(folder, found, plan, interrupted)]
    return out


def _axes(axes: dict[str, list[Any]]) -> list[str]:
    """Axes that tell points apart, and those that are always said."""
    return [axis for axis in AXES if axis in WORTH or len(axes.get(axis, [])) > 1]


def _point(point: dict[str, Any], axes: list[str]) -> str:
    return Point(**point).words(axes)


def _fixed(axes: dict[str, list[Any]], said: list[str]) -> str:
    point = Point(**{axis: values[0] for axis, values in axes.items()})
    return point.words([axis for axis in AXES if axis not in said])


def _ordered(point: PointFigures) -> list[Figure]:
    """Limits and peers as they stand in the catalogue, then strategies by their cost."""
    others = [figure for figure in point.figures if figure.name in OTHERS]
    strategies = [figure for figure in point.figures if figure.name not in OTHERS]
    return [*others, *sorted(strategies, key=lambda each: each.cost.middle if each.cost else float("inf"))]


def _table(rows: list[dict[str, Words | Text]]) -> Layouts:
    heads = (
        "cell",
        "verdict",
        "ns/pair",
        "95 %",
        "ratio",
        "of ratio",
        "against",
        "p50",
        "p99",
        "p99.9",
        "worst",
        "turns",
    )
    short = ("cell", "verdict", "ns/pair", "ratio", "of ratio", "against")
    calls = ("cell", "p50", "p99", "p99.9", "worst", "turns")
    return Layouts([table(rows, heads, left=LEFT)], [table(rows, short, left=LEFT), table(rows, calls, left=LEFT)])


def _row(figure: Figure, top: float, reference: str, ascii_only: bool) -> dict[str, Words | Text]:
    cost, ratio, latency = figure.cost, figure.ratio, figure.latency
    against: Words = ""
    if figure.name == reference:
        against = ("reference", "dim")
    elif figure.relation:
        words = {"below": "faster", "above": "slower", "level": "level", "unclear": "unclear"}
        styles = {"below": "good", "above": "", "level": "dim", "unclear": "warn"}
        against = (words[figure.relation], styles[figure.relation])
    at = latency.at if latency else {}
    verdict = figure.cell.verdict if figure.cell else "not finished"
    if figure.cell and figure.cell.error:
        verdict = "not here" if missing(figure.cell) else "failed"
    doubt = "" if figure.clean else " ?"
    line = sparkline(list(figure.costs.values()), top=top, ascii_only=ascii_only)
    return {
        "cell": figure.name,
        "verdict": (verdict, "bad" if verdict in ("failed", "wrong") else ""),
        "ns/pair": (nanoseconds(cost.middle) + doubt if cost else "-", "warn" if doubt else ""),
        "95 %": (f"{nanoseconds(cost.low)}-{nanoseconds(cost.high)}" if cost and cost.known else "", "dim"),
        "ratio": f"{ratio.middle:.2f}" if ratio else "-",
        "of ratio": (f"{ratio.low:.2f}-{ratio.high:.2f}" if ratio and ratio.known else "", "dim"),
        "against": against,
        "p50": _us(at.get(50.0)),
        "p99": _us(at.get(99.0)),
        "p99.9": _us(at.get(99.9)),
        "worst": _us(latency.worst if latency else None),
        "turns": (line, "dim"),
    }


def _us(ns: float | None) -> str:
    """Microseconds, three digits of them."""
    return "-" if ns is None else f"{ns / 1e3:.3g}" if ns < 1e6 else f"{ns / 1e3:,.0f}"


def _notes(point: PointFigures) -> Iterator[Paragraph]:
    for figure in point.figures:
        cell = figure.cell
        if cell and cell.error:
            style = "dim" if missing(cell) else "bad"
            yield Paragraph((f"{cell.error}" if missing(cell) else f"exit status {cell.exit}: {cell.error}", style),
                            label=(f"{figure.name}: ", style))  # fmt: skip
    remarks: dict[str, list[str]] = {}
    for figure in point.figures:
        for sentence in figure.cell.details.get("remarks", ()) if figure.cell else ():
            remarks.setdefault(sentence, []).append(figure.name)
    for sentence, names in remarks.items():  # what is true of the arenas of all cells is said once
        yield Paragraph((sentence, "dim"), label=(f"{names[0]}: " if len(names) == 1 else "", "dim"))
    doubtful = [f"{f.name} ({f.aside} of {f.turns})" for f in point.figures if not f.clean]
    if doubtful:
        yield Paragraph((f"Not to be trusted, others had the CPU in most turns: {', '.join(doubtful)}.", "warn"))


def _closing(folder: Folder, found: list[PointFigures], plan: Plan, interrupted: bool) -> Iterator[Paragraph]:
    if interrupted:
        yield Paragraph(("Interrupted: what was measured until then is shown and kept.", "warn"))
    over = [sentence for point in found for sentence in _bounds(point, plan)]
    for sentence in over:
        yield Paragraph(sentence)
    for sentence in (*plan.points.left_out, *plan.left_out):
        yield Paragraph((f"Left out: {sentence}.", "dim"))
    clock = "wall time" if any(cell.clock == "wall" for cell in folder.manifest.cells) else "CPU time"
    yield Paragraph(
        f"How to read: ns per exchanged pair ({clock}), median of the turns with its 95 % interval; ratio to "
        f"{folder.manifest.reference}, lower is better, and its interval; level: no difference that counts. p50 to "
        "worst: wall time of one call, microseconds. Turns: each one's cost, beside the least.",
        label=("", "dim"),
    )
    yield Paragraph(f"Kept in {folder.path}: pagexchange report {folder.path}")


def _bounds(point: PointFigures, plan: Plan) -> Iterator[str]:
    """Worst calls against what strategies promise."""
    for name, spec in plan.config.strategies.items():
        figure = point.of(name)
        if figure is None or spec.max_call_us is None or figure.latency is None:
            continue
        worst = figure.latency.worst / 1e3
        within = "within" if worst <= spec.max_call_us else "beyond"
        yield f"{name}: worst call {worst:,.0f} us, {within} its max_call_us of {spec.max_call_us:g}."


def tuning(found: list[PointFigures], plan: Plan) -> list[RenderableType]:
    """Which strategy wins where, and the lines for strategies.toml."""
    advice = tune(found, [name for name, spec in plan.config.strategies.items() if spec.migrates])
    out: list[RenderableType] = [Text(), Paragraph(("Tuning", "bold"))]
    out += [Paragraph(f"{sentence}.") for sentence in advice.sentences]
    if advice.settings:
        out += [Text(), Paragraph("To paste into strategies.toml:"), Text()]
        out += [Text(line) for line in pasted(plan.config, advice).splitlines()]
    return out
