"""`run --dry-run` for people: what would run, who would serve, what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pagexchange.cli.layout import Layouts, Paragraph, table
from pagexchange.model.sizes import format_size
from pagexchange.model.words import counted

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from pagexchange.cli.layout import Words
    from pagexchange.runs.plan import RunPlan


def blocks(plan: RunPlan, out: Path | None) -> list[RenderableType]:
    """The plan, top to bottom."""
    running = [contender for contender in plan.contenders if not contender.skipped]
    rounds = f"about {counted(plan.rounds, 'round')}" if plan.rounds_open else counted(plan.rounds, "round")
    rows: list[dict[str, Words | Text]] = [
        {"strategy": c.cell.name, "cell": c.cell.id, "served by": (", ".join(c.served_by) or "-", "dim")}
        for c in plan.contenders
    ]
    declined = {f"{name}: {why}" for c in plan.contenders for name, why in c.declined.items()}
    remarks = [Paragraph(c.skipped, label="skipped   ") for c in plan.contenders if c.skipped]
    remarks += [Paragraph(sentence, label="declined  ") for sentence in sorted(declined)]
    return [
        Paragraph(
            ("Would run", "bold"),
            f"  {counted(len(running), 'strategy', 'strategies')}, {plan.input.name}, "
            f"{counted(plan.input.pairs, 'pair')}, {rounds}",
        ),
        Text(),
        Layouts([table(rows, ("strategy", "cell", "served by"), left=("strategy", "cell"), prose="served by")]),
        Text(),
        *remarks,
        *([Text()] if remarks else []),
        Paragraph(
            f"At most {format_size(plan.bytes)} of memory ({format_size(plan.bytes_available)} are available), about "
            f"{plan.seconds:,.0f} s on an idle machine"
            + (f", kept in {out}" if out is not None else "")
            + ". Nothing was exchanged."
        ),
    ]
