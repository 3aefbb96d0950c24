"""Address spaces: a mapped page is found at its address and from the page; what cannot be mapped changes nothing."""

import errno
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange_native.errors import ArenaError, ArenaFullError
from pagexchange_native.pages import space as native
from tests.native.arena_state import sound, unchanged

LAST = (1 << 52) - 1
PRESENT, MIGRATION, WRITE, ACCESSED = 1, 2, 4, 16


@pytest.fixture
def arena() -> Iterator[Arena]:
    with Arena.create([("fast", 1024), ("slow", 1024)], workers=1, spaces=3, xa_nodes=4000) as arena:
        assert [arena.new_space("one"), arena.new_space("two")] == [0, 1]
        yield arena


def chain(arena: Arena, pfn: int) -> list[tuple[int, int]]:
    """Space and virtual page of each entry in a page's reverse map, followed by hand through the bytes."""
    offset, _, size = arena.geometry()["tables"]
    memory, found = arena.memory, []
    at = int(arena.entries["rmap"][pfn])
    while at:
        table = offset + (at - 1) // 64 * size
        slot = (at - 1) % 64
        owner = int(memory[table : table + 4].view(np.uint32)[0]) - 1
        base = int(memory[table + 8 : table + 16].view(np.uint64)[0])
        found.append((owner, base + slot))
        at = int(memory[table + 64 + 16 * slot + 8 :][:4].view(np.uint32)[0])
    return found


def anonymous(arena: Arena) -> list[int]:
    return [node["counters"]["anon"] for node in arena.nodes]


