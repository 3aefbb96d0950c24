"""A run folder as a file that other programs read. All of them are made from the samples, never from each other."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from pagexchange.samples import pyperf
from pagexchange.samples.columns import CALLS, columns, rows
from pagexchange.samples.markdown import table
from pagexchange.samples.parquet import parquet

if TYPE_CHECKING:
    from collections.abc import Callable

    from pagexchange.samples.folder import Folder


def as_csv(folder: Folder) -> bytes:
    """Every sample a row: CSV as in RFC 4180, but for line ends. Numbers of threads are one field, apart by spaces."""
    text = io.StringIO()
    names = [name for name in columns(folder) if name != CALLS]
    writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows({column: _field(value) for column, value in row.items()} for row in rows(folder))
    return text.getvalue().encode()


def _field(value: Any) -> Any:  # noqa: ANN401 - of a row
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, list) else value


FORMATS: Final[dict[str, Callable[[Folder], bytes]]] = {
    "csv": as_csv,
    "markdown": table,
    "pyperf": pyperf.suite,
    "parquet": parquet,
}
"""Format -> what makes it."""
