"""B18 to B23: flags, counters, and what a reader sees meanwhile."""

import errno
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagexchange.errors import ConfigError
from pagexchange.model.layout import Layout
from pagexchange.oracle import Oracle
from pagexchange_native.arena.region import FROZEN
from tests.core.pages import EAGAIN, EBUSY, NATIVE, Pages, Pfns, differences, picture, strategy
from tests.stepping import Stepped

LAYOUTS = ("linux-5.0", "linux-6.18")
CHILD = Path(__file__).with_name("stepped_child.py")
PRESENT = 1  # in a page-table entry
META = 3  # the phase in which the words are stored
CHANGES = 256  # more than the store of one word has instructions
SHIPPED = Path(__file__).parents[3] / "core/pagexchange/model/layouts"


def swap(pieces: Any, a: Pfns, b: Pfns) -> None:
    pieces[a], pieces[b] = pieces[b], pieces[a]


def counters(pages: Pages, name: str) -> list[int]:
    return [int(node["counters"][name]) for node in pages.arena.nodes]


def flags(pages: Pages, pair: list[int]) -> list[set[str]]:
    return [set(pages.arena.frame(pfn).flags) for pfn in pair]


@pytest.mark.parametrize("side", [0, 1])
def test_b18a_write_back_is_never_cleared(pages: Pages, side: int) -> None:
    pair = pages.pair(("file", "file"))
    pages.flag(pair[side], "writeback")
    assert pages.arena.exchange([pair]).status.tolist() == [EBUSY]
    assert "writeback" in flags(pages, pair)[side]


def test_b18b_private_data_its_flag_and_its_reference_stay_together(pages: Pages) -> None:
    pair = pages.pair(("file", "anon"))
    pages.arena.set_private(pair[0], 4711)
    refs = [int(pages.arena.entries["refs"][pfn]) for pfn in pair]
    assert pages.arena.exchange([pair]).ok
    assert [pages.arena.frame(pfn).private for pfn in pair] == [0, 4711]
    assert [int(pages.arena.entries["refs"][pfn]) for pfn in pair] == refs[::-1]
    assert ["private" in names for names in flags(pages, pair)] == [False, True]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("with_it", [[0], [1], [0, 1], []], ids=str)
def test_b18c_one_bit_with_two_names_is_exchanged_once(layout: str, with_it: list[int]) -> None:
    pages = Pages(layout=layout)
    pair = pages.pair(("file", "file"))
    mask = pages.arena.layout.flag("swapcache").mask
    for side in with_it:
        pages.arena.set_flags(pair[side], mask)
    assert pages.arena.exchange([pair]).ok
    assert [bool(int(pages.arena.flags[pfn]) & mask) for pfn in pair] == [1 in with_it, 0 in with_it]


def test_b18d_a_swap_entry_stays_with_its_page(pages: Pages) -> None:
    """A swap-cached page is refused as a whole, so that the entry and the flag that says so cannot part."""
    pair = pages.pair(("anon", "anon"))
    pages.flag(pair[0], "swapcache", "swapbacked")
    pages.arena.entries["private"][pair[0]] = 99
    before = picture(pages.arena)
    assert pages.arena.exchange([pair]).status.tolist() == [-errno.EOPNOTSUPP]
    assert differences(before, picture(pages.arena)) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_b18e_twice_is_the_identity_for_every_flag(layout: str) -> None:
    pages = Pages(layout=layout)
    special = {pages.arena.layout.flag(name).mask for name in ("locked", "swapcache", "private", "head", "waiters")}
    for flag in pages.arena.layout.flags:
        if flag.policy == "refuse" or flag.mask in special:
            continue
        pair = pages.pair(("file", "anon"))
        pages.arena.set_flags(pair[0], flag.mask)
        before = [int(pages.arena.flags[pfn]) for pfn in pair]
        assert pages.arena.exchange([pair]).ok, flag.name
        assert pages.arena.exchange([pair]).ok, flag.name
        assert [int(pages.arena.flags[pfn]) for pfn in pair] == before, flag.name
        for pfn in pair:
            pages.arena.clear_flags(pfn, flag.mask)


@pytest.mark.parametrize("name", ["workingset", "reclaim", "dropbehind"])
def test_b18f_flags_that_the_list_of_2019_forgets_move(pages: Pages, name: str) -> None:
    pair = pages.pair(("file", "file"))
    pages.flag(pair[0], name)
    assert pages.arena.exchange([pair]).ok
    assert [name in names for names in flags(pages, pair)] == [False, True]


