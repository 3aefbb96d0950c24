"""What `--dry-run` prints, whatever the verb: what would be done, a row for each part of it, remarks, what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pagexchange.cli.layout import Layouts, Paragraph, table
from pagexchange.model.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from pagexchange.cli.layout import Words

LABEL = 10
"""Columns of a remark's label."""


def blocks(
    verb: str,
    what: str,
    rows: Sequence[Mapping[str, Words | Text]],
    *,
    left: Sequence[str],
    remarks: Sequence[tuple[str, str]],
    takes: str,
    done: str,
    prose: str = "",
    out: Path | None = None,
) -> list[RenderableType]:
    """Return a plan, top to bottom.

    Parameters
    ----------
    verb, what
        Behind `Would`.
    rows, left, prose
        As of `layout.table`; columns are those of the first row.
    remarks
        (label, sentence) each.
    takes
        Memory and time.
    done
        Participle of what was not done.
    out
        Where it would be kept.
    """
    kept = "" if out is None else f", kept in {out}"
    return [
        Paragraph((f"Would {verb}", "bold"), f"  {what}"),
        Text(),
        Layouts([table(rows, list(rows[0]) if rows else (), left=left, prose=prose)]),
        Text(),
        *(Paragraph(sentence, label=label, indent=LABEL) for label, sentence in remarks),
        *([Text()] if remarks else []),
        Paragraph(f"{takes}{kept}. Nothing was {done}."),
    ]


def takes(size: int, room: str, seconds: float) -> str:
    """Memory and time in words; `room`: what that memory is taken of."""
    time = f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} minutes"
    return f"At most {format_size(size)} of memory at one time ({room}), about {time} on an idle machine"
