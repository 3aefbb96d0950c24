"""The JSON Schema of a strategies file, for editors: our keys by their types, and the plug-ins that are installed here.

What only `pagexchange check` can say is not in it: rules about several values, and whether a plug-in serves.
"""

from __future__ import annotations

import dataclasses
import typing
from contextlib import suppress
from typing import Any, Final

import msgspec

from pagexchange.hookspecs import ANSWERS, MOVES, QUESTIONS
from pagexchange.host.read import StrategyTable
from pagexchange.model.config import KINDS, SCHEMA, Config, WorkloadConfig
from pagexchange.model.jsonschema import DIALECT, anything, definitions, without_null

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pagexchange.host.discovery import PluginInfo

_WORDS: Final = {
    "flags": "Who computes the flags words.",
    "data": "Who exchanges the bytes. Of a list, the next one serves pairs that find no free frame.",
    "copy": "Instead of `data`: who copies pages to free frames; the strategy then migrates.",
    "mapping": "Who finds the slots of the page cache.",
    "pairing": "Who says which pages of a tier trade places; the built-in default, unless it is given here.",
    "wrap": "Wrappers and observers, the outermost first.",
    "expect": "What the oracle should find.",
    "mode": "How long to wait for locks and write-back; as [run] says, unless it is given here.",
    "threads": "Worker threads; as [run] says, unless it is given here.",
    "threads_from": "Pairs of a call from which several threads are used.",
    "timeout": "Seconds that one batch may wait in all, where the mode lets it wait.",
    "max_call_us": "Microseconds that a call may take; pairs that it does not reach get ETIME.",
    "summary": "A few words for the reader.",
}
_NAME: Final = "^[a-z0-9][a-z0-9._-]{0,63}$"


def strategies(plugins: Iterable[PluginInfo]) -> dict[str, Any]:
    """Return the schema of a file that names none but these plug-ins."""
    usable = [plugin for plugin in plugins if plugin.state != "shadowed"]
    sections = {name: kind for name, kind in typing.get_type_hints(Config).items() if name != "layout" and _table(kind)}
    found = definitions([*sections.values(), StrategyTable])
    for schema in found.values():
        schema["additionalProperties"] = False
    workload = found[WorkloadConfig.__name__]["properties"]
    workload["kinds"]["propertyNames"] = {"enum": list(KINDS)}
    workload["orders"]["propertyNames"] = {"enum": [str(order) for order in range(10)]}
    strategy = found.pop(StrategyTable.__name__)
    strategy |= {"title": "A strategy", "description": "Who serves each question."}
    strategy |= {"required": [key for key in QUESTIONS if key not in MOVES]}
    strategy |= {"oneOf": [{"required": [key]} for key in MOVES]}
    for question in (*ANSWERS, "wrap"):
        found[f"plug-in-{question}"] = {"anyOf": list(_named(question, usable))}
        strategy["properties"][question] = _chain(question)
    for inherited in ("mode", "threads"):
        del strategy["properties"][inherited]["default"]
    for key, words in _WORDS.items():
        strategy["properties"][key]["description"] = words
    names = [plugin.name for plugin in usable]
    return {
        "$schema": DIALECT,
        "title": "strategies.toml of pagexchange",
        "type": "object",
        "properties": {
            "schema": {"description": "Version of the keys of this file.", "const": SCHEMA},
            **{name: {"$ref": f"#/$defs/{kind.__name__}"} for name, kind in sections.items()},
            "plugins": {
                "type": "object",
                "properties": {
                    "block": {
                        "description": "Installed plug-ins that must not be used.",
                        "type": "array",
                        "items": {"enum": names},
                    }
                },
                "additionalProperties": False,
            },
            "sweep": {"type": "object"},
            "strategy": {
                "description": "A table for each strategy, by name.",
                "type": "object",
                "propertyNames": {"pattern": _NAME},
                "additionalProperties": {"$ref": "#/$defs/Strategy"},
                "minProperties": 1,
            },
        },
        "required": ["schema", "strategy"],
        "additionalProperties": False,
        "$defs": without_null(found | {"Strategy": strategy}),
    }


def _table(kind: object) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _chain(question: str) -> dict[str, Any]:
    """Return the schema of what may stand under a key: a plug-in, or a list of these."""
    one = {"$ref": f"#/$defs/plug-in-{question}"}
    several: dict[str, Any] = {"type": "array", "items": one}
    return {"anyOf": [one, several | ({} if question == "wrap" else {"minItems": 1})]}


def _named(question: str, plugins: list[PluginInfo]) -> Iterator[dict[str, Any]]:
    """Yield the schemas of a plug-in by its name, and of one with options."""
    serving = [plugin for plugin in plugins if _may_serve(question, plugin)]
    # Names as constants, each with its words: an editor shows them where it completes.
    yield from ({"const": plugin.name, "description": plugin.summary} for plugin in serving)
    yield from map(_with_options, serving)


def _may_serve(question: str, plugin: PluginInfo) -> bool:
    """Whether a plug-in may be named under a key; one that is blocked or cannot be imported may under any."""
    if not plugin.hooks:
        return True
    answers = {hook for hook in ANSWERS.values() if hook in plugin.hooks}  # a wrapper's hook is called otherwise
    return not answers if question == "wrap" else ANSWERS[question] in answers


def _with_options(plugin: PluginInfo) -> dict[str, Any]:
    options = {option.name: _option(option.hint, option.default, option.required) for option in plugin.options}
    required = [option.name for option in plugin.options if option.required]
    return {
        "description": plugin.summary,
        "type": "object",
        "properties": {"plugin": {"const": plugin.name}, **options},
        "required": ["plugin", *required],
        "additionalProperties": not plugin.hooks,  # what could not be imported may take anything
    }


def _option(hint: Any, default: object, required: bool) -> dict[str, Any]:  # noqa: ANN401 - a stranger's type
    schema: dict[str, Any] = {}
    with suppress(TypeError, ValueError, RecursionError):  # a type that msgspec does not know
        schema = msgspec.json.schema(hint, schema_hook=anything)
    if "$ref" in schema or "$defs" in schema:  # a table of the stranger's own: its definitions are not ours
        return {}
    plain = isinstance(default, str | bool | int | float)
    return schema | ({"default": default} if plain and not required else {})
