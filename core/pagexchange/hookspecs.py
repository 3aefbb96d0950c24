"""The one page a plug-in author reads: the questions, what an answer looks like, and who may watch.

A plug-in is a class that an entry point in the group `pagexchange.plugins` names. Its fields are its options, with
types and defaults; the first line of its docstring is its summary. This one is complete:

    # my_plugin.py
    from dataclasses import dataclass
    import pagexchange

    @dataclass(frozen=True)
    class BackwardSwap:
        "Swap the pieces from the last to the first."

        step: int = 8

        @pagexchange.hookimpl
        def exchange_data(self, arena):
            def move(pieces, a, b):
                for low in range(0, len(a), self.step):
                    x, y = a[low : low + self.step], b[low : low + self.step]
                    pieces[x], pieces[y] = pieces[y], pieces[x]
            return move

    # pyproject.toml
    [project.entry-points."pagexchange.plugins"]
    backward-swap = "my_plugin:BackwardSwap"

    # strategies.toml
    [strategy.mine]
    flags = "masked-word"
    data = [{ plugin = "backward-swap", step = 4 }, "word-swap"]    # the second one serves if the first declines
    mapping = "xarray"

A strategy that migrates has `copy` instead of `data`: its plug-in answers `copy_data`, and pages go one way, to free
frames of another node.

Hooks choose, objects work, the core applies. A hook is asked once per strategy and arena; the object that it returns
works on whole batches. It is a native object (a subclass of the Cython class named below: no GIL, no Python per batch)
or a Python callable (NumPy views, under a whole-page log: slower, not less safe).

Hook implementations must be plain Python functions. pluggy 1.7 and newer skips Cython functions without a word, so a
compiled plug-in needs a `.py` file with the hooks; the host refuses a plug-in in which it found none.

A wrapper, `@pagexchange.hookimpl(wrapper=True)`, named under `wrap` in the strategy, sees each answer and may return
another object instead: timing, tracing and fault injection are made this way. The first one listed is the outermost.
"""

from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from pluggy import HookimplMarker, HookspecMarker

from pagexchange.model.config import StrategySpec
from pagexchange.model.layout import Layout
from pagexchange_native.arena.region import Region
from pagexchange_native.movers.copier import DataCopier as NativeDataCopier
from pagexchange_native.movers.mover import DataMover as NativeDataMover
from pagexchange_native.policies.find_slot import MappingUpdater as NativeMappingUpdater
from pagexchange_native.policies.flag_policy import FlagPolicy as NativeFlagPolicy
from pagexchange_native.tier.pairing import Pairing as NativePairing

PROJECT: Final = "pagexchange"
GROUP: Final = "pagexchange.plugins"
"""The entry-point group."""

QUESTIONS: Final = {
    "flags": "exchange_flags", "data": "exchange_data", "copy": "copy_data", "mapping": "update_mapping"
}  # fmt: skip
"""Key in a strategy -> the hook that answers it: each of these is there, but of the two in `MOVES` one."""
MOVES: Final = ("data", "copy")
"""A strategy with the first one exchanges, with the second one it migrates."""
ANSWERS: Final = {**QUESTIONS, "pairing": "pair_pages"}
"""Key in a strategy -> the hook that answers it, those that a strategy may leave out too."""

hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)

Words: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int64]


class ArenaFacts(Protocol):
    """What a plug-in may ask of the arena before it says whether it can serve it. Any Arena is one."""

    @property
    def page_size(self) -> int:
        """Bytes of a frame: a power of two from 1024 to 2 MiB."""
        ...

    @property
    def nframes(self) -> int:
        """Frames of all nodes."""
        ...

    @property
    def max_order(self) -> int:
        """Largest order of a folio that will be exchanged: it has `page_size << max_order` bytes at most."""
        ...

    @property
    def layout(self) -> Layout:
        """Layout of the flags word."""
        ...

    @property
    def benchmarking(self) -> bool:
        """True in a benchmark of the engine itself: only then may a plug-in do less than its job."""
        ...


