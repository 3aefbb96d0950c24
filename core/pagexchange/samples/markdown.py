"""A run as a Markdown table: a line for each cell on each host, medians with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagexchange.samples import statistics
from pagexchange.samples.turns import by_cell, costs, counted

if TYPE_CHECKING:
    from pagexchange.samples.folder import Folder
    from pagexchange.samples.schema import Cell, Planned, Sample


def table(folder: Folder) -> bytes:
    """Return the table, and a line that says what it is of."""
    manifest = folder.manifest
    samples = by_cell(folder.samples())
    axes = list(dict.fromkeys(axis for cell in manifest.cells for axis in cell.point))
    each = "access" if any(cell.clock == "cost" for cell in manifest.cells) else "pair"
    head = ["name", *axes, "host", "verdict", "clock", "samples", f"median ns per {each}", "95 % from", "to"]
    lines = [head, ["---", *["---"] * len(axes), "---", "---", "---", "---:", "---:", "---:", "---:"]]
    for cell in manifest.cells:
        for host in folder.hosts:
            row = [cell.name, *(str(cell.point.get(axis, "")) for axis in axes), host]
            lines.append([*row, *_figures(cell, folder.cells.get((cell.id, host)), samples.get((cell.id, host), []))])
    shown = "\n".join(f"| {' | '.join(_safe(field) for field in line)} |" for line in lines)
    about = (
        f"{manifest.verb} {manifest.name}, {manifest.started}, seed {manifest.seed}, pages of: {manifest.input.name}"
    )
    return f"{_safe(about)}\n\n{shown}\n".encode()


def _figures(cell: Planned, ended: Cell | None, samples: list[Sample]) -> list[str]:
    values = list(costs(counted(samples), cell.clock).values())
    verdict = "not finished" if ended is None else ended.error or ended.verdict
    if not values:
        return [verdict, cell.clock, "0", "-", "-", "-"]
    middle = statistics.median(values)
    span = [f"{middle.low:,.1f}", f"{middle.high:,.1f}"] if middle.known else ["-", "-"]
    return [verdict, cell.clock, str(len(values)), f"{middle.middle:,.1f}", *span]


def _safe(text: str) -> str:
    """A text that stays in its field."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
