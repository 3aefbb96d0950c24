"""A run as a Parquet file, every sample a row; with pyarrow, which the extra `pagexchange[parquet]` brings."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from pagexchange.errors import MissingExtraError
from pagexchange.samples.columns import columns, rows

if TYPE_CHECKING:
    from pagexchange.samples.folder import Folder


def parquet(folder: Folder) -> bytes:
    """Return the bytes of the file; the manifest is in its metadata, as `pagexchange.manifest`.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    """
    try:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("parquet", "pyarrow", "Parquet") from error
    kinds = {
        "text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "truth": pa.bool_(),
        "integers": pa.list_(pa.int64()),
    }  # fmt: skip
    about = {"pagexchange.manifest": msgspec.json.encode(folder.manifest)}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns(folder).items()], metadata=about)
    table = pa.Table.from_pylist(rows(folder), schema=schema)
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()
