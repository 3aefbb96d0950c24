"""All at once, for as long as you like: exchangers, readers, writers, truncation, write-back, pins, locks, flags.

`make torture` (two minutes; `SECONDS=600`, `SEED=7`). Whatever a thread finds wrong ends it with exit status 1 and
the seed; a thread that does not go on is a deadlock: all stacks are printed and the status is 2. At the end the oracle
counts everything again and each page is looked up and compared as a whole. What was done is printed, so that a run
that did nothing is seen.

`--control` is the proof that it would be seen. One after the other: a thread exchanges two pages by hand and takes no
lock; one writes `dirty`, one `waiters`, one `referenced`, as it read them a moment before; two lock two pages, each the
other's second. A reader must see foreign bytes, the check at the end or who had set them lost bits, the watchdog the
deadlock; then the status is 0.
"""

import argparse
import errno
import faulthandler
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import numpy as np

from pagexchange.errors import ArenaError, ArenaFullError
from tests.core.library import WATCHDOG, Library, held
from tests.core.pages import strategy

EXCHANGERS = (
    ("list-exchange", "async", 1), ("list-exchange", "sync", 3), ("word-swap", "sync-light", 2),
    ("copy-page", "async", 2), ("copy-page", "sync", 1), ("two-pass", "sync", 1), ("numpy", "async", 1),
    ("rfc-2019", "sync-light", 1),
)  # fmt: skip
"""Strategy, mode, threads of each of the exchangers."""
STATUSES = {0, -errno.EAGAIN, -errno.EBUSY, -errno.ETIMEDOUT, -errno.ENOMEM}
"""ENOMEM: no frame for a temporary page; the others: somebody has the page."""
READERS, MARK = 3, 1 << 32
T = TypeVar("T")


class TornError(AssertionError):
    """A page showed bytes that are not its own."""


