"""Names and numbers of others as text that every reader takes: nothing in it that a stream or a parser refuses."""

import math
from typing import Any, Final

from pagexchange.strangers import in_characters

_INT: Final = (-(1 << 63), (1 << 64) - 1)


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
