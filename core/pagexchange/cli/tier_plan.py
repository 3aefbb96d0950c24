"""`tier --dry-run` for people: what would be played, by whom, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagexchange.cli import dry_run
from pagexchange.cli.layout import count
from pagexchange.cli.tier_table import duration
from pagexchange.model.sizes import format_size
from pagexchange.model.words import counted

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from pagexchange.tier.plan import TierPlan


def blocks(plan: TierPlan, out: Path | None) -> list[RenderableType]:
    """The plan, top to bottom."""
    playing = [way for way in plan.ways if not way.skipped]
    stream = plan.stream
    nodes = ", ".join(
        f"{node.name} {format_size(node.frames * stream.page_size)} ({count(node.free)} free)" for node in plan.nodes
    )
    return dry_run.blocks(
        "play",
        f"{counted(len(playing), 'way')}, {stream.name}, {stream.pages:,} pages of "
        f"{format_size(stream.page_size)}, {stream.ticks:,} ticks of {duration(stream.tick_ns)}, "
        f"{count(stream.accesses)} accesses a tick, {nodes}, {counted(plan.rounds, 'round')}, one beside a reader",
        [
            {"way": way.name, "cell": way.cell, "served by": (", ".join(way.served_by) or "-", "dim")}
            for way in plan.ways
        ],
        left=("way", "cell"),
        prose="served by",
        remarks=[
            *(("skipped", way.skipped) for way in plan.ways if way.skipped),
            *(("stream", note) for note in stream.notes),
        ],
        takes=dry_run.takes(plan.bytes, f"{format_size(plan.bytes_available)} are available", plan.seconds),
        done="moved",
        out=out,
    )
