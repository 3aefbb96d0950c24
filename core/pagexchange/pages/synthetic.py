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
from pagexchange.pages.snapshot.proc import kpageflags
from pagexchange.pages.within import within

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
    fork. Half of each file is mapped by one, a part by several. Every page is at rest: not locked, and held by nothing
    but its file, its page tables and its private data.

    Parameters
    ----------
    arena : Arena
        Nothing else may use it meanwhile.
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
    _check_shares(fraction=fraction, shared=shared, private=private, dirty=dirty, hot=hot)
    if flags not in FLAGS:
        raise ValueError(f"flags {flags!r}: choose one of {', '.join(FLAGS)}")
    # One generator, in a fixed order of draws: the seed's promise. A new draw goes behind the last one.
    random = np.random.default_rng(seed)
    pfns, node, order = _allocate(arena, orders, fraction, pages_per_node, free)
    kind = _draw_kinds(len(pfns), kinds, random)
    geometry = arena.geometry()
    plan = _synthetic_plan(kind, order, geometry["mappings"][1], geometry["spaces"][1], shared, random)
    notes = _fit(plan, order, geometry["tables"][1])
    _draw_flags(plan, arena.layout, flags, dirty, hot, random)
    plan.private = (kind == FILE) & (random.random(len(kind)) < private)
    mappings, spaces = place(arena, plan, pfns)
    # Each page of an anonymous folio has a mark of its own, and none has been shared since it was made.
    exclusive = flagwords.word(arena.layout, "anon_exclusive")
    marked = np.flatnonzero((kind == ANON) & ((plan.words & np.uint64(exclusive)) != 0))
    size = np.left_shift(np.int64(1), order[marked].astype(np.int64))
    arena.set_flags(np.repeat(pfns[marked], size) + within(size), exclusive)
    return Population(pfns, node, kind, order, plan.hot, mappings, spaces, count_kinds(kind), notes)


def _check_weights(name: str, weights: Mapping[str, float] | Mapping[int, float], known: Iterable[object]) -> None:
    known = list(known)
    unknown = [key for key in weights if key not in known]
    if unknown:
        raise ValueError(f"{name}: {unknown[0]!r} is unknown; choose from {', '.join(map(str, known))}")
    # `not >=` and not `<`: nan is refused, too
    if any(not weight >= 0 for weight in weights.values()) or not 0 < sum(weights.values()) < float("inf"):
        raise ValueError(f"{name}: weights of 0 or more are expected, not all 0")


def _check_shares(**shares: float | None) -> None:
    for name, share in shares.items():
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"{name} {share}: a share from 0 to 1 is expected")


def _allocate(
    arena: Arena, orders: Mapping[int, float], fraction: float, pages_per_node: int | None, free: int | None
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8]]:
    """First frames of the folios to fill, with the node and the order of each."""
    parts: list[tuple[NDArray[np.int64], int, int]] = []
    for state in arena.nodes:
        most = state["free"]
        want = round(most * fraction) if pages_per_node is None else pages_per_node
        want = max(most - free, 0) if free is not None else want
        if not 0 <= want <= most:
            raise ArenaFullError(errno.ENOMEM, f"node {state['name']}: {want} pages asked for, {most} frames are free")
        parts += _allocate_on(arena, int(state["number"]), want, orders)
    # The empty array gives the dtype where no node has a free frame.
    pfns = np.concatenate([np.zeros(0, np.int64), *(pfns for pfns, _, _ in parts)])
    node = np.concatenate([np.zeros(0, np.uint8), *(np.full(len(pfns), n, np.uint8) for pfns, n, _ in parts)])
    order = np.concatenate([np.zeros(0, np.uint8), *(np.full(len(pfns), o, np.uint8) for pfns, _, o in parts)])
    return pfns, node, order