# ---- mapping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1, 6, 7, 9])
def test_every_frame_of_a_folio_is_found_at_its_address(arena: Arena, order: int) -> None:
    (pfn,) = arena.alloc("slow", 1, order)
    size = 1 << order
    arena.map(1, 3 * size, pfn)
    for k in {0, size // 2, size - 1}:
        assert arena.translate(1, 3 * size + k) == pfn + k
        assert native.entry(arena, 1, 3 * size + k) == int(pfn + k) << 12 | PRESENT | WRITE | ACCESSED
    for vpn in (0, 3 * size - 1, 4 * size, LAST):
        assert arena.translate(1, vpn) == -1
        assert native.entry(arena, 1, vpn) == 0
    assert arena.translate(0, 3 * size) == -1
    frame = arena.frame(pfn)
    assert (frame.kind, frame.mapping, frame.index) == ("anon", 1, 3 * size)
    assert (frame.refs, frame.mapcount, arena.entries["held"][pfn]) == (1, 1, 0)
    assert "swapbacked" in frame.flags
    assert anonymous(arena) == [0, size]
    assert chain(arena, pfn) == [(1, 3 * size)]
    sound(arena, at_rest=True)


def test_the_first_and_the_last_page_of_a_space_can_be_mapped(arena: Arena) -> None:
    pfns, (large,) = arena.alloc("fast", 2), arena.alloc("fast", 1, 9)
    arena.map(0, [0, LAST], pfns, write=False)
    arena.map(1, LAST - 511, large)
    assert [arena.translate(0, 0), arena.translate(0, LAST)] == pfns.tolist()
    assert native.entry(arena, 0, LAST) & 0xFFF == PRESENT | ACCESSED
    assert arena.translate(1, LAST) == large + 511
    sound(arena, at_rest=True)


def test_a_shared_page_has_all_its_mappings_in_its_chain(arena: Arena) -> None:
    third = arena.new_space("three")
    file = arena.new_mapping()
    anon, cached = arena.alloc("fast", 2).tolist()
    (large,) = arena.alloc("slow", 1, 3).tolist()
    arena.cache_add(file, [5, 8], [cached, large])
    for number in (0, 1, third):
        arena.map(number, 7, anon)
    places = [(0, 64), (1, 64), (0, 128), (third, 1 << 40)]
    for number, vpn in places:
        arena.map(number, [vpn, vpn + 8], [cached, large])
    assert sorted(chain(arena, anon)) == [(0, 7), (1, 7), (2, 7)]
    assert sorted(chain(arena, cached)) == sorted(places)
    assert sorted(chain(arena, large)) == sorted((number, vpn + 8) for number, vpn in places)
    assert [arena.frame(pfn).mapcount for pfn in (anon, cached, large)] == [3, 4, 4]
    assert [arena.frame(pfn).refs for pfn in (anon, cached, large)] == [3, 5, 12]
    assert anonymous(arena) == [1, 0]
    sound(arena, at_rest=True)
    for number, vpn in (places[2], places[0], places[3], places[1]):  # from the middle, the ends, the last
        assert arena.unmap(number, vpn) == cached
        assert (number, vpn) not in chain(arena, cached)
        assert len(chain(arena, cached)) == arena.frame(cached).mapcount
        sound(arena, at_rest=True)
    assert arena.frame(cached).kind == "file"


@pytest.fixture
def busy(arena: Arena) -> dict[str, int]:
    anon, locked, behind = arena.alloc("fast", 3).tolist()
    arena.map(0, 1007, behind)
    (head,) = arena.alloc("fast", 1, 2).tolist()
    reserved = arena.alloc("slow")
    arena.reserve_frames(reserved)
    arena.map(0, 1000, anon)
    assert arena.lock(locked)
    return {"anon": anon, "locked": locked, "behind": behind, "head": head, "tail": head + 1, "free": 1023,
            "reserved": int(reserved[0]), "spare": int(arena.alloc("slow")[0])}  # fmt: skip


REFUSED: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "an anonymous page elsewhere": (
        40,
        "anon",
        ValueError,
        "mapped at virtual page 1000 already, and has the same one",
    ),
    "a mapped page again": (1000, "anon", ArenaError, "virtual page 1000 is taken by frame {anon}"),
    "a taken place": (1000, "spare", ArenaError, "virtual page 1000 is taken by frame {anon}"),
    "a folio over a taken place": (1000, "head", ArenaError, "virtual page 1000 is taken by frame {anon}"),
    "a folio over one behind": (1004, "head", ArenaError, "virtual page 1007 is taken by frame {behind}"),
    "a folio at an odd place": (1006, "head", ValueError, "a folio of 4 frames goes to a multiple of 4"),
    "a tail": (40, "tail", ValueError, "the frame is a tail; its folio starts at frame {head}"),
    "a free frame": (40, "free", ValueError, r"the frame is free; alloc\(\) gives frames in use"),
    "a reserved frame": (40, "reserved", ValueError, "the frame is reserved, and holds no page"),
    "a locked page": (40, "locked", ArenaError, "the page is locked; try again"),
    "a place beyond the last": (LAST + 1, "spare", ValueError, r"page 4503599627370496.*: want 0 to 2\^52 - 1"),
    "a negative place": (-1, "spare", ValueError, r"virtual page -1.*: want 0 to 2\^52 - 1"),
    "the place 2^64": (1 << 64, "spare", ValueError, r"virtual page 18446744073709551616.*: want 0 to 2\^52 - 1"),
    "a frame of no arena": (40, 2048, ValueError, "frame 2048 .*no such frame; the arena has frames 0 to 2047"),
    "half a place": (40.5, "spare", TypeError, "virtual pages: want integers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_page_that_cannot_be_mapped_keeps_out_the_whole_batch(arena: Arena, busy: dict[str, int], case: str) -> None:
    vpn, frame, error, said = REFUSED[case]
    good = [*arena.alloc("slow", 2).tolist(), *arena.alloc("fast", 2, 1).tolist()]
    pfn = busy.get(frame, frame)
    said = re.sub(r"\{(\w+)\}", lambda name: str(busy[name[1]]), said)
    with unchanged(arena), pytest.raises(error, match=said):
        arena.map(0, vpn, pfn)
    with unchanged(arena), pytest.raises(error, match=said) as caught:
        arena.map(0, [3, 6, 1 << 30, vpn, 5], [good[0], good[2], good[3], pfn, good[1]])
    assert ("(element 3)" in str(caught.value)) == (error is not TypeError)
    assert [arena.translate(0, at) for at in (3, 5, 6, 1 << 30)] == [-1] * 4


def test_a_mapping_undone_leaves_pages_of_every_kind_as_they_were(arena: Arena) -> None:
    pinned, taken, shared, cached = arena.alloc("fast", 4).tolist()
    arena.pin(pinned)
    assert arena.get(taken)
    arena.map(1, 6, shared)
    arena.cache_add(arena.new_mapping(), 0, cached)
    with unchanged(arena, is_sound=False), pytest.raises(ValueError, match="frame -1"):
        arena.map(0, [4, 5, 6, 7, 8], [pinned, taken, shared, cached, -1])
    with unchanged(arena, is_sound=False), pytest.raises(ValueError, match="2 virtual pages for 1 frames"):
        arena.map(0, [1, 2], [pinned])


def test_too_few_page_tables_are_an_error_with_nothing_changed() -> None:
    with Arena.create([("fast", 1024)], workers=1, page_tables=4) as arena:
        space = arena.new_space()
        single, (large,) = arena.alloc("fast", 6), arena.alloc("fast", 1, 9)
        with unchanged(arena), pytest.raises(ArenaFullError, match="no page table left") as caught:
            arena.map(space, 512, large)  # needs 8
        assert caught.value.errno == errno.ENOMEM
        with unchanged(arena), pytest.raises(ArenaFullError, match=f"frame {single[4]} at virtual page 256"):
            arena.map(space, [0, 64, 128, 192, 256], single[:5])
        arena.map(space, [0, 64, 128, 192], single[:4])
        with unchanged(arena), pytest.raises(ArenaFullError):
            arena.map(space, 1 << 40, single[4])
        arena.map(space, [1, 65], single[4:])
        assert arena.unmap(space, 192) == single[3]  # an empty table is there for others
        again = arena.alloc("fast")
        arena.map(space, 1 << 40, again)
        sound(arena, at_rest=True)


@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5])
def test_an_injected_failure_changes_nothing(arena: Arena, nth: int) -> None:
    single, (large,) = arena.alloc("fast", 1), arena.alloc("fast", 1, 9)
    arena.fail_alloc = nth
    with unchanged(arena), pytest.raises(ArenaFullError):
        arena.map(0, [1, 512], [single[0], large])
    arena.fail_alloc = 0
    arena.map(0, [1, 512], [single[0], large])
    sound(arena, at_rest=True)