def test_b18f_a_bit_without_a_policy_is_an_error(tmp_path: Path) -> None:
    text = (SHIPPED / "linux-6.18.toml").read_text(encoding="utf-8")
    lines = text.splitlines()
    at = next(n for n, line in enumerate(lines) if "dirty" in line and "policy" in line)
    lines[at] = lines[at].replace('policy = "swap"', "").replace(", ,", ",").replace(", }", " }")
    assert lines[at] not in text.splitlines()
    mine = tmp_path / "mine.toml"
    mine.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError, match="policy"):
        Layout.load(mine)


@pytest.mark.parametrize("name", ["error", "checked"])
def test_b18h_flags_of_base_pages_are_no_trouble_on_huge_ones(name: str) -> None:
    pages = Pages(frames=1024, layout="linux-5.0")
    pair = pages.pair(("file", "file"), order=9)
    pages.flag(pair[0], name)
    before = Oracle.before(pages.arena, stamped=True)
    result = pages.arena.exchange([pair])
    assert result.ok
    assert before.after(result._pairs, result.status).kind == "exact"


@pytest.mark.parametrize("side", [0, 1])
def test_b18i_a_bit_that_is_set_after_the_words_were_computed_is_kept(pages: Pages, side: int) -> None:
    """The data step lies between computing the words and storing them: whatever is set in it must survive."""
    pair = pages.pair(("file", "file"))
    pages.flag(pair[0], "referenced")  # of a pair with two words alike none is stored
    waiters = np.uint64(pages.arena.layout.word("waiters"))

    def mover(pieces: Any, a: Pfns, b: Pfns) -> None:
        pages.arena.flags[pair[side]] |= waiters
        swap(pieces, a, b)

    assert strategy(pages.arena, data=mover).exchange([pair]).ok
    assert ["waiters" in names for names in flags(pages, pair)] == [side == 0, side == 1]


@pytest.mark.plain_build
def test_b18i_bits_that_are_set_between_any_two_instructions_of_the_store_are_kept() -> None:
    """A plain store would write back what it read a moment before. Three bits count, so that old is not like new."""
    layout = Layout.load("linux-6.18")
    bits = [layout.word(name) for name in ("waiters", "arch_1", "arch_2")]
    with Stepped(CHILD, "list-exchange") as child:
        facts = json.loads(child.line())
        flags, state = facts["flags"][0], facts["state"]
        written, changes = child.word(flags) & sum(bits), 0
        while child.word(state) & 0xFF != META:
            assert child.step()
        while child.word(state) & 0xFF == META:
            now = child.word(flags)
            assert now & sum(bits) == written, f"lost after {changes} changes"
            if changes < CHANGES:  # no more than that: each one makes the store begin again
                changes += 1
                written = sum(bit for n, bit in enumerate(bits) if changes >> n & 1)
                child.set_word(flags, now & ~sum(bits) | written)
            assert child.step()
        assert changes == CHANGES
        child.end()


def test_b18j_waiters_are_left_alone_and_the_last_cpu_goes_with_the_page(pages: Pages) -> None:
    pair = pages.pair(("file", "anon"))
    field = pages.arena.layout.field("last_cpupid")
    pages.arena.flags[pair[0]] |= np.uint64(5 << field.shift)
    assert pages.arena.exchange([pair]).ok
    assert [int(pages.arena.flags[pfn]) & field.mask for pfn in pair] == [0, 5 << field.shift]
    assert not any("waiters" in names for names in flags(pages, pair))


def test_b19_a_regular_file_page_moves_no_counter_of_shared_memory(pages: Pages) -> None:
    regular, shared = pages.pair(("file", "anon")), pages.pair(("shmem", "anon"))
    for pfn in (regular[0], shared[0]):
        pages.flag(pfn, "swapbacked")
    assert pages.arena.exchange([regular]).ok
    assert counters(pages, "shmem") == [1, 0]
    assert pages.arena.exchange([shared]).ok
    assert counters(pages, "shmem") == [0, 1]


@pytest.mark.parametrize("order", [0, 1, 9])
def test_b19b_counters_move_by_as_many_frames_as_the_folio_has(order: int) -> None:
    pages = Pages(frames=1024)
    pair = pages.pair(("shmem", "anon"), order)
    assert counters(pages, "shmem") == [1 << order, 0]
    assert pages.arena.exchange([pair]).ok
    assert counters(pages, "shmem") == [0, 1 << order]


