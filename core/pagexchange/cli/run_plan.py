"""`run --dry-run` for people: what would run, who would serve, what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagexchange.cli import dry_run
from pagexchange.model.sizes import format_size
from pagexchange.model.words import counted

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from pagexchange.runs.plan import RunPlan


def blocks(plan: RunPlan, out: Path | None) -> list[RenderableType]:
    """The plan, top to bottom."""
    running = [contender for contender in plan.contenders if not contender.skipped]
    rounds = f"about {counted(plan.rounds, 'round')}" if plan.rounds_open else counted(plan.rounds, "round")
    declined = {f"{name}: {why}" for c in plan.contenders for name, why in c.declined.items()}
    return dry_run.blocks(
        "run",
        f"{counted(len(running), 'strategy', 'strategies')}, {plan.input.name}, "
        f"{counted(plan.input.pairs, 'pair')}, {rounds}",
        [
            {"strategy": c.cell.name, "cell": c.cell.id, "served by": (", ".join(c.served_by) or "-", "dim")}
            for c in plan.contenders
        ],
        left=("strategy", "cell"),
        prose="served by",
        remarks=[
            *(("skipped", c.skipped) for c in plan.contenders if c.skipped),
            *(("declined", sentence) for sentence in sorted(declined)),
        ],
        takes=dry_run.takes(plan.bytes, f"{format_size(plan.bytes_available)} are available", plan.seconds),
        done="exchanged",
        out=out,
    )
