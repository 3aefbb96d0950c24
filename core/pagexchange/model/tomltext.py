"""Writes plain values as TOML: what a configuration came to, for a file, or for another machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final

from pagexchange.model.tomlfile import written

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def toml(data: Mapping[str, Any]) -> str:
    """Return a table as the text of a file that reads as the same values.

    Parameters
    ----------
    data
        Strings, booleans, numbers, dates, times, and lists and tables of these. A key whose value is None is left out:
        TOML has none.

    Raises
    ------
    TypeError
        TOML has no such value.
    """
    return "\n".join(_table(data, ())).lstrip("\n") + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Lines of a table: its own keys first, since below a header all keys are that header's."""
    known = {key: item for key, item in table.items() if item is not None}
    own = [f"{_key(key)} = {value(item)}" for key, item in known.items() if not isinstance(item, Mapping)]
    inner = {key: item for key, item in known.items() if isinstance(item, Mapping)}
    header = ["", f"[{'.'.join(map(_key, path))}]"] if path and (own or not inner) else []
    return [*header, *own, *(line for key, item in inner.items() for line in _table(item, (*path, key)))]


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else written(name)


def value(item: Any) -> str:  # noqa: ANN401 - TOML's
    """Return one value on one line; errors as of `toml`."""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, str):
        return written(item)
    if isinstance(item, int | float):
        return repr(item)  # nan and inf are TOML's words too
    if isinstance(item, datetime | date | time):
        return item.isoformat()
    if isinstance(item, list | tuple):
        return f"[{', '.join(map(value, item))}]"
    if isinstance(item, Mapping):
        pairs = (f"{_key(key)} = {value(inner)}" for key, inner in item.items() if inner is not None)
        return f"{{ {', '.join(pairs)} }}"
    raise TypeError(f"{type(item).__name__}: TOML has no such value")
