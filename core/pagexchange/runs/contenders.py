"""The strategies that a run is about, and who serves in each of them."""

from collections.abc import Sequence
from typing import Any

from pagexchange.hookspecs import MOVES
from pagexchange.host.built import BuiltStrategy, Served
from pagexchange.model.config import Config, StrategySpec
from pagexchange.runs.result import PlugIn


def contenders(config: Config, names: Sequence[str] = ()) -> list[StrategySpec]:
    """The strategies of a file, all or those named, in the file's order.

    Raises
    ------
    UnknownStrategyError
        A name is not in the file.
    """
    # Each name is looked up, so that a misspelt one is an error and not a strategy less.
    for name in names:
        config.strategy(name)
    return [spec for name, spec in config.strategies.items() if not names or name in names]


def plugins(built: BuiltStrategy) -> list[PlugIn]:
    """Who serves each question, and who wraps the answers, as the values of a result.

    Raises
    ------
    PluginError
        The object of one fails when it is asked to describe itself.
    """
    serving = [plugin_of(served) for served in built.served]
    known = {plugin.name: plugin for question, plugin in built.plugins if question == "wrap"}
    wrapping = [
        PlugIn(
            question="wrap",
            name=use.plugin,
            distribution=known[use.plugin].distribution,
            version=known[use.plugin].version or None,
            details=_options(use.options),
        )
        for use in built.spec.wrap
        if use.plugin in known  # a blocked one is not
    ]
    return serving + wrapping


def isa_of(serving: Sequence[PlugIn]) -> str | None:
    """The instruction set that the first mover or copier says it has chosen; None: it says nothing."""
    moving = [plugin.details for plugin in serving if plugin.question in MOVES]
    return next((details["isa"] for details in moving if "isa" in details), None)


def plugin_of(served: Served) -> PlugIn:
    """Who serves a question, as a value of a result. PluginError as of `plugins`."""
    return PlugIn(
        question=served.question,
        name=served.plugin,
        distribution=served.distribution,
        version=served.version or None,
        details=served.describe() | _options(served.options),
    )


def _options(options: dict[str, Any]) -> dict[str, str]:
    return {f"option {key}": str(value) for key, value in options.items()}
