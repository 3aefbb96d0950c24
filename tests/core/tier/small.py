"""A tier that is played in a moment: 128 frames on the fast node, 384 on the slow one."""

from functools import partial
from typing import Any

from pagexchange.arena.strategy import bind
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.tier.run import run, stream_of
from pagexchange.tier.way import ways

SMALL = (
    "tier.fast=512 KiB", "tier.slow=1536 KiB", "tier.ticks=12", "tier.phase=4", "tier.accesses=3000",
    "tier.rate=3e5", "tier.source=drawn", "tier.pairs=16",
    "tier.rounds=1", 'tier.ways=["migrate", "list-exchange", "copy-page"]',
)  # fmt: skip
FLAGS = [word for setting in SMALL for word in ("--set", setting)]
"""The same for the command line."""


def config_of(*settings, file=None):
    return read.load(file, overrides=[*SMALL, *settings])


def played(*settings: str, names: Any = None, file: Any = None, **options: Any) -> Any:
    """Play what a configuration says."""
    config = config_of(*settings, file=file)
    stream, size = stream_of(config)
    specs = [config.strategy(name) for name in (config.tier.ways if names is None else names)]
    chosen = ways(specs, config.tier.policies)
    binds = partial(bind, PagexchangeHost(config.block))
    return run(config, stream, size, chosen, options.pop("bind", binds), **options)


def way(result: Any, name: str) -> Any:
    return next(way for way in result.ways if way.name == name)
