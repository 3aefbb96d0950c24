"""Programs of calls of the real API, each made on a real arena and on the reference; after each step both are compared.

A frame's number is wrapped (`Pfn`), so that a failing program names it after the call that it came from.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, precondition, rule

from pagexchange import Arena, oracle
from pagexchange.arena.strategy import Strategy
from pagexchange.errors import ArenaError, ArenaFullError
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.host.built import BuiltStrategy
from pagexchange.model.config import Config
from pagexchange.model.layout import Field, Flag, Layout
from pagexchange.model.statuses import errno_name
from pagexchange.oracle import format as oracle_format
from pagexchange_native.xarray.array import XArray
from tests.model import compare
from tests.model import reference as ref

HERE: Final = Path(__file__).parent
SHAPES: Final = {
    "small": [("fast", 24), ("slow", 40)],
    "uneven": [("fast", 13), ("slow", 29), ("far", 7)],  # blocks that end in the middle of a larger one
    "large": [("fast", 192), ("slow", 208)],  # room for two folios of two page tables each
}
LAYOUTS: Final = {
    "linux-6.18": Layout.load("linux-6.18"), "linux-5.0": Layout.load("linux-5.0"),
    "small": Layout.load(HERE / "small.toml"),
}  # fmt: skip
WATERMARKS: Final = (2, 4, 6)
TEMP: Final = ref.Strategy(data=("temp",))
STRATEGIES: Final = {
    "list-exchange": ref.Strategy(), "word-swap": ref.Strategy(), "two-pass": ref.Strategy(), "numpy": ref.Strategy(),
    "rfc-2019": ref.Strategy(flags="list of 2019"), "whole-word": ref.Strategy(flags="whole word"),
    "copy-page": TEMP, "per-worker": ref.Strategy(data=("temp per worker",)),
    "chain": ref.Strategy(data=("temp", "in place")),
}  # fmt: skip
MIGRATING: Final = {
    "migrate": ref.Strategy(), "migrate-in-python": ref.Strategy(),
    "migrate-past-the-caches": ref.Strategy(flags="list of 2019"),
}  # fmt: skip
MAPPINGS: Final = [("file", False, "migrate"), ("shm", True, "migrate"), ("plain", False, "none"),
                   ("fixed", False, "unmovable"), ("other", False, "migrate")]  # fmt: skip
FILE_NAMES: Final = [name for name, _, _ in MAPPINGS]
POSITIONS: Final = (0, 1, 2, 3, 4, 5, 8, 16, 24, 56, 62, 63, 64, 65, 128, 256, 1 << 20, (1 << 20) + 128)
PLACES: Final = tuple(range(1024, 1024 + 128 * 16, 128))
"""Of the pages that an arena begins with."""
ERRORS: Final[dict[str, type[Exception]]] = {
    "value": ValueError, "index": IndexError, "lookup": LookupError, "busy": ArenaError, "full": ArenaFullError,
}  # fmt: skip
NEVER: Final = ("locked", "node", "zone", "head", "private", "hwpoison")
"""Bits that only the arena itself may set, or that have a rule of their own."""


def step(**arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """A rule after which the whole arena is compared."""

    def decorate(call: Callable[..., Any]) -> Any:
        @functools.wraps(call)
        def run(self: Machine, **values: Any) -> Any:
            self.sound = False
            result = call(self, **values)
            compare.compare(self.real, self.model, self.seen)
            self.sound = True
            return result

        return rule(**arguments)(run)

    return decorate


WAYS = ("writeback", "private_2", "reserved", "slab", "nailed", "partially_mapped", "has_hwpoisoned")
"""Flags that stand in the way of an exchange until somebody clears them."""


class Pfn(int):
    """A frame's number that is not the same object as any other number."""


@cache
def contents(number: int) -> bytes:
    """4096 bytes like no others."""
    return random.Random(number).randbytes(4096)