def _allocate_on(
    arena: Arena, node: int, want: int, orders: Mapping[int, float]
) -> list[tuple[NDArray[np.int64], int, int]]:
    """Frames for `want` base pages: (pfns, node, order) for each order, the largest first; the rest is order 0."""
    parts = []
    left = want
    # Weights count folios, `want` counts base pages: so many base pages go to a weight of 1.
    unit = sum(weight * (1 << order) for order, weight in orders.items())
    for order in sorted((order for order in orders if order), reverse=True):
        pfns = _as_many(arena, node, min(left >> order, int(want * orders[order] / unit)), order)
        left -= len(pfns) << order
        parts.append((pfns, node, order))
    parts.append((arena.alloc(node, left, 0), node, 0))
    return [part for part in parts if len(part[0])]


def _as_many(arena: Arena, node: int, n: int, order: int) -> NDArray[np.int64]:
    """Up to `n` folios: as many as find a free block."""
    # The allocator gives all or nothing and does not tell how many blocks there are: halve until a part is given.
    parts: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    while n > 0:
        try:
            parts.append(arena.alloc(node, n, order))
            break
        except ArenaFullError:
            if n == 1:
                break
            parts.append(_as_many(arena, node, n // 2, order))
            if len(parts[-1]) < n // 2:
                break
            n -= n // 2
    return np.concatenate(parts)


def _draw_kinds(n: int, kinds: Mapping[str, float], random: np.random.Generator) -> NDArray[np.uint8]:
    """uint8[n]: numbers of kinds, as often as their weights say."""
    names = list(kinds)
    weights = np.array([kinds[name] for name in names], dtype=float)
    drawn = random.choice(len(names), n, p=weights / weights.sum())
    return np.array([KINDS[name] for name in names], dtype=np.uint8)[drawn]


def _synthetic_plan(
    kind: NDArray[np.uint8], order: NDArray[np.uint8], mappings: int, spaces: int, shared: float,
    random: np.random.Generator,
) -> Plan:  # fmt: skip
    """Identities and mappings of made-up pages. Shared pages lie side by side, so that page tables are dense.

    Parameters
    ----------
    mappings, spaces : int
        How many the arena has room for; about half of them are used.
    """
    n = len(kind)
    size = np.left_shift(np.int64(1), order.astype(np.int64))
    nspaces = max(1, min(8, spaces // 2, int(size.sum()) // PER_SPACE))
    file = _draw_files(kind, mappings, random)
    is_file = file >= 0
    owner = np.where(is_file, file % nspaces, random.integers(0, nspaces, n))
    # How many more spaces map a page: drawn for each anonymous page; of a file's page its position decides, below.
    sharers = np.where(random.random(n) < shared, random.integers(1, 4, n), 0)
    sharers = np.minimum(sharers, nspaces - 1)
    sharers[is_file] = 0
    # An area is a run of addresses without gaps: anonymous pages of one owner with equally many sharers, or a file.
    area = np.where(is_file, nspaces * 4 + file, owner * 4 + sharers)
    position, start, share = _lay_out(area, order, size, random.permutation(n))
    sharers[is_file & (share < min(shared, MAPPED))] = min(2, nspaces - 1)
    # Further sharers are the owner's neighbours by number. All map a page at one address, as after a fork.
    mapped = ~is_file | (share < MAPPED) | (sharers > 0)
    rounds = [np.flatnonzero(mapped & (sharers >= k)) for k in range(4)]
    map_folio = np.concatenate(rounds)
    map_space = np.concatenate([(owner[rows] + k) % nspaces for k, rows in enumerate(rounds)])
    return Plan(
        kind=kind, file=file, index=np.where(is_file, position, 0), words=np.zeros(n, np.uint64),
        private=np.zeros(n, bool), hot=np.zeros(n, np.uint8), map_space=map_space,
        map_vpn=(start + position)[map_folio], map_folio=map_folio,
        # Shared anonymous pages are read-only, as after a fork; pages of files, as a program's text is.
        map_write=(kind[map_folio] != FILE) & (sharers[map_folio] == 0),
    )  # fmt: skip


def _draw_files(kind: NDArray[np.uint8], mappings: int, random: np.random.Generator) -> NDArray[np.int64]:
    """int64[n]: a file for each page of a file or of shared memory, -1 for anonymous pages."""
    file = np.full(len(kind), -1, dtype=np.int64)
    files = 0
    for number, most in ((FILE, mappings // 2), (SHMEM, mappings // 4)):
        rows = np.flatnonzero(kind == number)
        if len(rows):
            count = max(1, min(most, -(-len(rows) // PER_FILE)))
            file[rows] = files + random.integers(0, count, len(rows))
            files += count
    return file


def _lay_out(
    area: NDArray[np.int64], order: NDArray[np.uint8], size: NDArray[np.int64], draw: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Put the folios of each area one behind the other, and the areas one behind the other in one address space.

    Returns
    -------
    int64[n]
        Position of each folio in its area, in base pages.
    int64[n]
        Virtual page number at which its area starts.
    float64[n]
        The position as a share of the area's length, from 0 to less than 1.
    """
    n = len(area)
    if not n:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none.astype(np.float64)
    # Area by area, and in each the large folios first: sizes fall by powers of two, so every position is aligned.
    # Equal ones lie as drawn, or neighbours in a file would be neighbours among the frames, and kinds in blocks.
    rows = np.lexsort((draw, -order.astype(np.int64), area))
    starts = np.flatnonzero(np.append(True, np.diff(area[rows]) != 0))
    members = np.diff(np.append(starts, n))
    before = np.cumsum(size[rows]) - size[rows]
    inside = before - np.repeat(before[starts], members)
    length = np.add.reduceat(size[rows], starts)
    # Areas begin at multiples of 512 pages, where the largest folio is aligned, with a gap of 512 in between.
    base = 512 + np.append(0, np.cumsum(-(-length // 512) * 512 + 512))[:-1]
    position, start, share = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n)
    position[rows] = inside
    start[rows] = np.repeat(base, members)
    share[rows] = inside / np.repeat(length, members)
    return position, start, share


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


def _draw_flags(
    plan: Plan, layout: Layout, flags: str, dirty: float | None, hot: float | None, random: np.random.Generator
) -> None:
    """Set the plan's flags words and heat as `flags` says, then what `dirty` and `hot` say otherwise."""
    n = len(plan.kind)
    if flags == "realistic":
        plan.words, plan.hot = _realistic(plan.kind, layout, random)
    else:
        plan.hot = random.integers(0, 8, n, dtype=np.uint8)
        plain = np.uint64(flagwords.word(layout, "uptodate", "lru"))
        plan.words = flagwords.at_random(n, layout, random) if flags == "random" else np.full(n, plain)
    # Swapbacked follows from the kind: Linux sets it on everything that has no file on a disk.
    backed = np.uint64(flagwords.word(layout, "swapbacked"))
    plan.words = np.where(plan.kind == FILE, plan.words & ~backed, plan.words | backed)
    if dirty is not None:
        bit = np.uint64(flagwords.word(layout, "dirty"))
        plan.words = np.where(random.random(n) < dirty, plan.words | bit, plan.words & ~bit)
    if hot is not None:
        plan.hot = np.where(random.random(n) < hot, 7, 0).astype(np.uint8)


@cache
def _recorded() -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Words of /proc/kpageflags of the packaged snapshot's folios, and the kind of each; read once in a process."""
    snapshot = file_format.packaged()
    recorded = folios(snapshot)
    words = snapshot.flags[recorded.row] & ~kpageflags.mask(*flagwords.REFUSED)
    return words, recorded.kind


def _realistic(
    kind: NDArray[np.uint8], layout: Layout, random: np.random.Generator
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Flags words and heat, each of a recorded page of the same kind: combinations of flags as often as they are."""
    words, recorded_kind = _recorded()
    ours, _ = flagwords.from_kpageflags(words, recorded_kind == ANON, layout)
    drawn = np.zeros(len(kind), dtype=np.int64)
    for number in KINDS.values():
        rows = np.flatnonzero(kind == number)
        drawn[rows] = random.choice(np.flatnonzero(recorded_kind == number), len(rows))
    return ours[drawn], kpageflags.heat(words)[drawn]
