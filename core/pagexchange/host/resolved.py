"""A configuration as what it came to: defaults written out, overrides and variables in it. It can be sent elsewhere."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from pagexchange.hookspecs import ANSWERS, MOVES
from pagexchange.host.discovery import Registry
from pagexchange.model.config import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pagexchange.model.config import Config, PluginUse, StrategySpec


def resolved(config: Config, specs: Iterable[StrategySpec]) -> dict[str, Any]:
    """Return plain values that `read` makes the same configuration of, wherever they are read.

    Paths stay as they are: whoever sends them sees to the files.

    Parameters
    ----------
    specs
        The strategies that are in it.
    """
    specs = list(specs)
    named = {use.plugin for spec in specs for use in spec.uses()}
    # Of those that the environment blocks only what is named: elsewhere the others may not be installed.
    blocked = [*config.block, *sorted((Registry(config.block).blocked.keys() & named) - set(config.block))]
    sections = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    tables = {
        name: section
        for name, section in sections.items()
        if dataclasses.is_dataclass(section) and not isinstance(section, type)
    }
    return {
        "schema": SCHEMA,
        **{name: dataclasses.asdict(section) for name, section in tables.items() if name != "layout"},
        "plugins": {"block": blocked},
        "strategy": {spec.name: _strategy(spec) for spec in specs},
    }


_LEFT_OUT: Final = (*MOVES, "pairing")
"""Keys that a strategy may be without: under an empty list nobody is named, and the file refuses it."""


def _strategy(spec: StrategySpec) -> dict[str, Any]:
    values = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec) if field.name != "name"}
    chains = {key: [_use(use) for use in values.pop(key)] for key in (*ANSWERS, "wrap")}
    return values | {key: chain for key, chain in chains.items() if chain or key not in _LEFT_OUT}


def _use(use: PluginUse) -> str | dict[str, Any]:
    return {"plugin": use.plugin, **use.options} if use.options else use.plugin
