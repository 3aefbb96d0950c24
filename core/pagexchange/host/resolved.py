"""A configuration as what it came to: defaults written out, overrides and variables in it. It can be sent elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pagexchange.host.discovery import Registry
from pagexchange.model.config import SCHEMA

if TYPE_CHECKING:
    from pagexchange.model.config import Config, PluginUse, StrategySpec


def resolved(config: Config, specs: Iterable[StrategySpec]) -> dict[str, Any]:
    """Return plain values that `read` makes the same configuration of, wherever they are read.

    Paths stay as they are: whoever sends them sees to the files.

    Parameters
    ----------
    specs
        The strategies that are in it.
    """
    blocked = sorted(Registry(config.block).blocked)
    return {
        "schema": SCHEMA,
        "run": dataclasses.asdict(config.run),
        "arena": dataclasses.asdict(config.arena),
        "workload": dataclasses.asdict(config.workload),
        "plugins": {"block": blocked},
        "strategy": {spec.name: _strategy(spec) for spec in specs},
    }


def _strategy(spec: StrategySpec) -> dict[str, Any]:
    values = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec) if field.name != "name"}
    return values | {key: [_use(use) for use in values[key]] for key in ("flags", "data", "mapping", "wrap")}


def _use(use: PluginUse) -> str | dict[str, Any]:
    return {"plugin": use.plugin, **use.options} if use.options else use.plugin
