"""The JSON Schema of a run folder: of each file in it, and of each line of its samples."""

from __future__ import annotations

from typing import Any, Final

from pagexchange.model.jsonschema import DIALECT, definitions
from pagexchange.samples.reading import MANIFEST, SAMPLES
from pagexchange.samples.schema import SCHEMA, Cell, Host, Manifest, Sample

FILES: Final = {MANIFEST: Manifest, "hosts/HOST.json": Host, "cells/ID@HOST.json": Cell, SAMPLES: Sample}
"""What lies in a folder, and the type that says what is in it."""


def run() -> dict[str, Any]:
    """Return the schema; `$defs` has one for each file, by the name of its type."""
    found = definitions(list(FILES.values()))
    for schema in found.values():
        if "schema" in schema["properties"]:
            schema["properties"]["schema"] = {"description": "Number of this description.", "const": SCHEMA}
            schema["required"] = ["schema", *schema["required"]]
    of = ", ".join(f"{file}: {kind.__name__}" for file, kind in FILES.items())
    return {
        "$schema": DIALECT,
        "title": "A file of a run folder of pagexchange, or a line of its samples",
        "description": f"{of}. Times are nanoseconds, sizes bytes; null is not measured, or not available.",
        "anyOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in FILES.values()],
        "$defs": found,
    }
