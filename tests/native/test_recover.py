"""What dead processes leave is ended in the native core: by their slots' records, and by what names them."""

from typing import Any

import numpy as np
import pytest

from pagexchange.errors import ArenaBusyError
from pagexchange.oracle import check
from pagexchange.oracle import format as f
from pagexchange.oracle.essence import essence
from pagexchange.oracle.recovery import recover_all
from tests.core.pages import Pages, strategy
from tests.steps.deaths import die
from tests.steps.judge import Native, Nobody
from tests.steps.rows import ROWS

DEAD = 5  # number of a process that is not here


@pytest.fixture
def pages() -> Any:
    return Pages(workers=2, mappings=4, spaces=3)


def claimed_by_dead(arena: Any, slot: int) -> Any:
    """The record of a slot that a dead process has claimed."""
    row = f.read(arena).slots[slot : slot + 1]
    row["claim"] = 7 << 8 | (DEAD + 1)
    return row


# The whole table is `make steps`.
@pytest.mark.slow
@pytest.mark.plain_build
@pytest.mark.parametrize(
    "row",
    [
        "file and anonymous, word-swap", "anonymous, temporary page", "memory error half way, word-swap",
        "anonymous and file, temporary page, two threads", "split folio, file dirty and anonymous",
        "migrate file dirty, folio-copy", "migrate folios of 8, anonymous, numpy-copy",
        "migrate a split folio, folio-copy",
        "alloc, order 3", "free, order 3",
        "reserve, order 1", "cache_add, the tree grows", "unmap, order 6", "new mapping",
        "XArray: store over sub-trees",
    ],
)  # fmt: skip
def test_a_death_after_any_store_is_before_or_after(row: str) -> None:
    deaths = die(row, {"native": Native(ROWS[row]), "nobody": Nobody()}, 0.002, np.random.default_rng(5))
    assert deaths.lost["nobody"].total() > deaths.tried.total() // 2
    assert not deaths.lost["native"], deaths.reasons


def test_what_this_process_is_at_work_with_is_refused(pages: Pages) -> None:
    arena = pages.arena
    own = len(f.read(arena).slots) - f.CALL_SLOTS
    with pytest.raises(ArenaBusyError, match=f"slot {own}: this process is at work with it"):
        arena.recover(own)
    assert arena.recover() == ()


def test_a_free_slot_has_nothing_to_recover_and_a_number_beyond_is_refused(pages: Pages) -> None:
    assert pages.arena.recover(1) == ()
    for slot in (0, -1, len(f.read(pages.arena).slots)):
        with pytest.raises(IndexError, match=f"slot {slot}: there are 1 to"):
            pages.arena.recover(slot)


def test_a_claim_without_work_is_given_back_one_generation_later(pages: Pages) -> None:
    row = claimed_by_dead(pages.arena, 1)
    (done,) = pages.arena.recover()
    assert (done.slot, done.process, done.outcome, done.phase) == (1, DEAD, "recovered", "idle")
    assert int(row["claim"][0]) & 0xFF == 0
    assert int(row["claim"][0]) >> 8 > 7


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("frames", "a record names no frame's contents"), ("pieces", "nor a log"), ("header", "nor the geometry"),
        ("other", "nor another slot's record"), ("kind", "there is no such kind"), ("count", "there is no room for it"),
    ],
)  # fmt: skip
def test_a_record_that_makes_no_sense_is_left_as_it_is(pages: Pages, where: str, why: str) -> None:
    arena = pages.arena
    raw = f.read(arena)
    slot = raw.workers + 3
    row = claimed_by_dead(arena, slot)
    place = {
        "frames": raw.offset["frames"], "pieces": raw.offset["pieces"], "header": 16,
        "other": raw.offset["slots"] + f.SLOT.itemsize, "kind": raw.offset["entries"], "count": raw.offset["entries"],
    }[where]  # fmt: skip
    row["saved"][0, 0]["where"] = place << 8 | (99 if where == "kind" else 8)
    row["saved"][0, 0]["old"] = 12345
    row["saves"] = 257 if where == "count" else 1
    before = arena.memory.copy()
    (done,) = arena.recover()
    assert done.outcome == "quarantined", why
    claim = raw.offset["slots"] + slot * f.SLOT.itemsize + 8
    changed = np.flatnonzero(arena.memory != before)
    assert set(changed.tolist()) <= set(range(claim + 1, claim + 8))
    assert int(row["claim"][0]) & 0xFF == DEAD + 1


