"""From a strategies file, `--input` or `--live` to a workbench: the pages in the arena and the pairs to exchange."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from pagexchange.arena import hugepages
from pagexchange.arena.arena import Arena
from pagexchange.errors import ArenaError, SnapshotError
from pagexchange.model.config import Config
from pagexchange.pages import Population, arena_from_snapshot, populate_synthetic
from pagexchange.pages.choose import choose, leave_free
from pagexchange.pages.files import as_snapshot
from pagexchange.pages.replay import refuse_too_many
from pagexchange.pages.snapshot import Snapshot, take
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot.snapshot import ARRAYS
from pagexchange.pages.unseen import draw_unseen
from pagexchange.runs.result import InputInfo
from pagexchange.runs.workbench import Made, Workbench
from pagexchange.samples.schema import Input
from pagexchange_native.arena import backing

PACKAGED: Final = "packaged snapshot"
LISTS: Final = 64
"""Bytes that a run takes for each pair: lists, statuses, and what choosing them needs."""
COPIES: Final = 3
"""Of the arena's tables: what a run goes back to before each round, and what the oracle compares."""
_TABLES: Final = ("entries", "xanodes", "tables", "mappings", "spaces")


def workbench(config: Config, *, file: str | None = None, live: bool = False) -> Workbench:
    """Build the arena that a configuration describes and choose the pairs.

    Parameters
    ----------
    file
        A snapshot file or a saved tree (see `take`), instead of what `[workload]` says.
    live
        Record this machine now, instead of what `[workload]` says.

    Raises
    ------
    SnapshotError
        The snapshot, or /proc, cannot be read.
    ArenaError
        The arena cannot be made, or has no two pages that could be exchanged.
    """
    if config.workload.source == "synthetic" and not live and file is None:
        given = Input(name="made-up pages", kind="synthetic", digest=synthetic_digest(config))
        return Workbench(lambda: _synthetic(config, given))
    snapshot, given = _snapshot(config, file, live)
    return Workbench(lambda: _replayed(config, snapshot, given))


def _snapshot(config: Config, file: str | None, live: bool) -> tuple[Snapshot, Input]:
    """The snapshot to run on, and what it is of."""
    read = hashlib.sha256()
    if file is None and config.workload.snapshot is not None:
        file = str(config.resolve(config.workload.snapshot))
    if live:
        name, kind, snapshot = "this machine, now", "live", take(seed=config.run.seed, limit=_most(config))
    elif file is None:
        name, kind, snapshot = PACKAGED, "snapshot", file_format.packaged(seen=read.update)
    elif Path(file).is_dir():
        snapshot = take(proc=file, seed=config.run.seed, limit=_most(config))
        name, kind = f"saved tree {Path(file).name}", "snapshot"
    else:
        # A snapshot may hold far more pages than fit: that is found out before all of it is unpacked.
        _refuse_other_forms(file)
        sieve = partial(refuse_too_many, page_size=int(config.arena.page_size))
        snapshot = file_format.load(file, sieve=sieve, seen=read.update)
        name, kind = f"snapshot {Path(file).name}", "snapshot"
    if live or (file is not None and Path(file).is_dir()):  # there is no file: what would be in it
        read.update(json.dumps(snapshot.facts, sort_keys=True).encode())
        for array in (getattr(snapshot, name) for name in ARRAYS):
            read.update(b"" if array is None else np.ascontiguousarray(array).data)
    return snapshot, Input(name=name, kind=kind, digest=read.hexdigest())


def _refuse_other_forms(file: str) -> None:
    """SnapshotError where a file is of a form that people have, and no snapshot: what it is, and what takes it."""
    path = Path(file)
    if not path.is_file() or not os.access(path, os.R_OK):  # a pipe is read once; the rest says what it is
        return
    with path.open("rb") as stream:
        begins = stream.read(len(file_format.MAGIC))
    if begins and begins != file_format.MAGIC and (why := as_snapshot.why_not(path)):
        raise SnapshotError(why)


def synthetic_digest(config: Config) -> str:
    """sha256 of all that decides what pages are made up, as JSON."""
    arena = dataclasses.asdict(config.arena) | {"path": None, "layout": config.layout.text}
    workload = dataclasses.asdict(config.workload) | {"snapshot": None}
    return hashlib.sha256(json.dumps([arena, workload, config.run.seed], sort_keys=True).encode()).hexdigest()


