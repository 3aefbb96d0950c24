"""The reference arena: what every call must do, in plain Python, slow and obvious. It imports nothing of the product.

A frame is a place, a page is what lies in it. File positions, page tables and reverse maps name pages here, not frame
numbers: so an exchange is one line, and everything that a real arena must rewrite for it follows by itself.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

Mode = Literal["async", "sync-light", "sync"]
State = Literal["offline", "free", "used", "tail", "reserved"]

MAX_ORDER: Final = 9
BATCH: Final = 128
"""Pairs that are locked, and have their temporary pages, at once: a list of so many at most is one batch."""
OF_A_LONG_LIST: Final = 32
"""Pairs of each batch of a longer list."""
PINS: Final = 256
"""Places for references of one process."""
EHWPOISON: Final = 133
COUNTERS: Final = ("file", "shmem", "anon", "dirty")

LIST_OF_2019: Final = (
    "error", "referenced", "uptodate", "active", "unevictable", "checked", "mappedtodisk", "dirty", "young", "idle",
    "swapcache", "swapbacked", "private", "mlocked", "last_cpupid",
)  # fmt: skip
"""What the proposal of 2019 moves. Every other flag stays behind, and it gets two of these wrong: see `per_flag`."""


class Refused(Exception):  # noqa: N818 - it is what must happen
    """The call must raise: `kind` says which sort of error; nothing may have changed since the last good item."""

    def __init__(self, kind: Literal["value", "index", "lookup", "busy", "full"]) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True)
class Word:
    """The 64 bits of a flags word."""

    policy: tuple[Literal["swap", "stay", "refuse"], ...]
    """By bit."""
    named: dict[str, frozenset[int]]
    """The bits of each flag, alias and field."""
    tail_swap: frozenset[int]
    """The bits of a tail's word that belong to the page."""
    tail_refuse: frozenset[int]
    """The bits of a tail's word that forbid an exchange of the folio."""
    waited_for: frozenset[int]
    """The bits that say that a page is being written."""

    def bits(self, *names: str) -> frozenset[int]:
        """All bits of these names; a name that the layout lacks has none."""
        return frozenset().union(*[self.named.get(name, frozenset()) for name in names])

    @cached_property
    def swap(self) -> frozenset[int]:
        """The bits that belong to the page."""
        return frozenset(bit for bit in range(64) if self.policy[bit] == "swap")

    @cached_property
    def refuse(self) -> frozenset[int]:
        """The bits that forbid an exchange. All others belong to the frame."""
        return frozenset(bit for bit in range(64) if self.policy[bit] == "refuse")

    @cached_property
    def of_pages(self) -> frozenset[int]:
        """The bits that a frame loses when its page is gone: what says something of a page, but not broken memory."""
        every = self.swap | self.refuse | self.tail_swap | self.tail_refuse | self.bits("head")
        return every - self.bits("hwpoison")


@dataclass(eq=False)
class Mapping:
    shmem: bool
    aops: str
    pages: dict[int, Page] = field(default_factory=dict)
    """By the index of the folio's first base page."""
    marks: dict[int, set[int]] = field(default_factory=dict)
    """Belong to the position, whichever frame holds its page."""

    def at(self, index: int) -> Page | None:
        """The folio that covers a position."""
        for first, page in self.pages.items():
            if first <= index < first + page.size:
                return page
        return None


@dataclass(eq=False)
class Entry:
    """One mapping of a page by an address space."""

    page: Page
    write: bool


@dataclass(eq=False)
class Page:
    order: int
    data: list[bytes]
    """One item for each base page."""
    frame: Frame
    held: bool = True
    by_get: bool = False
    """Held only because the process had it by get() when its last user went."""
    """The reference that allocation gave is still the caller's."""
    bits: set[int] = field(default_factory=set)
    """Of the flags word: those that belong to the page."""
    mapping: Mapping | None = None
    space: int | None = None
    """Of an anonymous page: the space that it was first mapped in."""
    index: int = 0
    private: int = 0
    places: list[tuple[int, int]] = field(default_factory=list)
    """Where page tables map it: (space, virtual page number)."""

    @property
    def size(self) -> int:
        return 1 << self.order


