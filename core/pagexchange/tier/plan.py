"""What a tier's run would do: its stream, its nodes, its ways, the memory and about the time. Nothing is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pagexchange.errors import PagexchangeError
from pagexchange.host.blame import with_cure
from pagexchange.runs.inputs import still_taken
from pagexchange.tier.cells import planned
from pagexchange.tier.play import ROUNDS
from pagexchange.tier.result import NodeInfo, StreamInfo
from pagexchange.tier.run import described
from pagexchange.tier.scene import Scene
from pagexchange.tier.way import Playing
from pagexchange_native.arena import backing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pagexchange.arena.arena import Arena
    from pagexchange.arena.strategy import Strategy
    from pagexchange.model.config import Config, StrategySpec
    from pagexchange.tier.scene import Room
    from pagexchange.tier.stream import Stream
    from pagexchange.tier.way import Way

# Seconds on a processor of 2024 that has nothing else to do, right within a factor of two.
_FRAME: Final = 8e-6
"""To make a frame's page, and to look at it at the end of a round."""
_ACCESS: Final = 2.5e-8
"""Of one way; and once to be drawn."""
_PAIR: Final = 3e-6


class Planning(msgspec.Struct, frozen=True, kw_only=True):
    """A way of the plan."""

    name: str
    cell: str
    """Id of its cell."""
    served_by: list[str]
    """Plug-ins with their options, in the order of the questions."""
    skipped: str = ""
    """Why it would not play; empty: it would."""


class TierPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a tier's run would do."""

    stream: StreamInfo
    nodes: list[NodeInfo]
    ways: list[Planning]
    rounds: int
    """Timed ones; another one is played beside a reader."""
    bytes: int
    """Memory that is taken, at most."""
    bytes_available: int
    seconds: float
    """About, on a machine that does nothing else."""


def plan(
    config: Config, stream: Stream, size: Room, ways: Sequence[Way], bind: Callable[[StrategySpec, Arena], Strategy]
) -> TierPlan:
    """Plan a run: one arena is made as the run makes them, and the plug-ins are asked whether they serve."""
    cells = planned(config, ways, stream.given.digest)
    scene = Scene(config, size, config.run.seed)
    planning = []
    for way, cell in zip(ways, cells, strict=True):
        try:
            playing = Playing.begin(way, scene, config.tier, bind)
        except PagexchangeError as error:
            planning.append(Planning(name=way.name, cell=cell.id, served_by=[], skipped=with_cure(error)))
        else:
            planning.append(Planning(name=way.name, cell=cell.id, served_by=[p.name for p in playing.plugins]))
            playing.tier = None
    taken = still_taken(scene.arena)
    frames, nodes = scene.arena.nframes, scene.nodes
    scene.close()
    tier = config.tier
    rounds = ROUNDS[1] if tier.rounds is None else tier.rounds
    each = frames * _FRAME + stream.ticks * (stream.accesses * _ACCESS + tier.pairs * _PAIR)
    drawn = stream.ticks * stream.accesses * _ACCESS
    return TierPlan(
        stream=described(stream, config),
        nodes=nodes,
        ways=planning,
        rounds=rounds,
        bytes=len(ways) * taken + backing.OWN,
        bytes_available=backing.memory_available(),
        seconds=round(1.0 + (rounds + 1) * (len(ways) * each + drawn), 1),
    )
