"""References, pins, locks and flags of one page: each has its owner, and what is not there cannot be dropped."""

import errno
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange_native.arena.region import FROZEN
from pagexchange_native.errors import ArenaError, ArenaFullError
from tests.native.arena_state import sound, unchanged

TOP = 1 << 64


@pytest.fixture
def arena() -> Iterator[Arena]:
    with Arena.create([("fast", 32), ("slow", 32)], workers=1) as arena:
        yield arena


def kinds(arena: Arena) -> dict[str, tuple[int, int]]:
    """One page of each kind, and its references at rest."""
    file, shm = arena.new_mapping(), arena.new_mapping(shmem=True)
    one, two = arena.new_space(), arena.new_space()
    held, anon, shared, cached, private = arena.alloc("fast", 5).tolist()
    large, mapped = arena.alloc("slow", 2, 3).tolist()
    arena.map(one, [7, 8], [anon, shared])
    arena.map(two, [8], [shared])
    arena.cache_add(file, [0, 1, 8], [cached, private, large])
    arena.cache_add(shm, [0], [mapped])
    arena.set_private(private, 1 << 63)
    arena.map(one, [64], [mapped])
    arena.map(two, [128], [mapped])
    return {
        "held": (held, 1), "anonymous": (anon, 1), "shared": (shared, 2), "file": (cached, 1), "private": (private, 2),
        "large": (large, 8), "large and mapped": (mapped, 10),
    }  # fmt: skip


# ---- references ------------------------------------------------------------------------------------------------------


def test_the_references_at_rest_follow_from_who_holds_the_page(arena: Arena) -> None:
    for name, (pfn, refs) in kinds(arena).items():
        assert arena.expected_refs(pfn) == refs, name
        assert arena.entries["refs"][pfn] == refs, name
    sound(arena, at_rest=True)


def test_a_reference_taken_can_be_dropped_and_no_other(arena: Arena) -> None:
    for name, (pfn, refs) in kinds(arena).items():
        assert arena.get(pfn)
        assert arena.get(pfn)
        assert arena.entries["refs"][pfn] == arena.expected_refs(pfn) == refs  # they are pins, and `refs` counts none
        arena.put(pfn)
        arena.free([pfn])
        assert arena.entries["refs"][pfn] == refs
        if name != "held":
            with unchanged(arena), pytest.raises(ValueError, match="no reference of yours"):
                arena.put(pfn)


def test_the_last_reference_frees_the_page_and_no_other_does(arena: Arena) -> None:
    (pfn,) = arena.alloc("fast", 1, 2)
    assert arena.get(pfn)
    arena.put(pfn)
    assert arena.frame(pfn).state == "used"
    assert arena.nodes[0]["free"] == 28
    arena.put(pfn)
    assert arena.frame(pfn).state == "free"
    assert arena.nodes[0]["free"] == 32


def test_there_is_no_reference_to_take_where_there_is_no_page(arena: Arena) -> None:
    (head,) = arena.alloc("fast", 1, 2)
    with unchanged(arena):
        assert not arena.get(head + 1)
        assert not arena.get(31)


def test_threads_that_take_and_drop_leave_what_was(arena: Arena) -> None:
    (pfn,) = arena.alloc("fast")

    def work() -> None:
        for _ in range(2000):
            assert arena.get(pfn)
            arena.put(pfn)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert arena.entries["refs"][pfn] == 1
    sound(arena, at_rest=True)


# ---- pins ------------------------------------------------------------------------------------------------------------


def test_pins_are_counted_one_by_one(arena: Arena) -> None:
    (pfn,) = arena.alloc("fast")
    arena.pin(pfn)
    arena.pin(pfn)
    arena.unpin(pfn)
    with unchanged(arena), pytest.raises(ValueError, match="while it is pinned"):
        arena.put(pfn)
    arena.unpin(pfn)
    with unchanged(arena), pytest.raises(ValueError, match=f"frame {pfn}: not pinned"):
        arena.unpin(pfn)
    arena.put(pfn)
    sound(arena, at_rest=True)