@pytest.mark.parametrize("space", [2, 3, -1, 1 << 40])
def test_an_unknown_space_is_named(arena: Arena, space: int) -> None:
    pfn = int(arena.alloc("fast")[0])
    calls: list[Callable[[], object]] = [
        lambda: arena.map(space, 0, pfn), lambda: arena.unmap(space, 0), lambda: arena.translate(space, 0),
    ]  # fmt: skip
    for call in calls:
        with unchanged(arena), pytest.raises(LookupError, match=f"space {space}: unknown; new_space"):
            call()


def test_spaces_end(arena: Arena) -> None:
    assert arena.new_space() == 2
    with pytest.raises(ArenaFullError, match="all 3 spaces are in use"):
        arena.new_space()


# ---- unmapping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 3, 9])
def test_the_last_mapping_of_an_anonymous_page_frees_it(arena: Arena, order: int) -> None:
    (pfn,) = arena.alloc("fast", 1, order)
    vpn = 5 << order
    arena.map(0, vpn, pfn)
    arena.map(1, vpn, pfn)
    assert arena.unmap(0, vpn) == pfn
    assert arena.frame(pfn).kind == "anon"
    assert arena.translate(0, vpn + (1 << order) - 1) == -1
    assert arena.translate(1, vpn) == pfn
    assert arena.unmap(1, vpn) == pfn
    assert arena.frame(pfn).state == "free"
    assert arena.nodes[0]["free"] == 1024
    assert anonymous(arena) == [0, 0]
    sound(arena, at_rest=True)


def test_an_unmapped_page_that_somebody_holds_has_no_mapping(arena: Arena) -> None:
    (pfn,) = arena.alloc("fast")
    assert arena.get(pfn)
    arena.map(0, 9, pfn)
    arena.unmap(0, 9)
    frame = arena.frame(pfn)
    assert (frame.kind, frame.refs, frame.mapcount, frame.index) == ("raw", 1, 0, 0)
    arena.put(pfn)
    sound(arena, at_rest=True)


