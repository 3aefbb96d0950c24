"""A strategy bound to an arena: the way in for lists of pairs. It tells its observers of each call."""

import errno
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, Generic, Literal, NamedTuple, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.bounded import CLOCK, bounded
from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.migration import MigrationResult
from pagexchange.arena.pace import Pace
from pagexchange.arena.pairs import as_microseconds, as_pages, as_pairs, as_threads, refuse_out
from pagexchange.arena.result import Asker, CallResult, ExchangeResult
from pagexchange.errors import PluginError
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.host.built import BuiltStrategy, Served
from pagexchange.host.watchdog import Suspects, Watchdog
from pagexchange.model.config import Mode, StrategySpec
from pagexchange.strangers import interrupt_in
from pagexchange_native.arena.reentry import refuse_plugin_of
from pagexchange_native.arena.region import BATCH
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.engine.outcome import begin, begin_pages, restore, run
from pagexchange_native.engine.python_objects import PythonCopier, PythonFlags, PythonMapping, PythonMover
from pagexchange_native.errors import stays_here
from pagexchange_native.movers.copier import DataCopier
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.policies.find_slot import MappingUpdater
from pagexchange_native.policies.flag_policy import FlagPolicy

_LOG: Final = logging.getLogger(__name__)
Adapter = TypeVar("Adapter", FlagPolicy, DataCopier, DataMover, MappingUpdater)
Result = TypeVar("Result", ExchangeResult, MigrationResult)


def _named(native: Adapter, served: Served) -> Adapter:
    """Give an adapter its plug-in's name, so that an error in the callable names the plug-in."""
    native.name = served.plugin
    return native


def _mover(served: Served) -> DataMover | DataCopier:
    """Return what the engine calls to move bytes: the native object, or an adapter around a callable."""
    if isinstance(served.object, DataMover | DataCopier):
        return served.object
    if served.question == "copy":
        return _named(PythonCopier(served.object), served)
    return _named(PythonMover(served.object), served)


class _Call(NamedTuple, Generic[Result]):
    """A call of `Strategy.exchange` or `Strategy.migrate` that others see or that runs their code."""

    result: Result
    foreign: NDArray[np.bool_] | None
    work: Callable[[Result], Result]
    """Does it."""


