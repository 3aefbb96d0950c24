"""For each clause of a copier and of a migration a plug-in that breaks it and nothing else; as broken.py."""

import threading
import time
from typing import Any

import numpy as np

from pagexchange import Arena
from pagexchange.oracle.format import read
from pagexchange.testing import DataCopierContract, MigratingStrategyContract
from pagexchange_native.movers.folio_copy import FolioCopy
from tests.testing.broken import replace_move, unlogged


class Copies(DataCopierContract):
    """A right copier; subclasses do something besides. `arena` is None in direct calls."""

    def make(self, arena) -> Any:
        self.arena: Any = arena if isinstance(arena, Arena) else None

        def copy(pieces, source, target):
            self.copy(pieces, source, target)
            self.besides(pieces, source, target)

        return copy

    def copy(self, pieces, source, target):
        pieces[target] = pieces[source]

    def besides(self, pieces, source, target):
        if self.arena is not None and len(source) == 4:
            self.spoil(pieces, source, target)

    def spoil(self, pieces, source, target): ...

    def bit(self, name):
        return np.uint64(self.arena.layout.flag(name).mask)


class TestCopyingRightCopier(Copies):
    breaks = ()


class TestCopyingRightNativeCopier(DataCopierContract):
    breaks = ()

    def make(self):
        return FolioCopy()


class TestCopyingRightStrategy(MigratingStrategyContract):
    breaks = ()
    strategy = "migrate"


class TestCopyingForgetsTheLastByte(Copies):
    breaks = ("copy-copies-every-byte",)

    def besides(self, pieces, source, target):
        if self.arena is None and len(source) == 2:
            pieces.view(np.uint8)[target[-1], -1] ^= 1


class TestCopyingWritesToTheSource(Copies):
    """As one that exchanges does: a page must be whole in its old frame until it is in the new one."""

    breaks = ("copy-touches-nothing-else",)

    def besides(self, pieces, source, target):
        if self.arena is None and len(source) == 1:
            pieces[source[0], 0] ^= np.uint64(1)


class TestCopyingSharesAScratch(Copies):
    breaks = ("copy-serves-two-threads",)
    scratch = np.zeros((16, 512), np.uint64)  # rows of the largest pieces

    def copy(self, pieces, source, target):
        if self.arena is not None:
            super().copy(pieces, source, target)
            return
        n = len(source)
        self.scratch[:n, : pieces.shape[1]] = pieces[source]
        time.sleep(0.001)
        pieces[target] = self.scratch[:n, : pieces.shape[1]]


class TestCopyingDescribesInNumbers(Copies):
    breaks = ("copy-says-what-it-chose",)

    def make(self, arena):
        right = super().make(arena)

        class Copier:
            def __call__(self, pieces, source, target):
                right(pieces, source, target)

            def describe(self):
                return {"frames": 0}

        return Copier()


class TestCopyingFailsForSomePages(Copies):
    breaks = ("every-page-is-migrated",)

    def spoil(self, pieces, source, target):
        if self.arena.layout.name == "linux-5.0" and (self.arena.entries["mapping"][source] == 0).any():
            raise ValueError("a page without a mapping")


class TestCopyingWritesToABystander(Copies):
    breaks = ("a-page-goes-whole",)

    def spoil(self, pieces, source, target):
        pieces[0, 0] = 1


class TestCopyingMarksTheFrame(Copies):
    breaks = ("a-page-goes-whole",)

    def spoil(self, pieces, source, target):
        self.arena.entries["flags"][target[0]] |= self.bit("arch_1")


class TestCopyingLocksABystander(Copies):
    breaks = ("what-it-leaves-is-free",)

    def spoil(self, pieces, source, target):
        self.arena.entries["owner"][0] = 3


class TestCopyingWritesToARefusedPage(Copies):
    breaks = ("a-refused-page-is-as-it-was",)

    def besides(self, pieces, source, target):
        if self.arena is not None:
            pieces[np.flatnonzero(self.arena.flags & self.bit("hwpoison")), 0] = 1


class TestCopyingMiscounts(Copies):
    breaks = ("what-it-takes-is-shown",)

    def besides(self, pieces, source, target):
        if self.arena is not None and len(source) == 8:
            read(self.arena).nodes["asked"][0] += 1


class TestCopyingFailsInThreads(Copies):
    breaks = ("threads-migrate-alike",)

    def besides(self, pieces, source, target):
        if self.arena is not None and threading.current_thread() is not threading.main_thread():
            raise ValueError("not the main thread")


class TestCopyingExchangesWithoutALog(DataCopierContract):
    """The page is in its old frame no more before it is in the new one: only a death shows it."""

    breaks = ("a-dead-migration-is-finished",)

    def make(self):
        class Copier(FolioCopy):
            def copy_rows(self, source, target):
                FolioCopy().copy_rows(source, target)

        copier = Copier()
        replace_move(copier, unlogged)
        return copier


class TestCopyingRaisesForSomeArenas(Copies):
    breaks = ("a-plug-in-serves-or-declines",)

    def make(self, arena):
        if arena.page_size == 65536:
            raise ZeroDivisionError("half a page")
        return super().make(arena)


class TestCopyingCopiesAndSaysItRefuses(Copies):
    breaks = ("the-declaration-is-true",)
    expect = "refused"