def test_a_frozen_folio_cannot_be_pinned_by_a_tail(arena: Arena) -> None:
    """An exchange freezes the first frame, and has looked for pins already."""
    pfn = int(arena.alloc("fast", 1, 1)[0])
    refs = arena.entries["refs"]
    refs[pfn] |= FROZEN
    for frame in (pfn, pfn + 1):
        with pytest.raises(ArenaError, match="an exchange has it frozen"):
            arena.pin(frame)
    refs[pfn] &= ~np.uint32(FROZEN)
    del refs
    arena.pin(pfn + 1)
    arena.unpin(pfn + 1)


def test_a_process_has_256_places_for_pins_and_references() -> None:
    with Arena.create([("fast", 257)], workers=1) as arena:
        pfns = arena.alloc("fast", 257).tolist()
        for pfn in pfns[:128]:
            arena.pin(pfn)
        for pfn in pfns[128:256]:
            assert arena.get(pfn)
        for take in (arena.pin, arena.get):
            with unchanged(arena), pytest.raises(ArenaFullError, match="all 256 pins and references") as caught:
                take(pfns[256])
            assert caught.value.errno == errno.EUSERS
        arena.pin(pfns[3])  # once more takes no place
        assert arena.get(pfns[200])
        arena.put(pfns[130])
        arena.pin(pfns[256])
        arena.unpin(pfns[3])
        with unchanged(arena), pytest.raises(ValueError, match="while it is pinned"):
            arena.put(pfns[3])


def test_only_a_page_can_be_pinned(arena: Arena) -> None:
    reserved = arena.alloc("fast")
    arena.reserve_frames(reserved)
    for pfn in (31, int(reserved[0])):
        with unchanged(arena), pytest.raises(ValueError, match="holds no page"):
            arena.pin(pfn)


# ---- locks -----------------------------------------------------------------------------------------------------------


def test_a_lock_is_got_once_and_shown_by_its_flag(arena: Arena) -> None:
    (pfn,) = arena.alloc("fast")
    assert arena.lock(pfn)
    assert arena.frame(pfn).flags == ["locked"]
    with unchanged(arena):
        assert not arena.lock(pfn)
    arena.unlock(pfn)
    assert arena.frame(pfn).flags == []
    for free in (pfn, 31):
        with unchanged(arena), pytest.raises(ValueError, match="not locked by lock"):
            arena.unlock(free)
    assert arena.lock(pfn)


def test_a_page_whose_flag_says_locked_is_not_got(arena: Arena) -> None:
    """Whoever writes to a view sees to himself: the page is nobody's to lock or to free."""
    (pfn,) = arena.alloc("fast")
    flags = arena.flags
    flags[pfn] |= np.uint64(arena.layout.word("locked"))
    with unchanged(arena):
        assert not arena.lock(pfn)
        with pytest.raises(ValueError, match="not locked by lock"):
            arena.unlock(pfn)
    with unchanged(arena), pytest.raises(ValueError, match="while it is locked"):
        arena.put(pfn)
    flags[pfn] &= ~np.uint64(arena.layout.word("locked"))
    del flags
    assert arena.lock(pfn)


def test_unlock_leaves_the_other_flags(arena: Arena) -> None:
    (pfn,) = arena.alloc("fast")
    arena.set_flags(pfn, arena.layout.word("waiters", "dirty", "lru"))
    assert arena.lock(pfn)
    arena.unlock(pfn)
    assert arena.frame(pfn).flags == ["dirty", "lru", "waiters"]


def test_only_the_first_frame_of_a_page_can_be_locked(arena: Arena) -> None:
    (head,) = arena.alloc("fast", 1, 1)
    reserved = arena.alloc("fast")
    arena.reserve_frames(reserved)
    for pfn in (int(head) + 1, 31, int(reserved[0])):
        with unchanged(arena), pytest.raises(ValueError, match="not the first frame of a folio in use"):
            arena.lock(pfn)


# ---- flags -----------------------------------------------------------------------------------------------------------


