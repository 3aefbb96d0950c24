"""What a command says, and ends with, when the folder of its run is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagexchange.cli import exits, terminal
from pagexchange.exits import EXIT_OK

if TYPE_CHECKING:
    from pagexchange.runs.kept import KeptFolder


def told(kept: KeptFolder, *, quiet: bool) -> int:
    """Say where the folder is, or what of it could not be written; return the exit code."""
    if kept.failed is not None:
        return exits.report(kept.failed)
    if not quiet:
        terminal.say(f"kept in {kept.folder.path}", err=True)
    return EXIT_OK
