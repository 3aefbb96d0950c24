"""`--set KEY=VALUE`: one value put into the data of a strategies file, as if the file had said it."""

from typing import Any

import tomli

from pagexchange.errors import did_you_mean
from pagexchange.model.tomlfile import KeyPath, dotted

EXAMPLES = "for example arena.page_size=65536 or strategy.word-swap.threads=2"


def put(data: dict[str, Any], text: str) -> KeyPath:
    """Put one `KEY=VALUE` into the data; return the path below which everything is this override's.

    That is the topmost table that did not exist before, or else the key itself: a misspelt section is then reported as
    a mistake of the override, not of the file. ValueError says why the override cannot be put in.
    """
    key, equals, raw = text.partition("=")
    parts = _parts(key.strip())
    if not equals or not parts:
        raise ValueError(f"expected KEY=VALUE, {EXAMPLES}")
    value = _value(raw.strip())
    at: Any = data
    path: KeyPath = ()
    new: KeyPath = ()
    for depth, part in enumerate(parts, 1):
        if isinstance(at, list):
            if not part.isdecimal() or int(part) >= len(at):
                raise ValueError(f"{dotted(path)} is a list of {len(at)}: no element {part!r}")
            step: Any = int(part)
        elif isinstance(at, dict):
            step = part
        else:
            raise ValueError(f"{dotted(path)} is a value, not a table")
        path += (step,)
        if depth == len(parts):
            at[step] = value
        elif isinstance(at, dict) and step not in at:
            if path[:-1] == ("strategy",):  # an override changes a strategy, it cannot make a whole one
                raise ValueError(f"no strategy {part!r}{did_you_mean(part, at)}")
            at[step] = {}
            new = new or path
        elif isinstance(at[step], str) and path[0] == "strategy" and depth > 2:
            at[step] = {"plugin": at[step]}  # of flags = "x", so that strategy.s.flags.option=1 finds a table
        elif isinstance(at[step], int | str) and path[:2] == ("arena", "nodes") and depth == 3:
            at[step] = {"size": at[step]}  # of slow = "4 GiB", so that arena.nodes.slow.numa=1 finds one
        at = at[step]
    return new or path


def _parts(text: str) -> list[str]:
    """Split a dotted TOML key; empty if it is not one."""
    try:
        table: Any = tomli.loads(f"{text} = 0")
    except (tomli.TOMLDecodeError, RecursionError):
        return []
    parts = []
    while isinstance(table, dict):
        if len(table) != 1:
            return []
        ((part, table),) = table.items()
        parts.append(part)
    return parts


def _value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    """Return a TOML value, or a bare word as a string; ValueError if it began like a TOML value and is none."""
    try:
        table = tomli.loads(f"v = {text}")
        if set(table) == {"v"}:
            return table["v"]
    except (ValueError, RecursionError):
        pass
    if text[:1] in ("", "[", "{", '"', "'"):
        raise ValueError(f"{text!r} is not a TOML value")
    return text
