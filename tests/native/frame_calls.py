"""Calls on frames, each with what it needs before, for who steps through them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pagexchange_native.arena.region import Region

LOCKED, DIRTY, WRITEBACK, HEAD, POISON = 1, 2, 4, 8, 16
LAYOUT = {
    "name": "frames",
    "swap": DIRTY,
    "stay": ~(DIRTY | WRITEBACK) & (1 << 64) - 1,
    "refuse": WRITEBACK,
    "locked": LOCKED,
    "dirty": DIRTY,
    "head": HEAD,
    "hwpoison": POISON,
    "tail_swap": DIRTY,
    "node_shift": 0,
    "node_width": 0,
    "zone_shift": 0,
    "zone_width": 0,
}


@dataclass(frozen=True)
class Call:
    prepare: Callable[[Region], Any]
    work: Callable[[Region, Any], object]
    again: Callable[[Region], object] = lambda region: None
    """Makes the arena such that `prepare` can be called once more."""


def free_all(region: Region) -> None:
    used = (region.entries["state"] == 2).nonzero()[0]
    region.free(used)


def dirty_folio(order: int) -> Callable[[Region], Any]:
    def prepare(region: Region) -> Any:
        pfns = region.alloc("only", 1, order)
        region.set_flags(range(pfns[0], pfns[0] + (1 << order)), DIRTY)
        return pfns

    return prepare


def broken_folio(region: Region) -> Any:
    """Of 8 frames, the third and the eighth of which are broken; its buddy is free."""
    pfns = region.alloc("only", 1, 3)
    region.set_flags([pfns[0] + 2, pfns[0] + 7], POISON)
    region.set_flags([pfns[0] + 1], DIRTY)
    return pfns


CALLS = {
    "alloc one frame of a block of 512": Call(lambda r: None, lambda r, _: r.alloc("only"), free_all),
    "alloc a folio of 512": Call(lambda r: None, lambda r, _: r.alloc("only", 1, 9), free_all),
    "free one frame, up to a block of 512": Call(lambda r: r.alloc("only"), lambda r, pfns: r.free(pfns)),
    "free a folio of 512": Call(dirty_folio(9), lambda r, pfns: r.free(pfns)),
    "free a folio with broken frames": Call(broken_folio, lambda r, pfns: r.free(pfns), lambda r: free_all(r)),
    "put the last reference": Call(lambda r: int(r.alloc("only")[0]), lambda r, pfn: r.put(pfn)),
    "reserve": Call(lambda r: r.alloc("only", 1, 2), lambda r, pfns: r.reserve_frames(pfns)),
    "set_flags": Call(lambda r: r.alloc("only"), lambda r, pfns: r.set_flags(pfns, DIRTY | WRITEBACK), free_all),
}