@dataclass(eq=False)
class Frame:
    pfn: int
    node: Node
    state: State = "free"
    bits: set[int] = field(default_factory=set)
    """Of the flags word: those that belong to the frame; all of a frame that starts no folio. The node is not here."""
    page: Page | None = None
    """In the first frame of a folio."""
    head: Frame | None = None
    """Of a tail."""
    owned: bool = False
    """Locked by lock()."""


@dataclass(eq=False)
class Node:
    name: str
    number: int
    start: int
    frames: int
    watermarks: tuple[int, int, int]
    asked: int = 0
    got: int = 0
    below_low: int = 0
    below_min: int = 0


@dataclass
class Pin:
    """References that one process has on a frame, beside those that the page counts."""

    pfn: int
    long: bool
    times: int = 1


@dataclass
class Strategy:
    """What of a strategy decides about statuses and flags."""

    flags: Literal["by policy", "list of 2019", "whole word"] = "by policy"
    data: tuple[Literal["in place", "temp", "temp per worker"], ...] = ("in place",)


@dataclass
class Outcome:
    status: list[int]
    asked: int = 0
    got: int = 0
    touched: set[int] = field(default_factory=set)
    """Bits that a flag policy wanted to move and may not."""


class Arena:
    def __init__(self, nodes: list[tuple[str, int]], word: Word, watermarks: tuple[int, int, int]) -> None:
        self.word = word
        self.nodes: list[Node] = []
        self.frames: list[Frame] = []
        for name, frames in nodes:
            node = Node(name, len(self.nodes), len(self.frames), frames, watermarks)
            self.nodes.append(node)
            self.frames += [Frame(node.start + k, node) for k in range(frames)]
        self.mappings: list[Mapping] = []
        self.spaces: list[dict[int, Entry]] = []
        """Of each space: virtual page number of a folio's first base page -> entry."""
        self.pins: list[Pin | None] = []
        """Of this process, in their places: what get() and pin() have taken."""
        self.short_pins: list[int] = []
        """Frames that another process has a reference on."""

    # ---- looking -----------------------------------------------------------------------------------------------------

    def frame(self, pfn: int) -> Frame:
        if not 0 <= pfn < len(self.frames):
            raise Refused("index")
        return self.frames[pfn]

    def page_at(self, pfn: int) -> Page:
        """The page whose folio starts in a frame that is in use."""
        frame = self.frames[pfn] if 0 <= pfn < len(self.frames) else None
        if frame is None or frame.state != "used" or frame.page is None:
            raise Refused("value")
        return frame.page

    def pages(self) -> list[Page]:
        return [frame.page for frame in self.frames if frame.page]

    def has(self, page: Page, name: str) -> bool:
        """Whether a page, or its first frame, has a flag."""
        return bool((page.bits | page.frame.bits) & self.word.bits(name))

    def structural(self, page: Page) -> int:
        """References that are not the caller's: of the file (one for each base page), private data, page tables."""
        return (page.size if page.mapping else 0) + self.has(page, "private") + len(page.places)

    def refs(self, page: Page) -> int:
        """What the page counts: it follows from what the page is."""
        return 1 if page.frame.state == "reserved" else self.structural(page) + page.held

    def free_frames(self, node: Node) -> int:
        return sum(frame.state == "free" for frame in self.node_frames(node))

    def node_frames(self, node: Node) -> list[Frame]:
        return self.frames[node.start : node.start + node.frames]

    def counters(self, node: Node) -> dict[str, int]:
        count: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        for frame in self.node_frames(node):
            page = frame.page
            if page and frame.state == "used" and page.mapping:
                count["file"] += page.size
                count["shmem"] += page.size if page.mapping.shmem else 0
                count["dirty"] += page.size if self.has(page, "dirty") else 0
            elif page and page.places:
                count["anon"] += page.size
        return count

    def blocks(self, node: Node) -> list[tuple[int, int]]:
        """The free blocks of a buddy allocator, as (pfn, order): whatever is free, in the largest aligned pieces."""
        free = {frame.pfn for frame in self.node_frames(node) if frame.state == "free"}
        found = []
        for order in range(MAX_ORDER, -1, -1):
            size = 1 << order
            for pfn in sorted(free):
                if pfn % size == 0 and free.issuperset(range(pfn, pfn + size)):
                    found.append((pfn, order))
                    free.difference_update(range(pfn, pfn + size))
        return found

    # ---- frames ------------------------------------------------------------------------------------------------------

    def can_alloc(self, node: Node, n: int, order: int) -> bool:
        orders = [o for _, o in self.blocks(node)]
        return all(take_block(orders, order) for _ in range(n))

    def alloc(self, node: Node, pfns: list[int], order: int, data: list[list[bytes]]) -> None:
        """The caller got these folios: which ones is the allocator's business, as long as they were to be had."""
        for pfn, contents in zip(pfns, data, strict=True):
            frames = self.frames[pfn : pfn + (1 << order)]
            assert pfn % (1 << order) == 0
            assert all(frame.state == "free" and frame.node is node for frame in frames)
            first = frames[0]
            first.state = "used"
            for frame in frames:
                frame.bits -= self.word.of_pages
            first.bits |= self.word.bits("head") if order else set()
            first.page = Page(order, contents, first)
            for frame in frames[1:]:
                frame.state = "tail"
                frame.head = first

    def _free(self, page: Page) -> None:
        first = page.frame
        first.page = None
        for frame in self.frames[first.pfn : first.pfn + page.size]:
            frame.bits -= self.word.of_pages
            frame.head = None
            frame.state = "offline" if frame.bits & self.word.bits("hwpoison") else "free"

    def find(self, pfn: int, long: bool) -> Pin | None:
        """What this process has taken on a frame."""
        return next((pin for pin in self.pins if pin and (pin.pfn, pin.long) == (pfn, long)), None)

    def take(self, pfn: int, long: bool) -> None:
        """Once more, in a place that is free."""
        pin = self.find(pfn, long)
        if pin:
            pin.times += 1
        elif None in self.pins:
            self.pins[self.pins.index(None)] = Pin(pfn, long)
        elif len(self.pins) == PINS:
            raise Refused("full")
        else:
            self.pins.append(Pin(pfn, long))

    def drop(self, pfn: int, long: bool) -> bool:
        """Once less; false where there is none."""
        pin = self.find(pfn, long)
        if pin is None:
            return False
        pin.times -= 1
        if pin.times == 0:
            self.pins[self.pins.index(pin)] = None
        while self.pins and self.pins[-1] is None:
            self.pins.pop()
        return True

    def get(self, pfn: int) -> bool:
        frame = self.frame(pfn)
        if frame.state != "used":
            return False
        self.take(pfn, long=False)
        return True

    def put(self, pfn: int) -> None:
        self.frame(pfn)
        page = self._giver(pfn)
        if self.drop(pfn, long=False) and not (page.by_get and self.find(pfn, long=False) is None):
            return
        page.held = page.by_get = False
        self._lose(page)

    def _lose(self, page: Page) -> None:
        """A page has lost a reference: with its last one it is freed, or held while this process has it by get()."""
        if self.refs(page) == 0:
            if self.find(page.frame.pfn, long=False):
                page.held = page.by_get = True
            else:
                self._free(page)

    def free(self, pfns: list[int]) -> None:
        """All or nothing."""
        for pfn in pfns:
            self._giver(pfn)
        if len(set(pfns)) < len(pfns):
            raise Refused("value")
        for pfn in pfns:
            self.put(pfn)

    def _giver(self, pfn: int) -> Page:
        """The page of a frame, if it has a reference that is the caller's to drop."""
        self.frame(pfn)
        page = self.page_at(pfn)
        got = self.find(pfn, long=False)
        if got and not (page.by_get and got.times == 1):
            return page
        if not page.held:
            raise Refused("value")  # what is left is the file's, the private data's or the page tables'
        if self.refs(page) == 1 and (
            page.frame.owned or self.has(page, "locked") or self.pinned(page, long=page.by_get)
        ):
            raise Refused("value")
        return page

    def reserve(self, pfn: int) -> None:
        page = self._giver(pfn)
        if self.refs(page) != 1 or not page.held or self.pinned(page):
            raise Refused("value")
        page.held = page.by_get = False
        page.frame.state = "reserved"

    def lock(self, pfn: int) -> bool:
        self.frame(pfn)
        page = self.page_at(pfn)
        if page.frame.owned or self.has(page, "locked"):
            return False
        page.frame.owned = True
        page.frame.bits |= self.word.bits("locked")
        return True

    def unlock(self, pfn: int) -> None:
        frame = self.frame(pfn)
        if not frame.owned:
            raise Refused("value")
        frame.owned = False
        frame.bits -= self.word.bits("locked")

    def pin(self, pfn: int) -> None:
        if self.frame(pfn).state not in ("used", "tail"):
            raise Refused("value")
        self.take(pfn, long=True)

    def unpin(self, pfn: int) -> None:
        self.frame(pfn)
        if not self.drop(pfn, long=True):
            raise Refused("value")

    # ---- flags -------------------------------------------------------------------------------------------------------

    def change_flags(self, pfn: int, bits: frozenset[int], on: bool) -> None:
        if bits & self.word.bits("locked"):
            raise Refused("value")
        frame = self.frame(pfn)
        moving = bits & self.word.swap if frame.page else frozenset()
        for where, which in ((frame.bits, bits - moving), (frame.page.bits if frame.page else set(), moving)):
            where.difference_update(which)
            if on:
                where.update(which)

    # ---- files -------------------------------------------------------------------------------------------------------

    def cache_add(self, mapping: int, index: int, pfn: int) -> None:
        page = self.page_at(pfn)
        file = self.mappings[mapping]
        if page.frame.owned:
            raise Refused("busy")
        if page.mapping or page.space is not None or index % page.size:
            raise Refused("value")
        if any(file.at(index + k) for k in range(page.size)):
            raise Refused("busy")
        page.held = page.by_get = False  # the file takes over the caller's reference
        page.mapping, page.index = file, index
        if file.shmem:
            page.bits |= self.word.bits("swapbacked")
        file.pages[index] = page
        file.marks[index] = set()

    def cache_remove(self, mapping: int, index: int) -> int:
        file = self.mappings[mapping]
        page = file.at(index)
        if page is None:
            return -1
        last = not page.held and not page.places
        if page.frame.owned or page.places or self.pinned(page, long=True) or (last and self.kept_by_others(page)):
            raise Refused("busy")
        if self.has(page, "private"):
            page.bits -= self.word.bits("private")
            page.private = 0
        del file.pages[page.index], file.marks[page.index]
        page.mapping, page.index = None, 0
        self._lose(page)
        return page.frame.pfn

    def set_private(self, pfn: int, value: int) -> None:
        if not self.word.bits("private"):
            raise Refused("value")
        if self.frame(pfn).owned:
            raise Refused("busy")  # what the page is can be said only of one that is not moving
        page = self.page_at(pfn)
        if page.mapping is None:
            raise Refused("value")
        page.bits |= self.word.bits("private")
        page.private = value

    # ---- address spaces ----------------------------------------------------------------------------------------------

    def entry_at(self, space: int, vpn: int) -> tuple[int, Entry] | None:
        """The entry that covers a virtual page, and where its folio starts."""
        for first, entry in self.spaces[space].items():
            if first <= vpn < first + entry.page.size:
                return first, entry
        return None

    def map(self, space: int, vpn: int, pfn: int, write: bool) -> None:
        page = self.page_at(pfn)
        if page.frame.owned:
            raise Refused("busy")
        if vpn % page.size or (page.space is not None and page.index != vpn):
            raise Refused("value")
        if any(self.entry_at(space, vpn + k) for k in range(page.size)):
            raise Refused("busy")
        page.held = page.by_get = False  # the page tables take over the caller's reference
        if page.mapping is None and page.space is None:
            page.space, page.index = space, vpn
            page.bits |= self.word.bits("swapbacked")
        page.places.append((space, vpn))
        self.spaces[space][vpn] = Entry(page, write)

    def unmap(self, space: int, vpn: int) -> int:
        found = self.entry_at(space, vpn)
        if found is None:
            return -1
        first, entry = found
        page = entry.page
        if first != vpn:
            raise Refused("value")
        if page.frame.owned or (self.refs(page) == 1 and self.kept_by_others(page)):
            raise Refused("busy")
        del self.spaces[space][vpn]
        page.places.remove((space, vpn))
        if not page.places and page.space is not None:
            page.space, page.index = None, 0
        self._lose(page)
        return page.frame.pfn

    # ---- exchange ----------------------------------------------------------------------------------------------------

    def exchange(self, pairs: list[tuple[int, int]], strategy: Strategy, mode: Mode, *, sequential: bool) -> Outcome:
        out = Outcome([0] * len(pairs))
        most = BATCH if len(pairs) <= BATCH else OF_A_LONG_LIST
        batch: list[int] = []  # positions in the list
        used: set[int] = set()  # in the list, or by a chain in the batch
        for i, (a, b) in enumerate(pairs):
            if not (0 <= a < len(self.frames) and 0 <= b < len(self.frames)):
                out.status[i] = -errno.EFAULT
                continue
            if a == b:
                out.status[i] = -errno.EINVAL
                continue
            if sequential:
                if len(batch) == most or a in used or b in used:
                    self._batch(pairs, batch, strategy, mode, out)
                    batch, used = [], set()
            elif a in used or b in used:
                out.status[i] = -errno.EINVAL
                used |= {a, b}
                continue
            elif len(batch) == most:
                self._batch(pairs, batch, strategy, mode, out)
                batch = []
            used |= {a, b}
            batch.append(i)
        self._batch(pairs, batch, strategy, mode, out)
        return out

    def _batch(
        self, pairs: list[tuple[int, int]], batch: list[int], strategy: Strategy, mode: Mode, out: Outcome
    ) -> None:
        """Pairs that are exchanged together: none uses a frame of another."""
        left = []
        for i in batch:
            low, high = sorted(pairs[i])
            out.status[i] = self._refusal([self.frames[low], self.frames[high]], mode)
            if out.status[i] == 0 and strategy.flags == "whole word":
                differ = self._frame_word(low) ^ self._frame_word(high)
                out.touched |= differ
                out.status[i] = -errno.EBADMSG if differ else 0
            if out.status[i] == 0:
                left.append(i)
        for mover in strategy.data:
            done, left = (left, []) if mover == "in place" else self._take_temps(pairs, left, mover, out)
            for i in done:
                self._swap(*pairs[i], strategy)
        for i in left:
            out.status[i] = -errno.ENOMEM

    def _frame_word(self, pfn: int) -> set[int]:
        """The bits that may not move, the number of the node among them."""
        frame = self.frames[pfn]
        node = sorted(self.word.bits("node"))
        number = {bit for place, bit in enumerate(node) if frame.node.number >> place & 1}
        return (frame.bits - self.word.swap) | number

    def _absent(self, frame: Frame) -> int:
        """Why no page that could be moved begins in a frame."""
        if frame.state == "free":
            return -errno.ENOENT
        if frame.state == "tail":
            return -errno.EINVAL
        if frame.state != "used":
            return -errno.ENXIO if frame.state == "offline" else -errno.EBUSY
        if frame.bits & self.word.bits("hwpoison"):
            return -EHWPOISON
        return -errno.EBUSY if frame.bits & self.word.bits("reserved") else 0

    def _refusal(self, frames: list[Frame], mode: Mode) -> int:
        """The status of a pair, or of a page that migrates; the lower frame is looked at first. 0: all is well."""
        for frame in frames:
            why = self._absent(frame)
            if why:
                return why
        pages = [frame.page for frame in frames if frame.page]
        if len({page.order for page in pages}) > 1:
            return -errno.EINVAL
        if any(frame.owned or frame.bits & self.word.bits("locked") for frame in frames):
            return -errno.EAGAIN  # in the modes that wait: after the time is over
        for frame, page in zip(frames, pages, strict=True):
            why = self._immovable(frame, page, mode)
            if why:
                return why
        tails = {bit for page in pages for frame in self.tails(page) for bit in frame.bits}
        if tails & self.word.bits("hwpoison", "has_hwpoisoned") & self.word.tail_refuse:
            return -EHWPOISON
        if tails & self.word.tail_refuse:
            return -errno.EBUSY if tails & self.word.bits("reserved") else -errno.EOPNOTSUPP
        for pin in self.everyones_pins():  # the first that is met says for how long
            if any(pin.pfn in self.pfns(page) for page in pages):
                return -errno.EBUSY if pin.long or mode == "sync" else -errno.EAGAIN
        return 0

    def tails(self, page: Page) -> list[Frame]:
        return [self.frames[pfn] for pfn in self.pfns(page)[1:]]

    def pfns(self, page: Page) -> range:
        return range(page.frame.pfn, page.frame.pfn + page.size)

    def everyones_pins(self) -> list[Pin]:
        """This process's, references by get first, then the other's."""
        return sorted((pin for pin in self.pins if pin), key=lambda pin: pin.long) + [
            Pin(pfn, long=False) for pfn in self.short_pins
        ]

    def pinned(self, page: Page, *, long: bool = False) -> bool:
        """Whether anybody has a reference on one of its frames; `long`: for long."""
        return any(pin.pfn in self.pfns(page) and (pin.long or not long) for pin in self.everyones_pins())

    def kept_by_others(self, page: Page) -> bool:
        """Whether it may not be freed, and this process has no reference that could hold it instead."""
        return self.pinned(page) and not self.find(page.frame.pfn, long=False)

    def _immovable(self, frame: Frame, page: Page, mode: Mode) -> int:
        if frame.bits & self.word.waited_for:
            return -errno.ETIMEDOUT if mode == "sync" else -errno.EBUSY
        if frame.bits & self.word.refuse:
            return -errno.EOPNOTSUPP
        if self.has(page, "swapcache") and self.has(page, "swapbacked"):
            return -errno.EOPNOTSUPP
        if page.mapping is None:
            return -errno.EOPNOTSUPP if self.has(page, "private") else 0
        if page.mapping.aops == "unmovable":
            return -errno.EOPNOTSUPP
        if page.mapping.aops == "none":
            if self.has(page, "private"):
                return -errno.EOPNOTSUPP
            if self.has(page, "dirty"):
                return -errno.EBUSY
        return 0

    # ---- migration ---------------------------------------------------------------------------------------------------

    def migrate(self, pfns: list[int], to: Node, strategy: Strategy, mode: Mode, placed: list[int]) -> Outcome:
        """`placed`: where the pages lie now. In which frames is the allocator's business, as long as those were free.

        What a call migrates at one time is bounded in base pages, too, but none of the arenas here has so many.
        """
        out = Outcome([0] * len(pfns))
        wanted: list[int] = []  # positions in the list
        for i, pfn in enumerate(pfns):
            if not 0 <= pfn < len(self.frames):
                out.status[i] = -errno.EFAULT
            elif pfn in pfns[:i]:
                out.status[i] = -errno.EINVAL
            elif self.frames[pfn].node is to:
                out.status[i] = self._absent(self.frames[pfn])
            else:
                wanted.append(i)
        most = BATCH if len(pfns) <= BATCH else OF_A_LONG_LIST
        for first in range(0, len(wanted), most):
            self._migrate_batch(pfns, wanted[first : first + most], to, strategy, mode, placed, out)
        for i, pfn in enumerate(pfns):
            if i not in wanted or out.status[i]:
                assert placed[i] == pfn, f"page of frame {pfn} stays there, and is said to lie in frame {placed[i]}"
        return out

    def _migrate_batch(
        self,
        pfns: list[int],
        batch: list[int],
        to: Node,
        strategy: Strategy,
        mode: Mode,
        placed: list[int],
        out: Outcome,
    ) -> None:
        """Pages that have their free frames at once; those of pages that are refused are given back afterwards."""
        orders = [order for _, order in self.blocks(to)]
        free = self.free_frames(to)
        moving = []
        for i in batch:
            frame = self.frames[pfns[i]]
            out.status[i] = self._absent(frame)
            if out.status[i]:
                continue
            assert frame.page is not None
            size = frame.page.size
            out.asked += size
            if not self._ask(to, frame.page.order, free, orders):
                out.status[i] = -errno.ENOMEM
                continue
            free -= size
            out.got += size
            out.status[i] = self._refusal([frame], mode)
            if out.status[i] == 0:
                moving.append(i)
        for i in moving:
            self._move(pfns[i], to, placed[i], strategy)

    def _move(self, pfn: int, to: Node, placed: int, strategy: Strategy) -> None:
        """One page into frames that are free."""
        page = self.frames[pfn].page
        assert page is not None
        tails = [frame.bits & self.word.tail_swap for frame in self.tails(page)]
        self._free(page)
        self.alloc(to, [placed], page.order, [page.data])
        page.frame = self.frames[placed]
        page.frame.page = page
        if strategy.flags == "list of 2019":
            page.bits, _ = self.per_flag(page.bits, set())
        for frame, bits in zip(self.tails(page), tails, strict=True):
            frame.bits |= bits

    def _ask(self, node: Node, order: int, free: int, orders: list[int]) -> bool:
        """Ask a node for a folio, of which so many frames are free now, in blocks of these orders: what it counts."""
        (least, low, _), size = node.watermarks, 1 << order
        node.asked += size
        node.below_low += free - size < low
        node.below_min += free - size < least
        if free - size < least or not take_block(orders, order):
            return False
        node.got += size
        return True

    def _take_temps(
        self, pairs: list[tuple[int, int]], batch: list[int], mover: str, out: Outcome
    ) -> tuple[list[int], list[int]]:
        """A temporary folio for each pair, all held at once, and given back after: who got one, and who did not."""
        orders = {node.number: [o for _, o in self.blocks(node)] for node in self.nodes}
        free = {node.number: self.free_frames(node) for node in self.nodes}
        done, left = [], []
        kept: list[int] = []  # orders of the folios of a worker that keeps them
        for i in batch:
            page = self.frames[pairs[i][0]].page
            assert page is not None
            if mover == "temp per worker" and any(order >= page.order for order in kept):
                done.append(i)
                continue
            out.asked += page.size
            for node in self.nodes:
                if not self._ask(node, page.order, free[node.number], orders[node.number]):
                    continue
                free[node.number] -= page.size
                out.got += page.size
                kept.append(page.order)
                done.append(i)
                break
            else:
                left.append(i)
        return done, left

    def _swap(self, a: int, b: int, strategy: Strategy) -> None:
        here, there = self.frames[a], self.frames[b]
        one, two = here.page, there.page
        assert one is not None
        assert two is not None
        if strategy.flags == "list of 2019":
            one.bits, two.bits = self.per_flag(one.bits, two.bits)
        for mine, other in zip(self.tails(one), self.tails(two), strict=True):
            ours, theirs = mine.bits & self.word.tail_swap, other.bits & self.word.tail_swap
            mine.bits = (mine.bits - ours) | theirs
            other.bits = (other.bits - theirs) | ours
        here.page, there.page = two, one
        one.frame, two.frame = there, here

    def per_flag(self, one: set[int], two: set[int]) -> tuple[set[int], set[int]]:
        """What two pages have after the list of 2019: what it names goes with the page, the rest stays with the frame.

        `checked` is read and cleared before `swapcache` is looked at, and `swapcache` cleared after all are set: where
        they are one bit, both pages lose it. Of a page that is active and unevictable it sets `active` only.
        """
        named = self.word.bits(*LIST_OF_2019)
        after = [(mine & named) | (other - named) for mine, other in ((one, two), (two, one))]
        for bits in after:
            bits -= self.word.bits("checked") & self.word.bits("swapcache")
            if bits & self.word.bits("active"):
                bits -= self.word.bits("unevictable")
        return after[0], after[1]


def take_block(orders: list[int], order: int) -> bool:
    """Takes a folio from free blocks of these orders: the smallest block that will do, and its rest stays free."""
    fit = min((o for o in orders if o >= order), default=None)
    if fit is None:
        return False
    orders.remove(fit)
    orders += range(order, fit)
    return True
