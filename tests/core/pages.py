"""Pages of every kind in a real arena, and all bytes of it that an exchange has no right to change."""

import dataclasses
import errno
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.arena.strategy import Strategy
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.model.config import Config, Mode, PluginUse, StrategySpec
from pagexchange.oracle import format as f

Pfns = NDArray[np.int64]
KINDS = ("raw", "anon", "file", "shmem")
LONG = 32
"""Pairs of one batch in a list of more than `BATCH` pairs; up to that many, a list is one batch."""
STATISTICS = ("asked", "got", "below_low", "below_min")
EBUSY, EAGAIN, EINVAL, EFAULT, ENOMEM = -errno.EBUSY, -errno.EAGAIN, -errno.EINVAL, -errno.EFAULT, -errno.ENOMEM


class Pages:
    """An arena whose pages are made one by one; each has contents of its own in every word."""

    def __init__(self, frames: int = 64, layout: str = "linux-6.18", **capacities: Any) -> None:
        self.arena = Arena.create([("fast", frames), ("slow", frames)], layout=layout, **capacities)
        words = self.arena.frames
        words[:] = np.arange(words.size, dtype=np.uint64).reshape(words.shape)
        del words
        self.mappings = [self.arena.new_mapping("one"), self.arena.new_mapping("two")]
        self.shm = self.arena.new_mapping("shm", shmem=True)
        self.spaces = [self.arena.new_space("one"), self.arena.new_space("two")]
        self.next = 60
        self.arena.strategies["list-exchange", None] = strategy(
            self.arena
        )  # by its name it would be read from the file

    def place(self, order: int) -> int:
        """A position that no page has yet, in no file and in no space; a multiple of the folio's size."""
        size = 1 << order
        at = -(-self.next // size) * size
        self.next = at + size + 3
        return at

    def page(self, kind: str, node: int, order: int = 0, mapping: int = 0) -> int:
        """Make one page of a kind; its frame."""
        pfn = int(self.arena.alloc(node, 1, order)[0])
        if kind == "file":
            self.arena.cache_add(self.mappings[mapping], self.place(order), pfn)
        elif kind == "shmem":
            place = self.place(order)
            self.arena.cache_add(self.shm, place, pfn)
            self.arena.map(self.spaces[1], place, pfn)
        elif kind == "anon":
            place = self.place(order)
            self.arena.map(self.spaces[0], place, pfn)
            self.arena.map(self.spaces[1], place, pfn, write=False)
        return pfn

    def pair(
        self, kinds: tuple[str, str] = ("file", "anon"), order: int = 0, mappings: tuple[int, int] = (0, 0)
    ) -> Any:
        """A page on the fast node and one on the slow node."""
        return [self.page(kind, node, order, mappings[node]) for node, kind in enumerate(kinds)]

    def flag(self, pfn: int, *names: str) -> None:
        """Set flags of a frame by name."""
        self.arena.set_flags(pfn, self.arena.layout.word(*names))


@cache
def _shipped() -> tuple[Config, PagexchangeHost]:
    return read.load(), PagexchangeHost()


NATIVE = tuple(
    name
    for name, spec in _shipped()[0].strategies.items()
    if spec.expect != "refused" and not spec.migrates and name != "numpy"
)
"""The shipped strategies without Python that exchange at all."""


def strategy(
    arena: Arena,
    name: str = "list-exchange",
    mode: Mode | None = None,
    timeout: float | None = None,
    wrap: PluginUse | None = None,
    **objects: Any,
) -> Strategy:
    """As `pagexchange.strategy`, which reads all files each time.

    `wrap` puts a wrapper around its objects; `flags=`, `data=`, `mapping=` put in a callable of one's own.
    """
    config, host = _shipped()
    spec = config.strategy(name)
    built = host.build(dataclasses.replace(spec, wrap=(wrap,)) if wrap else spec, arena)
    put: dict[str, Any] = {}
    for question, function in objects.items():
        old = built.data[0] if question == "data" else getattr(built, question)
        served = dataclasses.replace(old, plugin="mine", object=function, native=False)
        put[question] = (served,) if question == "data" else served
    built = dataclasses.replace(built, **put)
    return Strategy(arena, built, mode, timeout)


def migrating(
    arena: Arena,
    copy: str | Callable[..., None] = "folio-copy",
    mode: Mode = "async",
    timeout: float | None = None,
    **options: Any,
) -> Strategy:
    """A strategy that migrates, with a copier by its name or a callable of one's own."""
    name = copy if isinstance(copy, str) else "numpy-copy"
    flags, mapping, copier = PluginUse("masked-word"), PluginUse("xarray"), PluginUse(name, options)
    built = _shipped()[1].build(StrategySpec("migrate", (flags,), (), (mapping,), copy=(copier,)), arena)
    if not isinstance(copy, str):
        served = dataclasses.replace(built.copy[0], plugin="mine", object=copy, native=False)
        built = dataclasses.replace(built, copy=(served,))
    return Strategy(arena, built, mode, timeout)


@dataclasses.dataclass(frozen=True)
class Image:
    """A copy of an arena's bytes, for the oracle's reader."""

    memory: NDArray[np.uint8]


def picture(arena: Arena, *, scratch: bool = False) -> NDArray[np.uint8]:
    """A copy of the whole arena without its identity, the slots' records and the allocator's statistics.

    Of the slots only what they count is left: its sum, in slot 0.

    `scratch`: free frames are left out too, with the free lists: what a mover that takes frames writes to.
    """
    image = arena.memory.copy()

    raw = f.read(Image(image))
    counters = f.counters_of(raw.slots, len(raw.nodes)).ravel()
    raw.slots[:] = np.zeros(1, f.SLOT)
    raw.slots["counter"][0, : len(counters)] = counters
    raw.pieces[:] = 0
    raw.header["uuid"] = bytes(16)
    for name in STATISTICS:
        raw.nodes[name] = 0
    if scratch:
        raw.nodes["list"] = 0
        free = raw.entries["state"] == f.FREE
        raw.entries[free] = 0
        raw.frames[free] = 0
    return image


def differences(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> list[int]:
    """The first bytes that differ: offsets."""
    found: list[int] = np.flatnonzero(before != after)[:8].tolist()
    return found


def resting(arena: Arena) -> bool:
    """Whether no slot is claimed but the process's own, and none has an unfinished record."""
    slots = f.read(arena).slots
    claimed = np.flatnonzero(slots["claim"] & np.uint64(0xFF))
    records = [slots[name].any() for name in ("saves", "node_saves", "tree", "give", "drop")]
    return len(claimed) == 1 and not (slots["state"] & np.uint64(0xFF)).any() and not any(records)
