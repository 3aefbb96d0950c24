"""What a process does when it dies: exchanges by kinds of pages and mover, and every call that changes structure."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from pagexchange.model.statuses import EHWPOISON
from pagexchange_native.arena.region import STATES
from pagexchange_plugins.list_exchange import ListExchange
from pagexchange_plugins.numpy_swap import NumpySwap
from pagexchange_plugins.temp_page import TempPage
from pagexchange_plugins.word_swap import WordSwap
from tests.core.pages import Pages, migrating, strategy
from tests.core.test_memory_error import break_memory

ORDER = 3
NO_PAGES = 3
"""Number of a mapping in whose tree are other numbers than those of frames, for changes of an XArray."""
SPLIT = 5
"""Order of a folio that is large enough for helper threads."""
Work = Callable[[], object]
Prepare = Callable[[Pages], Work]


@dataclass(frozen=True)
class Row:
    """One operation: `prepare` makes what it needs, and returns what is stepped through."""

    name: str
    prepare: Prepare
    exchange: bool = False
    breaks: bool = False
    """Memory that only the dead process could not read: a survivor goes back as it would have, or forward."""
    threads: int = 1
    undone: bool = False
    """In the end everything is as it was."""
    frames: int = 32
    """Of each node; in a small arena a look at all of it is short."""
    page_size: int = 4096

    @property
    def capacities(self) -> dict[str, Any]:
        """Of its arena. A split folio takes a worker for each of its threads, beside the one that has the pair."""
        workers = 1 if self.threads == 1 else self.threads + 1
        return {
            "frames": self.frames,
            "page_size": self.page_size,
            "workers": workers,
            "mappings": 4,
            "spaces": 3,
            "xa_nodes": 64,
            "page_tables": 32,
        }


class Exchange:
    """Exchanges pairs, all at once or one of those that several threads share; again, they are back.

    Attributes
    ----------
    parts : int
        How many workers have pairs of their own: each can be as before or as after by itself.
    """

    def __init__(self, native: Any, pairs: Any, threads: int = 1, want: int = 0) -> None:
        self.native, self.pairs, self.threads, self.want = native, np.array(pairs), threads, want
        self.status = np.zeros(len(self.pairs), np.int32)
        self.parts = threads if 1 < threads <= len(self.pairs) else 1

    def __call__(self) -> None:
        self.native.exchange(self.pairs, self.status, threads=self.threads)
        assert (self.status == self.want).all(), self.status

    def part(self, number: int) -> None:
        """Exchange what one of the threads would."""
        count = len(self.pairs)
        pairs = self.pairs[count * number // self.parts : count * (number + 1) // self.parts]
        status = np.zeros(len(pairs), np.int32)
        self.native.exchange(pairs, status, threads=1)
        assert (status == 0).all(), status


# ---- exchanges -------------------------------------------------------------------------------------------------------

MOVERS: dict[str, Any] = {
    "word-swap": WordSwap(),
    "list": ListExchange(),
    "temporary page": TempPage(),
    "temporary page of the worker": TempPage(source="per-worker"),
    "numpy": NumpySwap(),
}
"""Plug-ins, by what the rows call their movers."""
KINDS: dict[str, tuple[tuple[str, str], bool]] = {
    "anonymous": (("anon", "anon"), False),
    "file": (("file", "file"), False),
    "file dirty": (("file", "file"), True),
    "shared memory mapped": (("shmem", "shmem"), False),
    "raw": (("raw", "raw"), False),
}
"""Kinds of both pages, and whether the first one is dirty."""


def exchange(
    mover: str,
    *pairs: tuple[str, str],
    order: int = 0,
    dirty: bool = False,
    tails: bool = False,
    mappings: Any = (0, 1),
    threads: int = 1,
) -> Prepare:
    """An exchange that has been done there and back, so that all is bound and warm."""

    def prepare(pages: Pages) -> Work:
        arena = pages.arena
        native = strategy(arena, data=MOVERS[mover].exchange_data(arena))._native
        made = np.array([pages.pair(kinds, order, mappings) for kinds in pairs])
        if dirty:
            pages.flag(int(made[0, 0]), "dirty", "referenced")
        if tails:
            mask = np.uint64(arena.layout.tail_mask("swap"))
            arena.set_flags([int(made[0, 0]) + 1, int(made[0, 1]) + (1 << order) - 1], mask)
        work = Exchange(native, made, threads)
        work()
        work()
        return work

    return prepare


def broken(mover: str, order: int = 1, threads: int = 1, at: int = 1) -> Prepare:
    """An exchange of folios that meets broken memory half way, and is put back.

    By way of a temporary page in the other folio, which is read when the first one is being stored to.
    """
    side = int(mover.startswith("temporary"))

    def prepare(pages: Pages) -> Work:
        arena = pages.arena
        native = strategy(arena, data=MOVERS[mover].exchange_data(arena))._native
        pair = pages.pair(("file", "anon"), order)
        work = Exchange(native, [pair], threads)
        work()
        work()
        break_memory(arena, pair[side] + at)
        return Exchange(native, [pair], threads, want=-EHWPOISON)

    return prepare


class TiredError(Exception):
    """What a mover raises."""


def raising(count: int) -> Prepare:
    """A mover in Python that raises when the second group of its pages is half moved: all are put back."""

    def prepare(pages: Pages) -> Work:
        calls = 0

        def move(pieces: Any, a: Any, b: Any) -> None:
            nonlocal calls
            calls += 1
            half = len(a) // 2 if calls == 2 else len(a)
            pieces[a[:half]], pieces[b[:half]] = pieces[b[:half]], pieces[a[:half]]
            if calls == 2:
                raise TiredError

        native = strategy(pages.arena, data=move)._native
        pairs = np.array([pages.pair(("raw", "raw")) for _ in range(count)])
        status = np.zeros(count, np.int32)

        def work() -> None:
            nonlocal calls
            calls = 0
            with suppress(TiredError):
                native.exchange(pairs, status)
            assert (status != 0).all(), status

        work()
        return work

    return prepare


More = list[tuple[str, list[tuple[str, str]], str, dict[str, Any]]]
_MIXED: More = [
    ("file and anonymous", [("file", "anon")], "word-swap", {}),
    ("raw and file", [("raw", "file")], "word-swap", {}),
    ("two pairs", [("file", "anon"), ("shmem", "raw")], "list", {"dirty": True}),
    ("folios of 8, tails", [("file", "anon")], "list", {"order": ORDER, "tails": True}),
    ("two pairs", [("file", "anon"), ("shmem", "raw")], "temporary page", {}),
    ("two pairs", [("file", "anon"), ("shmem", "raw")], "temporary page of the worker", {}),
]  # fmt: skip
_SHARED: More = [
    ("file dirty and anonymous, shared memory and raw", [("file", "anon"), ("shmem", "raw")], "list", {"dirty": True}),
    ("all of one file", [("file", "file")] * 2, "list", {"mappings": (0, 0)}),
    ("anonymous and file", [("anon", "anon"), ("file", "file")], "temporary page", {}),
    ("anonymous and file", [("anon", "anon"), ("file", "file")], "temporary page of the worker", {}),
]  # fmt: skip
EXCHANGES = [
    *(
        Row(f"{kind}, {mover}", exchange(mover, kinds, dirty=dirty), exchange=True)
        for mover in MOVERS
        for kind, (kinds, dirty) in KINDS.items()
    ),
    *(
        Row(f"{name}, {mover}", exchange(mover, *pairs, **how), exchange=True)
        for name, pairs, mover, how in _MIXED
    ),
    *(
        Row(f"{name}, {mover}, two threads", exchange(mover, *pairs, threads=2, **how), exchange=True, threads=2)
        for name, pairs, mover, how in _SHARED
    ),
    *(
        Row(f"split folio, {name}", prepare, exchange=True, threads=2, frames=128)
        for name, prepare in (
            ("file dirty and anonymous", exchange("list", ("file", "anon"), order=SPLIT, dirty=True, threads=2)),
            ("shared memory and raw", exchange("list", ("shmem", "raw"), order=SPLIT, threads=2)),
        )
    ),
    *(
        Row(f"memory error half way, {mover}", broken(mover), exchange=True, breaks=True)
        for mover in MOVERS
        if mover != "numpy"  # it is read before a mover in Python is called, and refused
    ),
    Row(
        "memory error half way, split folio", broken("list", SPLIT, 2),
        exchange=True, breaks=True, threads=2, frames=128,
    ),
    Row("a mover in Python raises half way", raising(17), exchange=True, undone=True, frames=64),
    *(
        Row(f"{name}, pages of 1 KiB", prepare, exchange=True, page_size=1024)
        for name, prepare in (
            ("file dirty, word-swap", exchange("word-swap", ("file", "file"), dirty=True)),
            ("two pairs, list", exchange("list", ("file", "anon"), ("shmem", "raw"), dirty=True)),
            ("folios of 8, tails, list", exchange("list", ("file", "anon"), order=ORDER, tails=True)),
            ("two pairs, temporary page", exchange("temporary page", ("file", "anon"), ("shmem", "raw"))),
            ("two pairs, numpy", exchange("numpy", ("file", "anon"), ("shmem", "raw"))),
            ("folios of 8, numpy", exchange("numpy", ("file", "anon"), order=ORDER)),
        )
    ),
    Row(
        "a mover in Python raises half way, pages of 1 KiB", raising(17),
        exchange=True, undone=True, frames=64, page_size=1024,
    ),
    Row(
        "memory error half way, list, pages of 1 KiB", broken("list", ORDER, at=4),
        exchange=True, breaks=True, page_size=1024,
    ),
]  # fmt: skip


# ---- migrations ------------------------------------------------------------------------------------------------------

SLOW = 1
"""Number of the node that pages go to."""


class Migration:
    """Migrates pages of the fast node to the slow one."""

    def __init__(self, native: Any, pfns: Any, threads: int = 1, want: int = 0) -> None:
        self.native, self.pfns, self.threads, self.want = native, pfns, threads, want

    def to(self, node: int) -> None:
        """Migrate them all, and go on with where they lie then."""
        pairs = np.column_stack([self.pfns, self.pfns])
        status = np.full(len(pairs), 1, np.int32)
        self.native.migrate(pairs, status, node, threads=self.threads)
        assert (status == self.want).all(), status
        self.pfns = pairs[:, 1].copy()

    def there_and_back(self) -> None:
        """All is bound and warm then; free frames have other contents, so that each store of the copy is a state."""
        arena = self.native.arena
        self.to(SLOW)
        self.to(0)
        free = arena.entries["state"] == STATES["free"]
        arena.frames[free] = np.uint64(0x5A5A5A5A5A5A5A5A)

    def __call__(self) -> None:
        self.to(SLOW)


def migrate(
    copier: str, *kinds: str, order: int = 0, dirty: bool = False, tails: bool = False, threads: int = 1
) -> Prepare:
    """A migration of pages that have been on the other node and come back, so that all is bound and warm."""

    def prepare(pages: Pages) -> Work:
        arena = pages.arena
        made = np.array([pages.page(kind, 0, order) for kind in kinds])
        if dirty:
            pages.flag(int(made[0]), "dirty", "referenced")
        if tails:
            arena.set_flags(int(made[0]) + 1, np.uint64(arena.layout.tail_mask("swap")))
        work = Migration(migrating(arena, copier)._native, made, threads)
        work.there_and_back()
        return work

    return prepare


def broken_migration(pages: Pages) -> Work:
    """A migration of a folio that meets broken memory half way, and stays."""
    work = Migration(migrating(pages.arena)._native, np.array([pages.page("file", 0, 1)]))
    work.there_and_back()
    break_memory(pages.arena, int(work.pfns[0]) + 1)
    work.want = -EHWPOISON
    return work


COPIERS = ("folio-copy", "streaming-copy", "numpy-copy")
_ALIKE: dict[str, tuple[str, bool]] = {
    "anonymous": ("anon", False),
    "file": ("file", False),
    "file dirty": ("file", True),
    "shared memory mapped": ("shmem", False),
    "raw": ("raw", False),
}
MIGRATIONS = [
    *(
        Row(f"migrate {kind}, {copier}", migrate(copier, page, dirty=dirty), exchange=True)
        for copier in COPIERS
        for kind, (page, dirty) in _ALIKE.items()
    ),
    *(
        Row(f"migrate folios of 8, {kind}, {copier}", migrate(copier, page, order=ORDER, dirty=dirty), exchange=True)
        for copier in ("folio-copy", "numpy-copy")
        for kind, (page, dirty) in _ALIKE.items()
        if kind != "raw"
    ),
    Row(
        "migrate a folio of 8 with tails, folio-copy", migrate("folio-copy", "anon", order=ORDER, tails=True),
        exchange=True,
    ),
    Row("migrate a list, folio-copy", migrate("folio-copy", "file", "anon", "shmem", dirty=True), exchange=True),
    Row("migrate a list, numpy-copy", migrate("numpy-copy", "file", "anon", "shmem", dirty=True), exchange=True),
    Row(
        "migrate a split folio, folio-copy", migrate("folio-copy", "file", order=SPLIT, dirty=True, threads=2),
        exchange=True, threads=2, frames=128,
    ),
    Row("memory error half way in a page that migrates", broken_migration, exchange=True, breaks=True),
    *(
        Row(f"migrate a list, {copier}, pages of 1 KiB", migrate(copier, "file", "anon"), exchange=True, page_size=1024)
        for copier in ("folio-copy", "numpy-copy")
    ),
]  # fmt: skip


# ---- calls -------------------------------------------------------------------------------------------------------


def alloc(order: int) -> Prepare:
    return lambda pages: lambda: pages.arena.alloc("fast", 1, order)


def free(order: int) -> Prepare:
    def prepare(pages: Pages) -> Work:
        pfns = pages.arena.alloc("fast", 1, order)
        return lambda: pages.arena.free(pfns)

    return prepare


def put(pages: Pages) -> Work:
    pfn = int(pages.arena.alloc("fast")[0])
    return lambda: pages.arena.put(pfn)


def reserve(pages: Pages) -> Work:
    pfns = pages.arena.alloc("fast", 1, 1)
    return lambda: pages.arena.reserve_frames(pfns)


def cache_add(order: int, far: bool = False) -> Prepare:
    def prepare(pages: Pages) -> Work:
        pfn = pages.page("raw", 0, order)
        place = pages.place(order) + (1 << 14 if far else 0)
        return lambda: pages.arena.cache_add(pages.mappings[0], place, pfn)

    return prepare


def cache_remove(order: int, held: bool = False, far: bool = False) -> Prepare:
    def prepare(pages: Pages) -> Work:
        pfn = pages.page("raw", 0, order)
        place = pages.place(order) + (1 << 14 if far else 0)
        pages.arena.cache_add(pages.mappings[0], place, pfn)
        pages.flag(pfn, "dirty")
        if held:
            assert pages.arena.get(pfn)
        return lambda: pages.arena.cache_remove(pages.mappings[0], place)

    return prepare


def mapped(order: int) -> Prepare:
    def prepare(pages: Pages) -> Work:
        pfn = pages.page("raw", 0, order)
        place = pages.place(order)
        return lambda: pages.arena.map(pages.spaces[0], place, pfn)

    return prepare


def unmap(order: int, shared: bool = False) -> Prepare:
    def prepare(pages: Pages) -> Work:
        pfn = pages.page("raw", 0, order)
        place = pages.place(order)
        pages.arena.map(pages.spaces[0], place, pfn)
        if shared:
            pages.arena.map(pages.spaces[1], place, pfn)
        return lambda: pages.arena.unmap(pages.spaces[0], place)

    return prepare


def set_private(pages: Pages) -> Work:
    pfn = pages.page("file", 0)
    return lambda: pages.arena.set_private(pfn, 77)


def set_flags(pages: Pages) -> Work:
    pfn = pages.page("file", 0)
    return lambda: pages.flag(pfn, "dirty", "writeback")


def new_mapping(pages: Pages) -> Work:
    if pages.next < 1000:  # the first time
        pages.next = 1000
        return lambda: pages.arena.remove_mapping(pages.arena.new_mapping("third"))
    return lambda: pages.arena.new_mapping("third, and a long name of it")


def remove_mapping(pages: Pages) -> Work:
    number = pages.arena.new_mapping("third")
    return lambda: pages.arena.remove_mapping(number)


def new_space(pages: Pages) -> Work:
    if pages.next < 1000:
        pages.next = 1000
        return lambda: pages.arena.remove_space(pages.arena.new_space("third"))
    return lambda: pages.arena.new_space("third, and a long name of it")


def remove_space(pages: Pages) -> Work:
    number = pages.arena.new_space("third")
    return lambda: pages.arena.remove_space(number)


def tree(make: Callable[[Any, int], Work]) -> Prepare:
    """A change of an XArray, in which nothing is but what `make` stores; further along each time."""

    def prepare(pages: Pages) -> Work:
        from pagexchange_native.xarray.array import XArray

        if len(pages.mappings) == 2:
            pages.mappings.append(pages.arena.new_mapping("numbers that are no frames"))
            assert pages.mappings[2] == NO_PAGES
        return make(XArray(pages.arena, NO_PAGES), pages.place(7) + 4096)

    return prepare


def _store(array: Any, index: int) -> Work:
    return lambda: array.store(index, 5)


def _grow(array: Any, index: int) -> Work:
    return lambda: array.store(index << 12, 5)


def _store_order(array: Any, index: int) -> Work:
    return lambda: array.store(index & ~63, 5, order=3)


def _over(array: Any, index: int) -> Work:
    for at in (0, 70, 130, 700):
        array.store((index << 12) + at, 5)
    return lambda: array.store(index << 12, 6, order=12)


def _erase(array: Any, index: int) -> Work:
    array.store(index << 12, 5)
    return lambda: array.erase(index << 12)


def _mark(array: Any, index: int) -> Work:
    array.store(index << 6, 5)
    return lambda: array.set_mark(index << 6, 1)


def _clear_mark(array: Any, index: int) -> Work:
    array.store(index << 6, 5)
    array.set_mark(index << 6, 1)
    return lambda: array.clear_mark(index << 6, 1)


CALLS = [
    Row("alloc, order 0", alloc(0)),
    Row("alloc, order 3", alloc(ORDER)),
    Row("free, order 0", free(0)),
    Row("free, order 3", free(ORDER)),
    Row("put the last reference", put),
    Row("reserve, order 1", reserve),
    Row("cache_add, order 0", cache_add(0)),
    Row("cache_add, order 3", cache_add(ORDER)),
    Row("cache_add, the tree grows", cache_add(0, far=True)),
    Row("cache_remove, order 0", cache_remove(0)),
    Row("cache_remove, order 3", cache_remove(ORDER)),
    Row("cache_remove, the tree shrinks", cache_remove(0, far=True)),
    Row("cache_remove, held", cache_remove(0, held=True)),
    Row("map, order 0", mapped(0)),
    Row("map, order 3", mapped(ORDER)),
    Row("map, order 6", mapped(6), frames=128),
    Row("unmap, order 0", unmap(0)),
    Row("unmap, order 3", unmap(ORDER)),
    Row("unmap, order 6", unmap(6), frames=128),
    Row("unmap one of two", unmap(0, shared=True)),
    Row("set_private", set_private),
    Row("set_flags", set_flags),
    Row("new mapping", new_mapping),
    Row("remove mapping", remove_mapping),
    Row("new space", new_space),
    Row("remove space", remove_space),
    Row("XArray: store", tree(_store)),
    Row("XArray: store, the tree grows", tree(_grow)),
    Row("XArray: store of order 3", tree(_store_order)),
    Row("XArray: store over sub-trees", tree(_over)),
    Row("XArray: erase, the tree shrinks", tree(_erase)),
    Row("XArray: set_mark", tree(_mark)),
    Row("XArray: clear_mark", tree(_clear_mark)),
]

ROWS = {row.name: row for row in (*EXCHANGES, *MIGRATIONS, *CALLS)}
