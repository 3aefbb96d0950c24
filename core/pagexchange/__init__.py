"""Exchange live page frames in a shared arena, by strategies made of plug-ins.

`Arena.create` makes an arena of page frames on named nodes, `arena.exchange(pairs, "list-exchange")` exchanges pages
and returns an `ExchangeResult`, `strategy(name, arena)` is for calls in a loop. `hookimpl` marks a plug-in's hooks. The
manual is on the command line: `pagexchange docs`.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from pagexchange.version import VERSION

if TYPE_CHECKING:
    from pagexchange.arena.arena import Arena
    from pagexchange.arena.frame import Frame
    from pagexchange.arena.migration import MigrationResult
    from pagexchange.arena.result import ExchangeResult
    from pagexchange.arena.strategy import Strategy, strategy
    from pagexchange.errors import PagexchangeError
    from pagexchange.hookspecs import hookimpl
    from pagexchange.model.layout import Layout

__version__ = VERSION

__all__ = [
    "Arena", "ExchangeResult", "Frame", "Layout", "MigrationResult", "PagexchangeError", "Strategy", "__version__",
    "hookimpl", "strategy",
]  # fmt: skip

_HOME: Final = {
    "Arena": "arena.arena",
    "ExchangeResult": "arena.result",
    "Frame": "arena.frame",
    "Layout": "model.layout",
    "MigrationResult": "arena.migration",
    "PagexchangeError": "errors",
    "Strategy": "arena.strategy",
    "hookimpl": "hookspecs",
    "strategy": "arena.strategy",
}
_MODULES: Final = ("arena", "errors", "hookspecs", "host", "model")


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's
    # Only when asked for: the command begins here too, and hears Ctrl-C, and reserves its streams, before NumPy loads.
    value: Any
    if name in _HOME:
        value = getattr(importlib.import_module(f"pagexchange.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"pagexchange.{name}")
    else:
        raise AttributeError(f"module 'pagexchange' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
