"""An arena of 16 GiB against one of 1 GiB, per pair: both are there at once, and take turns."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.cells import LIST, sample_of
from benchmarks.rounds import interleave
from benchmarks.rows import GIB
from pagexchange.bench.scenes import Scene, Setting
from pagexchange.model.sizes import format_size
from pagexchange.runs.environment import collect

SMALL = Setting("half", GIB)
LARGE = replace(SMALL, size=16 * GIB)
NEEDED = (SMALL.size + LARGE.size) * 21 // 20 + GIB
"""Bytes: pages, 2.3 % of metadata for them, and something for everybody else."""


def large_against_small(rounds: int, seed: int) -> tuple[list[float], list[float]] | str:
    """Return ns per pair in the large arena and in the small one, by round; or why there is none."""
    available = collect()["memory"]["available"] or 0
    if available < NEEDED:
        return f"takes {format_size(NEEDED)} of memory, {format_size(available >> 30 << 30)} are available"
    cells = {str(setting): sample_of(Scene(setting, seed), LIST) for setting in (LARGE, SMALL)}
    medians = interleave(cells, rounds, 1, f"{seed}/large")
    return medians[str(LARGE)], medians[str(SMALL)]
