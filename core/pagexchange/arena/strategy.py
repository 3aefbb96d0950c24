"""A strategy bound to an arena, what a call of it returns, and the way in for lists of pairs."""

import errno
import operator
import threading
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.pairs import as_pairs, as_status
from pagexchange.arena.refusals import why
from pagexchange.errors import PagexchangeError, PluginContractError, PluginError, raised_in
from pagexchange.hookspecs import QUESTIONS
from pagexchange.model.statuses import errno_name
from pagexchange_native.arena.reentry import refuse_plugin_of
from pagexchange_native.arena.region import BATCH
from pagexchange_native.engine.exchange import MAX_THREADS, PARTS, Exchanger
from pagexchange_native.engine.python_objects import PythonFlags, PythonMapping, PythonMover
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.policies.find_slot import MappingUpdater
from pagexchange_native.policies.flag_policy import FlagPolicy

if TYPE_CHECKING:
    from pagexchange.arena.arena import Arena
    from pagexchange.host.build import BuiltStrategy, Served

Mode: TypeAlias = Literal["async", "sync-light", "sync"]


@dataclass(frozen=True)
class ExchangeResult:
    """What became of a list of pairs."""

    status: NDArray[np.int32]
    """int32[n]: 0 exchanged, -errno refused with both pages as they were."""
    ns: dict[str, int]
    """Nanoseconds of the call: total (wall), and lock, flags, data, mapping, finish (summed over workers)."""
    workers: int
    """Threads that shared the list."""
    frames_asked: int
    """Frames that the data mover asked the allocator for."""
    frames_got: int
    moved: dict[str, int]
    """Pairs that each data mover of the chain exchanged, by plug-in: the second one those that found no frame."""
    retries: int
    """Locks and references that had to be tried again."""
    touched: tuple[str, ...]
    """Names of the flags and fields that the flag policy touched and may not."""
    _pairs: NDArray[np.int64] = field(repr=False, compare=False)
    _arena: "Arena" = field(repr=False, compare=False)
    _waited: bool = field(repr=False, compare=False)

    @property
    def exchanged(self) -> int:
        """Number of pairs that were exchanged."""
        return int(np.count_nonzero(self.status == 0))

    @property
    def ok(self) -> bool:
        """True when every pair was exchanged."""
        return self.exchanged == len(self.status)

    @property
    def failed(self) -> NDArray[np.int64]:
        """Positions in the list of the pairs that were not."""
        return np.flatnonzero(self.status).astype(np.int64)

    @property
    def refused(self) -> dict[str, int]:
        """Number of refused pairs by errno name."""
        codes, counts = np.unique(-self.status[self.status != 0], return_counts=True)
        return {errno_name(int(c)): int(n) for c, n in zip(codes, counts, strict=True)}

    def messages(self, limit: int = 10) -> list[str]:
        """One sentence for each refused pair, `limit` of them at most: which pair, which errno, why."""
        found = []
        for i in self.failed[:limit].tolist():
            code = -int(self.status[i])
            a, b = (int(x) for x in self._pairs[i])
            reason = why(self._arena, code, (a, b), waited=self._waited)
            if code == errno.EBADMSG and self.touched:
                reason = (
                    f"the flag policy touched {', '.join(self.touched)}, which the layout says stays with the frame"
                )
            found.append(f"pair {i} (pfn {a} <-> {b}): {errno_name(code)}: {reason}")
        return found

    def raise_for_status(self) -> None:
        """Raise PagexchangeError when a pair was refused; the message names the first ten."""
        if not self.ok:
            raise PagexchangeError("\n".join(self.messages()), result=self)


def _named(native: Any, served: "Served") -> Any:  # noqa: ANN401 - one of the three adapters
    """Give an adapter its plug-in's name, so that an error in the callable names the plug-in."""
    native.name = served.plugin
    return native


class Strategy:
    """A strategy bound to one arena: made once, called often. A call of a native one makes no object per pair."""

    def __init__(
        self, arena: "Arena", built: "BuiltStrategy", mode: Mode | None = None, timeout: float | None = None
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
            ns={"total": wall, **dict(zip(PARTS, parts, strict=True))},
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
    arena: "Arena",
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
    from pagexchange.host import read
    from pagexchange.host.build import PagexchangeHost

    config = read.load(file, only=[name])
    built = PagexchangeHost(config.block).build(config.strategy(name), arena)
    return Strategy(arena, built, mode, timeout)


def bind(arena: "Arena", wanted: "str | BuiltStrategy | Strategy", mode: Mode | None = None) -> Strategy:
    """Return the strategy bound to the arena; a name is looked up in the shipped file and kept for the next call."""
    if isinstance(wanted, Strategy):
        if wanted.arena is not arena:
            raise ValueError("the strategy is bound to another arena; build it for this one")
        return wanted if mode is None else Strategy(arena, wanted.built, mode, wanted.timeout)
    if not isinstance(wanted, str):
        from pagexchange.host.build import BuiltStrategy

        if not isinstance(wanted, BuiltStrategy):
            raise TypeError(f"strategy: want a name, a BuiltStrategy or a Strategy, got {type(wanted).__name__}")
        return Strategy(arena, wanted, mode)
    key = (wanted, mode)
    if key not in arena.strategies:
        arena.strategies[key] = strategy(wanted, arena, mode=mode)
    return arena.strategies[key]


def as_threads(threads: int | None) -> int | None:
    """Return a number of threads that the engine can take; None leaves it to the strategy."""
    if threads is None:
        return None
    try:
        number = operator.index(threads)
    except TypeError:
        raise TypeError(f"threads {threads!r}: want an integer") from None
    if not 1 <= number <= MAX_THREADS:
        raise ValueError(f"threads {number}: want 1 to {MAX_THREADS}")
    return number


def touched_names(arena: "Arena", mask: int) -> tuple[str, ...]:
    """Names of the flags and upper fields that have a bit in the mask."""
    layout = arena.layout
    names = [flag.name for flag in layout.flags if flag.mask & mask]
    names += [one.name for one in layout.fields if one.mask & mask]
    return tuple(names) or (f"unnamed bits {mask:#x}",)
