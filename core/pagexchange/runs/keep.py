"""A run kept as a folder while it runs: every timed call a sample, every strategy a cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pagexchange.exits import EXIT_OK, EXIT_PLUGIN
from pagexchange.host import crashes
from pagexchange.host.discovery import Registry
from pagexchange.host.resolved import resolved
from pagexchange.model.layout import is_file_name
from pagexchange.model.tomltext import toml
from pagexchange.runs import machine
from pagexchange.runs.cells import cells, distributions
from pagexchange.runs.kept import KeptFolder
from pagexchange.samples.schema import Cell, Input, Manifest, Sample, Versions
from pagexchange_native.engine.steps import COSTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.model.config import Config, StrategySpec
    from pagexchange.runs.result import InputInfo, Round, RunResult, StrategyResult


class Kept(KeptFolder):
    """The folder of a run.

    Parameters
    ----------
    config
        As it is run: with what the command line said.
    started, command
        For the manifest.
    snapshot
        The file that the pages are from, if it is not the one that `[workload]` names.

    Raises
    ------
    FolderError
        The folder cannot be made.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        specs: Sequence[StrategySpec],
        given: InputInfo,
        *,
        started: str,
        command: list[str],
        snapshot: str | None = None,
    ) -> None:
        manifest = Manifest(
            verb="run",
            name=path.name,
            started=started,
            command=command,
            config=toml(with_whole_paths(config, specs, snapshot)),
            seed=config.run.seed,
            input=Input(name=given.name, kind=given.kind, digest=given.digest),
            versions=versions(config, specs),
            cells=cells(config, specs, given.digest),
        )
        super().__init__(path, manifest)
        self._pairs = given.pairs

    def sample(self, strategy: str, timed: Round) -> None:
        """Keep a timed call that has just returned."""
        self._write(
            lambda: self.folder.append(
                [
                    Sample(
                        cell=self._ids[strategy],
                        host=self._host.id,
                        round=timed.round,
                        position=timed.position,
                        attempt=timed.attempt,
                        started_ns=timed.started_ns,
                        pairs=self._pairs,
                        exchanged=timed.exchanged,
                        wall_ns=timed.wall_ns,
                        cpu_ns=timed.cpu_ns,
                        threads=timed.threads,
                        parts={name: getattr(timed.ns, name) for name in COSTS},
                        aside=timed.aside,
                    )
                ]
            )
        )

    def finish(self, result: RunResult) -> None:
        """Keep what became of each strategy, and what the machine did meanwhile."""
        self._end(self._cell(done, result) for done in result.strategies)

    def _cell(self, done: StrategyResult, result: RunResult) -> Cell:
        error = ""
        if done.verdict == "failed":
            error = done.reason
        elif result.interrupted:
            error = f"interrupted after {len({timed.round for timed in done.rounds})} of {result.rounds} rounds"
        elif done.verdict == "not run":
            error = "the arena was wrong before its turn"
        details: dict[str, Any] = {
            "summary": done.summary,
            "expected": done.expected,
            "as_expected": done.as_expected,
            "reason": done.reason,
            "lost": [msgspec.to_builtins(lost) for lost in done.lost if lost.kind != "flag"],
            "moved": done.moved,
            "plugins": msgspec.to_builtins(done.plugins),
            "report": done.report,
            "page_size": result.input.page_size,
            "huge_bytes": result.input.huge_bytes,
            "real_nodes": result.input.real_nodes,
        }
        return Cell(
            id=self._ids[done.name],
            host=self._host.id,
            name=done.name,
            started=self.folder.manifest.started,
            seconds=result.seconds,  # all strategies share the run's process
            exit=_exit(done),
            error=error,
            verdict=done.verdict,
            lost={lost.name: lost.count for lost in done.lost if lost.kind == "flag"},
            refused=done.refused,
            frames=done.frames_allocated,
            isa=done.isa or "",
            details={key: value for key, value in details.items() if value not in ("", [], {}, None)},
        )


def _exit(done: StrategyResult) -> int:
    """As if the strategy had a process of its own: it did, where it has ended one."""
    status = crashes.status(done.name)
    return status if status is not None else EXIT_PLUGIN if done.verdict == "failed" else EXIT_OK


def versions(config: Config, specs: Sequence[StrategySpec]) -> Versions:
    """Return what runs here."""
    return machine.versions(distributions(Registry(config.block), specs))


def with_whole_paths(config: Config, specs: Sequence[StrategySpec], snapshot: str | None) -> dict[str, Any]:
    """Return the resolved configuration, which then reads the same from every folder."""
    data = resolved(config, specs)
    arena, workload = data["arena"], data["workload"]
    for table, key in ((arena, "path"), (workload, "snapshot")):
        if table[key] is not None:
            table[key] = str(config.resolve(table[key]).absolute())
    for node in arena["nodes"].values():
        if isinstance(node, dict) and node["path"] is not None:
            node["path"] = str(config.resolve(node["path"]).absolute())
    if is_file_name(arena["layout"]):
        arena["layout"] = str(config.resolve(arena["layout"]).absolute())
    if snapshot is not None:
        workload |= {"source": "snapshot", "snapshot": str(Path(snapshot).absolute())}
    return data
