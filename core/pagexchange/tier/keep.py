"""A tier's run kept as a folder while it plays: every timed round a sample, every way a cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pagexchange.exits import EXIT_OK, EXIT_PLUGIN
from pagexchange.model.config import NOTHING
from pagexchange.model.tomltext import toml
from pagexchange.runs.keep import versions, with_whole_paths
from pagexchange.runs.kept import KeptFolder
from pagexchange.samples.schema import Cell, Manifest, Sample, Tiered
from pagexchange.tier.cells import planned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.model.config import Config
    from pagexchange.tier.result import Played, TierResult, WayResult
    from pagexchange.tier.stream import Stream
    from pagexchange.tier.way import Way

PLACES = 1000
"""Thousandths: what a share of hits over time is kept in."""


class Kept(KeptFolder):
    """The folder of a tier's run.

    Parameters
    ----------
    started, command
        For the manifest.

    Raises
    ------
    FolderError
        The folder cannot be made.
    """

    def __init__(
        self, path: Path, config: Config, ways: Sequence[Way], stream: Stream, *, started: str, command: list[str]
    ) -> None:
        specs = [way.spec for way in ways if way.spec is not None]
        written = with_whole_paths(config, specs, None)
        if config.tier.input is not None:
            written["tier"]["input"] = str(Path(config.resolve(config.tier.input)).absolute())
        manifest = Manifest(
            verb="tier",
            name=path.name,
            started=started,
            command=command,
            config=toml(written),
            seed=config.run.seed,
            input=stream.given,
            versions=versions(config, specs),
            reference=NOTHING,
            cells=planned(config, ways, stream.given.digest),
        )
        super().__init__(path, manifest)
        self._weight = stream.weight

    def sample(self, way: str, played: Played) -> None:
        """Keep a timed round that is over."""
        moved = played.moved
        tier = Tiered(
            accesses=round(moved.accesses * self._weight), hits=round(moved.hits * self._weight),
            cost_ns=played.cost_ns, promoted=moved.promoted, demoted=moved.demoted,
            back_and_forth=moved.back_and_forth, stalls=moved.stalls, frames=moved.frames, below_low=moved.below_low,
            below_min=moved.below_min, bytes=moved.bytes, choose_ns=moved.choose_ns, move_ns=moved.move_ns,
        )  # fmt: skip
        sample = Sample(
            cell=self._ids[way], host=self._host.id, round=played.round, position=played.position,
            attempt=played.attempt, started_ns=played.started_ns, pairs=moved.asked, exchanged=moved.done,
            wall_ns=moved.wall_ns, cpu_ns=moved.cpu_ns, aside=played.aside, tier=tier,
        )  # fmt: skip
        self._write(lambda: self.folder.append([sample]))

    def finish(self, result: TierResult) -> None:
        """Keep what became of each way, and what the machine did meanwhile."""
        self._end(self._cell(done, result) for done in result.ways)

    def _cell(self, done: WayResult, result: TierResult) -> Cell:
        error = done.reason if done.verdict == "failed" else ""
        if result.interrupted and not error:
            error = f"interrupted after {len(done.rounds)} of {result.rounds} rounds"
        details: dict[str, Any] = {
            "summary": done.summary,
            "reason": done.reason,
            "policy": done.policy,
            "plugins": msgspec.to_builtins(done.plugins),
            "report": done.report,
            "page_size": result.stream.page_size,
            "slow_ns": result.slow_ns,
            "seconds": result.stream.seconds,
            "nodes": msgspec.to_builtins(result.nodes),
            "notes": result.stream.notes,
            "over_time": [round(share * PLACES) for share in done.over_time],
            "reads": None if done.reads is None else msgspec.to_builtins(done.reads),
        }
        return Cell(
            id=self._ids[done.name],
            host=self._host.id,
            name=done.name,
            started=self.folder.manifest.started,
            seconds=result.seconds,  # all ways share the run's process
            exit=EXIT_PLUGIN if done.verdict == "failed" else EXIT_OK,
            error=error,
            verdict=done.verdict,
            frames=None if done.moved is None else done.moved.frames,
            details={key: value for key, value in details.items() if value not in ("", [], {}, None)},
        )
