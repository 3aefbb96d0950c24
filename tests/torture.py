"""All at once, for as long as you like: exchanges, migrations, readers, writers, truncation, pins, locks, flags.

`make torture` (two minutes; `SECONDS=600`, `SEED=7`). Whatever a thread finds wrong ends it with exit status 1 and
the seed; a thread that does not go on is a deadlock: all stacks are printed and the status is 2. At the end the oracle
counts everything again and each page is looked up and compared as a whole. What was done is printed, so that a run
that did nothing is seen.

`--deaths N`: so many times a process is killed in which all of these work but those whose pages a death takes with it
(a writer's is half written, one that is out of its file is nobody's). Another one recovers the arena that it leaves.

`--control` is the proof that it would be seen. One after the other: a thread exchanges two pages by hand and takes no
lock; one migrates a page by hand and does not freeze it; one writes `dirty`, one `waiters`, one `referenced`, as it
read them a moment before; two lock two pages, each the other's second. A reader must see foreign or old bytes, the
check at the end or who had set them lost bits, the watchdog the deadlock; then the status is 0.
"""

import argparse
import errno
import faulthandler
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from pagexchange.errors import ArenaError, ArenaFullError
from pagexchange.oracle import check
from pagexchange.oracle import format as f
from tests.core.library import WATCHDOG, Library, N, held
from tests.core.pages import Pfns, migrating, resting, strategy

EXCHANGERS = (
    ("list-exchange", "async", 1), ("list-exchange", "sync", 3), ("word-swap", "sync-light", 2),
    ("copy-page", "async", 2), ("copy-page", "sync", 1), ("two-pass", "sync", 1), ("numpy", "async", 1),
    ("rfc-2019", "sync-light", 1),
)  # fmt: skip
"""Strategy, mode, threads of each of the exchangers."""
MIGRATORS = (
    ("folio-copy", "async", 1),
    ("folio-copy", "sync-light", 2),
    ("streaming-copy", "sync", 2),
    ("numpy-copy", "async", 1),
)
"""Copier, mode, threads of each of the migrators."""
GONE = {-errno.ENOENT, -errno.EINVAL}
"""The page has left the frame that is named: that is free now, or has a page of another order."""
STATUSES = {0, -errno.EAGAIN, -errno.EBUSY, -errno.ETIMEDOUT, -errno.ENOMEM} | GONE
"""ENOMEM: no free frame; the others: somebody has the page."""
ROOT = Path(__file__).parents[1]
READERS, MARK = 3, 1 << 32
MOMENT = 1_000_000
"""Where pages are put into a file that live for a moment; from there on."""
T = TypeVar("T")


class TornError(AssertionError):
    """A page showed bytes that are not its own."""


