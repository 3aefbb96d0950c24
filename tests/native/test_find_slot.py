"""The finders agree with each other and with the arena on where the words lie that point at pages."""

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange_native.policies.find_slot import MappingUpdater, RadixTree, XArrayCursor

FINDERS = [XArrayCursor(), RadixTree()]
PAGE = np.dtype([("mapping", "u8"), ("index", "u8"), ("pfn", "u8")])


def arena_with_files(files: int = 6, n: int = 400) -> tuple[Arena, np.ndarray]:
    """Files with dense runs and holes, pages in random frames; the table of what lies where."""
    arena = Arena.create(nodes=[("fast", files * n), ("slow", 64)], watermarks=(0, 0, 0), xa_nodes=20000)
    rng = np.random.default_rng(2)
    table = np.zeros(files * n, PAGE)
    pfns = rng.permutation(arena.alloc("fast", files * n))
    for number in range(files):
        mapping = arena.new_mapping(f"file-{number}")
        at = slice(number * n, (number + 1) * n)
        jumps = rng.integers(1, 1 << (6 * number + 3), n // 2, dtype=np.uint64)  # deeper trees from file to file
        spread = np.concatenate([np.arange(n // 2, dtype=np.uint64), np.uint64(n // 2) + np.cumsum(jumps)])
        arena.cache_add(mapping, spread, pfns[at])
        table["mapping"][at], table["index"][at], table["pfn"][at] = mapping, spread, pfns[at]
    return arena, table


def word_at(arena: Arena, offset: np.ndarray) -> np.ndarray:
    memory = arena.memory.view(np.uint64)
    return np.asarray(memory[(offset // np.uint64(8)).astype(np.int64)])


@pytest.mark.parametrize("finder", FINDERS, ids=lambda f: f.name)
@pytest.mark.parametrize("order", ["sorted", "shuffled", "turns"])
def test_every_page_is_found_at_the_word_that_points_at_it(finder: MappingUpdater, order: str) -> None:
    arena, pages = arena_with_files()
    if order == "shuffled":
        pages = np.random.default_rng(3).permutation(pages)
    elif order == "turns":  # from one file to the next and back, as the two sides of a list
        pages = pages.reshape(6, -1).T.ravel()
    offset, found = finder(pages, arena)
    np.testing.assert_array_equal(found, (pages["pfn"] + np.uint64(1)) << np.uint64(2))
    np.testing.assert_array_equal(word_at(arena, offset), found)
    assert len(np.unique(offset)) == len(pages)


def test_the_finders_agree_where_nothing_lies() -> None:
    arena, pages = arena_with_files()
    holes = pages.copy()
    holes["index"] += np.uint64(1) << np.uint64(45)
    both = np.random.default_rng(4).permutation(np.concatenate([pages, holes]))
    (offset, found), (other_offset, other_found) = (finder(both, arena) for finder in FINDERS)
    np.testing.assert_array_equal(offset, other_offset)
    np.testing.assert_array_equal(found, other_found)
    assert np.count_nonzero(found) == len(pages)


@pytest.mark.parametrize("finder", FINDERS, ids=lambda f: f.name)
def test_another_page_in_the_place_is_reported_as_it_is(finder: MappingUpdater) -> None:
    arena, pages = arena_with_files()
    wrong = pages.copy()
    wrong["pfn"] = np.roll(wrong["pfn"], 1)
    offset, found = finder(wrong, arena)
    np.testing.assert_array_equal(found, (pages["pfn"] + np.uint64(1)) << np.uint64(2))
    assert offset.all()


@pytest.mark.parametrize("finder", FINDERS, ids=lambda f: f.name)
def test_where_an_entry_says_that_its_slot_is_need_not_be_true(finder: MappingUpdater) -> None:
    arena, pages = arena_with_files(1)
    right, found = finder(pages, arena)
    slots = arena.entries["next"]  # of a page its slot
    dense = pages["pfn"][:128].astype(np.int64)
    slots[dense[:64]] = slots[dense[64:]]  # 64 positions on, a word has the same place in its node
    offset, again = finder(pages, arena)
    np.testing.assert_array_equal(offset, right)
    np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize("finder", FINDERS, ids=lambda f: f.name)
def test_a_mapping_that_does_not_exist_has_no_pages(finder: MappingUpdater) -> None:
    arena, pages = arena_with_files(1)
    some = pages[:3].copy()
    some["mapping"] = [63, 64, (1 << 64) - 1]
    offset, found = finder(some, arena)
    assert not offset.any()
    assert not found.any()


@pytest.mark.parametrize("finder", FINDERS, ids=lambda f: f.name)
def test_a_large_folio_is_found_from_any_of_its_pages(finder: MappingUpdater) -> None:
    arena = Arena.create(nodes=[("fast", 1024)], watermarks=(0, 0, 0))
    mapping = arena.new_mapping("large")
    pfn = int(arena.alloc("fast", 1, 4)[0])
    arena.cache_add(mapping, [32], [pfn])
    pages = np.zeros(16, PAGE)
    pages["mapping"], pages["index"], pages["pfn"] = mapping, np.arange(32, 48), pfn
    offset, found = finder(pages, arena)
    assert len(np.unique(offset)) == 1
    assert (found == (pfn + 1) << 2).all()


@pytest.mark.parametrize("finder", FINDERS, ids=lambda f: f.name)
def test_the_tree_is_left_unlocked(finder: MappingUpdater) -> None:
    arena, pages = arena_with_files(2)
    finder(pages, arena)
    arena.cache_remove(int(pages["mapping"][0]), int(pages["index"][0]))  # needs the tree to itself
    _, found = finder(pages, arena)
    assert found[0] == 0


def test_a_class_without_a_function_says_so() -> None:
    arena, pages = arena_with_files(1, 4)
    with pytest.raises(TypeError, match="has no find function"):
        MappingUpdater()(pages, arena)
