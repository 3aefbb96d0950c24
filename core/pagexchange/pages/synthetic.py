"""Makes up a population: kinds, orders, sharing and flags as they are asked for, drawn by a seed."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.errors import ArenaFullError
from pagexchange.model.layout import Layout
from pagexchange.pages import flagwords, placement
from pagexchange.pages.folios import ANON, FILE, SHMEM, folios
from pagexchange.pages.placement import KINDS, Plan, Population, count_kinds, place
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot import kpageflags

FLAGS: Final = ("realistic", "random", "plain")
MAPPED: Final = 0.5
"""Share of a made-up file that its owner maps."""
PER_FILE: Final = 4096
"""Folios in a made-up file, more or less."""
PER_SPACE: Final = 1024
"""Pages for each made-up address space, at least."""


def fill(arena: Arena, fraction: float = 0.75, *, seed: int = 0) -> Population:
    """Fill each node to `fraction` with anonymous and file pages as real machines have them.

    See `populate_synthetic` for all that can be chosen.
    """
    return populate_synthetic(arena, fraction=fraction, seed=seed)


def populate_synthetic(
    arena: Arena,
    *,
    seed: int = 0,
    fraction: float = 0.75,
    pages_per_node: int | None = None,
    free: int | None = None,
    kinds: Mapping[str, float] | None = None,
    orders: Mapping[int, float] | None = None,
    shared: float = 0.1,
    private: float = 0.1,
    flags: Literal["realistic", "random", "plain"] = "realistic",
    dirty: float | None = None,
    hot: float | None = None,
) -> Population:
    """Fill each node's free frames with pages.

    Anonymous pages are mapped by one address space or, where shared, by two to four, at the same address as after a
    fork. Half of each file is mapped by one, a part by several. Every page is at rest: not locked, and held by nobody
    but its file, its page tables and its private data.

    Parameters
    ----------
    arena : Arena
        In use by nobody else meanwhile.
    seed : int
        The same seed, arguments and fresh arena give the same pages in the same frames.
    fraction : float
        Share of the free frames of each node to fill.
    pages_per_node : int, optional
        Base pages to make on each node, instead of `fraction`.
    free : int, optional
        Frames to leave free on each node, instead of the other two.
    kinds : mapping of {"anon", "file", "shmem"} to float
        Weights of the kinds. Default: 0.5, 0.4, 0.1.
    orders : mapping of int to float
        Weights of folio orders, by number of folios. Default: order 0 only. What finds no room becomes order 0.
    shared : float
        Share of pages that more than one address space maps.
    private : float
        Share of file pages with private data (one reference each).
    flags : {"realistic", "random", "plain"}
        Flags words as often as on a recorded machine; every bit that may differ drawn at random, the stress case; or
        uptodate and lru only.
    dirty : float, optional
        Share of dirty pages. Default: as `flags` has it.
    hot : float, optional
        Share of hot pages, the others are cold. Default: as the flags say, or drawn where they say nothing.

    Returns
    -------
    Population

    Raises
    ------
    ValueError
        An argument is out of range.
    ArenaFullError
        Too few frames, XArray nodes, page tables, mappings or spaces; what was made so far stays in the arena.
    """
    kinds = dict(kinds or {"anon": 0.5, "file": 0.4, "shmem": 0.1})
    orders = dict(orders or {0: 1.0})
    _check_weights("kinds", kinds, KINDS)
    _check_weights("orders", orders, range(10))
    shares = {"fraction": fraction, "shared": shared, "private": private, "dirty": dirty, "hot": hot}
    for name, share in shares.items():
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"{name} {share}: a share from 0 to 1 is expected")
    if flags not in FLAGS:
        raise ValueError(f"flags {flags!r}: choose one of {', '.join(FLAGS)}")
    random = np.random.default_rng(seed)
    parts = []
    for node in arena.nodes:
        most = node["free"]
        want = round(most * fraction) if pages_per_node is None else pages_per_node
        want = max(most - free, 0) if free is not None else want
        if not 0 <= want <= most:
            raise ArenaFullError(errno.ENOMEM, f"node {node['name']}: {want} pages asked for, {most} frames are free")
        parts += _allocate(arena, int(node["number"]), want, orders)
    pfns = np.concatenate([pfn for pfn, _, _ in parts]) if parts else np.zeros(0, np.int64)
    order = np.concatenate([np.full(len(pfn), o, np.uint8) for pfn, _, o in parts]) if parts else np.zeros(0, np.uint8)
    node_of = np.concatenate([np.full(len(pfn), n, np.uint8) for pfn, n, _ in parts]) if parts else order
    names = list(kinds)
    weights = np.array([kinds[name] for name in names], dtype=float)
    drawn = random.choice(len(names), len(pfns), p=weights / weights.sum())
    kind = np.array([KINDS[name] for name in names], dtype=np.uint8)[drawn]
    geometry = arena.geometry()
    plan = _synthetic_plan(kind, order, geometry["mappings"][1], geometry["spaces"][1], shared, random)
    notes = _fit(plan, order, geometry["tables"][1])
    if flags == "realistic":
        plan.words, plan.hot = _realistic(kind, arena.layout, random)
    else:
        plan.hot = random.integers(0, 8, len(kind), dtype=np.uint8)
        plain = np.uint64(flagwords.word(arena.layout, "uptodate", "lru"))
        plan.words = (
            flagwords.at_random(len(kind), arena.layout, random) if flags == "random" else np.full(len(kind), plain)
        )
    backed = np.uint64(flagwords.word(arena.layout, "swapbacked"))
    plan.words = np.where(kind == FILE, plan.words & ~backed, plan.words | backed)
    if dirty is not None:
        bit = np.uint64(flagwords.word(arena.layout, "dirty"))
        plan.words = np.where(random.random(len(kind)) < dirty, plan.words | bit, plan.words & ~bit)
    if hot is not None:
        plan.hot = np.where(random.random(len(kind)) < hot, 7, 0).astype(np.uint8)
    plan.private = (kind == FILE) & (random.random(len(kind)) < private)
    mappings, spaces = place(arena, plan, pfns)
    return Population(pfns, node_of, kind, order, plan.hot, mappings, spaces, count_kinds(kind), notes)


def _check_weights(what: str, weights: Mapping[str, float] | Mapping[int, float], known: Iterable[object]) -> None:
    known = list(known)
    unknown = [key for key in weights if key not in known]
    if unknown:
        raise ValueError(f"{what}: {unknown[0]!r} is unknown; choose from {', '.join(map(str, known))}")
    if any(not weight >= 0 for weight in weights.values()) or not 0 < sum(weights.values()) < float("inf"):
        raise ValueError(f"{what}: weights of 0 or more are expected, not all 0")


def _allocate(
    arena: Arena, node: int, want: int, orders: Mapping[int, float]
) -> list[tuple[NDArray[np.int64], int, int]]:
    """Frames for `want` base pages: (pfns, node, order) for each order, the largest first; the rest is order 0."""
    parts = []
    left = want
    unit = sum(weight * (1 << order) for order, weight in orders.items())  # base pages for a weight of 1
    for order in sorted((order for order in orders if order), reverse=True):
        pfns = _as_many(arena, node, min(left >> order, int(want * orders[order] / unit)), order)
        left -= len(pfns) << order
        parts.append((pfns, node, order))
    parts.append((arena.alloc(node, left, 0), node, 0))
    return [part for part in parts if len(part[0])]


def _as_many(arena: Arena, node: int, n: int, order: int) -> NDArray[np.int64]:
    """Up to `n` folios: as many as find a free block."""
    got: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    while n > 0:
        try:
            got.append(arena.alloc(node, n, order))
            break
        except ArenaFullError:
            if n == 1:
                break
            got.append(_as_many(arena, node, n // 2, order))
            if len(got[-1]) < n // 2:
                break
            n -= n // 2
    return np.concatenate(got)


def _synthetic_plan(
    kind: NDArray[np.uint8], order: NDArray[np.uint8], mappings: int, spaces: int, shared: float,
    random: np.random.Generator,
) -> Plan:  # fmt: skip
    """Identities and mappings of made-up pages. Shared pages lie side by side, so that page tables are dense."""
    n = len(kind)
    size = np.left_shift(np.int64(1), order.astype(np.int64))
    nspaces = max(1, min(8, spaces // 2, int(size.sum()) // PER_SPACE))
    file = np.full(n, -1, dtype=np.int64)
    files = 0
    for what, most in ((FILE, mappings // 2), (SHMEM, mappings // 4)):
        rows = np.flatnonzero(kind == what)
        if len(rows):
            many = max(1, min(most, -(-len(rows) // PER_FILE)))
            file[rows] = files + random.integers(0, many, len(rows))
            files += many
    owner = np.where(file >= 0, file % nspaces, random.integers(0, nspaces, n))
    # of an anonymous page by itself, of a file's by where it lies in the file
    sharers = np.where(random.random(n) < shared, random.integers(1, 4, n), 0)
    sharers = np.minimum(sharers, nspaces - 1)
    sharers[file >= 0] = 0
    draw = random.permutation(n)
    # one line of positions: anonymous pages by owner and sharers, then file after file; large folios first in each
    area = np.where(file >= 0, nspaces * 4 + file, owner * 4 + sharers)
    by = np.lexsort((draw, -order.astype(np.int64), area))
    end = np.cumsum(size[by])
    starts = np.flatnonzero(np.append(True, np.diff(area[by]) != 0)) if n else np.zeros(0, np.int64)
    inside = (end - size[by]) - np.repeat((end - size[by])[starts], np.diff(np.append(starts, n)))
    length = np.add.reduceat(size[by], starts) if n else np.zeros(0, np.int64)
    base = 512 + np.append(0, np.cumsum(-(-length // 512) * 512 + 512))[: len(starts)]
    index, vpn = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    index[by] = inside
    vpn[by] = np.repeat(base, np.diff(np.append(starts, n))) + inside
    share_of = np.zeros(n)
    share_of[by] = inside / np.repeat(length, np.diff(np.append(starts, n)))
    is_file = file >= 0
    sharers[is_file & (share_of < min(shared, MAPPED))] = min(2, nspaces - 1)
    mapped = ~is_file | (share_of < MAPPED) | (sharers > 0)
    folio = [np.flatnonzero(mapped & (sharers >= k)) for k in range(4)]
    map_folio = np.concatenate(folio)
    map_space = np.concatenate([(owner[rows] + k) % nspaces for k, rows in enumerate(folio)])
    return Plan(
        kind=kind, file=file, index=np.where(is_file, index, 0), words=np.zeros(n, np.uint64),
        private=np.zeros(n, bool), hot=np.zeros(n, np.uint8), map_space=map_space, map_vpn=vpn[map_folio],
        map_folio=map_folio, map_write=(kind[map_folio] != FILE) & (sharers[map_folio] == 0),
    )  # fmt: skip


def _fit(plan: Plan, order: NDArray[np.uint8], tables: int) -> list[str]:
    """Leave out mappings by further address spaces where the arena has too few page tables; say so."""
    count = np.bincount(plan.map_folio, minlength=len(order))
    # the mappings come in rounds: each page's first, each shared page's second, and so on
    begin = np.cumsum([0, *(int((count > k).sum()) for k in range(4))])
    keep = len(plan.map_folio)
    for level in (3, 2, 1):
        if placement.page_tables(plan, order) <= tables:
            break
        keep = int(begin[level])
        for name in ("map_space", "map_vpn", "map_folio", "map_write"):
            setattr(plan, name, getattr(plan, name)[:keep])
    left_out = int(begin[-1]) - keep
    return [f"{left_out} shared mappings were left out: the arena has {tables} page tables"] if left_out else []


@cache
def _recorded(layout_name: str) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.uint8]]:
    """Flags of the packaged snapshot's folios, which are anonymous, and their kind."""
    snapshot = file_format.packaged()
    found = folios(snapshot)
    words = snapshot.flags[found.row] & ~kpageflags.mask(*flagwords.REFUSED)
    return words, found.kind == ANON, found.kind


def _realistic(
    kind: NDArray[np.uint8], layout: Layout, random: np.random.Generator
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    words, anon, kinds = _recorded(layout.name)
    ours, _ = flagwords.from_kpageflags(words, anon, layout)
    hot = kpageflags.heat(words)
    drawn = np.zeros(len(kind), dtype=np.int64)
    for what in KINDS.values():
        rows = np.flatnonzero(kind == what)
        drawn[rows] = random.choice(np.flatnonzero(kinds == what), len(rows))
    return ours[drawn], hot[drawn]
