"""Makes an arena of a snapshot: the recorded pages, on two nodes, with the identities, sharing and flags they had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.arena.given_nodes import NodeTable
from pagexchange.errors import SnapshotError
from pagexchange.model.config import Split
from pagexchange.model.layout import Layout
from pagexchange.pages import flagwords
from pagexchange.pages.folios import ANON, FILE, SHMEM, Folios, folios
from pagexchange.pages.placement import Plan, Population, count_kinds, page_tables, place, xa_nodes
from pagexchange.pages.snapshot import Snapshot
from pagexchange.pages.snapshot.proc import kpageflags
from pagexchange.pages.split import on_nodes
from pagexchange.pages.within import within
from pagexchange_native.arena.backing import METADATA, refuse_more_than_available
from pagexchange_native.arena.places import as_place, border
from pagexchange_native.arena.region import BATCH

_ROW: Final = 100
"""Bytes that making an arena takes for each frame of a snapshot, page or not."""
CACHES: Final = 16
"""Made-up files for pages of files that are not known, and as many for shared memory."""
_NOTES: Final = {
    "split_folios": "{} folios were mapped in part and became base pages",
    "broken_folios": "{} folios were not whole in the snapshot and became base pages",
    "clashes": "{} pages claimed a place in a file that another one has, and got a made-up one",
    "other_addresses": "{} mappings of a page at a second address were left out",
    "writeback": "{} pages are under writeback and stay so",
    "private_2": "{} pages are being written to a cache (private_2) and stay so",
    "hwpoison": "with broken memory, and not exchanged, folios of any size: {}",
    "dropped_swapcache": "{} pages were in the swap cache, which an arena does not have",
}


def arena_from_snapshot(
    snapshot: Snapshot,
    *,
    layout: Layout | str = "linux-6.18",
    split: float | Split | None = None,
    free: int | None = None,
    page_size: int = 4096,
    hot: float = 0.5,
    nodes: Mapping[str, NodeTable] | None = None,
    seed: int = 0,
    **options: Any,  # noqa: ANN401 - whatever Arena.create takes
) -> tuple[Arena, Population]:
    """Make an arena with the pages of a snapshot, and room for nothing else but the free frames.

    Each page keeps its kind, its place in its file, the address spaces that map it, its flags and the order of its
    folio. The map count of a page is what the recorded page tables say. Left out: what is not a user's page (slab, page
    tables, reserved frames). Changed, and counted in the result: folios that are mapped in part become base pages;
    LOCKED is dropped; a page whose file no process mapped is put in one of 16 made-up files, at its frame number; an
    anonymous page that no recorded process maps is mapped by a made-up one.

    Parameters
    ----------
    snapshot : Snapshot
    layout : Layout or str
    split : float, "real", "interleave", "halves" or None
        Which pages are on the first node: a share drawn at random; those that were on the machine's fast nodes; every
        other folio; or the lower half of the frames. Default: "real" if pages of the snapshot were on a fast and on a
        slow node, else 0.5. `Population.split` says what was done.
    free : int, optional
        Free frames on each node, exactly. Default: the machine's own share of free frames, at most an eighth, but as
        many as a batch of pairs takes at one time through temporary pages.
    page_size : int
        Bytes of a frame of the arena. Larger ones give each page more bytes, and the same numbers.
    hot : float
        Share of pages to call hot where the snapshot does not know (one that was taken without root).
    nodes : mapping of two names
        Of the fast and of the slow node, each with where its frames lie, as of `Arena.create`, and no size. Default:
        fast and slow, wherever Linux puts them.
    seed : int
    **options
        More for `Arena.create`: path, huge, workers, watermarks.

    Returns
    -------
    Arena, Population

    Raises
    ------
    SnapshotError
        No page is in it; or the real nodes are asked for and are not two that have pages.
    ValueError, ArenaError
        As from `Arena.create`.
    """
    chosen = layout if isinstance(layout, Layout) else Layout.load(layout)
    refuse_too_many(snapshot.flags, page_size)
    recorded = folios(snapshot)
    if free is not None and free < 0:
        raise ValueError(f"free {free}: 0 or more frames are expected")
    if not 0 <= hot <= 1:
        raise ValueError(f"hot {hot}: a share from 0 to 1 is expected")
    random = np.random.default_rng(seed)
    node, done = on_nodes(snapshot, recorded, split, random)
    counts = dict(recorded.counts)
    if done.nowhere:
        counts["outside_nodes"] = done.nowhere
    plan = _snapshot_plan(snapshot, recorded, chosen, counts)
    # flags say nothing of heat where all are alike: without root they could not be read
    if snapshot.given_heat is None and len(np.unique(plan.hot)) == 1:
        plan.hot = np.where(random.random(len(plan.hot)) < hot, 7, 0).astype(np.uint8)
        counts["made_up_heat"] = len(plan.hot)
    tables = nodes or {"fast": {}, "slow": {}}
    whole = _whole(tables, page_size, bool(options.get("huge")))
    frames = _frames_needed(snapshot, recorded, node, free, page_size, whole)
    given: dict[str, NodeTable] = {
        name: {"frames": count, **table} for (name, table), count in zip(tables.items(), frames, strict=True)
    }
    arena = Arena.create(
        nodes=given, page_size=page_size, layout=chosen,
        mappings=len(np.unique(plan.file[plan.file >= 0])) + 8, spaces=len(np.unique(plan.map_space)) + 8,
        # what the plan needs, and for later pages what an arena of so many frames has by default
        xa_nodes=xa_nodes(plan, recorded.order) + sum(frames) // 58 + 64,
        page_tables=page_tables(plan, recorded.order) + sum(frames) // 58 + 64,
        **options,
    )  # fmt: skip
    pfns = _allocate(arena, recorded, node)
    if free is not None:
        for number, state in enumerate(arena.nodes):
            arena.reserve_frames(arena.alloc(number, state["free"] - free))
            counts["reserved"] = counts.get("reserved", 0) + state["free"] - free
    mappings, spaces = place(arena, plan, pfns)
    _break(arena, snapshot, recorded, pfns)
    _say_what_is_exclusive(arena, snapshot, recorded, pfns)
    if snapshot.content is not None and page_size == snapshot.page_size:
        _fill_in(arena, snapshot, recorded, pfns)
    counts |= count_kinds(plan.kind)
    notes = [text.format(counts[name]) for name, text in _NOTES.items() if counts.get(name)]
    return arena, Population(pfns, node, plan.kind, recorded.order, plan.hot, mappings, spaces, counts, notes, done)


def refuse_too_many(flags: NDArray[np.uint64], page_size: int) -> None:
    """Before more is done with them: find out whether there is a page, and memory for as many as there are.

    Parameters
    ----------
    flags : uint64[n]
        The words of a snapshot's frames.
    page_size : int
        Of the arena, in bytes.

    Raises
    ------
    SnapshotError, ArenaFullError
    """
    pages = int(kpageflags.is_page(flags).sum())
    if not pages:
        raise SnapshotError("the snapshot holds no page that an exchange could move")
    refuse_more_than_available(pages * (page_size + METADATA) + len(flags) * _ROW)


def _whole(tables: Mapping[str, NodeTable], page_size: int, huge: bool) -> int:
    """Frames that a node has a multiple of, so that it does not share what Linux binds as a whole."""
    return border([as_place(table) for table in tables.values()], page_size, huge=huge) // page_size


def _frames_needed(
    snapshot: Snapshot, recorded: Folios, node: NDArray[np.uint8], free: int | None, page_size: int, whole: int
) -> list[int]:
    """Frames of the two nodes: room for their folios and for the free frames. ArenaFullError: no memory for so many."""
    used = np.bincount(node, weights=recorded.size, minlength=2).astype(np.int64)
    spare = free if free is not None else _spare(snapshot, recorded, int(used.max()))
    unit = max(
        1 << int(recorded.order.max()), whole
    )  # nodes of whole blocks of the largest order: all folios find room
    frames = [-(-(int(count) + max(spare, 1)) // unit) * unit for count in used]
    refuse_more_than_available(int(used.sum()) * page_size + sum(frames) * METADATA)
    return frames


def _allocate(arena: Arena, recorded: Folios, node: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64[n]: a first frame for each folio, on its node."""
    pfns = np.zeros(len(node), dtype=np.int64)
    for number in (0, 1):
        # The largest order first: small folios would break up the blocks that large ones need.
        for order in np.unique(recorded.order)[::-1].tolist():
            rows = np.flatnonzero((node == number) & (recorded.order == order))
            pfns[rows] = arena.alloc(number, len(rows), order)
    return pfns