class Torture:
    """The library and everybody who works in it; each thread counts what it did."""

    def __init__(self, seed: int, patience: float = WATCHDOG, **capacities: Path) -> None:
        self.library = Library(workers=32, **capacities)
        self.arena = self.library.arena
        self.seed = seed
        self.patience = patience  # seconds until a thread that does not go on is a deadlock
        self.stop = threading.Event()
        self.errors: list[BaseException] = []
        self.threads: list[threading.Thread] = []
        self.beats: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.running = 0  # exchanges that are going on
        self.turn = {page: threading.Lock() for page in self.library.everyone.tolist()}  # of those who write
        self.version = dict.fromkeys(self.turn, 0)
        self.unplaced = threading.Lock()  # of those who have a page that is in no file, and know only its frame
        self.dirty: set[int] = set()
        self.waiters: set[int] = set()
        self.referenced = False  # all pages, or none
        names = ("dirty", "waiters", "writeback", "referenced")
        self.bit = {name: np.uint64(self.arena.layout.word(name)) for name in names}

    # ---- threads ---------------------------------------------------------------------------------------------------

    def hire(self, name: str, work: Callable[[random.Random], object]) -> None:
        rng = random.Random(f"{self.seed} {name}")
        self.beats[name] = 0

        def run() -> None:
            try:
                while not self.stop.is_set():
                    work(rng)
                    self.beats[name] += 1
            except BaseException as error:
                error.add_note(f"in thread {name!r}, seed {self.seed}")
                self.errors.append(error)
                self.stop.set()

        self.threads.append(threading.Thread(target=run, name=name, daemon=True))

    def everybody(self, *, mortal: bool = False) -> None:
        """`mortal`: without those whose pages a death takes with it."""
        for number, (name, mode, threads) in enumerate(EXCHANGERS):
            self.exchanger(f"exchanger {number} ({name}, {mode}, {threads})", name, mode, threads)
        for number, (name, mode, threads) in enumerate(MIGRATORS):
            self.migrator(f"migrator {number} ({name}, {mode}, {threads})", name, mode, threads)
        for number in range(READERS):
            self.hire(f"reader {number}", self.read)
        for work in (self.mark, self.wait, self.touch, self.pin, self.lock, self.come, self.map_again):
            self.hire(work.__name__, work)
        for work in () if mortal else (self.write, self.truncate, self.write_back):
            self.hire(work.__name__, work)

    def run(self, seconds: float, enough: Mapping[str, int] | None = None) -> None:
        """Let them work so long, or until each of these was done so often; raise what the first of them found."""
        end = time.monotonic() + seconds
        for thread in self.threads:
            thread.start()
        seen, since = dict(self.beats), dict.fromkeys(self.beats, time.monotonic())
        while not self.stop.wait(0.2) and time.monotonic() < end:
            if enough and all(self.counts[what] >= count for what, count in enough.items()):
                break
            for name, beats in self.beats.items():
                if beats != seen[name]:
                    seen[name], since[name] = beats, time.monotonic()
                elif time.monotonic() - since[name] > self.patience:
                    self.deadlock(name, f"has not gone on for {self.patience:g} s")
        self.stop.set()
        late = time.monotonic() + self.patience
        for thread in self.threads:
            thread.join(max(0.0, late - time.monotonic()))
            if thread.is_alive() and not self.errors:  # else it may wait for the page of one that found something wrong
                self.deadlock(thread.name, "does not end when it is told to")
        for error in self.errors:
            raise error

    def deadlock(self, name: str, why: str) -> None:
        print(f"{name!r} {why}: a deadlock. seed {self.seed}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(all_threads=True)
        raise SystemExit(2)

    # ---- who moves pages -------------------------------------------------------------------------------------------

    def used(self, rng: random.Random) -> Pfns:
        """The frames in which pages begin at this moment, in any order: what a caller knows of them is always old."""
        used = np.flatnonzero(self.arena.entries["state"] == f.USED)
        return np.random.default_rng(rng.randrange(1 << 30)).permutation(used)

    def count(self, who: str, done: str, status: object) -> None:
        for each, count in zip(*np.unique(np.asarray(status), return_counts=True), strict=True):
            code = int(each)
            if code not in STATUSES:
                raise AssertionError(f"{who}: {int(count)} with {errno.errorcode.get(-code, code)}")
            self.counts[f"refused {errno.errorcode[-code]}" if code else done] += int(count)

    def exchanger(self, who: str, name: str, mode: str, threads: int) -> None:
        bound = strategy(self.arena, name, mode, timeout=5.0)  # type: ignore[arg-type]

        def exchange(rng: random.Random) -> None:
            used = self.used(rng)
            pairs = used[: len(used) // 2 * 2].reshape(-1, 2)[: rng.choice((1, 2, 20, 160))]
            pairs = rng.choice((pairs, pairs[::-1], pairs[:, ::-1]))
            order = rng.choice(("independent", "independent", "sequential"))
            if order == "sequential":
                pairs = np.concatenate([pairs, pairs[:5, ::-1]])
            self.running += 1
            result = bound.exchange(pairs, order=order, threads=threads)  # type: ignore[arg-type]
            self.running -= 1
            self.count(who, f"exchanged by {name}", result.status)
            self.counts["exchange calls"] += 1

        self.hire(who, exchange)

    def migrator(self, who: str, name: str, mode: str, threads: int) -> None:
        # Soon over: an exchange may wait for a free frame that it has, with a page that it waits for.
        bound = migrating(self.arena, name, mode, timeout=0.1)  # type: ignore[arg-type]
        half = self.arena.nframes // 2

        def migrate(rng: random.Random) -> None:
            node, pfns = rng.randrange(2), self.used(rng)[: rng.choice((1, 2, 20, 160))]
            self.running += 1
            result = bound.migrate(pfns, node, threads=threads)
            self.running -= 1
            self.count(who, f"migrated by {name}", result.status)
            placed = result.placed[result.status == 0]  # a frame twice, if its first page has gone on since
            if (placed // half != node).any():
                raise AssertionError(f"{who}: pages for node {node} are said to lie in {placed.tolist()}")
            there = len(placed) - result.migrated
            self.counts[f"migrated by {name}"] -= there
            self.counts["pages that lay on the node already"] += there
            self.counts["migration calls"] += 1

        self.hire(who, migrate)

    # ---- who uses the pages ----------------------------------------------------------------------------------------

    def anyone(self, rng: random.Random) -> int:
        return int(rng.choice(self.library.everyone))

    def judge(self, page: int, seen: object) -> None:
        wrong = np.asarray(seen) != np.uint64(page + MARK * self.version[page])
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            word = int(np.asarray(seen)[first])
            raise TornError(
                f"page {page}, version {self.version[page]}: {int(wrong.sum())} of {len(wrong)} words are foreign; "
                f"word {first} is of page {word % MARK}, version {word // MARK}"
            )

    def read(self, rng: random.Random) -> None:
        """Look up, take a reference, look again, read the whole page."""
        page = self.anyone(rng)
        with self.turn[page]:
            before = self.library.seen(page)
            pfn = held(self.library, page)
            beside = self.running
            seen = self.arena.frames[pfn].copy()
            self.arena.put(pfn)
            self.judge(page, seen)
            self.counts["whole pages read"] += 1
            self.counts["whole pages read beside an exchange"] += bool(beside)
            self.counts["reads of a page that moved, or was on its way, between look-up and reference"] += before != pfn

    def place(self, page: int) -> int:
        """Where it is, once no exchange is trying."""
        while (pfn := self.library.seen(page)) < 0:
            time.sleep(0)
        return pfn

    def unlocked(self, call: Callable[[], T]) -> T:
        """Again until no exchange has the page locked: one that has will see our reference, and let it go."""
        while True:
            try:
                return call()
            except ArenaError:  # on a busy machine also after seconds: a deadlock is what nobody comes out of
                self.counts["calls that met a lock"] += 1
                time.sleep(0)

    def write(self, rng: random.Random) -> None:
        """Write a whole page under a reference."""
        page = self.anyone(rng)
        with self.turn[page]:
            pfn = held(self.library, page)
            self.version[page] += 1
            self.arena.frames[pfn] = page + MARK * self.version[page]
            self.arena.put(pfn)
            self.counts["pages written"] += 1

    def mark(self, rng: random.Random) -> None:
        """`dirty` is the page's: it goes with it."""
        page = self.anyone(rng)
        with self.turn[page]:
            pfn = held(self.library, page)
            change = self.arena.clear_flags if page in self.dirty else self.arena.set_flags
            self.unlocked(lambda: change(pfn, self.bit["dirty"]))
            self.arena.put(pfn)
            self.dirty ^= {page}
            self.counts["dirty set or cleared"] += 1

    def wait(self, rng: random.Random) -> None:
        """`waiters` is the frame's, whoever has it locked."""
        pfn = rng.choice((self.anyone(rng), rng.randrange(self.arena.nframes)))
        if pfn in self.waiters:
            self.arena.clear_flags(pfn, self.bit["waiters"])
        else:
            self.arena.set_flags(pfn, self.bit["waiters"])
        self.waiters ^= {pfn}
        self.counts["waiters set or cleared"] += 1

    def touch(self, rng: random.Random) -> None:
        """`referenced` is the page's, and is set on all without a reference: no exchange may put back what was."""
        self.referenced = not self.referenced
        change = self.arena.set_flags if self.referenced else self.arena.clear_flags
        # All frames, the free ones too, or a page would go from one that is not locked yet to one that has been done.
        self.unlocked(lambda: change(np.arange(self.arena.nframes), self.bit["referenced"]))
        time.sleep(rng.choice((0, 0.001, 0.01)))
        for page in rng.sample(self.library.everyone.tolist(), 40):
            pfn = held(self.library, page)
            found = bool(self.arena.flags[pfn] & self.bit["referenced"])
            self.arena.put(pfn)
            if found != self.referenced:
                was = "set" if self.referenced else "cleared"
                raise AssertionError(f"`referenced` was {was}, and at page {page} it is not")
        self.counts["referenced set or cleared"] += 1

    def truncate(self, rng: random.Random) -> None:
        """Take a page out of its file, and put it in at another place."""
        page = rng.choice(self.library.files)
        with self.turn[page]:
            mapping, index = self.library.place[page]
            pfn = held(self.library, page)
            dirty = page in self.dirty
            if dirty:  # as a truncation does: clean first
                self.unlocked(lambda: self.arena.clear_flags(pfn, self.bit["dirty"]))
            place = mapping, 100_000 + page * 97 + self.counts["pages taken out and put in elsewhere"] % 90
            with self.unplaced:
                removed = self.unlocked(lambda: self.arena.cache_remove(mapping, index))
                if removed != pfn:
                    raise AssertionError(f"page {page}, looked up in frame {pfn}, was taken out of frame {removed}")
                self.unlocked(lambda: self.arena.cache_add(mapping, place[1], pfn))
            if dirty:
                self.unlocked(lambda: self.arena.set_flags(pfn, self.bit["dirty"]))
            self.library.place[page] = place
            self.arena.put(pfn)
            self.counts["pages taken out and put in elsewhere"] += 1

    def write_back(self, rng: random.Random) -> None:
        """Begun under the page's lock, as in Linux; from then on it stays until it is over."""
        page = self.anyone(rng)
        with self.turn[page]:
            pfn = held(self.library, page)
            if not self.arena.lock(pfn):
                self.arena.put(pfn)
                return
            self.arena.set_flags(pfn, self.bit["writeback"])
            self.arena.unlock(pfn)
            self.arena.put(pfn)
            time.sleep(rng.choice((0, 0, 0.001)))
            if self.place(page) != pfn:
                raise AssertionError(f"page {page} moved while it was written back from frame {pfn}")
            self.arena.clear_flags(pfn, self.bit["writeback"])
            self.counts["write-backs"] += 1

    def pin(self, rng: random.Random) -> None:
        """A pinned page stays where it is, without a reference."""
        page = self.anyone(rng)
        with self.turn[page]:
            pfn = held(self.library, page)
            try:
                self.arena.pin(pfn)
            except ArenaFullError:
                self.arena.put(pfn)
                return
            self.arena.put(pfn)
            time.sleep(rng.choice((0, 0, 0.001)))
            if self.place(page) != pfn:
                raise AssertionError(f"page {page} moved while it was pinned in frame {pfn}")
            self.judge(page, self.arena.frames[pfn])
            self.arena.unpin(pfn)
            self.counts["pins"] += 1

    def lock(self, rng: random.Random) -> None:
        """A page that is locked where it was found stays there until it is unlocked."""
        page = self.anyone(rng)
        with self.turn[page]:
            pfn = self.library.seen(page)
            try:
                if pfn < 0 or not self.arena.lock(pfn):
                    return
            except ValueError:  # the page has left it, and it is free
                self.counts["locks of a frame that was free by then"] += 1
                return
            if self.library.seen(page) == pfn:
                time.sleep(rng.choice((0, 0, 0.001)))
                self.judge(page, self.arena.frames[pfn])
                if self.place(page) != pfn:
                    raise AssertionError(f"page {page} moved while it was locked in frame {pfn}")
                self.counts["locks"] += 1
            self.arena.unlock(pfn)

    def come(self, rng: random.Random) -> None:
        """Pages that live for a moment: they change the free lists and the trees that slots are found in.

        Until it is in the file the page has no name but its frame's, and whoever has that from an earlier page may move
        it: so what is added is any page without a place. There is one, and frames that a call has taken.
        """
        order = rng.choice((0, 0, 0, 2))
        try:
            pfn = int(self.arena.alloc(rng.randrange(2), 1, order)[0])
        except ArenaFullError:  # the others have them
            self.counts["allocations refused"] += 1
            return
        index = MOMENT + 8 * rng.randrange(5000)
        mapping = self.library.pages.mappings[1]
        while not self.added(mapping, index, pfn):
            self.counts["new pages that were moved before they had a place"] += 1
            raw = (self.arena.entries["state"] == f.USED) & (self.arena.entries["mapping"] == 0)
            found = np.flatnonzero(raw & (self.arena.entries["order"] == order)).tolist()
            pfn = rng.choice(found or [pfn])
            time.sleep(0)
        if self.unlocked(lambda: self.arena.cache_remove(mapping, index)) < 0:
            raise AssertionError(f"index {index} has lost its page")
        self.counts["pages that came and went"] += 1

    def added(self, mapping: int, index: int, pfn: int) -> bool:
        """Whether there was a page in this frame that could be added: not a free frame, and not another one's page."""
        with self.unplaced:
            try:
                self.arena.cache_add(mapping, index, pfn)
            except (ArenaError, ValueError):
                return False
        return True

    def map_again(self, rng: random.Random) -> None:
        """Map a page of a file: who has a reference finds it in one frame by either way; and unmap it."""
        page = rng.choice(self.library.files)
        space, vpn = self.library.pages.spaces[0], 2_000_000 + page
        with self.turn[page]:
            pfn = held(self.library, page)
            self.unlocked(lambda: self.arena.map(space, vpn, pfn))
            self.arena.put(pfn)
            time.sleep(rng.choice((0, 0, 0.001)))
            pfn = held(self.library, page)
            mapped = self.arena.translate(space, vpn)
            self.arena.put(pfn)
            if mapped != pfn:
                raise AssertionError(f"page {page}, in frame {pfn} by its file, is mapped in frame {mapped}")
            self.unlocked(lambda: self.arena.unmap(space, vpn))
            self.counts["pages mapped and unmapped"] += 1

    # ---- the controls ----------------------------------------------------------------------------------------------

    def tear(self, rng: random.Random) -> None:
        """An exchange by hand, without a lock, half a page at a time, and back."""
        frames = self.arena.frames
        a, b = rng.sample(self.library.everyone.tolist(), 2)
        for half in (slice(0, 256), slice(256, 512)) * 2:
            kept = frames[a, half].copy()
            frames[a, half] = frames[b, half]
            time.sleep(0)
            frames[b, half] = kept
        self.counts["exchanges by hand"] += 1

    def carry(self, rng: random.Random) -> None:
        """A migration by hand that does not freeze its page: what is written after the copy is lost."""
        page = rng.choice(self.library.files)
        (mapping, index), arena = self.library.place[page], self.arena
        new = int(arena.alloc(rng.randrange(2), 1)[0])
        arena.frames[new] = arena.frames[self.place(page)]
        time.sleep(0)
        self.unlocked(lambda: arena.cache_remove(mapping, index))
        arena.cache_add(mapping, index, new)
        self.counts["migrations by hand"] += 1

    def write_stale(self, name: str, rng: random.Random) -> None:
        """Write a bit of some pages or frames as it was a moment before, without waiting for a turn."""

        def bit(one: int, write: bool | None = None) -> bool:
            pfn = held(self.library, one) if name == "dirty" else one
            if write is not None:
                (self.arena.set_flags if write else self.arena.clear_flags)(pfn, self.bit[name])
            found = bool(self.arena.flags[pfn] & self.bit[name])
            if name == "dirty":
                self.arena.put(pfn)
            return found

        some = rng.sample(self.library.everyone.tolist(), 40)
        before = {one: bit(one) for one in some}
        time.sleep(0.001)
        for one, was in before.items():
            bit(one, was)
        self.counts["stale bits written"] += len(some)

    def cross(self, mine: int, other: int, both: threading.Barrier) -> None:
        """Lock one page, and when somebody has locked the other one, wait for that."""
        assert self.arena.lock(mine)
        both.wait()
        while not self.arena.lock(other):
            time.sleep(0.001)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Nothing is held, everything adds up, no frame is lost, and each page is whole and has its flag."""
        self.check_pages()
        arena = self.arena
        for page in self.library.everyone.tolist():
            pfn = self.library.at(page)
            if bool(arena.flags[pfn] & self.bit["dirty"]) != (page in self.dirty):
                raise AssertionError(f"page {page} in frame {pfn}: its bit `dirty` was lost or came from elsewhere")
        waiters = set(np.flatnonzero(arena.flags & self.bit["waiters"]).tolist())
        if waiters != self.waiters:
            raise AssertionError(f"`waiters` lost at {self.waiters - waiters}, too many at {waiters - self.waiters}")

    def let_go(self) -> None:
        """What a dead process held is its heir's, which has its number: pins, locks, pages that live for a moment."""
        arena, mapping = self.arena, self.library.pages.mappings[1]
        for word in f.read(arena).pins[0].tolist():
            for _ in range(word >> 32 & 0x7FFFFFFF):
                (arena.unpin if word >> 63 else arena.put)((word & 0xFFFFFFFF) - 1)
        for pfn in np.flatnonzero(arena.entries["owner"]).tolist():
            arena.unlock(pfn)
        of_files = (arena.entries["mapping"] != 0) & (arena.entries["mapping"] & 3 == 0)
        for index in arena.entries["index"][of_files & (arena.entries["index"] >= MOMENT)].tolist():
            arena.cache_remove(mapping, index)
        arena.free(np.flatnonzero((arena.entries["state"] == f.USED) & (arena.entries["mapping"] == 0)))

    def check_pages(self) -> None:
        """What must hold after a death as well."""
        found = check(self.arena)
        if found:
            raise AssertionError("\n".join(str(one) for one in found[:20]))
        for page in self.library.everyone.tolist():
            self.judge(page, self.arena.frames[self.library.at(page)])
        used = np.count_nonzero(self.arena.entries["state"] != f.FREE)
        if used != 2 * N or not resting(self.arena):
            raise AssertionError(f"{2 * N} pages in {used} frames that are not free; at rest: {resting(self.arena)}")


def torture(seconds: float, seed: int, enough: Mapping[str, int] | None = None) -> Counter[str]:
    """Everybody for some seconds, or until enough was done; what they did. Raises what they found."""
    made = Torture(seed)
    made.everybody()
    made.run(seconds, enough)
    made.check()
    return made.counts


def mortal(seed: int, path: Path) -> None:
    """Everybody who is mortal, until this process is killed; a dot on stdout when they are under way."""
    made = Torture(seed, path=path)
    made.everybody(mortal=True)
    for thread in made.threads:
        thread.start()
    while not made.stop.wait(0.01):
        if made.counts["exchange calls"] > 20 and made.counts["migration calls"] > 20:
            print(".", end="", flush=True)
    os._exit(1)


def killed(seed: int, path: Path) -> None:
    """Everybody who is mortal in a process that is killed; the arena that it leaves is recovered and judged."""
    # Not by fork: under the thread sanitizer a fork of several threads starts none.
    code = f"from pathlib import Path; from tests.torture import mortal; mortal({seed}, Path({str(path)!r}))"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        under_way = process.stdout.read(1)
        time.sleep(random.Random(seed).random() / 10)
        process.kill()
    if not under_way or process.returncode != -signal.SIGKILL:
        raise AssertionError(f"the process ended before it was killed, seed {seed}")
    survivor = Torture(seed)
    uuid = f.read(survivor.arena).header["uuid"].copy()
    survivor.arena.memory[:] = np.fromfile(path, np.uint8)
    f.read(survivor.arena).header["uuid"] = uuid
    survivor.arena.recover()
    survivor.let_go()
    survivor.check_pages()


def control_torn(seconds: float, seed: int) -> str:
    """Readers beside an exchange by hand: what a reader saw, or an empty string."""
    made = Torture(seed)
    made.exchanger("exchanger", "list-exchange", "async", 1)
    for number in range(READERS):
        made.hire(f"reader {number}", made.read)
    made.hire("by hand", made.tear)
    try:
        made.run(seconds)
    except TornError as seen:
        return f"{seen} (after {made.counts['whole pages read']} reads, {made.counts['exchanges by hand']} by hand)"
    return ""


def control_unfrozen(seconds: float, seed: int) -> str:
    """Readers and a writer beside a migration by hand: what was seen, or an empty string."""
    made = Torture(seed)
    for number in range(READERS):
        made.hire(f"reader {number}", made.read)
    made.hire("writer", made.write)
    made.hire("by hand", made.carry)
    try:
        made.run(seconds)
    except TornError as seen:
        return f"{seen} (after {made.counts['pages written']} writes, {made.counts['migrations by hand']} by hand)"
    return ""


def control_bit(name: str, seconds: float, seed: int) -> str:
    """Who sets the bit beside one who writes it as it was: what he or the check at the end said, or an empty string."""
    made = Torture(seed)
    made.exchanger("exchanger", "list-exchange", "async", 1)
    made.hire("setter", {"dirty": made.mark, "waiters": made.wait, "referenced": made.touch}[name])
    made.hire("stale", lambda rng: made.write_stale(name, rng))
    try:
        made.run(seconds, {f"{name} set or cleared": 500, "stale bits written": 2000})
        made.check()
    except AssertionError as seen:
        return str(seen)
    return ""


def control_deadlock(seconds: float, seed: int) -> str:
    """Two who wait for each other: how the run ended, or an empty string. stderr has who it was that did not go on."""
    made = Torture(seed, patience=3.0)
    a, b = made.library.everyone[:2].tolist()
    both = threading.Barrier(2)
    for mine, other in ((a, b), (b, a)):
        made.hire(f"holder of {mine}", lambda rng, mine=mine, other=other: made.cross(mine, other, both))  # type: ignore[misc]
    try:
        made.run(seconds)
    except SystemExit as seen:
        return f"the run ended with status {seen.code}"
    finally:  # let them go, so that this process can go on
        made.stop.set()
        for pfn in (a, b):
            made.arena.unlock(pfn)
    return ""


CONTROLS: dict[str, Callable[[float, int], str]] = {
    "torn": control_torn,
    "unfrozen": control_unfrozen,
    "dirty": partial(control_bit, "dirty"),
    "waiters": partial(control_bit, "waiters"),
    "referenced": partial(control_bit, "referenced"),
    "deadlock": control_deadlock,
}
"""Each plants a fault, and says how it was seen."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="torture", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--control", action="store_true", help="plant faults, each of which must be seen")
    parser.add_argument("--deaths", type=int, default=0, help="kill a process so many times, instead")
    chosen = parser.parse_args()
    seed = random.randrange(1 << 31) if chosen.seed is None else chosen.seed
    print(f"seed {seed}, {chosen.seconds:g} s, Python {sys.version.split()[0]}", flush=True)
    sys.setswitchinterval(0.0005)
    if chosen.control:
        found = {name: control(chosen.seconds, seed) for name, control in CONTROLS.items()}
        for name, seen in found.items():
            print(f"control {name}: {seen or 'nobody saw anything'}")
        return 0 if all(found.values()) else 1
    for number in range(chosen.deaths):
        with tempfile.TemporaryDirectory() as folder:
            killed(seed + number, Path(folder) / "arena")
    if chosen.deaths:
        print(f"{chosen.deaths} deaths: no page lost, no frame lost, nothing held")
        return 0
    for what, count in sorted(torture(chosen.seconds, seed).items()):
        print(f"{count:12,}  {what}")
    print("nothing lost, nothing torn, nobody waits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
