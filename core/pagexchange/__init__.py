"""pagexchange: exchange live page frames in a shared arena, by strategies made of plug-ins."""

import importlib.metadata

from pagexchange.arena import Arena
from pagexchange.errors import PagexchangeError
from pagexchange.exchange import ExchangeResult, Strategy, strategy
from pagexchange.frame import Frame
from pagexchange.hookspecs import hookimpl
from pagexchange.model.layout import Layout

try:
    __version__ = importlib.metadata.version("pagexchange")
except importlib.metadata.PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0+unknown"

__all__ = [
    "Arena", "ExchangeResult", "Frame", "Layout", "PagexchangeError", "Strategy", "__version__", "hookimpl", "strategy",
]  # fmt: skip
