"""A small arena with pages of the kinds that a cell asks for, pairs to exchange, and bystanders that no pair names."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.model.layout import Layout
from pagexchange.oracle import stamp
from pagexchange.testing.scene.cells import Cell, Kind
from pagexchange.testing.scene.layouts import OWN, layout_named
from pagexchange_native.xarray.array import XArray

Pairs = NDArray[np.int64]
Pfns = NDArray[np.int64]

FAST, SLOW = 0, 1
_BYSTANDERS: Final[tuple[Kind, ...]] = ("anon", "file", "shmem", "raw")
_SPARE: Final = 48
_SPACES: Final = 2
_NOT_MINE: Final = ("locked", "waiters", "head", "private")
"""Flags of a frame or of a reference: the arena sets them itself."""


class Scene:
    """An arena with `cell.pairs` pairs of pages, the first of each on the slow node.

    Two scenes of one cell and seed are equal to the bit. `more` is for `Arena.create`.
    """

    def __init__(
        self,
        cell: Cell,
        own_layout: Layout | None = None,
        *,
        pairs: int | None = None,
        seed: int = 1,
        **more: Any,  # noqa: ANN401 - as of Arena.create
    ) -> None:
        self.cell = cell
        self.random = np.random.default_rng(seed)
        count = cell.pairs if pairs is None else pairs
        layout = own_layout if cell.layout == OWN and own_layout is not None else layout_named(cell.layout)
        # Nodes of whole blocks of the largest order in use, so that large folios find room whatever comes before them.
        unit = max(64, 1 << cell.order) if cell.page_size < 1 << 20 else 1
        spare = _SPARE if cell.page_size < 1 << 20 else len(_BYSTANDERS)
        frames = -(-(((2 * count + 1) << cell.order) + spare) // unit) * unit
        self.arena = Arena.create(
            [("fast", frames), ("slow", frames)],
            page_size=cell.page_size,
            layout=layout,
            mappings=4,
            spaces=_SPACES,
            **more,
        )
        self.mappings = {
            "one": self.arena.new_mapping("one"),
            "two": self.arena.new_mapping("two"),
            "shmem": self.arena.new_mapping("shmem", shmem=True),
        }
        self.spaces = [self.arena.new_space(f"space-{number}") for number in range(_SPACES)]
        self._next_index = dict.fromkeys(self.mappings, 0)
        self._next_vpn = 512
        # Made first, so that pages of the pairs lie behind and, in a file, beside them.
        self.bystanders = [self.page(kind, node, 0) for kind in _BYSTANDERS for node in (FAST, SLOW)]
        right_mapping = "one" if cell.one_mapping else "two"
        self.pairs: Pairs = np.array(
            [
                (
                    self.page(cell.left, SLOW, cell.order, "one", i),
                    self.page(cell.right, FAST, cell.order, right_mapping, i),
                )
                for i in range(count)
            ],
            dtype=np.int64,
        ).reshape(-1, 2)
        self._flags(self.pairs)
        self.stamp()

    def stamp(self) -> None:
        """Write contents of its own to every page there is."""
        self.stamps = stamp(self.arena, seed=1)

    def page(self, kind: Kind, node: int, order: int = 0, mapping: str = "one", number: int = 0) -> int:
        """Make one page of a kind; return its first frame."""
        pfn = int(self.arena.alloc(node, 1, order)[0])
        if kind == "file":
            self.cache(mapping, pfn, order)
            if number % 2 == 0 and "private" in self.arena.layout:
                self.arena.set_private(pfn, 0x1000 + pfn)
            if number % 3 == 0:
                self._map(pfn, order, self.spaces[:1], write=False)
        elif kind == "shmem":
            self.cache("shmem", pfn, order)
            self._map(pfn, order, self.spaces)
        elif kind == "anon":
            self._map(pfn, order, self.spaces[: 1 + number % 2])
        return pfn

    def cache(self, mapping: str, pfn: int, order: int = 0) -> int:
        """Put a page at the next index of a mapping: the first ones side by side, later ones levels apart."""
        number = self._next_index[mapping]
        # So the first pages share a node of the XArray, and later ones make it grow level by level.
        index = (number if number < 4 else 62 + 61 * (number - 4) + (1 << 14) * (number % 5)) << order
        self._next_index[mapping] += 1
        index = -(-index // (1 << order)) * (1 << order)
        self.arena.cache_add(self.mappings[mapping], index, pfn)
        if number == 0:  # a mark on one page: it must stay at the position, not go with the page
            XArray(self.arena, self.mappings[mapping]).set_mark(index, 0)
        return index

    def _map(self, pfn: int, order: int, spaces: Sequence[int], write: bool = True) -> None:
        size = 1 << order
        vpn = -(-self._next_vpn // size) * size
        self._next_vpn = vpn + size
        for number, space in enumerate(spaces):
            self.arena.map(space, vpn, pfn, write=write and number == 0)

    def _flags(self, pairs: Pairs) -> None:
        """Every flag that may be set: all on one side of the first pair, all on the other of the second, then drawn."""
        arena, layout = self.arena, self.arena.layout
        free = layout.mask("swap")
        for flag in layout.flags:
            free |= flag.mask if flag.policy == "stay" else 0
        for name in _NOT_MINE:
            free &= ~(layout.flag(name).mask if name in layout else 0)
        backed, cached = (layout.flag(name).mask if name in layout else 0 for name in ("swapbacked", "swapcache"))
        words = self.random.integers(0, 1 << 64, pairs.shape, dtype=np.uint64)
        # All against none, both ways round: whatever is drawn later, each flag must have moved in each direction.
        words[:1] = [2**64 - 1, 0]
        words[1:2] = [0, 2**64 - 1]
        for side, kind in enumerate((self.cell.left, self.cell.right)):
            on_disk = kind in ("file", "raw")  # a page that is backed by swap and in its cache is refused
            allowed = np.uint64(free & ~(backed if on_disk else cached))
            arena.set_flags(pairs[:, side], words[:, side] & allowed)
        self._tail_flags(pairs)

    def _tail_flags(self, pairs: Pairs) -> None:
        """The same in the words of tails: what moves with the page, and what stays with the frame."""
        size, layout = 1 << self.cell.order, self.arena.layout
        if size == 1:
            return
        free = layout.tail_mask("swap")
        for flag in layout.flags:
            free |= flag.mask if flag.tail == "stay" else 0
        for name in _NOT_MINE:
            free &= ~(layout.flag(name).mask if name in layout else 0)
        words = self.random.integers(0, 1 << 64, (*pairs.shape, size - 1), dtype=np.uint64)
        words[:1, 0], words[:1, 1] = 2**64 - 1, 0
        words[1:2, 0], words[1:2, 1] = 0, 2**64 - 1
        tails = pairs[:, :, None] + np.arange(1, size)
        self.arena.set_flags(tails.ravel(), (words & np.uint64(free)).ravel())

    def last_frame(self) -> int:
        """Make a page in the very last frame of the arena; return its number."""
        taken = self.arena.alloc(SLOW, int(self.arena.nodes[SLOW]["free"]), 0)
        last = self.arena.nframes - 1
        # The allocator chooses: take all, and give back all others.
        self.arena.free(taken[taken != last])
        self.stamp()
        return last

    def use_up(self, keep: int = 0) -> None:
        """Take all free frames of both nodes but some."""
        for node in (FAST, SLOW):
            free = int(self.arena.nodes[node]["free"])
            self.arena.alloc(node, max(0, free - keep), 0)