class Torture:
    """The library and everybody who works in it; each thread counts what it did."""

    def __init__(self, seed: int, patience: float = WATCHDOG) -> None:
        self.library = Library(workers=32)
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

    def everybody(self) -> None:
        for number, (name, mode, threads) in enumerate(EXCHANGERS):
            self.exchanger(f"exchanger {number} ({name}, {mode}, {threads})", name, mode, threads)
        for number in range(READERS):
            self.hire(f"reader {number}", self.read)
        for work in (self.write, self.mark, self.wait, self.touch, self.truncate, self.write_back, self.pin, self.lock,
                     self.come):  # fmt: skip
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
            if thread.is_alive():
                self.deadlock(thread.name, "does not end when it is told to")
        for error in self.errors:
            raise error

    def deadlock(self, name: str, why: str) -> None:
        print(f"{name!r} {why}: a deadlock. seed {self.seed}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(all_threads=True)
        raise SystemExit(2)

    # ---- who exchanges ---------------------------------------------------------------------------------------------

    def exchanger(self, who: str, name: str, mode: str, threads: int) -> None:
        bound = strategy(self.arena, name, mode, timeout=5.0)  # type: ignore[arg-type]

        def exchange(rng: random.Random) -> None:
            pairs = self.library.shuffled(rng.randrange(1 << 30))[: rng.choice((1, 2, 20, 160))]
            pairs = rng.choice((pairs, pairs[::-1], pairs[:, ::-1]))
            order = rng.choice(("independent", "independent", "sequential"))
            if order == "sequential":
                pairs = np.concatenate([pairs, pairs[:5, ::-1]])
            self.running += 1
            result = bound.exchange(pairs, order=order, threads=threads)  # type: ignore[arg-type]
            self.running -= 1
            for status, count in zip(*np.unique(result.status, return_counts=True), strict=True):
                code = int(status)
                if code not in STATUSES:
                    raise AssertionError(f"{who}: {int(count)} pairs with {errno.errorcode.get(-code, code)}")
                self.counts[f"refused {errno.errorcode[-code]}" if code else f"exchanged by {name}"] += int(count)
            self.counts["exchange calls"] += 1

        self.hire(who, exchange)

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
        pfn = self.anyone(rng)
        if pfn in self.waiters:
            self.arena.clear_flags(pfn, self.bit["waiters"])
        else:
            self.arena.set_flags(pfn, self.bit["waiters"])
        self.waiters ^= {pfn}
        self.counts["waiters set or cleared"] += 1

    def touch(self, rng: random.Random) -> None:
        """`referenced` is the page's, and is set on all without a reference: no exchange may put back what was."""
        self.referenced = not self.referenced
        everyone = self.library.everyone
        change = self.arena.set_flags if self.referenced else self.arena.clear_flags
        self.unlocked(lambda: change(everyone, self.bit["referenced"]))
        time.sleep(rng.choice((0, 0.001, 0.01)))
        wrong = ((self.arena.flags[everyone] & self.bit["referenced"]) != 0) != self.referenced
        if wrong.any():
            was = "set" if self.referenced else "cleared"
            raise AssertionError(f"`referenced` was {was}, and at {int(wrong.sum())} pages it is not")
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
            removed = self.unlocked(lambda: self.arena.cache_remove(mapping, index))
            if removed != pfn:
                raise AssertionError(f"page {page}, looked up in frame {pfn}, was taken out of frame {removed}")
            place = mapping, 100_000 + page * 97 + self.counts["pages taken out and put in elsewhere"] % 90
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
            if pfn < 0 or not self.arena.lock(pfn):
                return
            if self.library.seen(page) == pfn:
                time.sleep(rng.choice((0, 0, 0.001)))
                self.judge(page, self.arena.frames[pfn])
                if self.place(page) != pfn:
                    raise AssertionError(f"page {page} moved while it was locked in frame {pfn}")
                self.counts["locks"] += 1
            self.arena.unlock(pfn)

    def come(self, rng: random.Random) -> None:
        """Pages that live for a moment: they change the free lists and the trees that slots are found in."""
        order = rng.choice((0, 0, 0, 2))
        try:
            pfn = int(self.arena.alloc(rng.randrange(2), 1, order)[0])
        except ArenaFullError:  # the temporary pages have them
            self.counts["allocations refused"] += 1
            return
        index = 1_000_000 + 8 * rng.randrange(5000)
        mapping = self.library.pages.mappings[1]
        self.arena.cache_add(mapping, index, pfn)  # in no list: nobody locks it
        if self.arena.cache_remove(mapping, index) != pfn:
            raise AssertionError(f"index {index} held another frame than {pfn}")
        self.counts["pages that came and went"] += 1

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
        """Nothing is held, everything adds up, and each page is whole and has its flag."""
        from pagexchange.oracle import check

        arena = self.arena
        found = check(arena)
        if found:
            raise AssertionError("\n".join(str(one) for one in found[:20]))
        for page in self.library.everyone.tolist():
            pfn = self.library.at(page)
            self.judge(page, arena.frames[pfn])
            if bool(arena.flags[pfn] & self.bit["dirty"]) != (page in self.dirty):
                raise AssertionError(f"page {page} in frame {pfn}: its bit `dirty` was lost or came from elsewhere")
        waiters = set(np.flatnonzero(arena.flags & self.bit["waiters"]).tolist())
        if waiters != self.waiters:
            raise AssertionError(f"`waiters` lost at {self.waiters - waiters}, too many at {waiters - self.waiters}")


def torture(seconds: float, seed: int, enough: Mapping[str, int] | None = None) -> Counter[str]:
    """Everybody for some seconds, or until enough was done; what they did. Raises what they found."""
    made = Torture(seed)
    made.everybody()
    made.run(seconds, enough)
    made.check()
    return made.counts


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
    chosen = parser.parse_args()
    seed = random.randrange(1 << 31) if chosen.seed is None else chosen.seed
    print(f"seed {seed}, {chosen.seconds:g} s, Python {sys.version.split()[0]}", flush=True)
    sys.setswitchinterval(0.0005)
    if chosen.control:
        found = {name: control(chosen.seconds, seed) for name, control in CONTROLS.items()}
        for name, seen in found.items():
            print(f"control {name}: {seen or 'nobody saw anything'}")
        return 0 if all(found.values()) else 1
    for what, count in sorted(torture(chosen.seconds, seed).items()):
        print(f"{count:12,}  {what}")
    print("nothing lost, nothing torn, nobody waits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