class PythonFlagPolicy(Protocol):
    """A flag policy in Python: pure, it touches no memory of the arena."""

    def __call__(self, a: Words, b: Words) -> tuple[Words, Words]:
        """Return (new_a, new_b), uint64[n] each: what the frames of `a` and of `b` must hold after the exchange.

        `a` and `b`, uint64[n], are read-only: the words of the lower and of the higher frame of each pair. The core
        uses the bits whose policy is `swap`, and refuses the pair by name if a `stay` bit would move.
        """
        ...


class PythonDataMover(Protocol):
    """A data mover in Python: runs under a whole-page log, so if it raises or moves half, all is put back."""

    def __call__(self, pieces: Words, a: Numbers, b: Numbers) -> None:
        """Exchange the rows `a` with the rows `b`.

        `pieces`, uint64[m, words], are all frames cut into pieces of 4 KiB, 512 words, or whole frames where a frame
        is smaller; `a` and `b`, int64[k], are numbers of rows, no two of them equal. No other row may be written.
        """


class PythonDataCopier(Protocol):
    """A data copier in Python: runs under a whole-page log, so if it raises or copies half, all pages are as before."""

    def __call__(self, pieces: Words, source: Numbers, target: Numbers) -> None:
        """Copy the rows `source` to the rows `target`.

        `pieces` and the numbers of rows are as of a `PythonDataMover`. The rows `source` must stay as they are; no
        other row may be written.
        """


class PythonMappingUpdater(Protocol):
    """A mapping updater in Python: finds slots, stores nothing."""

    def __call__(self, pages: npt.NDArray[np.void], arena: Region) -> tuple[Words, Words]:
        """Return (offset, found), uint64[n] each, for the pages asked for.

        `pages`, n records with the fields `mapping` (number), `index` (in base pages) and `pfn`. `offset` is the byte
        offset in the arena of the XArray word for that index, `found` the entry read there. The core checks both and
        stores the new entry itself.
        """
        ...


class TierView(Protocol):
    """What a pairing sees before it chooses: a moment of a tier, read-only, and good for that call only.

    Numbers are those of blocks. A block is what the tier moves as a whole, `run` frames that lie one after the other;
    by default that is one frame, and its number the frame's.
    """

    @property
    def heat(self) -> npt.NDArray[np.float32]:
        """Accesses to each block, older ones counted for less: float32 by block."""
        ...

    @property
    def moved(self) -> npt.NDArray[np.uint32]:
        """Step in which what lies in a block came there, or was refused to go; 0 neither: uint32 by block.

        The numbers of steps begin again with 1 after 67 million, and all of these are 0 then.
        """
        ...

    @property
    def order(self) -> npt.NDArray[np.int8]:
        """Order of the folio that lies in a block, or -1 where no page starts that could move: int8 by block.

        Two blocks trade only if their orders are equal. A block is looked at when the tier is made, when it is refused,
        and, while there is nothing in it, when it is touched: what others do with its frames is not noticed before.
        """
        ...

    @property
    def fast(self) -> range:
        """Blocks of the fast node."""
        ...

    @property
    def slow(self) -> range:
        """Blocks of the slow node."""
        ...

    @property
    def free_fast(self) -> int:
        """Frames of the fast node that are free."""
        ...

    @property
    def step(self) -> int:
        """Number of this step; the first is 1."""
        ...

    @property
    def limit(self) -> int:
        """Pairs that may be returned, at most."""
        ...

    @property
    def block_bytes(self) -> int:
        """Bytes of a block of order 0."""
        ...

    @property
    def seconds(self) -> float:
        """Time since the step before, in the time of who calls; 0.0 in the first step."""
        ...

    @property
    def ns_per_pair(self) -> float:
        """Nanoseconds that a pair has taken in the steps so far; 0.0 before one was moved."""
        ...


class PythonPairing(Protocol):
    """A pairing in Python: it looks at the view and at nothing else, and moves nothing."""

    def __call__(self, view: TierView) -> Numbers:
        """Return int64[n, 2]: (block of the slow node, block of the fast node), the best pair first.

        No block stands in it twice, and n is `view.limit` at most.
        """
        ...


