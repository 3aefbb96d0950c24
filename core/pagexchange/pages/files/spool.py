"""Brings rows into the order of time, in bounded memory, and keeps them packed in a file without a name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from pagexchange.pages.files.store import ROWS, Section, Store, pack
from pagexchange.pages.files.table import ACCESS, Access

MAX_RUNS: Final = 128
"""Stretches that ascend in time, at most: one chunk of each is in memory while they become one."""


class DisorderError(Exception):
    """Time goes back more often than can be sorted."""


def spooled(rows: Iterable[Access], name: str) -> Store:
    """All rows in ascending time, in a temporary file; those of one time stay in their order.

    Raises
    ------
    DisorderError
        Time goes back more often than `MAX_RUNS` times, other than among neighbours.
    OSError
        The temporary file cannot be written.
    """
    store, runs = _written(_sorted(rows), name)
    return store if len(runs) < 2 else _written(_regrouped(_merged(store, runs)), name)[0]


def _sorted(rows: Iterable[Access]) -> Iterator[Access]:
    """Chunks that ascend in time, each for itself."""
    for chunk in _regrouped(rows):
        yield chunk if bool((np.diff(chunk["time"]) >= 0).all()) else chunk[np.argsort(chunk["time"], kind="stable")]


def _regrouped(rows: Iterable[Access]) -> Iterator[Access]:
    """The same rows in chunks of `ROWS`."""
    parts: list[Access] = []
    held = 0
    for part in rows:
        parts.append(part)
        held += len(part)
        while held >= ROWS:
            all_held = np.concatenate(parts)
            yield all_held[:ROWS]
            parts = [all_held[ROWS:]]
            held -= ROWS
    if held:
        yield np.concatenate(parts)


def _written(chunks: Iterable[Access], name: str) -> tuple[Store, list[list[int]]]:
    """The chunks in a file, and which of them together ascend in time."""
    sections: list[Section] = []
    runs: list[list[int]] = []
    last = 0
    with tempfile.TemporaryFile(prefix="pagexchange-") as file:
        at = 0
        for number, chunk in enumerate(chunks):
            blob, section = pack(chunk, at)
            file.write(blob)
            at += len(blob)
            sections.append(section)
            if not runs or int(chunk["time"][0]) < last:
                runs.append([])
                if len(runs) > MAX_RUNS:
                    raise DisorderError
            runs[-1].append(number)
            last = int(chunk["time"][-1])
        file.flush()
        return Store(os.dup(file.fileno()), tuple(sections), name), runs


def _merged(store: Store, runs: list[list[int]]) -> Iterator[Access]:
    """The rows of all runs in ascending time."""
    waiting = [iter(run) for run in runs]
    held: list[Access] = [store.chunk(next(run)) for run in waiting]
    while held:
        # all that is not later than the end of some chunk in memory can follow from no chunk that is not
        until = min(int(rows["time"][-1]) for rows in held)
        ends = [int(np.searchsorted(rows["time"], until, side="right")) for rows in held]
        ready = np.concatenate([rows[:end] for rows, end in zip(held, ends, strict=True)])
        yield ready[np.argsort(ready["time"], kind="stable")]
        for k, end in enumerate(ends):
            held[k] = held[k][end:]
            if not len(held[k]):
                held[k] = next((store.chunk(number) for number in waiting[k]), np.empty(0, ACCESS))
        keep = [k for k, rows in enumerate(held) if len(rows)]
        held, waiting = [held[k] for k in keep], [waiting[k] for k in keep]