def test_a_dead_process_lets_go_of_all_that_it_had(pages: Pages) -> None:
    arena = pages.arena
    held, cached, shared, kept = (pages.page("raw", 0) for _ in range(4))
    arena.cache_add(pages.mappings[0], 500, cached)
    arena.cache_add(pages.mappings[0], 501, kept)
    free = f.read(arena).nodes["free"].sum()
    raw = f.read(arena)
    slot = raw.workers + 2
    claimed_by_dead(arena, slot)
    raw.pins[1, 0] = 1 << 32 | (cached + 1)
    raw.pin_tops[1] = 1
    raw.entries["owner"][kept] = (slot + 1) << f.OWNER_KEEPER_SHIFT
    raw.entries["flags"][kept] |= raw.layout["locked"]
    raw.entries["held"][[held, cached, shared]] = DEAD + 1
    raw.entries["refs"][cached] += 1
    assert arena.get(shared)  # by this process: it is the one that has it then
    (done,) = arena.recover(slot)
    assert (done.outcome, done.pages, done.freed) == ("recovered", 1, 3)
    raw = f.read(arena)
    assert raw.entries["state"][held] == f.FREE
    assert raw.nodes["free"].sum() == free + 1
    assert raw.entries["held"][[cached, shared]].tolist() == [0, 0x8001]  # held by this process, by its `get`
    arena.put(shared)  # its last user goes
    assert raw.entries["owner"][kept] == 0
    assert not raw.pins.any()
    assert check(arena) == []
    arena.cache_remove(pages.mappings[0], 500)
    assert raw.nodes["free"].sum() == free + 3


def test_a_process_keeps_what_it_holds_while_it_has_another_slot(pages: Pages) -> None:
    arena = pages.arena
    held = pages.page("raw", 0)
    first = f.read(arena).workers + 2
    for slot in (first, first + 1):
        claimed_by_dead(arena, slot)
    arena.entries["held"][held] = DEAD + 1
    assert arena.recover(first)[0].freed == 0
    assert arena.recover(first + 1)[0].freed == 1


def test_a_helper_waits_for_the_slot_that_it_helps(pages: Pages) -> None:
    arena = pages.arena
    parent, helper = (claimed_by_dead(arena, slot) for slot in (1, 2))
    parent["state"] = 1 << 39 << 8 | f.PHASES.index("DATA")
    helper["state"], helper["parent"] = f.PHASES.index("HELP"), 2
    assert [done.outcome for done in arena.recover(2)] == ["waits"]
    parent["state"] = 0
    assert [done.outcome for done in arena.recover()] == ["recovered", "recovered"]
    assert int(helper["parent"][0]) == int(helper["state"][0]) == 0


@pytest.mark.parametrize("phase", ["IDLE", "INTENT"])
@pytest.mark.parametrize("place", [0, f.BATCH - 1])
def test_a_temporary_frame_is_given_back_after_the_dead_slot_that_has_its_node(
    pages: Pages, phase: str, place: int
) -> None:
    arena = pages.arena
    before = essence(arena.memory)
    raw = f.read(arena)
    free = raw.nodes["free"].sum()
    frame = pages.page("raw", 0)
    first, _ = (claimed_by_dead(arena, slot) for slot in (1, 2))
    raw.entries["owner"][frame] = 2
    raw.entries["held"][frame] = DEAD + 1
    first["state"] = f.PHASES.index(phase)
    first["pair"]["temp"][0, place] = frame + 1
    raw.nodes["lock"][0] = 3
    dump = arena.memory.copy()
    assert [done.done for done in recover_all(dump) if done.slot < 3] == ["recovered", "recovered"]
    assert [(done.outcome, done.phase) for done in arena.recover()] == [
        ("recovered", phase.lower()),
        ("recovered", "idle"),
    ]
    assert raw.nodes["free"].sum() == f.read(f.Dump(dump)).nodes["free"].sum() == free
    assert check(arena) == []
    assert essence(arena.memory) == before


