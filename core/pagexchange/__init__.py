"""pagexchange: exchange live page frames in a shared arena, by strategies made of plug-ins."""

from pagexchange.arena.arena import Arena
from pagexchange.arena.frame import Frame
from pagexchange.arena.result import ExchangeResult
from pagexchange.arena.strategy import Strategy, strategy
from pagexchange.errors import PagexchangeError
from pagexchange.hookspecs import hookimpl
from pagexchange.model.layout import Layout
from pagexchange.version import VERSION

__version__ = VERSION

__all__ = [
    "Arena", "ExchangeResult", "Frame", "Layout", "PagexchangeError", "Strategy", "__version__", "hookimpl", "strategy",
]  # fmt: skip
