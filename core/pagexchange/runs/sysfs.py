"""Words and numbers of /proc and /sys; None where a machine does not say."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from pagexchange_native import procfs


def read(path: Path) -> str | None:
    """Return the text of a file; None: it is not there, or not for us."""
    try:
        return procfs.text(path.read_bytes()).strip()
    except (OSError, ValueError):
        return None


def number(path: Path) -> int | None:
    """Return the whole number in a file."""
    with suppress(ValueError):
        return int(read(path) or "")
    return None


def chosen(text: str | None) -> str | None:
    """Return the word in brackets of `always [madvise] never`."""
    match = re.search(r"\[(\w+)\]", text or "")
    return match.group(1) if match else None


def each(folder: Path, pattern: str) -> list[Path]:
    """Return what is in a folder, by number where names end in one; none if it cannot be read."""
    with suppress(OSError):
        return sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name))
    return []