FlagPolicy: TypeAlias = NativeFlagPolicy | PythonFlagPolicy
DataMover: TypeAlias = NativeDataMover | PythonDataMover
DataCopier: TypeAlias = NativeDataCopier | PythonDataCopier
MappingUpdater: TypeAlias = NativeMappingUpdater | PythonMappingUpdater
Pairing: TypeAlias = NativePairing | PythonPairing


@hookspec(firstresult=True)
def exchange_flags(arena: ArenaFacts) -> FlagPolicy | None:
    """Return the object that computes the flags words of two frames after their exchange.

    Called: once when a strategy is built for an arena; first of all.

    Must:

    1. answer from `arena` and the plug-in's options alone;
    2. return an object whose result depends on nothing but the two words: no state, no memory of the arena;
    3. leave every bit whose policy is `stay` or `refuse` as it is in each frame.

    Returns a `pagexchange_native.policies.flag_policy.FlagPolicy` or a `PythonFlagPolicy`; None: cannot serve this
    arena, ask the next plug-in that the strategy names.

    Raises NotImplementedError: cannot serve this arena either, and the message says why. Anything else: the strategy is
    not built, PluginError names the plug-in.

        @pagexchange.hookimpl
        def exchange_flags(self, arena):
            swap = np.uint64(arena.layout.mask("swap"))
            return lambda a, b: (a & ~swap | b & swap, b & ~swap | a & swap)

    Required: a strategy names at least one plug-in under `flags`.
    """


@hookspec(firstresult=True)
def exchange_data(arena: ArenaFacts) -> DataMover | None:
    """Return the object that moves the bytes of two folios.

    Called: once when a strategy is built for an arena, after `exchange_flags`, for each plug-in listed under `data`.

    Must:

    1. exchange all bytes of both folios and no others;
    2. not fail, allocate or block between two publishes of the log. What it needs it takes before, in `prepare` of a
       native mover: a pair that `prepare` refuses with -ENOMEM goes to the next mover of the list. A native mover takes
       the pairs in the order of the list, one after the other, because what it publishes says of all the others whether
       they are done; one in Python may go as it likes, since whole pages are saved before;
    3. say in `describe()` what it chose (ISA) and what it will allocate, if it has that method.

    Returns a `pagexchange_native.movers.mover.DataMover` or a `PythonDataMover`; None: cannot serve this arena.

    Raises NotImplementedError: cannot serve this arena either, and the message says why. Anything else: the strategy is
    not built, PluginError names the plug-in.

        @pagexchange.hookimpl
        def exchange_data(self, arena):
            def move(pieces, a, b):
                pieces[a], pieces[b] = pieces[b], pieces[a]
            return move

    Required: a strategy that exchanges names at least one plug-in under `data`.
    """


@hookspec(firstresult=True)
def copy_data(arena: ArenaFacts) -> DataCopier | None:
    """Return the object that copies the bytes of folios to free frames.

    Called: once when a strategy that migrates is built for an arena, after `exchange_flags`, for each plug-in listed
    under `copy`.

    Must:

    1. copy all bytes of each folio to its free frame, and change no others: not the folio's either, since it stays
       where it is if the copy is not finished;
    2. not fail, allocate or block while it copies. A native one may refuse a page before, in `prepare`, and takes
       nothing there: the core has taken the free frame. -ENOMEM sends the page to the next copier of the list;
    3. publish step 0 of a page's pair before it begins that page, and no other step, if it is native: a dead
       process's copy is finished by an exchange of both frames from the beginning;
    4. say in `describe()` what it chose (ISA), if it has that method.

    Returns a `pagexchange_native.movers.copier.DataCopier` or a `PythonDataCopier`; None: cannot serve this arena.

    Raises NotImplementedError: cannot serve this arena either, and the message says why. Anything else: the strategy is
    not built, PluginError names the plug-in.

        @pagexchange.hookimpl
        def copy_data(self, arena):
            def copy(pieces, source, target):
                pieces[target] = pieces[source]
            return copy

    Required: a strategy that migrates names at least one plug-in under `copy`, and none under `data`.
    """


