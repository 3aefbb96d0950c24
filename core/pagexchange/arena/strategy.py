"""A strategy bound to an arena, what a call of it returns, and the way in for lists of pairs."""

import errno
import threading
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.pairs import as_pairs, as_status, as_threads
from pagexchange.arena.refusals import touched_names
from pagexchange.arena.result import ExchangeResult
from pagexchange.errors import PluginContractError, PluginError, raised_in
from pagexchange.hookspecs import QUESTIONS
from pagexchange.host import read
from pagexchange.host.build import BuiltStrategy, PagexchangeHost, Served
from pagexchange.model.config import Mode
from pagexchange_native.arena.reentry import refuse_plugin_of
from pagexchange_native.arena.region import BATCH
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.engine.python_objects import PythonFlags, PythonMapping, PythonMover
from pagexchange_native.engine.steps import COSTS
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.policies.find_slot import MappingUpdater
from pagexchange_native.policies.flag_policy import FlagPolicy


def _named(native: Any, served: Served) -> Any:  # noqa: ANN401 - one of the three adapters
    """Give an adapter its plug-in's name, so that an error in the callable names the plug-in."""
    native.name = served.plugin
    return native


class Strategy:
    """A strategy bound to one arena: made once, called often. A call of a native one makes no object per pair."""

    def __init__(
        self, arena: LaidOutRegion, built: BuiltStrategy, mode: Mode | None = None, timeout: float | None = None
    ) -> None:
        self.arena = arena
        self.built = built
        self.name = built.name
        flags, updater = built.flags.object, built.mapping.object
        if not isinstance(flags, FlagPolicy):
            flags = _named(PythonFlags(flags, arena), built.flags)
        if not isinstance(updater, MappingUpdater):
            updater = _named(PythonMapping(updater, arena), built.mapping)
        movers = [m.object if isinstance(m.object, DataMover) else _named(PythonMover(m.object), m) for m in built.data]
        self.mode: Mode = mode or built.mode
        self.timeout = built.timeout if timeout is None else timeout
        self._native = Exchanger(
            arena, flags, movers, updater, mode=self.mode, timeout=self.timeout, threads=built.threads
        )
        # What a callable raised is kept until its call ends: two calls at once could raise each other's errors.
        self._turn = nullcontext() if self.native else threading.Lock()

    def __repr__(self) -> str:
        return f"<Strategy {self.name!r} on {self.arena!r}>"

    @property
    def native(self) -> bool:
        """True when no Python runs between the first pair of a list and the last."""
        return bool(self._native.native)

    def exchange(
        self,
        pairs: object,
        *,
        order: Literal["independent", "sequential"] = "independent",
        threads: int | None = None,
        out: NDArray[np.int32] | None = None,
        split: bool = True,
    ) -> ExchangeResult:
        """Exchange pairs of pages. Arguments, result and errors are those of `Arena.exchange`."""
        if order not in ("independent", "sequential"):
            raise ValueError(f"order {order!r}: choose 'independent' or 'sequential'")
        workers = as_threads(threads)
        numbers, foreign = as_pairs(pairs, self.arena)
        if not split and len(numbers) > BATCH:
            raise OSError(
                errno.E2BIG, f"{len(numbers)} pairs in one call with split=False; at most {BATCH} are done as one batch"
            )
        status = as_status(out, len(numbers), self.arena)
        refuse_plugin_of(self.arena, "exchange pages")  # before it waits for its own turn to be over
        try:
            with self._turn:
                wall, parts, asked, got, retries, violation, workers, by = self._native.exchange(
                    numbers, status, sequential=order == "sequential", threads=workers
                )
        except Exception as error:
            plugin = getattr(error, "pagexchange_plugin", None)
            if plugin is None:
                raise
            raise self._plugin_error(error, plugin, status) from error
        if foreign is not None:
            status[foreign] = -errno.EXDEV
        moved: Counter[str] = Counter()
        for served, n in zip(self.built.data, by, strict=True):
            moved[served.plugin] += n
        return ExchangeResult(
            status=status,
            ns={"total": wall, **dict(zip(COSTS, parts, strict=True))},
            workers=workers,
            frames_asked=asked,
            frames_got=got,
            moved=dict(moved),
            retries=retries,
            touched=touched_names(self.arena, violation) if violation else (),
            _pairs=numbers,
            _arena=self.arena,
            _waited=self.mode == "sync",
        )

    def _plugin_error(self, error: Exception, plugin: str, status: NDArray[np.int32]) -> PluginError:
        built = self.built
        served = next((one for one in (built.flags, *built.data, built.mapping) if one.plugin == plugin), None)
        facts = {"distribution": served.distribution, "version": served.version} if served else {}
        place = raised_in(error, served.file) if served else ""
        what = f"{type(error).__name__}: {error}{place}; the pages of its batch are as they were"
        if served and isinstance(error, TypeError) and not place:  # what looks at answers raised it
            hook = f"the object of {QUESTIONS[served.question]}"
            wrong: PluginError = PluginContractError(hook, plugin, "what its protocol says", what, **facts)
        else:
            wrong = PluginError(what, plugin=plugin, **facts)
        wrong.status = status  # type: ignore[attr-defined]
        return wrong


def strategy(
    name: str,
    arena: LaidOutRegion,
    *,
    file: str | Path | None = None,
    mode: Mode | None = None,
    timeout: float | None = None,
) -> Strategy:
    """Bind a strategy to an arena.

    Parameters
    ----------
    name : str
        Its name in the file.
    file : path, optional
        A strategies.toml; the one that ships with pagexchange when not given.
    mode : {"async", "sync-light", "sync"}, optional
        Instead of what the file says.
    timeout : float
        Seconds that one batch of pairs may wait in all, instead of what the file says.

    Raises
    ------
    ConfigError, UnknownStrategyError, PluginError
    """
    config = read.load(file, only=[name])
    built = PagexchangeHost(config.block).build(config.strategy(name), arena)
    return Strategy(arena, built, mode, timeout)