def test_one_slot_waits_for_the_one_that_has_a_node_and_stays_the_dead_process_s(pages: Pages) -> None:
    arena = pages.arena
    raw = f.read(arena)
    frame = pages.page("raw", 0)
    row = claimed_by_dead(arena, 1)
    raw.entries["owner"][frame] = 2
    row["pair"]["temp"][0, 0] = frame + 1
    raw.nodes["lock"][0] = 3
    (done,) = arena.recover(1)
    assert done.outcome == "waits"
    assert int(row["claim"][0]) & 0xFF == DEAD + 1
    assert int(row["pair"]["temp"][0, 0]) == frame + 1
    raw.nodes["lock"][0] = 0
    (done,) = arena.recover(1)
    assert done.outcome == "recovered"
    assert raw.entries["state"][frame] == f.FREE


def full(pages: Pages) -> Any:
    """An arena with pages of all kinds, in whose tables nothing but the order of links can be rebuilt otherwise."""
    for node in (0, 1):
        for kind in ("raw", "file", "shmem", "anon"):
            for order in (0, 2):
                pages.page(kind, node, order)
    pages.flag(pages.page("file", 0), "dirty")
    pages.page("file", 0, mapping=1)
    assert check(pages.arena) == []
    done = pages.arena.rebuild()
    assert sum(done) == done.links
    assert check(pages.arena) == []
    return pages.arena


def test_a_sound_arena_is_rebuilt_as_it_is_but_for_the_order_of_links(pages: Pages) -> None:
    arena = full(pages)
    before = essence(arena.memory)
    done = arena.rebuild()
    assert sum(done) == 0
    assert essence(arena.memory) == before
    assert check(arena) == []


def test_all_that_is_derived_is_made_from_what_is_true(pages: Pages) -> None:
    arena = full(pages)
    before = essence(arena.memory)
    raw = f.read(arena)
    head = np.uint64(raw.layout["head"])
    raw.entries["owner"] = 9
    raw.entries["flags"] ^= np.where(raw.entries["state"] == f.USED, head, np.uint64(0))
    for name in ("refs", "mapcount", "rmap", "next", "prev", "head"):
        raw.entries[name] = 3
    raw.entries["order"][np.isin(raw.entries["state"], (f.FREE, f.TAIL))] = 7
    raw.entries["state"][np.flatnonzero(raw.entries["state"] == f.FREE)[-1]] = f.TAIL
    raw.nodes["list"] = raw.nodes["free"] = raw.nodes["lock"] = 1
    used = raw.xanodes["used"] != 0
    for name in ("count", "parent", "offset", "array", "used"):
        raw.xanodes[name] = 5
    inner = used & (raw.xanodes["shift"] > 0)
    raw.xanodes["marks"][inner] ^= np.uint64(0xFF)
    raw.tables["count"] = 9
    raw.tables["pte"]["next"] = 77
    for part, name in ((raw.mappings, "pages"), (raw.spaces, "tables")):
        part[name]["lock"], part[name]["flags"] = 1 << 63, 7
    raw.mappings["nr_pages"] = raw.spaces["nr_ptes"] = raw.spaces["nr_anon"] = 99
    raw.slots["counter"][3, :8] = 12
    raw.header["structure"] = 2
    raw.header["xanodes"]["free_head"] = raw.header["tables"]["fresh"] = 1
    done = arena.rebuild()
    assert done.damaged == 0
    assert all(n > 0 for n in done[:-1])
    assert check(arena) == []
    assert essence(arena.memory) == before


def test_nothing_is_rebuilt_while_a_slot_is_claimed(pages: Pages) -> None:
    claimed_by_dead(pages.arena, 2)
    with pytest.raises(ArenaBusyError, match="slot 2 is claimed"):
        pages.arena.rebuild()


@pytest.mark.parametrize("pairs", [1, 16, 17])
def test_a_python_movers_last_group_goes_back_however_full_it_is(pages: Pages, pairs: int) -> None:
    """As it is between the last group and META: a group that is not full was taken for one that cannot be."""
    arena = pages.arena
    before = np.array([pages.pair(("raw", "raw")) for _ in range(pairs)])
    seen: list[Any] = []

    def move(pieces: Any, a: Any, b: Any) -> None:
        pieces[a], pieces[b] = pieces[b], pieces[a]
        seen.append(arena.memory.copy())

    contents = arena.frames[before].copy()
    assert strategy(arena, data=move).exchange(before).ok
    arena.memory[:] = seen[-1]
    claimed_by_dead(arena, 1)["state"] = 2 * len(seen) << 8 | f.PHASES.index("DATA")
    (recovered,) = arena.recover(1)
    assert (recovered.outcome, recovered.phase) == ("recovered", "data")
    assert (arena.frames[before] == contents).all()
    assert check(arena) == []
