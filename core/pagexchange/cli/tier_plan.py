"""`tier --dry-run` for people: what would be played, by whom, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pagexchange.cli.layout import Layouts, Paragraph, count, table
from pagexchange.cli.tier_table import duration
from pagexchange.model.sizes import format_size
from pagexchange.model.words import counted

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from pagexchange.cli.layout import Words
    from pagexchange.tier.plan import TierPlan


def blocks(plan: TierPlan, out: Path | None) -> list[RenderableType]:
    """The plan, top to bottom."""
    playing = [way for way in plan.ways if not way.skipped]
    stream = plan.stream
    nodes = ", ".join(
        f"{node.name} {format_size(node.frames * stream.page_size)} ({count(node.free)} free)" for node in plan.nodes
    )
    rows: list[dict[str, Words | Text]] = [
        {"way": way.name, "cell": way.cell, "served by": (", ".join(way.served_by) or "-", "dim")} for way in plan.ways
    ]
    remarks = [Paragraph(way.skipped, label="skipped   ") for way in plan.ways if way.skipped]
    remarks += [Paragraph(note, label="stream    ") for note in stream.notes]
    return [
        Paragraph(
            ("Would play", "bold"),
            f"  {counted(len(playing), 'way')}, {stream.name}, {stream.pages:,} pages of "
            f"{format_size(stream.page_size)}, {stream.ticks:,} ticks of {duration(stream.tick_ns)}, "
            f"{count(stream.accesses)} accesses a tick, {nodes}, {counted(plan.rounds, 'round')}, one beside a reader",
        ),
        Text(),
        Layouts([table(rows, ("way", "cell", "served by"), left=("way", "cell"), prose="served by")]),
        Text(),
        *remarks,
        Text(),
        Paragraph(
            f"At most {format_size(plan.bytes)} of memory ({format_size(plan.bytes_available)} are available), about "
            f"{plan.seconds:,.0f} s on an idle machine"
            + (f", kept in {out}" if out is not None else "")
            + ". Nothing was moved."
        ),
    ]
