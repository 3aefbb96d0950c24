"""The arena as a user sees it: make one, put pages in it, exchange them, look at every frame."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pagexchange.arena import hugepages
from pagexchange.arena.frame import Frame, LaidOutRegion
from pagexchange.arena.given_nodes import Nodes, as_nodes
from pagexchange.arena.migration import MigrationResult
from pagexchange.arena.pairing import Wanted as Pairings
from pagexchange.arena.pairs import as_frames, as_mask
from pagexchange.arena.result import ExchangeResult
from pagexchange.arena.strategy import Strategy
from pagexchange.arena.strategy import strategy as strategy_of_file
from pagexchange.arena.tier import Tier
from pagexchange.host.built import BuiltStrategy
from pagexchange.model.config import Mode
from pagexchange.model.layout import Layout
from pagexchange.model.sizes import parse_size
from pagexchange_native.arena.geometry import check_page_size
from pagexchange_native.arena.region import PAGE_MIN
from pagexchange_native.integers import as_number
from pagexchange_native.pages import cache
from pagexchange_native.pages import space as address_space
from pagexchange_native.recovery import rebuild as rebuilding
from pagexchange_native.recovery import recover as recovery
from pagexchange_native.recovery.rebuild import Rebuilt
from pagexchange_native.recovery.recover import Recovered

Pfns: TypeAlias = NDArray[np.int64]
Frames: TypeAlias = ArrayLike | Frame | Iterable[SupportsIndex | Frame]
"""Frames by number, one or several, or as objects of this arena."""


class Arena(LaidOutRegion):
    """Page frames on named nodes in one shared memory region, with everything that says what lies where.

    Make one with `Arena.create`. A page has references, and whoever has one keeps the page in its frame: `alloc` gives
    the caller one; `cache_add` and `map` take that one over, so that from then on the page belongs to the mapping or
    the address space, and goes with its last place there. Who wants to keep it takes one more with `get`, before or
    after, and drops it with `put` or `free`.

    Frames are given by number (pfn), as integers of Python or NumPy in any form that NumPy makes an array of, or where
    several can be given, as `Frame` objects. Floats and bools are refused, not converted.

    Examples
    --------
    >>> arena = Arena.create(nodes={"fast": "1 MiB", "slow": "1 MiB"})
    >>> arena.nframes
    512
    """

    strategies: dict[tuple[str, Mode | None], Strategy]
    """Those of the shipped file that were used on this arena, by name and mode."""

    @classmethod
    def create(  # type: ignore[override]  # takes sizes as text and a Layout, where the region takes numbers and masks
        cls,
        nodes: Nodes | None = None,
        *,
        page_size: int | str = 4096,
        layout: Layout | str | Path = "linux-6.18",
        path: str | PathLike[str] | None = None,
        huge: Literal["", "thp", "hugetlb"] = "",
        workers: int = 8,
        mappings: int = 64,
        spaces: int = 16,
        xa_nodes: int | None = None,
        page_tables: int | None = None,
        watermarks: tuple[int, int, int] | None = None,
        reserve: bool | None = None,
    ) -> Self:
        """Make an arena with all frames free.

        Parameters
        ----------
        nodes : mapping of name to size, or sequence of (name, frames)
            A mapping gives bytes or text ("64 MiB"); a sequence of pairs gives numbers of frames. pfns run through
            the nodes in this order. Default: fast and slow, 64 MiB each. In a mapping a table says also where the
            frames lie: {"size": "4 GiB", "numa": 1} binds them to a real node, "numa": [1, 2] interleaves them over
            several ("interleave": "weighted" by the machine's weights), "path": "/dev/dax0.0" or a folder takes them
            from a device or another file system. `pagexchange.arena.lying.lie` says what came of it.
        page_size : int or str
            Bytes of a frame: a power of two from 1 KiB to 2 MiB.
        layout : Layout, name or path
            The flags word: "linux-6.18", "linux-5.0", or a TOML file of one's own.
        path : path-like, optional
            A file to create instead of a sealed memfd (0600; it must not exist). `close`, and the end of the
            interpreter, remove it; a process that is killed leaves it, see `close`.
        huge : {"", "thp", "hugetlb"}
            "thp": transparent huge pages, as many as the machine makes of the arena; the rest lies in base pages. They
            take their memory at once, at most what the machine and the containers around the process have to spare.
            `repr` says how many came. Linux before 6.1 makes them on use, where its settings let it. "hugetlb": 2 MiB
            pages from the pool, all or an error.
        workers, mappings, spaces, xa_nodes, page_tables : int
            Capacities; the last two follow from the number of frames.
        watermarks : (min, low, high), optional
            Of every node, in frames. Default: 1/1024 of the node, and 5/4 and 3/2 of that.
        reserve : bool, optional
            Take all memory now. Default: with `path` yes, else no.

        Raises
        ------
        ValueError, ConfigError, ArenaAccessError, ArenaFullError
        ArenaError
            The machine has no such node, or it is not for this process.
        """
        # What is wrong with numbers of frames is for the region to say: it checks them anyway.
        size = parse_size(page_size)
        check_page_size(size, PAGE_MIN)  # or each node would be blamed for not being a multiple of it
        if nodes is None:
            nodes = {"fast": "64 MiB", "slow": "64 MiB"}
        counts, places = as_nodes(nodes, size)
        if huge not in ("", "thp", "hugetlb"):
            raise ValueError(f"huge {huge!r}: choose '', 'thp' or 'hugetlb'")
        chosen = layout if isinstance(layout, Layout) else Layout.load(layout)
        arena = super().create(
            page_size=size, nodes=counts, places=places, layout={**chosen.native(), "text": chosen.text}, path=path,
            hugetlb=huge == "hugetlb", thp=huge == "thp", workers=workers, mappings=mappings, spaces=spaces,
            xa_nodes=xa_nodes, page_tables=page_tables, watermarks=watermarks, reserve=reserve,
        )  # fmt: skip
        arena.layout, arena.huge, arena.places = chosen, huge, tuple(places)
        arena.strategies = {}
        return arena

    def close(self) -> None:
        """Unmap the arena and remove its file.

        The file is removed, too, when the arena is collected and when the interpreter ends, by sys.exit(), an exception
        or Ctrl-C as well. It stays after os._exit(), SIGKILL, and SIGTERM where nobody handles it: remove it then, or
        turn SIGTERM into an exit, `signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))`.

        Raises
        ------
        BufferError
            A view of the arena is alive, or a call is at work on it in another thread.
        """
        super().close()
        self.strategies.clear()  # each of them refers to the arena

    def __repr__(self) -> str:
        if self.closed:
            return "<Arena closed>"
        if self.forked:
            return "<Arena of the parent process>"
        nodes = ", ".join(f"{n['name']} {n['frames']}" for n in self.nodes)
        huge = f", {hugepages.of_all(hugepages.mapped(self), self.total_bytes)}" if self.huge else ""
        frames = f"{self.nframes} frames of {self.page_size} bytes ({nodes})"
        return f"<Arena {frames}, {self.layout.name}, {self.backing}{huge}>"

    # ---- pages -----------------------------------------------------------------------------------------------------

    def frame(self, pfn: SupportsIndex) -> Frame:
        """Return frame `pfn` as an object that shows what lies in it. IndexError when out of range."""
        number = as_number(pfn, "pfn")
        if not 0 <= number < self.nframes:
            raise IndexError(f"frame {number}: out of range; the arena has frames 0 to {self.nframes - 1}")
        return Frame(self, number)

    def free(self, pfns: Frames) -> None:
        """Drop one reference of each folio that starts in these frames; the last one frees it. All or nothing.

        ValueError or IndexError names the first that has none to drop, or that is named twice.
        """
        super().free(as_frames(pfns, self))

    def reserve_frames(self, pfns: Frames) -> None:
        """Make folios that only the caller holds reserved: never moved, never given back. All or nothing."""
        super().reserve_frames(as_frames(pfns, self))

    def set_flags(self, pfns: Frames, mask: ArrayLike | str | Iterable[str]) -> None:
        """Set flags of pages.

        Parameters
        ----------
        pfns
            The frames that they lie in.
        mask
            Name of a flag, several names, or the bits themselves: `layout.word("dirty", "uptodate")` for all, or an
            array with a word for each frame.

        Raises
        ------
        UnknownFlagError
            It lists the names that the layout has.
        ValueError
            A flag that follows from where and what the page is, or `locked`, which is for `lock` and `unlock`.
        IndexError
            A frame that there is not.
        ArenaBusyError
            An exchange did not let go of a page for some seconds; no flag was changed.
        """
        super().set_flags(as_frames(pfns, self), as_mask(mask, self.layout))

    def clear_flags(self, pfns: Frames, mask: ArrayLike | str | Iterable[str]) -> None:
        """Clear flags of pages. Arguments and errors as of `set_flags`."""
        super().clear_flags(as_frames(pfns, self), as_mask(mask, self.layout))

    def cache_add(self, mapping: int, indexes: ArrayLike | Iterable[SupportsIndex], pfns: Frames) -> None:
        """Put pages in use at positions of a mapping, and hand them over to it.

        The reference that `alloc` gave is the mapping's from then on: who wants the page after `cache_remove` needs one
        of `get`. All or nothing, and of a call that raises no reference is taken.

        Parameters
        ----------
        mapping : int
            From `new_mapping`.
        indexes : integers, n of them
            Position of each page, in base pages; of a large folio a multiple of its size.
        pfns : n frames
            Where the pages lie: each in use, in no mapping, and not mapped by a page table.

        Raises
        ------
        ValueError
            A page or a position that no repetition makes right. It names the first, its place in the list, and why.
        ArenaError
            The position is taken, or the page is locked or frozen at this moment.
        ArenaFullError
            No XArray node is left.
        LookupError
            No such mapping.
        """
        cache.add(self, mapping, indexes, as_frames(pfns, self))

    @overload
    def cache_load(self, mapping: int, index: int | np.integer[Any]) -> int: ...
    @overload
    def cache_load(self, mapping: int, index: NDArray[Any] | Iterable[Any]) -> Pfns: ...
    def cache_load(self, mapping: int, index: Any) -> int | Pfns:
        """Return the frame that holds position `index` of a mapping, or -1: an int for an int, int64 for an array.

        Each position is looked up separately, without a lock: when this returns an exchange may have moved the page.
        """
        found: int | Pfns = cache.load(self, mapping, index)
        return found

    def cache_remove(self, mapping: int, index: int) -> int:
        """Take the page at `index` out of a mapping; return its frame, freed if nothing else holds the page, or -1."""
        return cache.remove(self, mapping, index)

    def remove_mapping(self, mapping: int) -> None:
        """Give up a mapping without pages; `new_mapping` gives its number out again when no fresh one is left.

        An XArray of it says from then on that it is gone, also when the number is in use again.

        Raises
        ------
        ArenaError
            It has pages, or entries that an XArray put there.
        LookupError
            No such mapping.
        """
        cache.remove_mapping(self, mapping)

    def set_private(self, pfns: Frames, values: ArrayLike) -> None:
        """Attach private data to pages of a mapping: the flag, the word, a reference."""
        cache.set_private(self, as_frames(pfns, self), values)

    def map(self, space: int, vpns: ArrayLike | Iterable[SupportsIndex], pfns: Frames, *, write: bool = True) -> None:
        """Map pages at virtual page numbers of a space.

        The first mapping of a page without a mapping makes it anonymous, and takes over the reference that `alloc`
        gave: `unmap` of its last place frees it, unless somebody has one of `get`. All or nothing, as `cache_add`.

        Parameters
        ----------
        space : int
            From `new_space`.
        vpns : integers, n of them
            Virtual page number of each; of a large folio a multiple of its size.
        pfns : n frames
            Where the pages lie. An anonymous page that is mapped already keeps its virtual page number in every space.
        write : bool
            May they be written to through this mapping.

        Raises
        ------
        ValueError, ArenaError, ArenaFullError, LookupError
            As of `cache_add`.
        """
        address_space.map(self, space, vpns, as_frames(pfns, self), write)

    def unmap(self, space: int, vpn: int) -> int:
        """Remove the page-table entries of the page at `vpn`; return its frame, freed with its last one, or -1."""
        return address_space.unmap(self, space, vpn)

    @overload
    def translate(self, space: int, vpn: int | np.integer[Any]) -> int: ...
    @overload
    def translate(self, space: int, vpn: NDArray[Any] | Iterable[Any]) -> Pfns: ...
    def translate(self, space: int, vpn: Any) -> int | Pfns:
        """Return the frame that virtual page `vpn` leads to, or -1: an int for an int, int64 for an array.

        ArenaError names a page that an exchange has at this moment.
        """
        found: int | Pfns = address_space.translate(self, space, vpn)
        return found

    def remove_space(self, space: int) -> None:
        """Give up an address space that maps nothing; `new_space` gives its number out again as `remove_mapping` says.

        Raises
        ------
        ArenaError
            It maps pages, or anonymous pages that it mapped first live on in other spaces: they carry its number.
        LookupError
            No such space.
        """
        address_space.remove_space(self, space)

    # ---- recovery --------------------------------------------------------------------------------------------------

    def recover(self, slot: int | None = None) -> tuple[Recovered, ...]:
        """End what dead processes have begun in this arena: each exchange and call is as before it, or as after it.

        Parameters
        ----------
        slot : int, optional
            Only this slot of the record; otherwise all that somebody has claimed and nobody in this process uses.

        Returns
        -------
        tuple of Recovered
            For each slot that was not free: number, process, outcome, and what was done.

        Raises
        ------
        ArenaBusyError
            This process is at work with the slot.
        IndexError
            No such slot.
        """
        return recovery.recover(self, slot)

    def rebuild(self) -> Rebuilt:
        """Make all derived data anew from what is true, while nobody is at work here; how many words were wrong.

        True are state of frames, order, flags and identity of pages, what trees and page tables lead to; derived are
        free lists, references, reverse maps, counts and counters. Raises ArenaBusyError while a slot is claimed that is
        not this process's own: recover() it first.
        """
        return rebuilding.rebuild(self)

    # ---- exchange and migration ------------------------------------------------------------------------------------

    def exchange(
        self,
        pairs: object,
        strategy: str | BuiltStrategy | Strategy = "list-exchange",
        *,
        mode: Mode | None = None,
        order: Literal["independent", "sequential"] = "independent",
        threads: int | None = None,
        out: NDArray[np.int32] | None = None,
        split: bool = True,
        max_call_us: float | None = None,
    ) -> ExchangeResult:
        """Exchange pairs of pages: each page of a pair gets the other's frame.

        Parameters
        ----------
        pairs : array of integers (n, 2), or sequence of (Frame, Frame)
            Frames, by number. Negative and too large numbers are statuses (-EFAULT), not errors.
        strategy : str, BuiltStrategy or Strategy
            A name from the shipped strategies.toml, or what `pagexchange.strategy` returns.
        mode : {"async", "sync-light", "sync"}, optional
            May it wait: never; for page locks; for locks and write-back. Default: what the strategy says.
        order : {"independent", "sequential"}
            Independent pairs share no frame: a later use of a frame gets -EINVAL. Sequential pairs may form chains and
            are done one after the other.
        threads : int, optional
            Workers that share the list.
        out : int32[n], optional
            Where the statuses go.
        split : bool
            False: a list longer than one batch (`BATCH` pairs) is refused with OSError(E2BIG).
        max_call_us : float, optional
            Microseconds that the call may take: pairs that it does not reach are left as they are, with -ETIME. At
            least one is done. Default: what the strategy says, and that is by default no limit.

        Returns
        -------
        ExchangeResult
            `status` is int32[n]: 0, or -errno and nothing of that pair changed.

        Raises
        ------
        TypeError, ValueError
            `pairs` is not an (n, 2) array of integers, or `out` does not fit.
        UnknownStrategyError, PluginError, ArenaFullError
        """
        if mode is not None or not isinstance(strategy, Strategy) or strategy.arena is not self:
            strategy = self._bound(strategy, mode)
        return strategy.exchange(pairs, order=order, threads=threads, out=out, split=split, max_call_us=max_call_us)

    def migrate(
        self,
        pfns: object,
        node: str | int,
        strategy: str | BuiltStrategy | Strategy = "migrate",
        *,
        mode: Mode | None = None,
        threads: int | None = None,
        out: NDArray[np.int32] | None = None,
    ) -> MigrationResult:
        """Migrate pages one way: each gets a free frame of a node, and its own becomes free.

        Frames are taken from the node down to its min watermark, for at most 512 base pages at one time, as Linux does
        it (`migrate_pages`, NR_MAX_BATCHED_MIGRATION), or for one larger folio.

        Parameters
        ----------
        pfns : integers, n of them, or Frames
            First frames of the pages. Negative and too large numbers are statuses (-EFAULT), not errors; a later use
            of a frame gets -EINVAL.
        node : str or int
            Name or number.
        strategy : str, BuiltStrategy or Strategy
            One that migrates: a name from the shipped strategies.toml, or what `pagexchange.strategy` returns.
        mode : {"async", "sync-light", "sync"}, optional
            May it wait, as of `exchange`. Default: what the strategy says.
        threads : int, optional
            Workers that share the list.
        out : int32[n], optional
            Where the statuses go.

        Returns
        -------
        MigrationResult
            `status` is int32[n]: 0, or -errno and that page is as it was: -ENOMEM when the node had no free frames for
            it. `placed` is int64[n]: the frame of each page now. A page that lay on the node is 0, and stays there.

        Raises
        ------
        TypeError, ValueError
            `pfns` are no integers, `out` does not fit, or the strategy exchanges.
        LookupError
            No such node.
        UnknownStrategyError, PluginError, ArenaFullError
            A PluginError has `status` and `placed` of the call: what was migrated before it stays so.
        """
        if mode is not None or not isinstance(strategy, Strategy) or strategy.arena is not self:
            strategy = self._bound(strategy, mode)
        return strategy.migrate(pfns, node, threads=threads, out=out)

    def tier(
        self,
        *,
        fast: str | None = None,
        slow: str | None = None,
        strategy: str | BuiltStrategy | Strategy = "list-exchange",
        pairing: Pairings = None,
        run: int = 1,
        half_life: float = 8.0,
        write_weight: float = 1.0,
    ) -> Tier:
        """Make a tier of two nodes: count accesses with `touch`, let pages trade places with `step`.

        Parameters
        ----------
        fast, slow : str, optional
            Names of the nodes. Default: the arena's first and second.
        strategy : str, BuiltStrategy or Strategy
            What moves the pages, as of `exchange`.
        pairing : str, mapping or callable, optional
            Who says which pages trade places: a plug-in by its name, or with options as strategies.toml has it,
            `{"plugin": "hottest-coldest", "batch": 64}`; or a callable (`hookspecs.PythonPairing`). Default: whom the
            strategy names, or the hottest pages of the slow node against the coldest of the fast one.
        run : int
            Frames that lie one after the other and are moved together; both nodes must start at a multiple of it. A
            strategy that migrates wants 1.
        half_life : float
            Steps after which an access counts for half.
        write_weight : float
            How many accesses an access counts for that writes.

        Raises
        ------
        ValueError
            No such node, or a number out of range.
        UnknownStrategyError, UnknownPluginError, PluginError, ConfigError
        """
        return Tier(
            self, self._bound(strategy, None), fast=fast, slow=slow, pairing=pairing, run=run, half_life=half_life,
            write_weight=write_weight,
        )  # fmt: skip

    def _bound(self, wanted: str | BuiltStrategy | Strategy, mode: Mode | None) -> Strategy:
        """Return the strategy bound to this arena; one that is asked for by its name is kept for the next call."""
        if isinstance(wanted, Strategy):
            if wanted.arena is not self:
                raise ValueError("the strategy is bound to another arena; build it for this one")
            return wanted.in_mode(mode)
        if isinstance(wanted, BuiltStrategy):
            return Strategy(self, wanted, mode)
        if not isinstance(wanted, str):
            raise TypeError(f"strategy: want a name, a BuiltStrategy or a Strategy, got {type(wanted).__name__}")
        # Kept, because finding it means reading the file and the metadata of every installed distribution.
        key = (wanted, mode)
        if key not in self.strategies:
            self.strategies[key] = strategy_of_file(wanted, self, mode=mode)
        return self.strategies[key]
