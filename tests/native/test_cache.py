"""The page cache: a page is found at each of its indexes, counted where it lies, not taken out while it is in use."""

import errno
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange_native.arena import region
from pagexchange_native.errors import ArenaBusyError, ArenaError, ArenaFullError
from tests.native.arena_state import sound, unchanged

LAST = (1 << 56) - 1


@pytest.fixture
def arena() -> Iterator[Arena]:
    with Arena.create([("fast", 1024), ("slow", 1024)], workers=1, mappings=3, xa_nodes=4000) as arena:
        assert [arena.new_mapping("file"), arena.new_mapping("shm", shmem=True)] == [0, 1]
        yield arena


def counters(arena: Arena) -> list[tuple[int, ...]]:
    return [tuple(node["counters"].values()) for node in arena.nodes]


def pages_of(arena: Arena, mapping: int) -> int:
    """`nr_pages` of a mapping, read from the bytes."""
    offset, _, size = arena.geometry()["mappings"]
    at = offset + mapping * size + 40
    return int(arena.memory[at : at + 8].view(np.uint64)[0])


# ---- putting in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1, 3, 6, 9])
def test_a_folio_is_found_at_each_of_its_indexes_and_nowhere_else(arena: Arena, order: int) -> None:
    (pfn,) = arena.alloc("fast", 1, order)
    size = 1 << order
    arena.cache_add(0, 5 * size, pfn)
    for index in (5 * size, 6 * size - 1, 5 * size + size // 2):
        assert arena.cache_load(0, index) == pfn
    for index in (0, 5 * size - 1, 6 * size, LAST):
        assert arena.cache_load(0, index) == -1
    assert arena.cache_load(1, 5 * size) == -1
    assert (arena.frame(pfn).kind, arena.frame(pfn).mapping, arena.frame(pfn).index) == ("file", 0, 5 * size)
    assert (arena.frame(pfn).refs, arena.entries["held"][pfn]) == (size, 0)
    assert pages_of(arena, 0) == size
    assert counters(arena) == [(size, 0, 0, 0), (0, 0, 0, 0)]
    sound(arena, at_rest=True)


def test_the_first_and_the_last_index_hold_pages(arena: Arena) -> None:
    single, (large,) = arena.alloc("slow", 3), arena.alloc("slow", 1, 9)
    arena.cache_add(0, [0, LAST, LAST - 1], single)
    arena.cache_add(1, LAST - 511, large)
    assert [arena.cache_load(0, index) for index in (0, LAST, LAST - 1)] == single.tolist()
    assert [arena.cache_load(1, index) for index in (LAST - 512, LAST - 511, LAST)] == [-1, large, large]
    sound(arena, at_rest=True)


def test_shared_memory_is_swap_backed_and_counted_twice(arena: Arena) -> None:
    (large,) = arena.alloc("slow", 1, 2)
    arena.set_flags(large, arena.layout.word("dirty"))
    arena.cache_add(1, 4, large)
    assert arena.frame(large).flags == ["dirty", "head", "swapbacked"]
    assert counters(arena) == [(0, 0, 0, 0), (4, 4, 0, 4)]
    sound(arena, at_rest=True)


def test_a_reference_that_somebody_took_stays_theirs(arena: Arena) -> None:
    (pfn,) = arena.alloc("fast")
    assert arena.get(pfn)
    arena.cache_add(0, 9, pfn)
    assert arena.frame(pfn).refs == 1  # a reference by get() is a pin
    assert arena.cache_remove(0, 9) == pfn
    assert (arena.frame(pfn).state, arena.frame(pfn).refs, arena.frame(pfn).kind) == ("used", 1, "raw")
    arena.put(pfn)
    assert arena.frame(pfn).state == "free"
    sound(arena, at_rest=True)


@pytest.fixture
def busy(arena: Arena) -> dict[str, int]:
    """Frames whose pages cannot go into a file."""
    space = arena.new_space()
    anon, cached, locked, twin = arena.alloc("fast", 4).tolist()
    (head,) = arena.alloc("fast", 1, 2).tolist()
    reserved = arena.alloc("slow")
    arena.reserve_frames(reserved)
    arena.map(space, 3, anon)
    arena.cache_add(0, [1000, 1001], [cached, twin])
    assert arena.lock(locked)
    return {"anon": anon, "cached": cached, "twin": twin, "locked": locked, "tail": head + 1, "free": 1023,
            "head": head, "reserved": int(reserved[0])}  # fmt: skip


REFUSED: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "a mapped anonymous page": (40, "anon", ValueError, "the page is anonymous, at virtual page 3 already"),
    "a page of the file": (40, "cached", ValueError, "the page is in mapping 0, at index 1000 already"),
    "a tail": (40, "tail", ValueError, "the frame is a tail; its folio starts at frame {head}"),
    "a free frame": (40, "free", ValueError, r"the frame is free; alloc\(\) gives frames in use"),
    "a reserved frame": (40, "reserved", ValueError, "the frame is reserved, and holds no page"),
    "a locked page": (40, "locked", ArenaError, "the page is locked; try again"),
    "a frozen page": (40, "frozen", ArenaBusyError, r"an exchange \(slot 1, IDLE\) has the page; try again"),
    "a folio at an odd index": (42, "head", ValueError, "a folio of 4 frames goes to a multiple of 4"),
    "a folio over a taken index": (1000, "head", ArenaError, "index 1000 is taken by frame {cached}"),
    "an index beyond the last": (LAST + 1, "head", ValueError, r"at index 72057594037927936.*: want 0 to 2\^56 - 1"),
    "the index 2^64": (1 << 64, "head", ValueError, r"at index 18446744073709551616.*: want 0 to 2\^56 - 1"),
    "a negative index": (-4, "head", ValueError, r"at index -4.*: want 0 to 2\^56 - 1"),
    "a frame of no arena": (40, 2048, ValueError, "frame 2048 .*no such frame; the arena has frames 0 to 2047"),
    "a negative frame": (40, -1, ValueError, "frame -1 .*no such frame"),
    "a frame beyond 2^63": (40, 1 << 63, ValueError, "frame 9223372036854775808 .*no such frame"),
    "half an index": (40.5, "head", TypeError, "indexes: want integers"),
    "a frame by name": (40, "head!", TypeError, "pfns: want integers"),
    "an index that is taken": (1001, "spare", ArenaError, "index 1001 is taken by frame {twin}"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_page_that_cannot_be_added_keeps_out_the_whole_batch(
    arena: Arena, busy: dict[str, int], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region, "PATIENCE", 0.02)
    index, frame, error, said = REFUSED[case]
    good = [*arena.alloc("slow", 2).tolist(), *arena.alloc("fast", 2, 1).tolist()]
    busy["spare"] = int(arena.alloc("slow")[0])
    if frame == "frozen":  # as an exchange leaves it while it has the page
        busy[frame] = int(arena.alloc("slow")[0])
        arena.entries["owner"][busy[frame]], arena.entries["refs"][busy[frame]] = 2, 1 << 31 | 1
    pfn = busy.get(frame, frame)
    said = re.sub(r"\{(\w+)\}", lambda name: str(busy[name[1]]), said)
    for mapping in (0, 1):
        if "taken" in case and mapping == 1:
            continue
        with unchanged(arena, is_sound=frame != "frozen"), pytest.raises(error, match=said):
            arena.cache_add(mapping, index, pfn)
        with unchanged(arena, is_sound=frame != "frozen"), pytest.raises(error, match=said) as caught:
            arena.cache_add(mapping, [3, 6, 8, index, 5], [good[0], good[2], good[3], pfn, good[1]])
        assert ("(element 3)" in str(caught.value)) == (error is not TypeError)
        assert [arena.cache_load(mapping, at) for at in (3, 5, 6, 8)] == [-1] * 4


def test_one_page_twice_or_two_pages_at_one_index_are_refused(arena: Arena) -> None:
    one, two = arena.alloc("fast", 2).tolist()
    arena.set_flags(one, arena.layout.word("swapbacked", "dirty"))
    for mapping in (0, 1):
        twice = (
            f"frame {one} at index 2 .element 1.: the page is in mapping {mapping}, at index 1 already, by element 0 of"
        )
        with unchanged(arena), pytest.raises(ValueError, match=twice):
            arena.cache_add(mapping, [1, 2], [one, one])
        with (
            unchanged(arena),
            pytest.raises(ArenaError, match=f"frame {two} at index 1 .*taken by frame {one}, by element 0"),
        ):
            arena.cache_add(mapping, [1, 1], [one, two])
        with unchanged(arena), pytest.raises(ValueError, match="2 indexes for 1 frames"):
            arena.cache_add(mapping, [1, 2], [one])
    arena.cache_add(0, [1, 2], [one, two])


def test_an_addition_undone_leaves_pinned_and_referenced_pages_as_they_were(arena: Arena) -> None:
    pinned, taken, last = arena.alloc("fast", 3).tolist()
    arena.pin(pinned)
    assert arena.get(taken)
    with unchanged(arena, is_sound=False), pytest.raises(ValueError, match="frame -1"):
        arena.cache_add(1, [1, 2, 3, 4], [pinned, taken, last, -1])


def test_too_few_tree_nodes_are_an_error_with_nothing_changed() -> None:
    with Arena.create([("fast", 64)], workers=1, xa_nodes=4) as arena:
        mapping = arena.new_mapping()
        pfns = arena.alloc("fast", 6)
        arena.cache_add(mapping, [0], pfns[:1])
        with unchanged(arena), pytest.raises(ArenaFullError, match="no XArray node left") as caught:
            arena.cache_add(mapping, [1, 70, 700, 1 << 40], pfns[1:5])
        assert caught.value.errno == errno.ENOMEM
        arena.cache_add(mapping, [1, 2, 3, 64, 65], pfns[1:])
        sound(arena, at_rest=True)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_an_injected_failure_changes_nothing(arena: Arena, nth: int) -> None:
    pfns = arena.alloc("fast", 3)
    arena.fail_alloc = nth
    with unchanged(arena), pytest.raises(ArenaFullError):
        arena.cache_add(0, [1, 100, 1 << 30], pfns)
    arena.fail_alloc = 0
    arena.cache_add(0, [1, 100, 1 << 30], pfns)
    sound(arena, at_rest=True)


@pytest.mark.parametrize("mapping", [2, 3, -1, 1 << 40])
def test_an_unknown_mapping_is_named(arena: Arena, mapping: int) -> None:
    pfn = int(arena.alloc("fast")[0])
    calls: list[Callable[[], object]] = [
        lambda: arena.cache_add(mapping, 0, pfn), lambda: arena.cache_load(mapping, 0),
        lambda: arena.cache_remove(mapping, 0),
    ]  # fmt: skip
    for call in calls:
        with unchanged(arena), pytest.raises(LookupError, match=f"mapping {mapping}: unknown; new_mapping"):
            call()


def test_mappings_end(arena: Arena) -> None:
    assert arena.new_mapping(aops="none") == 2
    with pytest.raises(ArenaFullError, match="all 3 mappings are in use"):
        arena.new_mapping()
    with pytest.raises(ValueError, match="choose one of migrate, none, unmovable"):
        arena.new_mapping(aops="migrat")


# ---- taking out ------------------------------------------------------------------------------------------------------


def test_any_index_of_a_folio_takes_out_the_whole(arena: Arena) -> None:
    before = counters(arena)
    for step in (0, 3, 7):
        (pfn,) = arena.alloc("slow", 1, 3)
        arena.cache_add(1, 16, pfn)
        arena.set_flags(pfn, arena.layout.word("dirty"))
        arena.set_private(pfn, 99)
        assert arena.cache_remove(1, 16 + step) == pfn
        assert arena.frame(pfn).state == "free"
        assert [arena.cache_load(1, 16 + k) for k in range(8)] == [-1] * 8
    assert counters(arena) == before
    assert pages_of(arena, 1) == 0
    assert [node["free"] for node in arena.nodes] == [1024, 1024]
    sound(arena, at_rest=True)


def test_nothing_is_taken_from_where_nothing_is(arena: Arena) -> None:
    for index in (0, 17, LAST):
        with unchanged(arena):
            assert arena.cache_remove(0, index) == -1
    for index in (-1, LAST + 1, 1 << 64):
        for call in (arena.cache_remove, arena.cache_load):
            with unchanged(arena), pytest.raises(ValueError, match=r"want 0 to 2\^56 - 1"):
                call(0, index)


def test_a_page_in_use_is_not_taken_out(arena: Arena) -> None:
    locked, mapped = arena.alloc("fast", 2).tolist()
    (pinned,) = arena.alloc("fast", 1, 2).tolist()
    arena.cache_add(0, [0, 1, 4], [locked, mapped, pinned])
    assert arena.lock(locked)
    arena.map(arena.new_space(), 5, mapped)
    arena.pin(pinned + 3)
    assert arena.get(pinned)  # so it would not be freed, and who frees it would not refuse the pin
    for index, said in ((0, "locked"), (1, "page tables map the page"), (4, "pinned")):
        with unchanged(arena), pytest.raises(ArenaError, match=said):
            arena.cache_remove(0, index)
    arena.unlock(locked)
    arena.put(pinned)
    with unchanged(arena), pytest.raises(ArenaError, match="pinned"):
        arena.cache_remove(0, 4)
    arena.unpin(pinned + 3)
    assert arena.cache_remove(0, 0) == locked
    assert arena.cache_remove(0, 4) == pinned
    assert arena.unmap(0, 5) == mapped
    assert arena.cache_remove(0, 1) == mapped
    assert arena.nodes[0]["free"] == 1024
    sound(arena, at_rest=True)


# ---- private data ----------------------------------------------------------------------------------------------------


def test_private_data_has_a_flag_a_word_and_one_reference(arena: Arena) -> None:
    one, two = arena.alloc("fast", 2)
    arena.cache_add(0, [0, 1], [one, two])
    arena.set_private([one, two], [(1 << 64) - 1, 0])
    arena.set_private(two, 7)
    for pfn, value in ((one, (1 << 64) - 1), (two, 7)):
        frame = arena.frame(pfn)
        assert (frame.flags, frame.private, frame.refs) == (["private"], value, 2)
    sound(arena, at_rest=True)
    assert arena.get(one)
    arena.cache_remove(0, 0)
    assert (arena.frame(one).flags, arena.frame(one).private, arena.frame(one).refs) == ([], 0, 1)
    arena.put(one)
    sound(arena, at_rest=True)


def test_private_data_belong_to_pages_of_files(arena: Arena, busy: dict[str, int]) -> None:
    good = busy["cached"]
    for frame in ("anon", "tail", "free", "reserved", "head"):
        with unchanged(arena), pytest.raises(ValueError, match=f"frame {busy[frame]}: private data"):
            arena.set_private([good, busy[frame]], [1, 2])
    wrong: list[tuple[Any, Any]] = [
        ([good, 4000], 1),
        ([good], -1),
        ([good], 1 << 64),
        ([good], 0.5),
        ([good] * 2, [1] * 3),
    ]
    for pfns, values in wrong:
        with unchanged(arena), pytest.raises((TypeError, ValueError, IndexError)):
            arena.set_private(pfns, values)


def test_private_data_wait_until_the_page_is_unlocked(arena: Arena, busy: dict[str, int]) -> None:
    """An exchange that has the page frozen counts its references itself."""
    good = arena.alloc(0)
    arena.cache_add(0, 900, good)
    assert arena.lock(busy["cached"])
    with unchanged(arena), pytest.raises(ArenaError, match=f"frame {busy['cached']}: the page is locked"):
        arena.set_private([int(good[0]), busy["cached"]], [1, 2])
    arena.unlock(busy["cached"])
    arena.set_private([int(good[0]), busy["cached"]], [1, 2])
    sound(arena)


# ---- at random -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_random_history_agrees_with_dicts(arena: Arena, seed: int) -> None:
    rng = random.Random(seed)
    files: list[dict[int, int]] = [{}, {}]
    shmem, dirty = [False, True], arena.layout.word("dirty")
    orders: dict[int, int] = {}
    stained: set[int] = set()
    for _ in range(250):
        mapping = rng.randrange(2)
        held = files[mapping]
        order = rng.choice([0, 0, 0, 1, 2, 5])
        index = rng.randrange(1 << rng.choice([6, 9, 50])) >> order << order
        if rng.random() < 0.6:
            (pfn,) = arena.alloc(rng.choice(["fast", "slow"]), 1, order).tolist()
            if any(index + k in held for k in range(1 << order)):
                with pytest.raises(ArenaError):
                    arena.cache_add(mapping, index, pfn)
                arena.put(pfn)
                continue
            arena.cache_add(mapping, index, pfn)
            held |= {index + k: pfn for k in range(1 << order)}
            orders[pfn] = order
            if rng.random() < 0.5:
                arena.set_flags(pfn, dirty)
                stained.add(pfn)
        elif held:
            index = rng.choice(list(held))
            pfn = held[index]
            assert arena.cache_remove(mapping, index) == pfn
            for at in [at for at, page in held.items() if page == pfn]:
                del held[at]
            stained.discard(pfn)
            del orders[pfn]
    for mapping, held in enumerate(files):
        assert all(arena.cache_load(mapping, at) == pfn for at, pfn in held.items())
        assert all(arena.cache_load(mapping, at) == held.get(at, -1) for at in range(1 << 9))
        assert pages_of(arena, mapping) == len(held)
    for number, (low, high) in enumerate([(0, 1024), (1024, 2048)]):
        here = [[pfn for pfn in held.values() if low <= pfn < high] for held in files]
        want = (
            sum(map(len, here)), sum(len(pages) for pages, is_shm in zip(here, shmem, strict=True) if is_shm), 0,
            sum(pfn in stained for pages in here for pfn in pages),
        )  # fmt: skip
        assert counters(arena)[number] == want
    sound(arena, at_rest=True)
