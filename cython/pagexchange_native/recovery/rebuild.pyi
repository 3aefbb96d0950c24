"""Makes what is derived from what is true, for an arena in which nobody is at work."""

from typing import NamedTuple

from pagexchange_native.arena.region import Region

class Rebuilt(NamedTuple):
    frames: int
    links: int
    trees: int
    tables: int
    pages: int
    counters: int
    damaged: int

def rebuild(arena: Region) -> Rebuilt: ...
