"""B33 to B36: folios of many frames in the page cache and in page tables."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagexchange.oracle import check
from pagexchange.oracle import format as oracle_format
from pagexchange_native.pages import space
from tests.core.library import crew
from tests.core.pages import EINVAL, Pages, differences, picture, strategy
from tests.stepping import Stepped

ORDERS = [1, 4, 9]
CHILD = Path(__file__).with_name("stepped_child.py")


@pytest.mark.parametrize("order", ORDERS)
def test_b33_a_folio_in_the_cache_has_as_many_references_as_frames(order: int) -> None:
    pages = Pages(frames=1024)
    pair = pages.pair(("file", "anon"), order)
    size = 1 << order
    assert int(pages.arena.entries["refs"][pair[0]]) == size
    assert pages.arena.exchange([pair]).ok
    assert int(pages.arena.entries["refs"][pair[1]]) == size
    assert check(pages.arena) == []


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kinds", [("file", "anon"), ("anon", "file"), ("file", "file")], ids="-".join)
def test_b34_every_position_of_a_folio_leads_to_its_new_place(kinds: tuple[str, str], order: int) -> None:
    pages = Pages(frames=1024)
    pair = pages.pair(kinds, order, mappings=(0, 1))
    for side, kind in enumerate(kinds):
        if kind == "file":
            index, mapping = pages.arena.frame(pair[side]).index, pages.arena.frame(pair[side]).mapping
            old = [pages.arena.cache_load(mapping, index + k) for k in range(1 << order)]
            assert pages.arena.exchange([pair]).ok
            new = [pages.arena.cache_load(mapping, index + k) for k in range(1 << order)]
            shift = pair[1 - side] - pair[side]
            assert new == [pfn + shift for pfn in old]
            assert pages.arena.cache_load(mapping, index - 1) == -1
            assert pages.arena.cache_load(mapping, index + (1 << order)) == -1


def count(child: Stepped, facts: dict[str, Any], node: int, kind: int) -> int:
    """Base pages of a kind that a node holds, but for what slot 2 counts."""
    word = child.word(facts["counters"][node] + 8 * kind)
    return word - (word >> 63 << 64) + int(facts["counted"][node][kind])  # what one slot has counted may be below 0


@pytest.mark.plain_build
def test_b35_counters_are_right_before_any_lock_is_let_go() -> None:
    """After each instruction: unless both pages are locked and the file's tree is held, nodes count what they have."""
    seen = set()
    with Stepped(CHILD, "list-exchange") as child:
        facts = json.loads(child.line())
        (slot,), locks = facts["slots"], [facts["tree"], *facts["owners"]]
        while child.step():
            if all(child.word(lock, 4) for lock in locks):
                continue
            side = facts["pfns"].index((child.word(slot) >> 2) - 1)  # of the file's page; the other is anonymous
            kinds = [oracle_format.COUNTERS.index(name) for name in ("file", "anonymous")]
            counted = [[count(child, facts, node, kind) for node in range(2)] for kind in kinds]
            assert counted == [[1 - side, side], [side, 1 - side]]
            seen.add(side)
        child.end()
    assert seen == {0, 1}


@pytest.mark.plain_build
def test_b35_what_others_count_between_two_instructions_is_kept() -> None:
    with Stepped(CHILD, "list-exchange") as child:
        facts = json.loads(child.line())
        kind, added = oracle_format.COUNTERS.index("file"), 0
        while child.step():
            added += 1000
            for row in facts["of others"]:
                child.set_word(row + 8 * kind, child.word(row + 8 * kind) + 1000)
        assert [child.word(row + 8 * kind) for row in facts["of others"]] == [added, added]
        assert [count(child, facts, node, kind) for node in range(2)] == [0, 1]
        child.end()


def test_b35_counters_are_exact_after_exchanges_at_the_same_time() -> None:
    pages = Pages(frames=256)
    kinds = [("file", "anon"), ("shmem", "file"), ("anon", "raw"), ("file", "file")]
    lists = [[pages.pair(kinds[(n + k) % 4], mappings=(n % 2, k % 2)) for k in range(10)] for n in range(4)]
    for pfn in np.ravel(lists)[::3]:
        if pages.arena.frame(int(pfn)).kind == "file":
            pages.flag(int(pfn), "dirty")
    bound = strategy(pages.arena)
    results: list[bool] = []
    with crew() as busy:
        for pairs in lists:
            busy.hire(lambda pairs=pairs: results.append(bound.exchange(pairs).ok), rounds=1001)  # type: ignore[misc]
    assert results == [True] * 4004
    assert check(pages.arena) == []  # recounts every counter from the pages


@pytest.mark.parametrize("order", [0, 4])
def test_b36_what_was_not_mapped_is_not_mapped_afterwards(order: int) -> None:
    pages = Pages(frames=128)
    mapped, unmapped = pages.pair(("anon", "file"), order)
    at = int(pages.arena.entries["index"][mapped])
    assert pages.arena.exchange([[mapped, unmapped]]).ok
    assert [int(pages.arena.entries["mapcount"][pfn]) for pfn in (mapped, unmapped)] == [0, 2]
    assert [int(pages.arena.entries["rmap"][pfn]) != 0 for pfn in (mapped, unmapped)] == [False, True]
    for k in range(1 << order):
        entry = space.entry(pages.arena, pages.spaces[0], at + k)
        assert entry >> 12 == unmapped + k
        assert entry & 3 == 1  # present, not migrating


@pytest.mark.parametrize("huge", [0, 1])
def test_b36_a_huge_page_on_either_side_of_a_base_page_is_refused(huge: int) -> None:
    pages = Pages(frames=1024)
    pair = [pages.page("anon", node, 9 if node == huge else 0) for node in (0, 1)]
    before = picture(pages.arena)
    assert pages.arena.exchange([pair]).status.tolist() == [EINVAL]
    assert differences(before, picture(pages.arena)) == []