def word_of(layout: Layout) -> ref.Word:
    """What the reference must know about a layout, from its data."""
    policy: list[Any] = ["stay"] * 64
    parts: list[Flag | Field] = [*layout.flags, *layout.fields]
    for part in parts:
        for bit in bits_of(part.mask):
            policy[bit] = part.policy
    return ref.Word(
        tuple(policy),
        {name: bits_of(mask) for name, mask in layout.masks().items()},
        bits_of(layout.tail_mask("swap")),
        bits_of(layout.tail_mask("refuse")),
        bits_of(layout.waited_for),
    )


def bits_of(mask: int) -> frozenset[int]:
    return frozenset(bit for bit in range(64) if mask >> bit & 1)


@cache
def config() -> tuple[Config, Config, PagexchangeHost]:
    return read.load(), read.load(HERE / "strategies.toml"), PagexchangeHost()


@cache
def built(name: str, layout: str, shape: str) -> BuiltStrategy:
    """A strategy; built once for arenas that do not differ in anything that a plug-in may ask."""
    shipped, ours, host = config()
    spec = ours.strategy(name) if name in ours.strategies else shipped.strategy(name)
    with Arena.create(SHAPES[shape], layout=LAYOUTS[layout], workers=1) as arena:
        return host.build(spec, arena)


KINDS = st.sampled_from(["anon", "shared", "raw", "file", *FILE_NAMES])
EXTRAS = st.sampled_from(["", "", "", "", "", "private", "dirty", "swapcache", "writeback", "locked", "workingset"])
LAYOUT_NAMES = st.sampled_from(list(LAYOUTS))
NODES = st.sampled_from(["fast", "slow"])
ORDERS = st.sampled_from([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 7, 7])
FILES = st.integers(0, len(MAPPINGS) - 1)
SPACES = st.integers(0, 1)
WHERE = st.sampled_from(POSITIONS + PLACES[:4])
NAMES = st.sampled_from(["list-exchange", "word-swap", *STRATEGIES])
COPYING = st.sampled_from(list(MIGRATING))
THREADS = st.sampled_from([1, 1, 1, 2])
SCARCE = st.sampled_from([0, 0, 0, 0, 1, 2, 3])
MODES = st.sampled_from(["async", "async", "sync-light", "sync"])


