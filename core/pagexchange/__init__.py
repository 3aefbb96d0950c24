"""Exchange live page frames in a shared arena, by strategies made of plug-ins.

`Arena.create` makes an arena of page frames on named nodes, `arena.exchange(pairs, "list-exchange")` exchanges pages
and returns an `ExchangeResult`, `strategy(name, arena)` is for calls in a loop. `hookimpl` marks a plug-in's hooks. The
manual is on the command line: `pagexchange docs`.
"""

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