def test_what_is_not_there_or_in_use_is_not_unmapped(arena: Arena) -> None:
    locked, pinned = arena.alloc("fast", 2).tolist()
    (large,) = arena.alloc("fast", 1, 2).tolist()
    arena.map(0, [1, 2, 4], [locked, pinned, large])
    assert arena.lock(locked)
    arena.pin(pinned)
    for vpn in (0, 3, LAST):
        with unchanged(arena):
            assert arena.unmap(0, vpn) == -1
    wrong: list[tuple[Any, type[Exception], str]] = [
        (1, ArenaError, "locked"), (2, ArenaError, "pinned"), (5, ValueError, "not the first page of a folio"),
        (-1, ValueError, r"want 0 to 2\^52 - 1"), (LAST + 1, ValueError, r"want 0 to 2\^52 - 1"),
        (1 << 64, ValueError, r"want 0 to 2\^52 - 1"), (1.5, TypeError, "float"),
    ]  # fmt: skip
    for vpn, error, said in wrong:
        with unchanged(arena), pytest.raises(error, match=said):
            arena.unmap(0, vpn)
        if error is not ArenaError and vpn != 5:
            with unchanged(arena), pytest.raises(error, match=said):
                arena.translate(0, vpn)


def test_a_migration_entry_is_no_answer(arena: Arena) -> None:
    (pfn,) = arena.alloc("fast")
    arena.map(0, 70, pfn)
    assert native.entry(arena, 0, 70) & MIGRATION == 0
    offset, _, size = arena.geometry()["tables"]
    at = int(arena.entries["rmap"][pfn]) - 1
    word = arena.memory[offset + at // 64 * size + 64 + 16 * (at % 64) :][:8].view(np.uint64)
    word ^= PRESENT | MIGRATION  # as an exchange does for the time that it has the page
    with pytest.raises(ArenaError, match="an exchange has it; try again"):
        arena.translate(0, 70)
    word ^= PRESENT | MIGRATION
    assert arena.translate(0, 70) == pfn


# ---- at random -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_random_history_agrees_with_dicts(arena: Arena, seed: int) -> None:
    rng = random.Random(seed)
    maps: list[dict[int, int]] = [{}, {}]
    places: dict[int, set[tuple[int, int]]] = {}
    orders: dict[int, int] = {}
    for _ in range(250):
        space = rng.randrange(2)
        held = maps[space]
        if rng.random() < 0.6:
            if places and rng.random() < 0.5:
                pfn = rng.choice(list(places))
                order, vpn = orders[pfn], next(iter(places[pfn]))[1]
            else:
                order = rng.choice([0, 0, 0, 1, 3, 7])
                vpn = rng.randrange(1 << rng.choice([8, 12, 50])) >> order << order
                (pfn,) = arena.alloc(rng.choice(["fast", "slow"]), 1, order).tolist()
            wanted = range(vpn, vpn + (1 << order))
            if any(at in held for at in wanted):
                with pytest.raises(ArenaError):
                    arena.map(space, vpn, pfn)
                if pfn not in places:
                    arena.put(pfn)
                continue
            arena.map(space, vpn, pfn)
            held |= {at: pfn + at - vpn for at in wanted}
            places.setdefault(pfn, set()).add((space, vpn))
            orders[pfn] = order
        elif places:
            pfn = rng.choice(list(places))
            space, vpn = places[pfn].pop()
            assert arena.unmap(space, vpn) == pfn
            for at in range(vpn, vpn + (1 << orders[pfn])):
                del maps[space][at]
            if not places[pfn]:
                del places[pfn]
                assert arena.frame(pfn).state == "free"
    for space, held in enumerate(maps):
        assert all(arena.translate(space, at) == pfn for at, pfn in held.items())
        assert all(arena.translate(space, at) == held.get(at, -1) for at in range(1 << 8))
    for pfn, where in places.items():
        assert set(chain(arena, pfn)) == where
        assert arena.frame(pfn).mapcount == arena.frame(pfn).refs == len(where)
    here = [sum(1 << orders[pfn] for pfn in places if low <= pfn < low + 1024) for low in (0, 1024)]
    assert anonymous(arena) == here
    assert [node["free"] for node in arena.nodes] == [1024 - n for n in here]
    sound(arena, at_rest=True)
