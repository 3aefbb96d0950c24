"""JSON Schema of our types, with what their source says of each field: what an editor shows beside it."""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NULL: Final = msgspec.json.schema(type(None))


def definitions(types: Sequence[type]) -> dict[str, dict[str, Any]]:
    """Return name -> schema of each class, and of those that their fields are of; each refers to `#/$defs/NAME`."""
    _, found = msgspec.json.schema_components(types, ref_template="#/$defs/{name}", schema_hook=anything)
    for kind in _all_of(types):
        schema = found.get(kind.__name__, {})
        schema["description"] = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
        for field, words in field_docs(kind).items():
            if field in schema.get("properties", {}):
                schema["properties"][field] = {"description": words} | schema["properties"][field]
    return found


def anything(_kind: type) -> dict[str, Any]:
    """Return the schema of a type that JSON Schema cannot describe."""
    return {}


def field_docs(kind: type) -> dict[str, str]:
    """Return field -> the string that follows it in the source of a class; none where there is no source."""
    try:
        module = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    except (OSError, TypeError, SyntaxError, KeyError):  # a program frozen without it
        return {}
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__]
    body = [statement for found in classes for statement in found.body]
    docs: dict[str, str] = {}
    for statement, after in pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            docs[statement.target.id] = " ".join(after.value.value.split())
    return docs


def without_null(schema: Any) -> Any:  # noqa: ANN401 - a schema, or a part of one
    """Return a schema without null, which TOML does not have, and without defaults that are."""
    if isinstance(schema, list | tuple):
        return [without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: without_null(part) for key, part in schema.items() if (key, part) != ("default", None)}
    if "anyOf" in kept:
        kept["anyOf"] = [part for part in kept["anyOf"] if part != _NULL]
        if len(kept["anyOf"]) == 1:
            kept |= kept.pop("anyOf")[0]
    return kept


def _all_of(types: Sequence[type]) -> list[type]:
    """Return the classes, and the structs that their fields are of."""
    found: list[type] = []
    waiting = list(types)
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found.append(kind)
            hints = inspect.get_annotations(kind) if not issubclass(kind, msgspec.Struct) else {}
            fields = msgspec.structs.fields(kind) if issubclass(kind, msgspec.Struct) else ()
            parts = [*hints.values(), *(field.type for field in fields)]
            waiting += [part for part in map(_innermost, parts) if isinstance(part, type) and _is_struct(part)]
    return found


def _innermost(hint: Any) -> Any:  # noqa: ANN401 - a type
    """A struct within a list or a union with None, the two that ours use."""
    for part in getattr(hint, "__args__", ()):
        if isinstance(part, type) and _is_struct(part):
            return part
    return hint


def _is_struct(part: type) -> bool:
    return issubclass(part, msgspec.Struct)
