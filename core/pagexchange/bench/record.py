"""From a plan to the manifest of its run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pagexchange.bench.plan import Plan, digest
from pagexchange.model.config import StrategySpec
from pagexchange.model.tomltext import toml
from pagexchange.runs.keep import versions, with_whole_paths
from pagexchange.samples.schema import Input, Manifest


def manifest(plan: Plan, specs: Sequence[StrategySpec], path: Path, started: str, command: list[str]) -> Manifest:
    """Return what is written before anything is measured."""
    config = plan.config
    return Manifest(
        verb="bench",
        name=path.name,
        started=started,
        command=command,
        config=toml(with_whole_paths(config, specs, None)),
        seed=config.run.seed,
        input=Input(name="made-up pages", kind="synthetic", digest=digest(config)),
        versions=versions(config, specs),
        reference=plan.reference,
        cells=[cell.planned for cell in plan.cells],
        axes=plan.axes(),
    )