def _most(config: Config) -> int:
    """Frames of a sample that fits into half of what is free: the arena is a second copy of what is in memory."""
    return max(backing.memory_available() // 2 // (int(config.arena.page_size) + backing.METADATA), 1)


def _options(config: Config) -> dict[str, Any]:
    arena = config.arena
    return {
        "huge": "" if arena.huge == "no" else arena.huge,
        "workers": arena.workers,
        "watermarks": arena.watermarks,
        "path": None if arena.path is None else config.resolve(arena.path),
    }


def _replayed(config: Config, snapshot: Snapshot, given: Input) -> Made:
    backing.refuse_more_than_available((config.workload.pairs or 0) * LISTS)
    arena, population = arena_from_snapshot(
        snapshot,
        layout=config.layout,
        split=config.workload.split,
        free=config.workload.free,
        hot=config.workload.hot,
        page_size=int(config.arena.page_size),
        nodes=config.placed(),
        seed=config.run.seed,
        **_options(config),
    )
    facts: dict[str, Any] = {k: v for k, v in snapshot.facts.items() if k in ("kernel", "machine", "date")}
    facts["partial"] = snapshot.partial
    drawn = "made_up_heat" in population.counts
    facts["heat"] = "drawn" if drawn else snapshot.facts.get("heat", "flags")
    heat = f"which pages are hot is drawn by the seed, {config.workload.hot:.0%} of them" if drawn else ""
    return _chosen(config, arena, population, given, facts, [*snapshot.notes, snapshot.unsaid, heat])


def _synthetic(config: Config, given: Input) -> Made:
    work = config.workload
    pages = sum(config.arena.frames.values()) if work.pairs is None else 2 * _pages_for(config)
    # Before anything is taken: Linux would hand out the memory now, and kill us when it is written.
    backing.refuse_more_than_available(
        pages * int(config.arena.page_size)
        + sum(config.arena.frames.values()) * backing.METADATA
        + (work.pairs or 0) * LISTS
    )
    arena = Arena.create(
        nodes={name: place | {"frames": config.arena.frames[name]} for name, place in config.placed().items()},
        page_size=int(config.arena.page_size),
        layout=config.layout,
        **_options(config),
    )
    wanted: dict[str, Any] = {} if work.pairs is None else {"pages_per_node": _pages_for(config)}
    population = populate_synthetic(
        arena,
        seed=config.run.seed,
        kinds={str(kind): weight for kind, weight in work.kinds.items()},
        orders={int(order): weight for order, weight in work.orders.items()},
        shared=work.shared,
        dirty=work.dirty,
        hot=work.hot,
        **wanted,
    )
    if work.free is not None:
        arena.reserve_frames(leave_free(arena, work.free))
    return _chosen(config, arena, population, given, {}, [])


def _pages_for(config: Config) -> int:
    """Pages on each node: as many as pairs where they fit, seven eighths of the node where they do not.

    With larger folios always seven eighths: how many pairs of one order come out of it is not known before.
    """
    room = min(config.arena.frames.values())
    assert config.workload.pairs is not None
    return min(config.workload.pairs, room - room // 8) if max(map(int, config.workload.orders)) == 0 else room * 7 // 8


def in_memory(config: Config) -> Config:
    """The same configuration without a file for its arena; raises what the file would be refused for."""
    if config.arena.path is None:
        return config
    backing.refuse_path(config.resolve(config.arena.path), config.arena.huge == "hugetlb")
    return dataclasses.replace(config, arena=dataclasses.replace(config.arena, path=None))


def still_taken(arena: Arena) -> int:
    """Bytes that a run takes besides an arena that is made: those of its pages, once they are written, and copies."""
    used = arena.nframes - sum(int(node["free"]) for node in arena.nodes)
    tables = sum(count * size for name, (_, count, size) in arena.geometry().items() if name in _TABLES)
    huge = arena.collapsed.came if arena.collapsed else 0  # they were taken when the arena was made
    return max(used * arena.page_size - huge, 0) + COPIES * tables


def _chosen(
    config: Config,
    arena: Arena,
    population: Population,
    given: Input,
    facts: dict[str, Any],
    notes: Sequence[str],
) -> Made:
    work = config.workload
    backing.refuse_more_than_available(still_taken(arena))
    unseen = draw_unseen(arena, population, config.run.seed)
    fast, slow = config.arena.nodes
    lists = choose(
        arena,
        population,
        work.pairs,
        seed=config.run.seed,
        ordering="sorted" if work.sort else "random",
        fast=fast,
        slow=slow,
    )
    if not lists:
        raise ArenaError(f"{given.name}: there is no hot page on {slow!r} with a colder one of its order on {fast!r}")
    # The first page of each pair tells for both: pairs are chosen among folios of one order.
    orders = arena.entries["order"][np.concatenate(lists)[:, 0]]
    split = population.split
    how = split.sentence if split else ""
    info = InputInfo(
        name=given.name,
        kind=given.kind,
        digest=given.digest,
        pairs=sum(map(len, lists)),
        pairs_asked=work.pairs,
        orders={str(order): int(n) for order, n in enumerate(np.bincount(orders)) if n},
        pages=population.pages,
        page_size=arena.page_size,
        frames=arena.nframes,
        arena_bytes=arena.total_bytes,
        huge=arena.huge,
        huge_bytes=hugepages.mapped(arena),
        nodes=[{key: node[key] for key in ("name", "frames", "free", "min", "low", "high")} for node in arena.nodes],
        layout=config.layout.name,
        free=work.free,
        details={
            "counts": dict(population.counts),
            "notes": [note for note in (*notes, how, *population.notes, unseen) if note],
            "lists": len(lists),
            "split": split and split.how,
            **facts,
        },
    )
    return Made(arena, lists, info)
