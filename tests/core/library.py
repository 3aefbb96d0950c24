"""Pages whose every word says which page it is, threads that find them, and a watchdog for those threads."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pagexchange.errors import ArenaError
from pagexchange.oracle import check
from tests.core.pages import Pages, Pfns

WATCHDOG = 60.0
N = 160


class Crew:
    """Threads that run until told to stop; what one of them raises is raised by `rest`."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.errors: list[BaseException] = []
        self.threads: list[threading.Thread] = []

    def hire(self, work: Callable[[], object], rounds: int | None = None) -> None:
        """Do a piece of work again and again: so often, or until the others are through."""

        def run() -> None:
            try:
                done = 0
                while not self.stop.is_set() and done != rounds:
                    work()
                    done += 1
            except BaseException as error:
                self.errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.name = "counted" if rounds else "until stopped"
        self.threads.append(thread)
        thread.start()

    def rest(self) -> None:
        """Wait for those with a number of rounds, then stop the others; a thread that does not end is a deadlock."""
        end = time.monotonic() + WATCHDOG
        for thread in sorted(self.threads, key=lambda t: t.name):
            if thread.name != "counted":
                self.stop.set()
            thread.join(max(0.0, end - time.monotonic()))
            assert not thread.is_alive(), "still waiting: a deadlock"
        for error in self.errors:
            raise error


def until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait for something to happen; fail, and say this, if it never does."""
    end = time.monotonic() + WATCHDOG / 4
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(0.001)


@contextmanager
def crew() -> Iterator[Crew]:
    made = Crew()
    try:
        yield made
    finally:
        made.rest()


class Library:
    """Pages whose every word says which page it is, found by (mapping, index) or by (space, virtual page)."""

    def __init__(self, **capacities: Any) -> None:
        self.pages = Pages(
            frames=N + 4 * 128 + 40, **capacities
        )  # copy-page may take a frame for each pair of four batches
        self.arena = self.pages.arena
        self.files = [self.pages.page("file", i % 2, mapping=i % 3 > 1) for i in range(N)]
        self.anon = [self.pages.page("anon", i % 2) for i in range(N)]
        self.in_files = set(self.files)
        self.everyone = np.array(self.files + self.anon)
        owner, index = (self.arena.entries[name][self.everyone].astype(int) for name in ("mapping", "index"))
        places = zip(((owner >> 2) - 1).tolist(), index.tolist(), strict=True)
        self.place = dict(zip(self.everyone.tolist(), places, strict=True))
        self.arena.frames[:] = np.arange(self.arena.nframes, dtype=np.uint64)[:, None]

    def at(self, page: int) -> int:
        """Where the page that began in frame `page` is now."""
        owner, index = self.place[page]
        look = self.arena.cache_load if page in self.in_files else self.arena.translate
        return int(look(owner, index))

    def seen(self, page: int) -> int:
        """The same, or -1 where a migration entry says that an exchange has it."""
        try:
            return self.at(page)
        except ArenaError:
            return -1

    def shuffled(self, seed: int) -> Pfns:
        order: Pfns = np.random.default_rng(seed).permutation(self.everyone)
        return order.reshape(-1, 2)

    def check(self) -> None:
        """Each page is whole, at its place, and everything adds up."""
        assert check(self.arena) == []
        for page in self.everyone.tolist():
            assert (self.arena.frames[self.at(page)] == page).all(), page


def held(library: Library, page: int) -> int:
    """Look a page up and take a reference, as readers do: look up, try to get, look again; again until it is got."""
    while True:
        pfn = library.seen(page)
        if pfn >= 0 and library.arena.get(pfn):
            if library.seen(page) == pfn:
                return pfn
            library.arena.put(pfn)
        else:
            time.sleep(0)
