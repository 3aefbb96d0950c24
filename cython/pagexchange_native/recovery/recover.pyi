"""Ends what the dead owner of a slot has begun."""

from typing import NamedTuple

from pagexchange_native.arena.region import Region

PHASES: tuple[str, ...]

class Recovered(NamedTuple):
    slot: int
    process: int
    outcome: str
    phase: str
    words: int
    pages: int
    freed: int

def recover(arena: Region, slot: int | None = None) -> tuple[Recovered, ...]: ...