def _spare(snapshot: Snapshot, recorded: Folios, used: int) -> int:
    """Free frames for a node with `used` ones: nothing starves unless it is asked for."""
    # The largest batch through temporary pages, above the watermarks that an arena sets of its own accord.
    batch = int(np.sort(recorded.size)[-BATCH:].sum()) + used // 512
    return max(batch, -(-used * _free_share(snapshot) // 1000))


def _free_share(snapshot: Snapshot) -> int:
    """Free frames of the machine per 1000 pages, at most an eighth."""
    uses = snapshot.facts.get("uses", {})
    if not {"free", "pages"} <= uses.keys():
        return 125
    return min(125, 1000 * uses["free"] // max(uses["pages"], 1))


def _snapshot_plan(snapshot: Snapshot, recorded: Folios, layout: Layout, counts: dict[str, int]) -> Plan:
    """The folios as an arena can have them; what is made up or left out for that is counted by name."""
    words = snapshot.flags[recorded.row]
    anon = recorded.kind == ANON
    ours, dropped = flagwords.from_kpageflags(words, anon, layout)
    counts |= {f"dropped_{name.lower()}": number for name, number in dropped.items()}
    for name in (name for name in flagwords.REFUSED if flagwords.refuses(layout, name)):
        counts[name.lower()] = int(_any_page(snapshot, recorded, kpageflags.mask(name)).sum())
    file, index = _with_places(snapshot, recorded, counts)
    kind = _one_kind_per_file(recorded, file, counts)
    backed = np.uint64(flagwords.word(layout, "swapbacked"))
    ours = np.where(kind == FILE, ours & ~backed, np.where(kind == SHMEM, ours | backed, ours))
    mapped = np.bincount(recorded.map_folio, minlength=len(file))
    alone, space, vpn = _made_up_mappings(recorded, anon & (mapped == 0), counts)
    counts["mapped_less_than_linux_says"] = int((snapshot.count[recorded.row] > mapped).sum())
    private = np.uint64(flagwords.word(layout, "private"))
    # a folio is as hot as its hottest page
    hot = np.maximum.reduceat(snapshot.heat()[_rows(recorded)], np.cumsum(recorded.size) - recorded.size)
    return Plan(
        kind=kind, file=file, index=index, words=ours, private=(ours & private) != 0, hot=hot,
        map_space=np.append(recorded.map_space, space), map_vpn=np.append(recorded.map_vpn, vpn),
        map_folio=np.append(recorded.map_folio, alone),
        map_write=np.append(recorded.map_write, np.ones(len(alone), bool)),
    )  # fmt: skip


def _rows(recorded: Folios) -> NDArray[np.int64]:
    """The snapshot's rows of all pages of the folios, folio by folio."""
    return np.repeat(recorded.row, recorded.size) + within(recorded.size)


def _any_page(snapshot: Snapshot, recorded: Folios, bit: np.uint64) -> NDArray[np.bool_]:
    """bool[n]: folios of which some page has this bit of /proc/kpageflags."""
    starts = np.cumsum(recorded.size) - recorded.size
    has: NDArray[np.bool_] = np.logical_or.reduceat((snapshot.flags[_rows(recorded)] & bit) != 0, starts)
    return has


def _break(arena: Arena, snapshot: Snapshot, recorded: Folios, pfns: NDArray[np.int64]) -> None:
    """Mark broken memory as the engine does when it meets it: the frame that is broken, and the first of its folio."""
    mask = flagwords.word(arena.layout, "hwpoison")
    broken = (snapshot.flags[_rows(recorded)] & kpageflags.mask("HWPOISON")) != 0
    frames = np.repeat(pfns, recorded.size) + within(recorded.size)
    if mask and broken.any():
        arena.set_flags(frames[broken], mask)
        arena.set_flags(pfns[_any_page(snapshot, recorded, kpageflags.mask("HWPOISON"))], mask)


def _say_what_is_exclusive(arena: Arena, snapshot: Snapshot, recorded: Folios, pfns: NDArray[np.int64]) -> None:
    """Set anon_exclusive of the later pages of anonymous folios. Since Linux 6.10 each shows its first page's."""
    step = within(recorded.size)
    exclusive = (snapshot.flags[_rows(recorded)] & kpageflags.ANON_EXCLUSIVE) != 0
    exclusive &= (step > 0) & np.repeat(recorded.kind == ANON, recorded.size)
    arena.set_flags((np.repeat(pfns, recorded.size) + step)[exclusive], flagwords.word(arena.layout, "anon_exclusive"))


def _with_places(
    snapshot: Snapshot, recorded: Folios, counts: dict[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """File and index of each folio. A file that no process mapped is made up: a page must be in one."""
    file, index = recorded.file.copy(), recorded.index.copy()
    unknown = np.flatnonzero((file < 0) & (recorded.kind != ANON))
    # Neighbours among the frames are mostly neighbours in a file: stretches of 16 MiB stay together, and a folio's
    # frame number is aligned as its index must be. Shared memory gets files of its own.
    pfn = snapshot.pfn[recorded.row[unknown]].astype(np.int64)
    base = int(file.max(initial=-1)) + 1
    file[unknown] = base + (recorded.kind[unknown] == SHMEM) * CACHES + (pfn >> 12) % CACHES
    index[unknown] = pfn
    counts["made_up_places"] = len(unknown)
    return file, index


def _one_kind_per_file(recorded: Folios, file: NDArray[np.int64], counts: dict[str, int]) -> NDArray[np.uint8]:
    """uint8[n]: kinds, with each file shared memory or not as most of its pages say: an arena's mapping is one kind."""
    anon = recorded.kind == ANON
    number = np.unique(file[~anon], return_inverse=True)[1]
    shmem = np.bincount(number, weights=recorded.kind[~anon] == SHMEM) * 2 > np.bincount(number)
    kind = recorded.kind.copy()
    kind[~anon] = np.where(shmem[number], SHMEM, FILE)
    counts["changed_kinds"] = int((kind != recorded.kind).sum())
    return kind


def _made_up_mappings(
    recorded: Folios, unmapped: NDArray[np.bool_], counts: dict[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Folio, space and address for anonymous folios that no recorded process maps: an address is their identity."""
    alone = np.flatnonzero(unmapped)
    counts["made_up_mappings"] = len(alone)
    # One space more, filled without gaps. The largest folios first, so that each begins at a multiple of its size.
    alone = alone[np.argsort(-recorded.order[alone].astype(np.int64), kind="stable")]
    size = recorded.size[alone]
    vpn = 512 + np.cumsum(size) - size
    space = np.full(len(alone), int(recorded.map_space.max(initial=-1)) + 1, dtype=np.int64)
    return alone, space, vpn


def _fill_in(arena: Arena, snapshot: Snapshot, recorded: Folios, pfns: NDArray[np.int64]) -> None:
    """Copy the recorded contents, frame by frame of each folio."""
    assert snapshot.content is not None
    frames = arena.frames.view(np.uint8).reshape(arena.nframes, -1)
    frames[np.repeat(pfns, recorded.size) + within(recorded.size)] = snapshot.content[_rows(recorded)]
