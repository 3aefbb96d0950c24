"""What a run would find wrong before its first exchange: the same file, the same pages, the same plug-ins, no exchange.

The functions are those that a run calls, so that a file which is right here is right there. Only the arena's file is
not made: it is seen whether it could be.
"""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from pagexchange.arena.strategy import bind
from pagexchange.errors import ConfigError, PagexchangeError, PluginError, Problem
from pagexchange.host import read
from pagexchange.host.blocking import NOTHING, Blocking
from pagexchange.host.build import Facts, PagexchangeHost
from pagexchange.host.watchdog import Watchdog
from pagexchange.runs import inputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pagexchange.arena.arena import Arena
    from pagexchange.model.config import Config, StrategySpec

_INPUT: Final = 3


@dataclasses.dataclass(frozen=True)
class Findings:
    """What was found."""

    config: Config | None
    """None if the file says no strategies that could be run."""
    problems: Sequence[Problem]
    """Of the file and of the plug-ins, in the order of its lines."""
    refusal: Exception | None
    """What a run ends with before its first exchange: the snapshot, the memory, the arena's path."""

    @property
    def exit_code(self) -> int:
        """What a run of this file ends with because of it; 0: nothing is wrong."""
        codes = {problem.exit_code for problem in self.problems}
        if self.refusal is not None:
            codes.add(getattr(self.refusal, "exit_code", _INPUT))
        return min(codes, default=0)  # the file is read before its input, and that before a plug-in is asked


def trial(path: Path | str | None = None, overrides: Sequence[str] = (), blocking: Blocking = NOTHING) -> Findings:
    """Read a file, make its arena in memory, build its strategies for it, and throw all that away.

    UnknownPluginError: the command line blocks a plug-in that is not installed.
    """
    examined = read.examine(path, overrides=overrides, blocking=blocking)
    config, problems = examined.config, list(examined.problems)
    if config is None:
        return Findings(None, problems, None)
    said = {problem.what for problem in problems}
    refusal: Exception | None = None
    with ExitStack() as stack:
        try:
            arena = _arena(config, stack)
        except (PagexchangeError, OSError, MemoryError, ValueError) as error:
            arena, refusal = None, error
        host = PagexchangeHost(config.block, blocking=blocking)
        watchdog = stack.enter_context(Watchdog.from_environment())
        for spec in config.strategies.values():
            problem = _unfit(host, spec, arena or Facts.of(config), watchdog, examined)
            if problem is not None and problem.what not in said:  # one that cannot be loaded was said already
                problems.append(problem)
    problems.sort(key=lambda problem: (problem.line, problem.column))
    return Findings(config, problems, refusal)


def _arena(config: Config, stack: ExitStack) -> Arena:
    bench = inputs.workbench(inputs.in_memory(config))
    stack.callback(bench.close)
    return bench.arena


def _unfit(
    host: PagexchangeHost, spec: StrategySpec, arena: Arena | Facts, watchdog: Watchdog, examined: read.Examined
) -> Problem | None:
    """Build a strategy as a run does; return why none comes of it."""
    try:
        if isinstance(arena, Facts):
            host.build(spec, arena)
        else:
            bind(host, spec, arena, watchdog=watchdog)
    except ConfigError:  # its options: the file's problems have it
        return None
    except PluginError as error:
        where = next((use.where for use in spec.uses() if use.plugin == error.plugin), ())
        problem = examined.place(where or ("strategy", spec.name), str(error), bool(where))
        return dataclasses.replace(problem, exit_code=error.exit_code)
    return None
