"""Names and numbers as text that every reader takes: nothing in it that a stream or a parser refuses, or reads ill."""

import math
from typing import Any, Final

from pagexchange.strangers import in_characters

_INT: Final = (-(1 << 63), (1 << 64) - 1)


def counted(n: int, one: str, many: str = "") -> str:
    """Return `1 pair`, `2,000 pairs`; `many` where it is not `one` with an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def plain(value: Any) -> Any:  # noqa: ANN401 - strings, numbers, and lists and dicts of these
    """Return values as JSON has them: a float that is no number is null, an integer beyond 64 bits hexadecimal text."""
    if isinstance(value, str):
        return in_characters(value)
    if isinstance(value, dict):
        return {plain(key) if isinstance(key, str) else key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    # Readers differ in what they do with larger ones, and Python does not print those of thousands of digits.
    return hex(value) if isinstance(value, int) and not _INT[0] <= value <= _INT[1] else value