class Machine(RuleBasedStateMachine):
    """An arena and its reference."""

    frames: Bundle[Pfn] = Bundle("frame")
    any_frame = st.one_of(frames, frames, frames, st.integers(-1, 64))
    pairs = st.lists(st.tuples(any_frame, any_frame), min_size=2, max_size=8)

    def __init__(self) -> None:
        super().__init__()
        self.arena: Arena | None = None
        self.sound = True

    @initialize(
        target=frames,
        layout=LAYOUT_NAMES,
        shape=st.sampled_from(["small", "small", "uneven", "large"]),
        pages=st.lists(st.tuples(KINDS, NODES, ORDERS, EXTRAS), min_size=4, max_size=16),
    )
    def create(self, layout: str, shape: str, pages: list[tuple[str, str, int, str]]) -> Any:
        """An arena with a few pages; each lies at a position of its own."""
        self.stamps = 0
        self.seen: set[tuple[int, int]] = set()
        self.begin(layout, shape)
        made: list[Pfn] = []
        for k, (kind, node, order, extra) in enumerate(sorted(pages, key=lambda page: -page[2])):
            place = PLACES[k]
            for pfn in self.take(node, order, 1):
                made.append(pfn)
                if kind in FILE_NAMES:
                    self.add(FILE_NAMES.index(kind), place, pfn)
                if kind == "shared":
                    self.map_at(1 - k % 2, place, pfn, False)
                if kind in ("anon", "shared", "shm"):
                    self.map_at(k % 2, place, pfn, k % 3 > 0)
                if extra == "private":
                    self.attach(pfn, (1 << 64) - 1 - k)
                elif extra == "locked":
                    self.agree(lambda pfn=pfn: self.real.lock(pfn), lambda pfn=pfn: self.model.lock(pfn))  # type: ignore[misc]
                else:
                    self.change(pfn, self.model.word.bits(extra), True)
        return multiple(*made)

    def begin(self, layout: str, shape: str) -> None:
        """An arena and a reference with files and address spaces, and no page."""
        self.names = (layout, shape)
        self.layout = LAYOUTS[layout]
        self.real = self.arena = Arena.create(
            SHAPES[shape], layout=self.layout, workers=2, mappings=len(MAPPINGS), spaces=2, watermarks=WATERMARKS
        )
        self.model = ref.Arena(SHAPES[shape], word_of(self.layout), WATERMARKS)
        for name, shmem, aops in MAPPINGS:
            self.real.new_mapping(name, shmem=shmem, aops=aops)
            self.model.mappings.append(ref.Mapping(shmem, aops))
        for name in ("one", "two"):
            self.real.new_space(name)
            self.model.spaces.append({})

    def end(self) -> None:
        compare.faces(self.real, self.model)
        self.check()
        self.real.close()

    def teardown(self) -> None:
        if self.arena is not None and self.sound:  # else the step has said what is wrong
            self.end()

    # ---- another layout ----------------------------------------------------------------------------------------------

    @step(layout=LAYOUT_NAMES)
    def change_layout(self, layout: str) -> None:
        """Go on in an arena with another layout: an arena keeps the one that it was made with.

        Each page goes to the same frame there, with its contents, its places, its references and what flags both
        layouts have. What belongs to a frame stays behind: locks, pins, reservations, memory errors.
        """
        old = self.model
        self.end()
        self.begin(layout, self.names[1])
        pages = [page for page in old.pages() if page.frame.state == "used"]
        self.settle(pages)
        for page in pages:
            pfn = page.frame.pfn
            if page.mapping:
                self.add(old.mappings.index(page.mapping), page.index, pfn)
                if old.has(page, "private") and self.model.word.bits("private"):
                    self.attach(pfn, page.private)
            for space, vpn in page.places:
                self.map_at(space, vpn, pfn, old.spaces[space][vpn].write)
            mine = old.find(pfn, long=False)
            for _ in range(mine.times if mine else 0):
                self.agree(lambda pfn=pfn: self.real.get(pfn), lambda pfn=pfn: self.model.get(pfn))  # type: ignore[misc]
            names = [name for name, bits in old.word.named.items() if bits & page.bits]
            bits = self.model.word.bits(*names) - self.model.word.bits(*NEVER)
            self.change(pfn, bits, True)
        for number, file in enumerate(old.mappings):
            for index, marks in file.marks.items():
                for mark in marks:
                    self.mark(number, index, mark)

    def settle(self, pages: list[ref.Page]) -> None:
        """Allocate just these folios: all frames first, and of those again what belongs to a folio of many."""
        for node in self.model.nodes:
            rest = set(self.real.alloc(node.name, node.frames).tolist())
            for page in pages:
                if page.frame.node.number != node.number:
                    continue
                frames = range(page.frame.pfn, page.frame.pfn + page.size)
                rest.difference_update(frames)
                if page.order:
                    self.real.free(list(frames))
                    assert self.real.alloc(node.name, 1, page.order).tolist() == [page.frame.pfn]
                for pfn, data in zip(frames, page.data, strict=True):
                    self.real.frames[pfn] = np.frombuffer(data, np.uint64)
                self.model.alloc(node, [page.frame.pfn], page.order, [page.data])
            self.real.free(sorted(rest))

    # ---- how the two are compared ------------------------------------------------------------------------------------

    def agree(self, real: Callable[[], Any], model: Callable[[], Any], *, scarce: int = 0) -> Any:
        """Both do it, and answer the same or refuse it in the same way.

        `scarce`: the n-th allocation of anything fails. Then the call may say so, and must have changed nothing.
        """
        error: Exception | None = None
        answer = None
        self.real.fail_alloc = scarce
        try:
            answer = real()
        except (ArenaError, ValueError, LookupError) as raised:
            error = raised
        self.real.fail_alloc = 0
        if scarce and isinstance(error, ArenaFullError):
            return None
        try:
            want = model()
        except ref.Refused as refused:
            kind = ERRORS[refused.kind]
            assert type(error) is kind, f"must raise {kind.__name__}: answered {answer!r}, raised {error!r}"
            return None
        assert error is None, f"must answer {want!r}: raised {error!r}"
        assert answer == want, f"must answer {want!r}: {answer!r}"
        return answer

    def check(self) -> None:
        """The oracle, which knows nothing of the reference, finds the arena sound."""
        held = self.model.pins or self.model.short_pins or any(
            frame.owned or frame.bits & self.model.word.bits("locked") for frame in self.model.frames
        )  # fmt: skip
        wrong = [str(one) for one in oracle.check(self.real, at_rest=not held)]
        assert wrong == [], "\n".join(wrong)

    def page(self, pfn: int) -> ref.Page | None:
        """The page that starts in a frame in use."""
        frame = self.model.frames[pfn] if 0 <= pfn < len(self.model.frames) else None
        return frame.page if frame and frame.state == "used" else None

    # ---- frames ------------------------------------------------------------------------------------------------------

    @step(target=frames, node=NODES, order=ORDERS, n=st.integers(1, 4), scarce=SCARCE)
    def alloc(self, node: str, order: int, n: int, scarce: int) -> Any:
        return multiple(*self.take(node, order, n, scarce))

    def take(self, node: str, order: int, n: int, scarce: int = 0) -> list[Pfn]:
        """Allocate; each page gets contents of its own."""
        where = next(one for one in self.model.nodes if one.name == node)
        pfns: list[int] = []

        def model() -> int:
            if not self.model.can_alloc(where, n, order):
                raise ref.Refused("full")
            return n

        def real() -> int:
            pfns.extend(self.real.alloc(node, n, order).tolist())
            return len(pfns)

        if self.agree(real, model, scarce=scarce) is None:
            return []
        data = []
        for pfn in pfns:
            data.append([self.stamp() for _ in range(1 << order)])
            for k, page in enumerate(data[-1]):
                self.real.frames[pfn + k] = np.frombuffer(page, np.uint64)
        self.model.alloc(where, pfns, order, data)
        return [Pfn(pfn) for pfn in pfns]

    @step(target=frames, node=NODES, left=st.integers(0, 8))
    def alloc_all_but(self, node: str, left: int) -> Any:
        """Bring a node to its watermarks. One of the frames gets a name."""
        where = next(one for one in self.model.nodes if one.name == node)
        n = self.model.free_frames(where) - left
        return multiple(*self.take(node, 0, n)[:1]) if n > 0 else multiple()

    @step(target=frames, node=NODES)
    def alloc_a_used_frame(self, node: str) -> Any:
        """The free frames carry flags that pages have, of whoever was there before: a new page has none of them."""
        where = next(one for one in self.model.nodes if one.name == node)
        mask = np.uint64(sum(1 << bit for bit in self.model.word.swap - self.model.word.bits("private")))
        free = [frame.pfn for frame in self.model.node_frames(where) if frame.state == "free"]
        if not free:
            return multiple()
        self.real.set_flags(free, mask)
        made = self.take(node, 0, 1)
        self.real.clear_flags([pfn for pfn in free if pfn not in made], mask)
        return multiple(*made)

    def stamp(self) -> bytes:
        self.stamps += 1
        return contents(self.stamps)

    @step(pfn=any_frame)
    def get(self, pfn: int) -> None:
        self.agree(lambda: self.real.get(pfn), lambda: self.model.get(pfn))

    @step(pfn=any_frame)
    def put(self, pfn: int) -> None:
        self.agree(lambda: self.real.put(pfn), lambda: self.model.put(pfn))

    @step(pfns=st.lists(frames, min_size=1, max_size=5))
    def free(self, pfns: list[Pfn]) -> None:
        self.agree(lambda: self.real.free(pfns), lambda: self.model.free(list(pfns)))

    @step(pfn=frames)
    def reserve(self, pfn: int) -> None:
        self.agree(lambda: self.real.reserve_frames([pfn]), lambda: self.model.reserve(pfn))

    @step(pfn=any_frame)
    def lock(self, pfn: int) -> None:
        self.agree(lambda: self.real.lock(pfn), lambda: self.model.lock(pfn))

    @step(pfn=any_frame)
    def unlock(self, pfn: int) -> None:
        self.give_lock(pfn)

    def give_lock(self, pfn: int) -> None:
        self.agree(lambda: self.real.unlock(pfn), lambda: self.model.unlock(pfn))

    @precondition(lambda self: any(frame.owned for frame in self.model.frames))
    @step()
    def unlock_all(self) -> None:
        for frame in self.model.frames:
            if frame.owned:
                self.give_lock(frame.pfn)

    @step(pfn=any_frame, k=st.integers(0, 3))
    def pin(self, pfn: int, k: int) -> None:
        """Any frame of a folio will do."""
        page = self.page(pfn)
        pfn += k % page.size if page else 0
        self.agree(lambda: self.real.pin(pfn), lambda: self.model.pin(pfn))

    @step(pfn=any_frame)
    def unpin(self, pfn: int) -> None:
        self.agree(lambda: self.real.unpin(pfn), lambda: self.model.unpin(pfn))

    @step(pfns=st.lists(frames, max_size=3))
    def pins_of_readers(self, pfns: list[Pfn]) -> None:
        """References of a reader in another process, as it has them for a moment: words of another slot's row."""
        raw = oracle_format.read(self.real)
        pfns = [pfn for pfn in dict.fromkeys(pfns) if self.page(pfn)]
        raw.pin_tops[1] = max(len(pfns), int(raw.pin_tops[1]))
        raw.pins[1] = 0
        raw.pins[1, : len(pfns)] = [pfn + 1 | 1 << 32 for pfn in pfns]
        self.model.short_pins = list(pfns)

    # ---- pages -------------------------------------------------------------------------------------------------------

    @step(pfn=frames)
    def write(self, pfn: int) -> None:
        """New contents for the whole page, as its owner would write them."""
        page = self.page(pfn)
        if page:
            page.data = [self.stamp() for _ in page.data]
            for k, data in enumerate(page.data):
                self.real.frames[pfn + k] = np.frombuffer(data, np.uint64)

    @step(pfn=any_frame, pick=st.lists(st.integers(0, 63), min_size=1, max_size=4), on=st.booleans())
    def flags(self, pfn: int, pick: list[int], on: bool) -> None:
        """Set or clear some flags of a page; of a frame without one, only what belongs to frames."""
        never = self.model.word.bits(*NEVER)  # under any name
        names = sorted(name for name, bits in self.model.word.named.items() if not bits & never)
        bits = self.model.word.bits(*(names[k % len(names)] for k in pick))
        frame = self.model.frames[pfn] if 0 <= pfn < len(self.model.frames) else None
        if frame and frame.state == "tail":
            bits |= self.model.word.tail_swap
        elif not self.page(pfn):
            bits -= self.model.word.of_pages  # an exchange may take the frame, and clears these
        self.change(pfn, bits, on)

    @step(pfn=frames, k=st.integers(1, 511), name=st.sampled_from(["partially_mapped", "has_hwpoisoned", "reserved"]),
          on=st.booleans())  # fmt: skip
    def flag_of_a_tail(self, pfn: int, k: int, name: str, on: bool) -> None:
        """Set or clear a flag of a tail that the engine looks at, where the layout has it."""
        page = self.page(pfn)
        if page and page.size > 1:
            self.change(pfn + 1 + k % (page.size - 1), self.model.word.bits(name), on)

    @step(pfn=frames, name=st.sampled_from(["dirty", "swapcache", "locked", *WAYS[:5]]),
          on=st.booleans())  # fmt: skip
    def flag(self, pfn: int, name: str, on: bool) -> None:
        """Set or clear a flag that the engine looks at, where the layout has it."""
        if self.page(pfn):
            self.change(pfn, self.model.word.bits(name), on)

    def change(self, pfn: int, bits: frozenset[int], on: bool) -> None:
        change = self.real.set_flags if on else self.real.clear_flags
        mask = sum(1 << bit for bit in bits)
        self.agree(lambda: change(pfn, np.uint64(mask)), lambda: self.model.change_flags(pfn, bits, on))

    @step(names=st.sets(st.sampled_from(WAYS), min_size=1))
    def clear_everywhere(self, names: set[str]) -> None:
        """What was in the way is over."""
        bits = self.model.word.bits(*names)
        for frame in self.model.frames:
            if frame.bits & bits and not frame.owned:
                self.change(frame.pfn, bits, False)

    @step(pfn=frames, k=st.integers(0, 7))
    def memory_error(self, pfn: int, k: int) -> None:
        """Mark a frame of a folio, as Linux does."""
        page = self.page(pfn)
        if page:
            self.change(pfn + k % page.size, self.model.word.bits("hwpoison"), True)

    @step(pfn=frames)
    def private_by_hand(self, pfn: int) -> None:
        """Private data of a page without a file: the flag and its reference. Nobody can move it."""
        page = self.page(pfn)
        if page and not page.mapping and self.model.word.bits("private") and not self.model.has(page, "private"):
            self.real.entries["refs"][pfn] += 1
            bits = self.model.word.bits("private")
            self.real.flags[pfn] |= np.uint64(sum(1 << bit for bit in bits))  # set_flags() refuses to
            self.model.change_flags(pfn, bits, True)

    # ---- files -------------------------------------------------------------------------------------------------------

    @step(mapping=FILES, index=WHERE, pfn=any_frame, scarce=SCARCE)
    def cache_add(self, mapping: int, index: int, pfn: int, scarce: int) -> None:
        self.add(mapping, index, pfn, scarce)

    def add(self, mapping: int, index: int, pfn: int, scarce: int = 0) -> None:
        self.agree(
            lambda: self.real.cache_add(mapping, index, pfn),
            lambda: self.model.cache_add(mapping, index, pfn),
            scarce=scarce,
        )

    @step(mapping=FILES, index=WHERE)
    def cache_remove(self, mapping: int, index: int) -> None:
        self.remove(mapping, index)

    def remove(self, mapping: int, index: int) -> None:
        self.agree(lambda: self.real.cache_remove(mapping, index), lambda: self.model.cache_remove(mapping, index))

    @step(pfn=frames)
    def remove_page(self, pfn: int) -> None:
        """Take the page of a frame out of its file."""
        page = self.page(pfn)
        if page and page.mapping:
            self.remove(self.model.mappings.index(page.mapping), page.index)

    @step(mapping=FILES, start=WHERE)
    def truncate(self, mapping: int, start: int) -> None:
        """Remove what lies at and behind a position, page by page."""
        for index in sorted(self.model.mappings[mapping].pages):
            if index >= start:
                self.remove(mapping, index)

    @step(pfn=any_frame, value=st.integers(0, 2**64 - 1))
    def set_private(self, pfn: int, value: int) -> None:
        self.attach(pfn, value)

    def attach(self, pfn: int, value: int) -> None:
        values = np.array([value], np.uint64)
        self.agree(lambda: self.real.set_private([pfn], values), lambda: self.model.set_private(pfn, value))

    @step(mapping=FILES, pick=st.integers(0, 9), mark=st.integers(0, 2))
    def set_mark(self, mapping: int, pick: int, mark: int) -> None:
        pages = self.model.mappings[mapping].pages
        if pages:
            self.mark(mapping, sorted(pages)[pick % len(pages)], mark)

    def mark(self, mapping: int, index: int, mark: int) -> None:
        XArray(self.real, mapping).set_mark(index, mark)
        self.model.mappings[mapping].marks[index].add(mark)

    # ---- address spaces ----------------------------------------------------------------------------------------------

    @step(space=SPACES, vpn=WHERE, pfn=any_frame, write=st.booleans(), scarce=SCARCE)
    def map(self, space: int, vpn: int, pfn: int, write: bool, scarce: int) -> None:
        self.map_at(space, vpn, pfn, write, scarce)

    def map_at(self, space: int, vpn: int, pfn: int, write: bool, scarce: int = 0) -> None:
        page = self.page(pfn)
        self.seen |= {(space, vpn + k) for k in ({0, page.size // 2, page.size - 1} if page else {0})}
        self.agree(
            lambda: self.real.map(space, vpn, pfn, write=write),
            lambda: self.model.map(space, vpn, pfn, write),
            scarce=scarce,
        )

    @step(space=SPACES, vpn=WHERE)
    def unmap(self, space: int, vpn: int) -> None:
        self.unmap_at(space, vpn)

    @step(pfn=frames, last=st.booleans())
    def unmap_page(self, pfn: int, last: bool) -> None:
        """Unmap the page of a frame where it was mapped first, or last."""
        page = self.page(pfn)
        if page and page.places:
            self.unmap_at(*page.places[-1 if last else 0])

    @step(pfn=frames, space=SPACES, scarce=SCARCE)
    def map_again(self, pfn: int, space: int, scarce: int) -> None:
        """Map a page as others have it: an anonymous page at its one address, a file's at its position."""
        page = self.page(pfn)
        if page and (page.mapping or page.space is not None):
            self.map_at(space, page.index, pfn, True, scarce)

    def unmap_at(self, space: int, vpn: int) -> None:
        self.agree(lambda: self.real.unmap(space, vpn), lambda: self.model.unmap(space, vpn))

    # ---- exchange ----------------------------------------------------------------------------------------------------

    @step(a=any_frame, b=any_frame, strategy=NAMES, mode=MODES, threads=THREADS)
    def exchange(self, a: int, b: int, strategy: str, mode: Any, threads: int) -> None:
        self.swap([(a, b)], strategy, mode, threads=threads)

    @step(a=frames, pick=st.integers(0, 15), strategy=NAMES, mode=MODES, back=st.booleans())
    def exchange_alike(self, a: int, pick: int, strategy: str, mode: Any, back: bool) -> None:
        """With another page of the same order; and back again."""
        page = self.page(a)
        others = [one.frame.pfn for one in self.model.pages() if page and one is not page and one.order == page.order]
        if others:
            b = others[pick % len(others)]
            note(f"# frames {a} and {b}")
            self.swap([(a, b)], strategy, mode)
            if back:
                self.swap([(b, a)], strategy, mode)

    @step(pairs=pairs, strategy=NAMES, mode=MODES, sequential=st.booleans(), threads=THREADS)
    def exchange_list(
        self, pairs: list[tuple[int, int]], strategy: str, mode: Any, sequential: bool, threads: int
    ) -> None:
        self.swap(pairs, strategy, mode, sequential, threads)

    def swap(
        self, pairs: list[tuple[int, int]], strategy: str, mode: Any, sequential: bool = False, threads: int = 1
    ) -> None:
        facts = STRATEGIES[strategy]
        if facts.data != ("in place",):
            threads = 1  # who of two workers gets the last free frame is nobody's promise
        want = self.model.exchange(pairs, facts, mode, sequential=sequential)
        bound = Strategy(self.real, built(strategy, *self.names), mode, 0.0)
        result = self.real.exchange(pairs, bound, order="sequential" if sequential else "independent", threads=threads)
        status = result.status.tolist()
        names = [errno_name(code) if code else "done" for code in status]
        must = [errno_name(code) if code else "done" for code in want.status]
        assert names == must, f"{names}, must be {must}"
        assert (result.frames_asked, result.frames_got) == (want.asked, want.got)
        named = {name for name, bits in self.model.word.named.items()
                 if bits & want.touched and name not in self.layout.aliases}  # fmt: skip
        assert set(result.touched) == named
        refused = [name for name in names if name != "done"]
        assert (result.exchanged, result.ok) == (len(names) - len(refused), not refused)
        assert result.refused == {name: refused.count(name) for name in refused}
        assert all(name in line for name, line in zip(refused, result.messages(len(status)), strict=True))

    @precondition(lambda self: len(self.model.nodes[1:]) > 0)
    @step(strategy=NAMES, mode=MODES, backwards=st.booleans())
    def exchange_nodes(self, strategy: str, mode: Any, backwards: bool) -> None:
        """All pages of one order on the first node, against all on the others: a long list."""
        pages = sorted(self.model.pages(), key=lambda page: page.frame.pfn)
        fast = [page for page in pages if page.frame.node.number == 0]
        slow = [page for page in pages if page.frame.node.number != 0]
        pairs: list[tuple[int, int]] = []
        for order in range(ref.MAX_ORDER + 1):
            one = [Pfn(page.frame.pfn) for page in fast if page.order == order]
            two = [Pfn(page.frame.pfn) for page in slow if page.order == order]
            pairs += list(zip(reversed(two) if backwards else two, one, strict=False))
        if pairs:
            note(f"# pairs {pairs}")
            self.swap(pairs, strategy, mode)

    exchange_now = exchange_at_once = exchange_alike  # so that one call in four or so is an exchange
    exchange_all = exchange_nodes

    # ---- migration ---------------------------------------------------------------------------------------------------

    @step(target=frames, pfn=frames, to=st.integers(0, 2), strategy=COPYING, mode=MODES, threads=THREADS)
    def migrate(self, pfn: int, to: int, strategy: str, mode: Any, threads: int) -> Any:
        """One page, whose bytes several threads may share."""
        return self.move([pfn], to, strategy, mode, threads)

    @step(target=frames, pfns=st.lists(any_frame, max_size=8), to=st.integers(0, 2), strategy=COPYING, mode=MODES)
    def migrate_list(self, pfns: list[int], to: int, strategy: str, mode: Any) -> Any:
        return self.move(pfns, to, strategy, mode)

    @step(target=frames, node=NODES, to=st.integers(0, 2), strategy=COPYING, mode=MODES, backwards=st.booleans(),
          left=st.integers(0, 200))  # fmt: skip
    def migrate_node(self, node: str, to: int, strategy: str, mode: Any, backwards: bool, left: int) -> Any:
        """All pages of a node but so many: a long list, for which the other may have too few frames."""
        pfns = [Pfn(page.frame.pfn) for page in self.model.pages() if page.frame.node.name == node]
        pfns = sorted(pfns, reverse=backwards)[: max(1, len(pfns) - left)]
        note(f"# frames {pfns}")
        return self.move(pfns, to, strategy, mode)

    def move(self, pfns: Sequence[int], to: int, strategy: str, mode: Any, threads: int = 1) -> Any:
        """Returns the frames that pages have come to."""
        node = self.model.nodes[to % len(self.model.nodes)]
        bound = Strategy(self.real, built(strategy, *self.names), mode, 0.0)
        result = self.real.migrate(pfns, node.name, bound, threads=threads)
        placed = result.placed.tolist()
        want = self.model.migrate([int(pfn) for pfn in pfns], node, MIGRATING[strategy], mode, placed)
        names = [errno_name(code) if code else "done" for code in result.status.tolist()]
        must = [errno_name(code) if code else "done" for code in want.status]
        assert names == must, f"{names}, must be {must}"
        assert (result.frames_asked, result.frames_got) == (want.asked, want.got)
        moved = [Pfn(now) for was, now in zip(pfns, placed, strict=True) if now != was]
        assert result.migrated == len(moved)
        assert len(list(result.messages(len(names)))) == len(names) - names.count("done")
        return multiple(*moved)

    @step()
    def look(self) -> None:
        self.check()
