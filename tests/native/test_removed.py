"""Mappings and spaces that are given up: not while anything is in them, and old numbers and arrays are told so."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange_native.errors import ArenaError, ArenaFullError
from pagexchange_native.xarray.array import XArray
from pagexchange_native.xarray.cursor import Cursor
from tests.native.arena_state import sound, unchanged


@pytest.fixture
def arena() -> Iterator[Arena]:
    with Arena.create([("fast", 256), ("slow", 256)], workers=2, mappings=3, spaces=3) as arena:
        assert [arena.new_mapping("m"), arena.new_space("s")] == [0, 0]
        yield arena


def record(arena: Arena, part: str, number: int) -> bytes:
    offset, _, size = arena.geometry()[part]
    return arena.memory[offset + number * size :][:size].tobytes()


def test_a_mapping_with_pages_stays(arena: Arena) -> None:
    (large,) = arena.alloc("slow", 1, 3)
    arena.cache_add(0, 8, large)
    with unchanged(arena), pytest.raises(ArenaError, match=r"mapping 0: it has 8 pages; cache_remove\(\)"):
        arena.remove_mapping(0)
    arena.cache_remove(0, 9)
    arena.remove_mapping(0)
    with pytest.raises(LookupError, match="mapping 0: unknown; new_mapping"):
        arena.cache_load(0, 8)
    with pytest.raises(LookupError, match="mapping 0: unknown"):
        arena.remove_mapping(0)
    sound(arena, at_rest=True)


def test_a_mapping_in_which_an_array_stored_stays(arena: Arena) -> None:
    array = XArray(arena, 0)
    array.store(77, 5)
    with (
        unchanged(arena, is_sound=False),
        pytest.raises(ArenaError, match=r"mapping 0: an XArray has stored entries .* destroy\(\)"),
    ):
        arena.remove_mapping(0)
    array.destroy()
    arena.remove_mapping(0)
    sound(arena)


def test_a_space_that_maps_pages_or_mapped_anonymous_ones_first_stays(arena: Arena) -> None:
    other = arena.new_space()
    (large,), (cached,) = arena.alloc("slow", 1, 2), arena.alloc("fast")
    arena.cache_add(0, 0, cached)
    arena.map(0, [8, 100], [large, cached])
    arena.map(other, 8, large)
    with unchanged(arena), pytest.raises(ArenaError, match=r"space 0: it has 5 pages; .*unmap\(\) them first"):
        arena.remove_space(0)
    arena.unmap(0, 8)
    arena.unmap(0, 100)
    kept = r"space 0: 4 anonymous pages that it mapped first live on in other spaces, and carry its number"
    with unchanged(arena), pytest.raises(ArenaError, match=kept):
        arena.remove_space(0)
    # also when an exchange has moved that page to another frame
    (there,) = arena.alloc("fast", 1, 2)
    assert arena.exchange([(large, there)])
    with unchanged(arena), pytest.raises(ArenaError, match=kept):
        arena.remove_space(0)
    arena.unmap(other, 8)
    arena.remove_space(0)
    arena.remove_space(other)
    for number in (0, other, 2, 5):
        with pytest.raises(LookupError, match=f"space {number}: unknown; new_space"):
            arena.remove_space(number)
    sound(arena, at_rest=True)


def test_numbers_are_given_out_again_when_no_fresh_one_is_left(arena: Arena) -> None:
    ways: list[tuple[Callable[[], int], Callable[[int], None], str]] = [
        (arena.new_mapping, arena.remove_mapping, "mappings"), (arena.new_space, arena.remove_space, "spaces")
    ]  # fmt: skip
    for new, remove, part in ways:
        fresh = record(arena, part, 2)
        remove(0)
        assert [new(), new(), new()] == [1, 2, 0]
        with pytest.raises(ArenaFullError, match=f"all 3 {part} are in use"):
            new()
        remove(2)
        remove(1)
        remove(0)
        assert [new(), new(), new()] == [1, 2, 0]  # 0 was given up twice
        remove(2)
        assert record(arena, part, 2)[24:40] != fresh[24:40] or part == "spaces"  # its generation is kept,
        assert record(arena, part, 2)[64:] == fresh[64:]  # its name is not
    sound(arena, at_rest=True)


def test_what_a_mapping_was_is_not_what_its_successor_is(arena: Arena) -> None:
    shm = arena.new_mapping("shm", shmem=True, aops="unmovable")
    arena.new_mapping()
    pfn = arena.alloc("fast", 1)
    arena.cache_add(shm, 3, pfn)
    assert arena.frame(pfn[0]).flags == ["swapbacked"]
    arena.cache_remove(shm, 3)
    arena.remove_mapping(shm)
    assert arena.new_mapping() == shm
    a, b = arena.alloc("fast")[0], arena.alloc("slow")[0]
    arena.cache_add(shm, [3, 4], [a, b])
    assert arena.frame(a).flags == []
    assert arena.exchange([(a, b)])
    sound(arena, at_rest=True)


@pytest.mark.parametrize("of_space", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_an_array_of_what_is_gone_says_so(arena: Arena, of_space: bool, again: bool) -> None:
    array = XArray(arena, space=0) if of_space else XArray(arena, 0)
    cursor = Cursor(array, 5)
    (arena.remove_space if of_space else arena.remove_mapping)(0)
    if again:
        while (arena.new_space if of_space else arena.new_mapping)() != 0:
            pass
    else:
        with pytest.raises(IndexError, match=r"0: unknown; new_\w+\(\) makes one"):
            XArray(arena, space=0) if of_space else XArray(arena, 0)
    calls: list[Callable[[], Any]] = [
        lambda: array.load(5), lambda: array.store(5, 1), lambda: array.find(), lambda: array.bulk_load([5]),
        lambda: array.empty, lambda: array.get_mark(5, 0), lambda: array.set_mark(5, 0), lambda: list(array),
        lambda: array.words([5]), lambda: array.destroy(), cursor.load, lambda: cursor.store(3), cursor.find,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ArenaError, match=r"0: it was removed, and with it this array; make one of a new"):
            call()
    assert "0 of <Arena" in repr(array)
    sound(arena, at_rest=True)


def test_a_call_that_waits_for_a_mapping_is_told_when_it_goes(arena: Arena) -> None:
    offset, _, _ = arena.geometry()["mappings"]
    words = arena.memory[offset : offset + 128].view(np.uint32)
    lock, used, generation = 2, 6, 9
    told: list[str] = []

    def add() -> None:
        try:
            arena.cache_add(0, [0, 1], arena.alloc("fast", 2))
        except LookupError as error:
            told.append(str(error))

    words[lock] = 1  # somebody holds the tree
    thread = threading.Thread(target=add)
    thread.start()
    while not (arena.entries["owner"] != 0).any():  # it has its first page locked, and waits
        pass
    words[used], words[generation], words[lock] = 1, 1, 0  # given up meanwhile, and the number given out again
    thread.join()
    assert told == ["mapping 0: removed while pages were placed in it"]
    words[generation] = 0
    assert arena.cache_load(0, [0, 1]).tolist() == [-1, -1]
    sound(arena)


def test_pages_are_added_and_a_mapping_is_removed_at_once(arena: Arena) -> None:
    """Whoever is first: never a page in a mapping that is gone, and the loser is told."""
    outcomes: set[str] = set()
    for turn in range(150):
        mapping = arena.new_mapping(f"turn {turn}")
        pfns = arena.alloc("fast", 32)
        start = threading.Barrier(2)
        told: list[str] = []

        def add(mapping: int = mapping, pfns: Any = pfns, start: Any = start, told: list[str] = told) -> None:
            start.wait()
            try:
                arena.cache_add(mapping, np.arange(32), pfns)
            except LookupError as error:
                told.append(str(error))

        thread = threading.Thread(target=add)
        thread.start()
        start.wait()
        removed = True
        try:
            arena.remove_mapping(mapping)
        except ArenaError:
            removed = False
        thread.join()
        assert removed == bool(told)
        outcomes.add("removed" if removed else "added")
        if removed:
            arena.free(pfns)
        else:
            for index in range(32):
                arena.cache_remove(mapping, index)
            arena.remove_mapping(mapping)
        sound(arena, at_rest=turn % 50 == 49)
    assert outcomes


def test_an_array_is_stored_in_and_a_mapping_is_removed_at_once(arena: Arena) -> None:
    for _ in range(150):
        mapping = arena.new_mapping()
        array = XArray(arena, mapping)
        start = threading.Barrier(2)
        told: list[str] = []

        def store(array: XArray = array, start: Any = start, told: list[str] = told) -> None:
            start.wait()
            try:
                array.store(5, 5)
            except ArenaError as error:
                told.append(str(error))

        thread = threading.Thread(target=store)
        thread.start()
        start.wait()
        try:
            arena.remove_mapping(mapping)
        except ArenaError:
            thread.join()
            assert not told
            array.destroy()
            arena.remove_mapping(mapping)
        thread.join()
        successor = arena.new_mapping()
        assert XArray(arena, successor).empty
        arena.remove_mapping(successor)
    sound(arena, at_rest=True)


# ---- many at once ----------------------------------------------------------------------------------------------------


def test_many_positions_are_looked_up_in_one_call(arena: Arena) -> None:
    (large,), singles = arena.alloc("slow", 1, 2), arena.alloc("fast", 3)
    arena.cache_add(0, [8, 0, 1 << 40, (1 << 56) - 1], [large, *singles])
    arena.map(0, [8, 0, 1 << 40, (1 << 52) - 1], [large, *arena.alloc("fast", 3)])
    last: list[tuple[Callable[..., Any], int]] = [(arena.cache_load, (1 << 56) - 1), (arena.translate, (1 << 52) - 1)]
    for look, top in last:
        places = [7, 8, 10, 11, 12, 0, 1, 1 << 40, top]
        one_by_one = [look(0, at) for at in places]
        assert all(type(pfn) is int for pfn in one_by_one)
        forms: list[Any] = [places, tuple(places), np.array(places), np.array(places, np.uint64), iter(places),
                            dict.fromkeys(places), dict.fromkeys(places).keys(), np.array(places, object)]  # fmt: skip
        for form in forms:
            if isinstance(form, dict):
                with pytest.raises(TypeError, match="want integers"):
                    look(0, form)
                continue
            found = look(0, form)
            assert isinstance(found, np.ndarray)
            assert found.dtype == np.int64
            assert found.tolist() == one_by_one
        square = look(0, np.array(places).reshape(3, 3))
        assert square.tolist() == np.array(one_by_one).reshape(3, 3).tolist()
        assert look(0, []).shape == (0,)
        assert type(look(0, np.array(8))) is int
        assert type(look(0, np.uint8(8))) is int
        for wrong in (-1, top + 1, 1 << 64):
            with pytest.raises(ValueError, match=rf" {wrong}: want 0 to 2\^5[26] - 1"):
                look(0, wrong)
            with pytest.raises(ValueError, match=rf" {wrong} \(element 1\): want 0 to 2\^5[26] - 1"):
                look(0, [5, wrong, -7])
        bad: list[Any] = [1.0, [1.0], True, [True], "1", None, [None], [[1], [2, 3]]]
        for value in bad:
            with pytest.raises((TypeError, ValueError), match="want integers"):
                look(0, value)
        bad = [0.0, True, "0", None, [0]]
        for number in bad:
            with pytest.raises(TypeError, match=r"(mapping|space): want an integer"):
                look(number, 5)
        with pytest.raises(LookupError, match="7: unknown"):
            look(7, [5])


def test_a_migration_entry_among_many_is_named(arena: Arena) -> None:
    pfns = arena.alloc("fast", 3)
    arena.map(0, [70, 71, 72], pfns)
    offset, _, size = arena.geometry()["tables"]
    at = int(arena.entries["rmap"][pfns[1]]) - 1
    word = arena.memory[offset + at // 64 * size + 64 + 16 * (at % 64) :][:8].view(np.uint64)
    word ^= 1 | 2  # as an exchange does for the time that it has the page
    with pytest.raises(ArenaError, match=r"virtual page 71 \(element 2\): an exchange has it; try again"):
        arena.translate(0, [70, 72, 71])
    word ^= 1 | 2
    assert arena.translate(0, [70, 71, 72]).tolist() == pfns.tolist()


# ---- references ------------------------------------------------------------------------------------------------------


def test_a_page_that_was_handed_over_is_its_mappings_or_its_spaces(arena: Arena) -> None:
    cached, mapped, kept = arena.alloc("fast", 3)
    assert arena.get(kept)
    with pytest.raises(ValueError, match="element 2"):
        arena.cache_add(0, [0, 1, 2], [cached, kept, -1])
    for pfn in (cached, kept):  # a call that raised took none; one by get() is a pin
        assert (arena.frame(pfn).refs, arena.entries["held"][pfn]) == (1, 1)
    arena.cache_add(0, [0, 1], [cached, kept])
    arena.map(0, 9, mapped)
    for pfn in (cached, mapped):
        with pytest.raises(ValueError, match=f"frame {pfn}: no reference of yours"):
            arena.put(pfn)
    arena.cache_remove(0, 0)
    arena.cache_remove(0, 1)
    arena.unmap(0, 9)
    assert [arena.frame(pfn).state for pfn in (cached, mapped, kept)] == ["free", "free", "used"]
    arena.put(kept)
    sound(arena, at_rest=True)
