"""What is measured beside the strategies: the limits and the peers, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pagexchange.bench.linux_peers import MovePagesCell, RemapCell, one_place, two_places, why_not_between_nodes
from pagexchange.bench.loops import LOOPS, LoopCell
from pagexchange.bench.python_peers import by_blas, by_numpy
from pagexchange.bench.scenes import Scene, Setting, Stage
from pagexchange.bench.turn import Cell
from pagexchange.model.config import Config
from pagexchange.samples.schema import Kind


def arena_scene(setting: Setting, seed: int, config: Config) -> Scene:
    """Make an arena full of pages, its nodes where the configuration says."""
    fast, slow = config.placed().values()
    return Scene(setting, seed, layout=config.layout, flags=True, places=(fast, slow))


def _always(_: Config) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Other:
    """A cell that is no strategy."""

    kind: Kind
    words: str
    make: Callable[[Any, int], Cell]
    """Of its stage and a number of threads. LookupError: this machine has it not."""
    threads: bool = False
    """It can use several."""
    usual: bool = True
    """Measured unless others are asked for."""
    stage: Callable[[Setting, int, Config], Stage] = arena_scene
    """Makes the pages that it works on, of a setting, a seed and the configuration. LookupError as of `make`."""
    why_not: Callable[[Config], str] = _always
    """Why this machine has it not, whatever the point; empty: it has."""


def _loop(kind: Kind, name: str, words: str, *, usual: bool = True) -> Other:
    return Other(kind, words, partial(_loop_cell, name), threads=True, usual=usual)


def _loop_cell(name: str, scene: Scene, threads: int) -> Cell:
    return LoopCell(scene, LOOPS[name], threads)


OTHERS: Final[dict[str, Other]] = {
    "read-both": _loop("limit", "read-both", "both pages read, no prefetch"),
    "read-both-ahead": _loop("limit", "read-both-ahead", "both pages read, next pair fetched ahead"),
    "memcpy": _loop("limit", "memcpy", "as many bytes copied as an exchange moves"),
    "memcpy-one-folio": _loop(
        "limit", "memcpy-one-folio", "one folio copied onto the other, half the bytes", usual=False
    ),
    "rfc-loop": _loop("peer", "rfc-loop", "the loop of 2019 as written, 8 bytes at a time, without an engine"),
    "temporary-page": _loop("peer", "temporary-page", "three memcpy of the C library through one page, no engine"),
    "in-place": _loop("peer", "in-place", "a bare loop with the widest registers, no prefetch", usual=False),
    "in-place-ahead": _loop("peer", "in-place-ahead", "the same, next pair fetched ahead", usual=False),
    "two-at-once-ahead": _loop("peer", "two-at-once-ahead", "the same, two pairs at once", usual=False),
    "logged-ahead": _loop("peer", "logged-ahead", "one pair after the other, under the undo log", usual=False),
    "blas-dswap": Other("peer", "OpenBLAS's dswap, a call from Python for each pair", lambda scene, _: by_blas(scene)),
    "numpy-loop": Other("peer", "NumPy's fancy indexing, without an engine", lambda scene, _: by_numpy(scene)),
    "move-pages": Other(
        "peer", "Linux itself: two calls of move_pages for pages of the process's own on two real nodes",
        lambda stage, _: MovePagesCell(stage), stage=two_places, why_not=why_not_between_nodes,
    ),
    "mremap": Other(
        "peer", "mremap, three calls a pair: addresses trade their pages, which stay in their frames; no byte moves",
        lambda stage, _: RemapCell(stage), stage=one_place, usual=False,
    ),
}  # fmt: skip
"""In the order of tables: limits, then peers."""
