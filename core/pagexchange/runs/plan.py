"""What a run would do: its cells, who would serve them, the memory and about the time. Nothing is exchanged.

The arena is made as a run makes it, and thrown away: so all that a run refuses before its first exchange is refused,
and pairs, frames and bytes are those of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pagexchange.errors import PagexchangeError
from pagexchange.host.blame import with_cure
from pagexchange.runs.cells import cells
from pagexchange.runs.in_turns import BUDGET, ROUNDS
from pagexchange.runs.inputs import still_taken
from pagexchange.runs.result import InputInfo
from pagexchange.samples.schema import Planned
from pagexchange_native.arena import backing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.arena.strategy import Strategy
    from pagexchange.model.config import Config, StrategySpec
    from pagexchange.runs.tally import Bind
    from pagexchange.runs.workbench import Workbench

# Seconds, with all that a run does around its calls, on a processor of 2024 that has nothing else to do. Right within a
# factor of two where strategies are native; Python in a batch, or a slow memory, takes longer.
_START: Final = 1.0
_FRAME: Final = 1.2e-6
"""Of the arena's making, and of each comparison."""
_CHECKED_PAIR: Final = 8e-6
_PAIR: Final = 3e-6
"""Of a call and of the way back, for a page of 4 KiB."""


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy of the plan."""

    cell: Planned
    served_by: list[str]
    """Plug-ins with their options, in the order of the questions; of a chain those that serve."""
    declined: dict[str, str] = {}
    """Plug-in -> why it does not serve, though another of its chain does."""
    skipped: str = ""
    """Why nothing of it would run; empty: it would."""


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run would do."""

    input: InputInfo
    contenders: list[Contender]
    rounds: int
    """Timed rounds: as asked for, or as many as would fit."""
    rounds_open: bool
    """The run chooses their number by the time that they take."""
    bytes: int
    """Memory that is taken, at most."""
    bytes_available: int
    seconds: float
    """About, on a machine that does nothing else."""


def plan(bench: Workbench, config: Config, specs: Sequence[StrategySpec], bind: Bind) -> RunPlan:
    """Plan a run; no pair is exchanged, and the plug-ins are asked whether they serve."""
    info = bench.info
    contenders: list[Contender] = []
    for spec, cell in zip(specs, cells(config, specs, info.digest), strict=True):
        try:
            strategy = bind(spec, bench.arena)
        except PagexchangeError as error:
            contenders.append(Contender(cell=cell, served_by=[], skipped=with_cure(error)))
        else:
            contenders.append(_contender(cell, strategy))
    running = sum(not contender.skipped for contender in contenders)
    call = _PAIR * info.pairs * max(info.page_size / 4096, 1) + 1e-4
    least, most = ROUNDS
    fit = max(least, min(most, int(BUDGET / max(call * running, 1e-9))))
    rounds = fit if config.run.rounds is None else config.run.rounds
    check = (_FRAME * info.frames + _CHECKED_PAIR * info.pairs) if config.run.verify else 0.0
    metadata = info.arena_bytes - info.frames * info.page_size
    return RunPlan(
        input=info,
        contenders=contenders,
        rounds=rounds,
        rounds_open=config.run.rounds is None,
        bytes=metadata + still_taken(bench.arena) + backing.OWN,
        bytes_available=backing.memory_available(),
        seconds=round(_START + _FRAME * info.frames + running * (check + (rounds + 1) * call), 1),
    )


def _contender(cell: Planned, strategy: Strategy) -> Contender:
    built = strategy.built
    return Contender(
        cell=cell,
        served_by=[served.label for served in built.served],
        declined={skipped.plugin: skipped.reason for skipped in built.skipped},
    )