@pytest.mark.parametrize("dirty", [0, 1])
def test_b19b_the_counter_of_dirty_pages_follows_one_between_two_files(pages: Pages, dirty: int) -> None:
    pair = pages.pair(("file", "file"), mappings=(0, 1))
    pages.flag(pair[dirty], "dirty")
    assert pages.arena.exchange([pair]).ok
    assert counters(pages, "dirty") == [dirty, 1 - dirty]


def test_b20_the_slot_leads_to_the_new_frame_only_when_the_data_are_there(pages: Pages) -> None:
    pair = pages.pair(("file", "anon"))
    index = pages.arena.frame(pair[0]).index
    page = pages.arena.frames[pair[0]].copy()
    seen: list[tuple[int, bool]] = []

    def mover(pieces: Any, a: Pfns, b: Pfns) -> None:
        seen.append((pages.arena.cache_load(pages.mappings[0], index), pages.arena.get(pair[0])))
        swap(pieces, a, b)
        seen.append((pages.arena.cache_load(pages.mappings[0], index), pages.arena.get(pair[1])))

    assert strategy(pages.arena, data=mover).exchange([pair]).ok
    assert seen == [(pair[0], False), (pair[0], False)]  # the old place, and nobody gets a reference to either
    at = pages.arena.cache_load(pages.mappings[0], index)
    assert at == pair[1]
    assert np.array_equal(pages.arena.frames[at], page)


@pytest.mark.plain_build
@pytest.mark.parametrize("name", NATIVE)
def test_b20_after_any_instruction_who_finds_a_page_reads_its_own_bytes(name: str) -> None:
    """By the slot of the file: find the frame, get a reference, read; and at the new place even without a reference.
    By the page table: read, unless the entry is migrating.
    """
    with Stepped(CHILD, name) as child:
        facts = json.loads(child.line())
        ((slot,), ptes) = facts["slots"], facts["ptes"]
        file, anon = (child.read(frame, 4096) for frame in facts["frames"])
        found: set[tuple[str, int]] = set()

        def look(who: str, pfn: int, page: bytes) -> None:
            side = facts["pfns"].index(pfn)
            found.add((who, side))
            assert child.read(facts["frames"][side], 4096) == page, f"by the {who} frame {pfn} shows foreign bytes"

        while child.step():
            pfn = (child.word(slot) >> 2) - 1
            side = facts["pfns"].index(pfn)
            if side == 1 or not child.word(facts["refs"][side], 4) & FROZEN:
                look("slot", pfn, file)
            for entry in map(child.word, ptes):
                if entry & PRESENT:
                    look("page table", entry >> 12, anon)
        assert found == {("slot", 0), ("slot", 1), ("page table", 1), ("page table", 0)}
        child.end()


@pytest.mark.parametrize("kinds", [("anon", "anon"), ("anon", "file"), ("file", "anon")], ids="-".join)
@pytest.mark.parametrize("side", [0, 1])
def test_b21_a_reference_that_somebody_has_is_noticed(pages: Pages, kinds: tuple[str, str], side: int) -> None:
    pair = pages.pair(kinds)
    assert pages.arena.get(pair[side])
    before = picture(pages.arena)
    assert pages.arena.exchange([pair]).status.tolist() == [EAGAIN]
    assert differences(before, picture(pages.arena)) == []


@pytest.mark.parametrize("kinds", list(product(("anon", "file"), repeat=2)), ids="-".join)
def test_b21_b22_both_pages_are_frozen_while_they_move(pages: Pages, kinds: tuple[str, str]) -> None:
    pair = pages.pair(kinds)
    frozen: list[bool] = []

    def mover(pieces: Any, a: Pfns, b: Pfns) -> None:
        frozen.extend(bool(int(pages.arena.entries["refs"][pfn]) & FROZEN) for pfn in pair)
        swap(pieces, a, b)

    assert strategy(pages.arena, data=mover).exchange([pair]).ok
    assert frozen == [True, True]
    assert not any(int(pages.arena.entries["refs"][pfn]) & FROZEN for pfn in pair)


def test_b22_the_file_page_of_a_mixed_pair_is_frozen_first_or_second(pages: Pages) -> None:
    for kinds in (("file", "anon"), ("anon", "file")):
        pair = pages.pair(kinds)
        file = pair[kinds.index("file")]
        assert pages.arena.get(file)
        assert pages.arena.exchange([pair]).status.tolist() == [EAGAIN]
        pages.arena.put(file)
        assert pages.arena.exchange([pair]).ok