class Strategy:
    """A strategy bound to one arena: made once, called often. A call of a native one makes no object per pair.

    It exchanges, or migrates: `built.spec.migrates` says which.

    `pagexchange.strategy(name, arena)` makes one from a strategies file.

    Its observers are told of each call, one of them at a time, also when several threads call. A call that raises is
    not told to be finished.

    Parameters
    ----------
    arena, built
        The arena, and the strategy as it was built for it.
    mode, timeout
        Instead of what the strategy says.
    watchdog
        Is told whenever a plug-in may run, and says which one does not return.
    """

    def __init__(
        self,
        arena: LaidOutRegion,
        built: BuiltStrategy,
        mode: Mode | None = None,
        timeout: float | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        _want("Strategy: want an Arena and a BuiltStrategy", (arena, LaidOutRegion), (built, BuiltStrategy))
        self.arena = arena
        self.built = built
        self.name = built.spec.name
        self.mode: Mode = mode or built.spec.mode
        self.timeout = built.spec.timeout if timeout is None else timeout
        flags, updater = built.flags.object, built.mapping.object
        if not isinstance(flags, FlagPolicy):
            flags = _named(PythonFlags(flags, arena), built.flags)
        if not isinstance(updater, MappingUpdater):
            updater = _named(PythonMapping(updater, arena), built.mapping)
        movers = [_mover(served) for served in built.movers]
        self._native = Exchanger(
            arena, flags, movers, updater, mode=self.mode, timeout=self.timeout, threads=built.spec.threads
        )
        self._migrates = built.spec.migrates
        self._threads_from = built.spec.threads_from
        us = built.spec.max_call_us
        self._max_ns = None if us is None else 1000 * us
        self._pace, self._closing_ns = Pace(), 0
        self.threads = max(built.spec.threads, *(mover.threads for mover in movers))
        """Threads that a call may work on: a mover may want more than the strategy."""
        self._asker = Asker(arena, tuple(built.mover_names()), self.mode == "sync")
        # What a callable raised is kept until its call ends: two calls at once could raise each other's errors.
        self._turn = nullcontext() if self.native else threading.Lock()
        self._watchdog, self.is_watched = watchdog, watchdog is not None
        # Settled here, so that a strategy without observers pays one test of a bool per call for the possibility.
        self._attended = watchdog is not None or built.observed
        self._alone = self.native and not self._attended  # nobody's Python runs during a call

    def __repr__(self) -> str:
        return f"<Strategy {self.name!r} on {self.arena!r}>"

    def __reduce__(self) -> NoReturn:
        raise stays_here("a strategy", f"build it there: pagexchange.strategy({self.name!r}, arena)")

    @property
    def native(self) -> bool:
        """True when no Python runs between the first pair of a list and the last."""
        return bool(self._native.native)

    def in_mode(self, mode: Mode | None) -> "Strategy":
        """Return it with another mode, on the same arena; itself if that is its own, or None."""
        if mode in (None, self.mode):
            return self
        return Strategy(self.arena, self.built, mode, self.timeout, self._watchdog)

    def exchange(
        self,
        pairs: object,
        *,
        order: Literal["independent", "sequential"] = "independent",
        threads: int | None = None,
        out: NDArray[np.int32] | None = None,
        split: bool = True,
        max_call_us: float | None = None,
    ) -> ExchangeResult:
        """Exchange pairs of pages. Arguments, result and errors are those of `Arena.exchange`."""
        if self._migrates:
            raise ValueError(f"strategy {self.name!r} migrates: call migrate(pfns, node), or name one that exchanges")
        if order != "independent" and order != "sequential":
            raise ValueError(f"order {order!r}: choose 'independent' or 'sequential'")
        if threads is not None:
            threads = as_threads(threads)
        foreign = None
        result = begin(ExchangeResult, self._asker, pairs, out, self.arena)
        if result is None:
            numbers, foreign = as_pairs(pairs, self.arena)
            result = begin(ExchangeResult, self._asker, numbers, out, self.arena)
            if result is None:
                refuse_out(out, len(numbers))
        if not split and len(result.status) > BATCH:
            raise OSError(
                errno.E2BIG,
                f"{len(result.status)} pairs in one call with split=False; at most {BATCH} are done as one batch",
            )
        max_ns = self._max_ns if max_call_us is None else as_microseconds(max_call_us) * 1000
        if max_ns is not None and not split:
            raise ValueError("split=False does a list as one batch, and max_call_us cuts it: pass one of them")
        if not len(result.status):
            max_ns = None  # nothing to cut into slices
        if self._threads_from and threads is None and len(result.status) < self._threads_from:
            threads = 1
        if self._alone and foreign is None and max_ns is None:
            run(result, self._native, order == "sequential", threads)
            return result
        refuse_plugin_of(self.arena, "exchange pages")  # before it waits for its own turn to be over
        sequential = order == "sequential"

        def work(result: ExchangeResult) -> ExchangeResult:
            if max_ns is not None:
                return self._bounded(result, sequential, threads, max_ns)
            run(result, self._native, sequential, threads)
            return result

        return self._seen(_Call(result, foreign, work))

    def migrate(
        self, pfns: object, node: str | int, *, threads: int | None = None, out: NDArray[np.int32] | None = None
    ) -> MigrationResult:
        """Migrate pages to free frames of a node. Arguments, result and errors are those of `Arena.migrate`."""
        if not self._migrates:
            raise ValueError(f"strategy {self.name!r} exchanges: call exchange(pairs), or name one that migrates")
        number = self.arena.node_number(node)
        if threads is not None:
            threads = as_threads(threads)
        foreign = None
        result = begin_pages(MigrationResult, self._asker, pfns, out, self.arena)
        if result is None:
            numbers, foreign = as_pages(pfns, self.arena)
            result = begin_pages(MigrationResult, self._asker, numbers, out, self.arena)
            if result is None:
                refuse_out(out, len(numbers))
        if self._threads_from and threads is None and len(result.status) < self._threads_from:
            threads = 1
        if self._alone and foreign is None:
            run(result, self._native, False, threads, number)
            return result
        refuse_plugin_of(self.arena, "migrate pages")

        def work(result: MigrationResult) -> MigrationResult:
            run(result, self._native, False, threads, number)
            return result

        return self._seen(_Call(result, foreign, work))

    def finish(self) -> dict[str, Any]:
        """Tell the observers that the run is over; return what the plug-ins want to have in the report.

        Raises
        ------
        PluginError
            A plug-in raised.
        """
        run = self.built.run
        with run.telling:
            begun, run.begun = run.begun, False
            if begun:
                self._tell("run_finished")
        with self._watched():
            return self.built.report()

    def _seen(self, call: _Call[Result]) -> Result:
        return self._attended_call(call) if self._attended else self._call(call)

    def _call(self, call: _Call[Result]) -> Result:
        result = call.result
        try:
            with self._turn:
                result = call.work(result)
        except BaseException as error:
            plugin = getattr(error, "pagexchange_plugin", None)  # the engine's mark on what a plug-in's callable raised
            if plugin is None or interrupt_in(error):
                raise
            raise _with_status(self.built.object_failed(error, plugin), call.result) from error
        if call.foreign is not None:
            result.status[call.foreign] = -errno.EXDEV  # to the engine they were out of range
        return result

    def _bounded(self, call: ExchangeResult, sequential: bool, threads: int | None, max_ns: float) -> ExchangeResult:
        def some(pairs: NDArray[np.int64], status: NDArray[np.int32]) -> ExchangeResult:
            part = begin(ExchangeResult, self._asker, pairs, status)
            assert part is not None, "of the shape that this call has checked"
            run(part, self._native, sequential, threads)
            return part

        began = CLOCK()
        pairs, status = call._pairs, call.status
        numbers = bounded(
            pairs, status, some, self.arena, max_ns - self._closing_ns, self._pace, sequential=sequential, began=began
        )
        result = restore(ExchangeResult, self._asker, pairs, status, numbers, status)
        self._closing_ns = CLOCK() - began - numbers[0]
        return result

    def _attended_call(self, call: _Call[Result]) -> Result:
        """The same, with observers told before and after, and the watchdog."""
        pairs = call.result._pairs
        now = self.built.run
        with now.telling:
            if not now.begun:
                now.begun = True  # also if it fails: those who were told are not told twice
                self._tell("run_started")
            # A copy where pages migrate: the list's second frames become those that they come to.
            self._tell("exchange_started", pairs=_read_only(pairs.copy() if self._migrates else pairs))
        with self._watched():
            result = self._call(call)
        try:
            self._tell("exchange_finished", pairs=_read_only(pairs), statuses=_read_only(result.status))
        except PluginError as error:  # the pages were exchanged all the same
            _with_status(error, result)
            raise
        return result

    def _tell(self, event: str, **facts: NDArray[Any]) -> None:
        with self.built.run.telling, self._watched():
            self.built.tell(event, strategy=self.built.spec, arena=self.arena, **facts)

    def _watched(self) -> AbstractContextManager[None]:
        """Around what may run a plug-in's code."""
        if self._watchdog is None:
            return nullcontext()
        return self._watchdog.watch(self.name, lambda: self.built.plugins, self.arena)

    def watched(self, question: str, suspects: Suspects) -> AbstractContextManager[None]:
        """Around what may run a plug-in's code outside of an exchange.

        Parameters
        ----------
        question : str
            That is asked.
        suspects : callable
            Returns (question or `wrap`, plug-in) of all that may run.
        """
        if self._watchdog is None:
            return nullcontext()
        # Without the arena: what others publish there meanwhile is no progress of this one.
        return self._watchdog.watch(self.name, suspects, question=question)


def _with_status(error: PluginError, result: CallResult) -> PluginError:
    """Hand the statuses on with the error, and where pages lie that migrated: what was moved before it stays so."""
    error.status = result.status  # type: ignore[attr-defined]
    if isinstance(result, MigrationResult):
        error.placed = result.placed  # type: ignore[attr-defined]
    return error


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    view = values.view()
    view.flags.writeable = False
    return view


def _want(what: str, *arguments: tuple[object, type]) -> None:
    """Raise TypeError where an argument is no such object: the two ways to a strategy are easily mixed up."""
    if not all(isinstance(value, kind) for value, kind in arguments):
        got = " and ".join(type(value).__name__ for value, _ in arguments)
        raise TypeError(f"{what}, got {got}; pagexchange.strategy(name, arena) makes one from a strategies file")


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
    TypeError
        `name` is no text, or `arena` no Arena.
    """
    _want("strategy: want its name and an Arena", (name, str), (arena, LaidOutRegion))
    config = read.load(file, only=[name])
    return bind(PagexchangeHost(config.block), config.strategy(name), arena, mode=mode, timeout=timeout)


def bind(
    host: PagexchangeHost,
    spec: StrategySpec,
    arena: LaidOutRegion,
    *,
    mode: Mode | None = None,
    timeout: float | None = None,
    watchdog: Watchdog | None = None,
) -> Strategy:
    """Build a strategy for an arena and bind it to it. Arguments and errors as above; `watchdog` as of `Strategy`."""
    # While it is built the suspects grow with each plug-in that is imported.
    watched = watchdog.watch(spec.name, lambda: host.loaded(spec), arena) if watchdog else nullcontext()
    with watched:
        built = host.build(spec, arena)
    serving = ", ".join(f"{served.question} {served.plugin}" for served in built.served)
    _LOG.info("bound %s: %s", spec.name, serving)
    return Strategy(arena, built, mode, timeout, watchdog)
