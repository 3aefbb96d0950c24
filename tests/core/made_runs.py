"""Run folders with samples that are made up: times with the noise of real runs, and a slowdown where one is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pagexchange.measure.pressure import Pressure
from pagexchange.samples.folder import Folder
from pagexchange.samples.naming import cell_id
from pagexchange.samples.reading import Contents
from pagexchange.samples.schema import Cell, Host, Input, Manifest, Planned, Sample, Versions

ENVIRONMENT = {
    "cpu": {"model": "Z80", "smt": "off"},
    "memory": {"total": 65536, "available": 1},
    "load": [0.1, 0.2, 0.3],
}
CONFIG = '[run]\nseed = 1\n[arena]\nlayout = "linux-6.18"\n[strategy.a]\ndata = ["x"]\n'


@dataclass(frozen=True)
class Noise:
    """Standard deviations, as shares: between runs, of all cells together and of each; between rounds. And bursts."""

    common: float
    own: float
    rounds: float
    bursts: float = 0.1
    """Share of the rounds in which others had the caches."""


QUIET = Noise(0.01, 0.005, 0.01, 0.02)
BUSY = Noise(0.12, 0.055, 0.15)
"""As runs of a second on a machine whose two processors were shared by eight others."""


@dataclass(frozen=True)
class Made:
    """A run to be made."""

    times: dict[str, float] = field(default_factory=lambda: {"a": 100.0, "b": 200.0, "c": 400.0})
    """Cell -> nanoseconds per pair."""
    kinds: dict[str, Any] = field(default_factory=dict)
    points: dict[str, dict[str, Any]] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    clock: Any = "cpu"
    rounds: int = 15
    noise: Noise = QUIET
    config: str = CONFIG
    digest: str = "d" * 64
    version: str = "1.0"
    environment: dict[str, Any] = field(default_factory=lambda: ENVIRONMENT)
    pressure: float = 0.0
    host: str = "vm-1"
    started: str = "2026-11-01T00:00:00Z"
    aside: float = 0.0
    """Share of the turns that were pushed aside."""

    def folder(self, path: Path, seed: int) -> Path:
        """Write it, and return its path."""
        whole = self.contents(path.name, seed)
        made = Folder.create(path, whole.manifest)
        for host in whole.hosts.values():
            made.add_host(host)
        made.append(whole.samples)
        for cell in whole.cells.values():
            made.add_cell(cell)
        return path

    def contents(self, name: str, seed: int) -> Contents:
        """Return what would be in it."""
        random = np.random.default_rng(seed)
        planned = [
            Planned(
                id=cell_id({"v": self.version}, digest=cell, distributions={}),
                name=cell,
                kind=self.kinds.get(cell, "strategy"),
                point=self.points.get(cell, {}),
                clock=self.clock,
            )
            for cell in self.times
        ]
        manifest = Manifest(
            verb="run",
            name=name,
            started=self.started,
            command=["pagexchange", "run"],
            config=self.config,
            seed=1,
            input=Input(name="made-up pages", kind="synthetic", digest=self.digest),
            versions=Versions(pagexchange=self.version, python="3.13.0", numpy="2.0.0"),
            cells=planned,
        )
        after = Pressure(some_cpu=self.pressure)
        host = Host(id=self.host, fingerprint=self.host, environment=self.environment, after=after)
        cells = {
            (cell.id, host.id): Cell(
                id=cell.id, host=host.id, name=cell.name, started=self.started, seconds=1.0,
                verdict=self.verdicts.get(cell.name, "exact"),
            )
            for cell in planned
        }  # fmt: skip
        return Contents(manifest, {host.id: host}, cells, list(self.samples(planned, random)))

    def samples(self, planned: list[Planned], random: np.random.Generator) -> Iterator[Sample]:
        """Yield the samples of each cell."""
        common = random.normal(0, self.noise.common)
        drift = random.normal(0, self.noise.rounds) * np.linspace(-1, 1, self.rounds)
        burst = np.where(random.random(self.rounds) < self.noise.bursts, random.exponential(0.5, self.rounds), 0)
        for cell in planned:
            own = random.normal(0, self.noise.own)
            tails = random.standard_t(3, self.rounds) * self.noise.rounds / np.sqrt(3)
            times = self.times[cell.name] * np.exp(common + own + drift + burst + tails)
            for number, time in enumerate(times):
                ns = round(1000 * time)
                yield Sample(
                    cell=cell.id, host=self.host, round=number, position=0, started_ns=number, pairs=1000,
                    exchanged=1000, wall_ns=ns, cpu_ns=ns, aside=bool(random.random() < self.aside),
                )  # fmt: skip
