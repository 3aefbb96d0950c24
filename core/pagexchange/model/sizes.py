"""Sizes as people write them: 4096, "4 KiB", "1.5 GiB"."""

import re
from typing import Final

from pagexchange.model.table import show

_UNITS: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([bkmgt]?)(?:ib|b)?\s*", re.IGNORECASE)


def parse_size(value: int | str) -> int:
    """Return bytes. Units are powers of 1024: K, KB and KiB are the same. ValueError says what would be right."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"size {value!r}: want bytes or text such as '64 MiB'")
    size: float = 0
    if isinstance(value, int):
        size = value
    else:
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ValueError(f"size {value!r}: want bytes or text such as '64 MiB'")
        size = float(match[1]) * _UNITS[match[2].lower()]
    # In this order: a number of hundreds of digits is infinite here, and that is no int.
    if not 0 <= size < 1 << 60 or size != int(size):
        raise ValueError(f"size {show(value)}: want a whole number of bytes from 0 to 2^60")
    return int(size)


def format_size(size: float) -> str:
    """Return "64 MiB" for 67108864."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"