def test_flags_are_set_and_cleared_by_name_alone_and_in_bulk(arena: Arena) -> None:
    pfns = arena.alloc("slow", 4)
    layout = arena.layout
    arena.set_flags(pfns, layout.word("dirty", "referenced", last_cpupid=77))
    arena.set_flags(pfns[:2], np.array([layout.word("young"), layout.word("idle")], dtype=np.uint64))
    arena.clear_flags([pfns[3]], layout.word("referenced", "active"))
    assert [arena.frame(pfn).flags for pfn in pfns] == [
        ["referenced", "dirty", "young"], ["referenced", "dirty", "idle"], ["referenced", "dirty"], ["dirty"]
    ]  # fmt: skip
    assert [layout.get(int(word), "last_cpupid") for word in arena.flags[pfns]] == [77] * 4
    assert [layout.get(int(word), "node") for word in arena.flags[pfns]] == [1] * 4


def test_a_flag_that_the_layout_lacks_is_answered_with_the_nearest(arena: Arena) -> None:
    with pytest.raises(KeyError, match="did you mean 'referenced'"):
        arena.layout.word("refrenced")


@pytest.mark.parametrize("name", ["head", "private"])
def test_flags_that_follow_from_the_page_are_not_set_by_hand(arena: Arena, name: str) -> None:
    pfns = arena.alloc("fast", 2)
    mask = arena.layout.word(name, "dirty")
    for call in (arena.set_flags, arena.clear_flags):
        with unchanged(arena), pytest.raises(ValueError, match="node, zone, head and private"):
            call(pfns, [4, mask])


def test_the_lock_is_no_flag_to_be_set(arena: Arena) -> None:
    """An exchange, which finds it set by hand, would take it for its own and clear it."""
    pfns = arena.alloc("fast", 2)
    mask = arena.layout.word("locked", "dirty")
    for call in (arena.set_flags, arena.clear_flags):
        with (
            unchanged(arena),
            pytest.raises(ValueError, match=r"`locked` is set by lock\(\) and cleared by unlock\(\)"),
        ):
            call(pfns, [4, mask])


@pytest.mark.parametrize("field", ["node", "zone"])
def test_no_page_is_moved_to_another_node_by_its_flags(arena: Arena, field: str) -> None:
    pfns = arena.alloc("fast", 2)
    for value in (1, (1 << arena.layout.field(field).width) - 1):
        mask = arena.layout.set(0, field, value)
        for call in (arena.set_flags, arena.clear_flags):
            with unchanged(arena), pytest.raises(ValueError, match="node, zone, head and private"):
                call(pfns, mask)


def test_wrong_masks_and_frames_change_no_flag(arena: Arena) -> None:
    pfns = arena.alloc("fast", 3)
    for mask in (-1, TOP, 1.0, b"4", None, True, [4, 4]):
        with unchanged(arena), pytest.raises((TypeError, ValueError)):
            arena.set_flags(pfns, mask)  # type: ignore[arg-type]
    for wrong in (-1, 64, 1 << 40, TOP):
        with unchanged(arena), pytest.raises(IndexError, match="the arena has frames 0 to 63"):
            arena.set_flags([int(pfns[0]), wrong], 4)


def test_the_count_of_dirty_file_pages_follows_the_flag(arena: Arena) -> None:
    pages = kinds(arena)
    dirty = arena.layout.word("dirty")
    every = [pfn for pfn, _ in pages.values()]
    arena.set_flags(every, dirty)
    arena.set_flags(every, dirty)
    # file 1 and private 1 on the first node, two folios of 8 on the second; anonymous pages are not counted
    assert [node["counters"]["dirty"] for node in arena.nodes] == [2, 16]
    sound(arena, at_rest=True)
    arena.clear_flags(every[-1:], dirty | arena.layout.word("referenced"))
    assert [node["counters"]["dirty"] for node in arena.nodes] == [2, 8]
    arena.clear_flags(every, dirty)
    arena.clear_flags(every, dirty)
    assert [node["counters"]["dirty"] for node in arena.nodes] == [0, 0]
    sound(arena, at_rest=True)


def test_bits_that_threads_set_in_one_word_are_all_there(arena: Arena) -> None:
    (pfn,) = arena.alloc("fast")
    names = ["referenced", "uptodate", "dirty", "active"]

    def work(name: str) -> None:
        mask = arena.layout.word(name)
        for _ in range(500):
            arena.set_flags([pfn] * 8, mask)
            assert int(arena.flags[pfn]) & mask
            arena.clear_flags([pfn] * 8, mask)
        arena.set_flags(pfn, mask)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert arena.frame(pfn).flags == names
