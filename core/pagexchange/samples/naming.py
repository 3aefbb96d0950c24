"""Names that say what they are of: a cell's id, a run folder's path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

RUNS: Final = Path("runs")
"""Where run folders are made and looked for, from the working directory, unless somebody says otherwise."""


def cell_id(
    resolved: Mapping[str, Any],
    *,
    digest: str,
    distributions: Mapping[str, str],
    point: Mapping[str, str | int | float | bool] | None = None,
) -> str:
    """Return the id of a cell: what is measured twice has it twice, on whatever machine.

    It is the first 12 hexadecimal digits of the sha256 of `[resolved, point, digest, distributions]` as JSON: without
    spaces, in ASCII, keys sorted, and without those whose value is None: a new key that nobody sets changes no id. The
    order of keys, a strategy's neighbours in its file, comments and paths do not matter, the version of each plug-in
    does.

    Parameters
    ----------
    resolved
        The configuration that the cell depends on, defaults written out, in plain values: of a strategy its own table,
        with its name, and the arena's and the workload's.
    digest
        Of the input, see `Input.digest`.
    distributions
        Of the plug-ins that take part: name -> version.
    point
        Axis -> value.
    """
    what = _set([resolved, point or {}, digest, distributions])
    text = json.dumps(what, sort_keys=True, separators=(",", ":"), default=str)  # an option may be a date
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _set(value: Any) -> Any:  # noqa: ANN401 - plain values
    if isinstance(value, Mapping):
        return {key: _set(item) for key, item in value.items() if item is not None}
    return [_set(item) for item in value] if isinstance(value, list | tuple) else value


def now() -> str:
    """Return the time as a manifest has it."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """Return a moment of UTC as a manifest has it: ISO 8601, seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def out_path(out: str | None, verb: str, started: str, command: list[str]) -> Path:
    """Return the folder that `--out` means: with a / at its end a new one in it; without `--out`, one in `runs`."""
    if out is None or out.endswith("/"):
        return new_path(verb, started, command, RUNS if out is None else Path(out))
    return Path(out)


def new_path(verb: str, started: str, command: list[str], runs: Path = RUNS) -> Path:
    """Return where a run is kept that nobody has named: verb, UTC time, and 6 digits of what was typed.

    Of two that begin within one second with one command the second gets a number.
    """
    time = started.replace("-", "").replace(":", "").replace("T", "-").rstrip("Z")
    name = f"{verb}-{time}-{hashlib.sha256(json.dumps(command).encode()).hexdigest()[:6]}"
    path, number = runs / name, 1
    while path.is_symlink() or path.exists():
        number += 1
        path = runs / f"{name}-{number}"
    return path
