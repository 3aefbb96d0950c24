"""Readers that look pages up while they are exchanged, as a buffer pool's clients do."""

import sys
import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.strategy import Strategy
from pagexchange.errors import PluginError
from pagexchange.oracle.format import USED
from pagexchange.testing.scene.scene import Scene

READERS: Final = 2
READS: Final = 300
"""Of all readers, at least."""
ROUNDS: Final = 60
"""Exchanges of the whole list, at least."""
MOVED: Final = 60
"""Pairs that were exchanged meanwhile, at least: a reader's reference holds an exchange up."""
_MOST: Final = 50_000
_SWITCH: Final = 0.0002
"""Seconds after which a thread lets another one run: so that they meet often."""


class _Reader(threading.Thread):
    """Looks up, takes a reference, looks again, reads, drops the reference: until told to stop."""

    def __init__(self, scene: Scene, places: list[tuple[int, int, int, int]], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.scene, self.places, self.stop = scene, places, stop
        self.reads = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        try:
            while not self.stop.is_set() and len(self.wrong) < 4:
                for place in self.places:
                    self.read(*place)
        except Exception as error:  # the test says so; a thread cannot
            self.wrong.append(f"a reader failed: {type(error).__name__}: {error}")

    def read(self, mapping: int, index: int, page: int, size: int) -> None:
        arena = self.scene.arena
        # As Linux's filemap_get_folio: look up, take a reference unless it is frozen, and look again, because the page
        # may have gone in between. From then on its reference holds it where it is.
        pfn = arena.cache_load(mapping, index)
        if pfn < 0:
            self.wrong.append(f"mapping {mapping} index {index}: nothing there, though its page was never removed")
            return
        if not arena.get(pfn):
            return  # frozen by the exchange: to be tried again
        try:
            if arena.cache_load(mapping, index) != pfn:
                return
            words = arena.frames[pfn : pfn + size].ravel()
            foreign = np.flatnonzero(words != contents(page, len(words)))
            self.reads += 1
            if len(foreign):
                at = int(foreign[0])
                self.wrong.append(
                    f"mapping {mapping} index {index}, read in frame {pfn}: {len(foreign)} of {len(words)} words are "
                    f"not its page's; word {at} is {int(words[at]):#x}"
                )
        finally:
            arena.put(pfn)


def contents(page: int, words: int) -> NDArray[np.uint64]:
    """What page number `page` holds: every word names the page and the word's position."""
    return np.uint64((page + 1) << 32) + np.arange(words, dtype=np.uint64)


def read_while(strategy: Strategy, scene: Scene) -> list[str]:
    """Exchange the scene's pairs to and fro while readers read; return what they saw wrong."""
    arena = scene.arena
    entries = arena.entries
    is_file = (entries["state"] == USED) & (entries["mapping"] != 0) & ((entries["mapping"] & np.uint64(3)) == 0)
    places = []
    for page, pfn in enumerate(np.flatnonzero(is_file).tolist()):
        size = 1 << int(entries["order"][pfn])
        arena.frames[pfn : pfn + size] = contents(page, size * arena.frames.shape[1]).reshape(size, -1)
        places.append((int(entries["mapping"][pfn] >> np.uint64(2)) - 1, int(entries["index"][pfn]), page, size))
    stop = threading.Event()
    # As long as readers and exchanges have met often enough, whatever the machine does meanwhile: counts, not seconds.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    readers = [_Reader(scene, places, stop) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    wrong = []
    moved = read = 0
    try:
        for number in range(_MOST):
            moved += strategy.exchange(scene.pairs).exchanged
            read = sum(reader.reads for reader in readers)
            if (number >= ROUNDS and read >= READS and moved >= MOVED) or any(
                not reader.is_alive() for reader in readers
            ):
                break
        else:
            wrong.append(f"{_MOST} exchanges moved {moved} pairs while readers read {read} pages")
    except PluginError as error:
        wrong.append(str(error))
    finally:
        stop.set()
        for reader in readers:
            reader.join()
        sys.setswitchinterval(interval)
    return [*wrong, *(line for reader in readers for line in reader.wrong)]