@hookspec(firstresult=True)
def update_mapping(arena: ArenaFacts) -> MappingUpdater | None:
    """Return the object that finds the XArray words that point at two pages.

    Called: once when a strategy is built for an arena, after `exchange_data`.

    Must:

    1. find the word, not change it: the core stores the new entry with the mapping's lock held;
    2. say -EAGAIN (native), or found != the entry of that pfn (Python), if the page is not there any more.

    Returns a `pagexchange_native.policies.find_slot.MappingUpdater` or a `PythonMappingUpdater`; None: cannot serve
    this arena.

    Raises NotImplementedError: cannot serve this arena either, and the message says why. Anything else: the strategy is
    not built, PluginError names the plug-in.

        @pagexchange.hookimpl
        def update_mapping(self, arena):
            from my_native import BinarySearch      # a cdef class BinarySearch(MappingUpdater)
            return BinarySearch()

    Required: a strategy names at least one plug-in under `mapping`.
    """


@hookspec(firstresult=True)
def pair_pages(arena: ArenaFacts) -> Pairing | None:
    """Return the object that says which page of the slow node trades places with which of the fast node.

    Called: once when a strategy that names it is built for an arena, after `update_mapping`; for a strategy that names
    none, when a tier is made (`Arena.tier`). Exchanges of lists do not ask it.

    Must:

    1. return pairs (slow, fast) of blocks of these nodes, each block once, `view.limit` pairs at most;
    2. answer from the view and the plug-in's options alone: equal views, equal pairs;
    3. change nothing, neither in the view nor in the arena.

    Returns a `pagexchange_native.tier.pairing.Pairing` or a `PythonPairing`; None: cannot serve this arena, ask the
    next plug-in that the strategy names.

    Raises NotImplementedError: cannot serve this arena either, and the message says why. Anything else: the strategy is
    not built, PluginError names the plug-in.

        @pagexchange.hookimpl
        def pair_pages(self, arena):
            def pairing(view):
                hot = np.flatnonzero(view.heat[view.slow.start : view.slow.stop] > 1.0) + view.slow.start
                cold = np.flatnonzero(view.heat[view.fast.start : view.fast.stop] == 0.0) + view.fast.start
                n = min(len(hot), len(cold), view.limit)
                return np.stack([hot[:n], cold[:n]], axis=1)
            return pairing

    Optional. A strategy without the key `pairing` takes the built-in default.
    """


@hookspec
def run_started(strategy: StrategySpec, arena: Region) -> None:
    """Watch a run begin. Called: once per strategy and arena, before its first exchange there. Optional.

    The four hooks that watch are called by whoever exchanges, `pagexchange run` or a program; `arena` is the
    `pagexchange.Arena`. They are called one at a time, also when several threads exchange; what they take is not in the
    times of the result. One that raises fails the call that it was told of, and PluginError names the plug-in.
    """


@hookspec
def exchange_started(strategy: StrategySpec, arena: Region, pairs: Numbers) -> None:
    """Watch a list go in: `pairs`, int64[n, 2], read-only. Optional.

    Called: before each call of `exchange` or `migrate`. A number that is no int64, or a frame of another arena, is -1
    in it. A pair of a migration is where a page was when the call began, and where it lies now: before, the same.
    """


@hookspec
def exchange_finished(
    strategy: StrategySpec,
    arena: Region,
    pairs: Numbers,
    statuses: npt.NDArray[np.int32],
) -> None:
    """Watch a list come out: `statuses`, int32[n], 0 or -errno, read-only. Optional.

    Called: after each call of `exchange` or `migrate`; not after one that raised.
    """


@hookspec
def run_finished(strategy: StrategySpec, arena: Region) -> None:
    """Watch a run end. Called: once per strategy, after all exchanges, also of an interrupted run. Optional.

    A program's run ends when it calls `Strategy.finish`.
    """


@hookspec
def strategy_report() -> dict[str, object] | None:
    """Return what the plug-in wants to have in the report: plain values by name. Called: after a run. Optional."""
