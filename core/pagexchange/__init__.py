"""pagexchange: exchange live page frames in a shared arena, by strategies made of plug-ins."""

from importlib.metadata import PackageNotFoundError, version

from pagexchange.arena import Arena
from pagexchange.exchange import ExchangeResult, Strategy, strategy
from pagexchange.frame import Frame
from pagexchange.hookspecs import hookimpl
from pagexchange.layout import Layout

try:
    __version__ = version("pagexchange")
except PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0+unknown"

__all__ = ["Arena", "ExchangeResult", "Frame", "Layout", "Strategy", "__version__", "hookimpl", "strategy"]
