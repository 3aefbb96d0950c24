"""Small sweeps for tests: a file with two axes, its plan, and what a worker would measure of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pagexchange.samples.schema import Cell, Sample
from pagexchange.sweep.plan import Plan
from pagexchange.sweep.planning import plan
from pagexchange.sweep.wire import Measured, Task

TEXT = """
schema = 1
[run]
rounds = 2
[arena]
nodes = { fast = "1 MiB", slow = "1 MiB" }
[workload]
source = "synthetic"
pairs = 20
[sweep.axes]
"workload.pairs" = [20, 40]
[strategy.word-swap]
flags = "masked-word"
data = "word-swap"
mapping = "xarray"
[strategy.copy-page]
flags = "masked-word"
data = "temp-page"
mapping = "xarray"
"""


def sweep_file(folder: Path, text: str = TEXT) -> str:
    path = folder / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def small_plan(folder: Path, text: str = TEXT, **options: Any) -> Plan:
    return plan(sweep_file(folder, text), name="demo", command=["pagexchange", "sweep"], **options)


def done(task: Task, rounds: int = 2) -> Measured:
    """What a task's cells would have measured."""
    return Measured(
        cells=[
            Cell(id=cell.id, host=task.host, name=cell.name, point=cell.point, started="2026-11-29T04:24:17Z",
                 seconds=0.5, verdict="exact", details={"as_expected": True})
            for cell in task.cells
        ],
        samples=[
            Sample(cell=cell.id, host=task.host, round=number, position=place, started_ns=number, pairs=20,
                   exchanged=20, wall_ns=1000 + number + 500 * place, cpu_ns=1000 + number + 500 * place,
                   origin=f"{task.token}:{number}")
            for number in range(rounds)
            for place, cell in enumerate(task.cells)
        ],
    )  # fmt: skip
