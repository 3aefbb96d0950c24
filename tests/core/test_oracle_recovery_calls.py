"""The recoverer in Python: records of calls, processes that are dead, records that make no sense, and the rebuild."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.oracle import check
from pagexchange.oracle import format as f
from pagexchange.oracle.recovery import rebuild as rebuild_of
from pagexchange.oracle.recovery import recover, recover_all
from pagexchange.oracle.recovery.image import Image
from pagexchange.oracle.trees import NODE_BIAS
from tests.core.test_oracle import BIG_A, BIG_B, OTHER, A, B
from tests.core.test_oracle_recovery import RAW, Judge
from tests.core.toy_arena import NATIVE, SELF, WORKERS, Toy
from tests.core.toy_worker import Worker

CALL = SELF + 1
U = np.uint64


def toy() -> Toy:
    return Judge([(A, B)]).toy


def claim(arena: Toy, slot: int, process: int = 1) -> f.Table:
    """A slot that a process has claimed; its row."""
    arena.raw.slots["claim"][slot] = 7 << 8 | process + 1
    row: f.Table = arena.raw.slots[slot : slot + 1]
    return row


def save(row: f.Table, where: int, kind: int, old: int, record: str = "saved", count: str = "saves") -> None:
    n = int(row[count][0])
    row[record][0][n] = where << 8 | kind, old
    row[count] = n + 1


def rest(arena: Toy) -> NDArray[np.uint8]:
    """All but the slots, which have a history."""
    memory = arena.memory.copy()
    memory[arena.raw.offset["slots"] : arena.raw.offset["pins"]] = 0
    return memory


# ---- undo records ----------------------------------------------------------------------------------------------------


def test_words_of_every_width_and_kind_are_put_back_the_last_one_first() -> None:
    arena = toy()
    before, row = rest(arena), claim(arena, CALL)
    entry = arena.raw.offset["entries"] + RAW * 64
    for place, size in ((entry + 16, 8), (entry + 40, 4), (entry + 62, 2), (entry + 60, 1), (entry + 40, 4)):
        word = arena.memory[place : place + size].view(f"<u{size}")
        save(row, place, size, int(word[0]))
        word[0] += 1
    flags, bit = arena.raw.entries["flags"], NATIVE["dirty"]
    save(row, entry, 16, bit)
    flags[RAW] |= U(bit)
    save(row, entry - 64 * RAW + 64 * A, 17, bit)
    flags[A] &= ~U(bit)
    ptes = arena.raw.tables["pte"]["pte"][50]
    save(row, arena.raw.offset["tables"] + 50 * 1088 + 64, 20, 0)
    ptes[:9] = 77
    arena.raw.header["structure"], row["tree"] = CALL + 1, arena.raw.offset["mappings"]
    arena.raw.mappings["pages"]["lock"][0] = f.XA_WRITER
    assert recover(arena.memory, CALL).done == "recovered"
    assert arena.raw.mappings["pages"]["seq"][0] == 2  # who read meanwhile reads again
    arena.raw.mappings["pages"]["seq"][0] = 0
    assert np.array_equal(rest(arena), before)
    assert check(arena) == []


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize("counts", [False, True])
def test_a_folio_that_was_being_given_back_is_in_use_or_free(order: int, counts: bool) -> None:
    arena = toy()
    before, row = rest(arena), claim(arena, CALL)
    arena.raw.nodes["lock"][1], e, pfn = CALL + 1, arena.raw.entries, BIG_B
    save(row, pfn, 19, 3, "saved_node", "node_saves")
    if counts:
        e["state"][pfn] = f.FREE
        for name in ("mapping", "index", "refs", "mapcount", "rmap", "next"):
            e[name][pfn] = 0
        e["owner"][pfn] = f.OWNER_CALL | CALL + 1
    for p in range(pfn + 1, pfn + 1 + 3 * order):
        e["state"][p], e["order"][p], e["head"][p] = f.FREE, 255, 0
    assert recover(arena.memory, CALL).done == "recovered"
    assert not arena.raw.nodes["lock"].any()
    assert not arena.raw.slots["node_saves"].any()
    if counts:
        assert (int(e["owner"][pfn]), int(e["flags"][pfn]) & NATIVE["head"]) == (0, 0)
    else:
        assert np.array_equal(rest(arena), before)


def test_what_a_call_has_taken_out_of_use_is_freed_once() -> None:
    arena = toy()
    row, e = claim(arena, CALL), arena.raw.entries
    e["refs"][RAW], e["held"][RAW], e["owner"][RAW] = 0, 0, f.OWNER_CALL | CALL + 1
    row["give"], arena.raw.nodes["lock"][1] = RAW + 1, CALL + 1
    assert recover(arena.memory, CALL).done == "recovered"
    assert e["state"][RAW] == f.FREE
    assert check(arena) == []


def test_the_nodes_of_a_tree_that_was_dropped_go_back_to_the_pool() -> None:
    arena = toy()
    row, mapping = claim(arena, CALL), arena.raw.mappings[3:4]
    top = (int(mapping["pages"]["head"][0]) >> 2) - NODE_BIAS
    pages = np.flatnonzero(arena.raw.entries["mapping"] == 4 << 2)
    arena.raw.entries["mapping"][pages] = 0
    arena.raw.entries["refs"][pages] -= 8
    arena.raw.entries["next"][pages], arena.raw.entries["index"][pages] = 0, 0
    anonymous = arena.raw.entries["mapcount"][pages] > 0
    arena.raw.entries["mapping"][pages[anonymous]] = 1 << 2 | 1
    arena.raw.entries["index"][pages[anonymous]] = 1024
    mapping["nr_pages"], mapping["pages"]["head"], mapping["pages"]["flags"] = 0, 0, 0
    arena.raw.xanodes["array"][top], row["drop"] = 0, top + 1
    row["tree"], arena.raw.header["structure"] = arena.raw.offset["mappings"] + 3 * 128, CALL + 1
    mapping["pages"]["lock"] = f.XA_WRITER
    used = int(arena.raw.xanodes["used"].sum())
    assert recover(arena.memory, CALL).done == "recovered"
    freed = used - int(arena.raw.xanodes["used"].sum())
    assert freed == arena.raw.header["xanodes"]["free"] >= 2
    assert {finding.what for finding in check(arena)} <= {
        "leak",
        "counter",
        "nr-anon",
        "identity",
    }  # of the pages above


# ---- processes -------------------------------------------------------------------------------------------------------


def test_what_a_process_had_goes_with_the_last_of_its_slots() -> None:
    arena = toy()
    e = arena.raw.entries
    claim(arena, CALL)
    claim(arena, 1)
    arena.raw.pins[1, 2], arena.raw.pin_tops[1] = OTHER + 1 | 3 << 32, 3
    e["owner"][A] = CALL + 1 << f.OWNER_KEEPER_SHIFT
    e["flags"][A] |= U(NATIVE["locked"])
    e["held"][RAW] = 2  # process 1
    e["held"][B], e["refs"][B] = 2, e["refs"][B] + 1
    assert recover(arena.memory, CALL).done == "recovered"
    assert e["held"][RAW] == 2
    assert check(arena) == []
    assert recover(arena.memory, 1).done == "recovered"
    assert (e["state"][RAW], e["held"][B]) == (f.FREE, 0)
    assert check(arena) == []


def test_a_held_page_that_another_process_has_a_pin_on_stays() -> None:
    arena = toy()
    claim(arena, CALL)
    arena.raw.entries["held"][RAW] = 2
    arena.raw.pins[0, 0], arena.raw.pin_tops[0] = RAW + 1 | 1 << 32, 1
    assert recover(arena.memory, CALL).done == "recovered"
    assert (arena.raw.entries["state"][RAW], arena.raw.entries["owner"][RAW]) == (f.USED, 0)


def test_a_call_leaves_trees_and_frozen_pages_and_who_keeps_a_page_keeps_it() -> None:
    arena = toy()
    before = rest(arena)
    claim(arena, CALL)
    e = arena.raw.entries
    e["owner"][RAW], e["refs"][RAW] = f.OWNER_CALL | CALL + 1, f.FROZEN | CALL
    arena.raw.mappings["pages"]["lock"][2] = 1 << CALL
    assert recover(arena.memory, CALL).done == "recovered"
    assert np.array_equal(rest(arena), before)
    claim(arena, CALL)
    e["owner"][RAW] = f.OWNER_CALL | SELF + 1 << 8 | CALL + 1
    assert recover(arena.memory, CALL).done == "recovered"
    assert e["owner"][RAW] == SELF + 1 << 8


# ---- records that make no sense --------------------------------------------------------------------------------------


def field(name: str, value: int, side: int | None = None) -> Callable[[f.Table], None]:
    def fault(row: f.Table) -> None:
        if side is None:
            row["pair"][name][0, 0] = value
        else:
            row["pair"]["side"][name][0, 0, side] = value

    return fault


def slot_field(name: str, value: int) -> Callable[[f.Table], None]:
    def fault(row: f.Table) -> None:
        row[name] = value

    return fault


FAULTS = {
    "pairs": slot_field("n", 129),
    "phase": slot_field("state", 7),
    "pair of a step": slot_field("state", 9 << 48 | 2),
    "step": slot_field("state", 99 << 8 | 2),
    "helpers of whom": slot_field("state", 4),
    "frame": field("pfn", 1 << 20, 0),
    "frame twice": field("pfn", B, 0),
    "order": field("order", 4),
    "kind": field("kind", 9),
    "temporary frame": field("kind", 2),
    "mapping": field("mapping", 99 << 2, 0),
    "space": field("mapping", 99 << 2 | 1, 1),
    "word": field("slot", 5 * 64 + 1, 0),
    "a word of no file": field("slot", 5, 1),
    "reverse map": field("rmap", 1 << 30, 0),
    "times mapped": field("mapcount", 9, 1),
    "references": field("refs", 99, 0),
    "saved words": slot_field("saves", 257),
    "what is saved": slot_field("saves", 1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_slot_that_makes_no_sense_is_left_as_it_is(name: str) -> None:
    arena = toy()
    worker = Worker(arena.memory, lambda: None)
    worker.begin([(A, B)])
    row = arena.raw.slots[1:2]
    if name == "helpers of whom":
        row["parent"] = 99
    FAULTS[name](row)
    before = arena.memory.copy()
    outcome = recover(arena.memory, 1)
    assert outcome.done == "quarantined"
    assert "slot 1" in outcome.why or "frame" in outcome.why or "page-table" in outcome.why
    assert np.array_equal(arena.memory, before)


def test_a_helper_waits_for_the_one_whose_pair_it_has_a_part_of() -> None:
    arena = Judge([(BIG_A, BIG_B)], f.PIECE).toy
    stopped = arena.memory.copy()

    def look() -> None:
        if f.read(worker.image).slots["state"][1] >> U(8) == 1 << 39:
            stopped[:] = arena.memory

    worker = Worker(arena.memory, look)
    (pair,) = worker.begin([(BIG_A, BIG_B)])
    worker.split(pair, (WORKERS,), fails=False)
    assert recover(stopped, WORKERS).done == "waits"
    outcomes = {outcome.slot: outcome.done for outcome in recover_all(stopped)}
    assert outcomes == {1: "recovered", 2: "recovered", SELF: "recovered"}


# ---- rebuild ---------------------------------------------------------------------------------------------------------


def test_derived_data_follow_from_what_is_true() -> None:
    judge = Judge([(A, B)])
    arena, raw = judge.toy, judge.toy.raw
    memory = arena.memory.copy()
    e = raw.entries
    e["owner"], e["refs"], e["mapcount"], e["rmap"] = 3, 9, 9, 9
    e["head"][BIG_A + 1], e["order"][BIG_A + 1] = 0, 7
    e["flags"][BIG_A] &= ~U(NATIVE["head"])
    free = e["state"] == f.FREE
    e["next"][free], e["prev"][free], e["order"][free] = 5, 5, 0
    raw.nodes["list"], raw.nodes["free"], raw.nodes["lock"] = 1, 1, 4
    raw.slots["counter"] = 11
    raw.mappings["nr_pages"], raw.spaces["nr_ptes"], raw.spaces["nr_anon"] = 3, 3, 3
    raw.mappings["pages"]["lock"], raw.spaces["tables"]["lock"] = f.XA_WRITER, 5
    raw.mappings["pages"]["seq"] = 7
    for name in ("parent", "offset", "count", "array"):
        raw.xanodes[name][: arena.fresh] = 1
    raw.xanodes["used"][40:] = 1
    tables = int(raw.header["tables"]["fresh"])
    raw.tables["count"][:tables], raw.tables["pte"]["next"][:tables] = 5, 5
    raw.header["structure"] = 4
    for pool in ("xanodes", "tables"):
        raw.header[pool]["free"], raw.header[pool]["free_head"], raw.header[pool]["fresh"] = 3, 3, 3
    rebuild_of(arena.memory)
    assert check(arena) == []
    judge.holder.memory = arena.memory
    findings = judge.oracle.after([(A, B)], [-11]).findings
    assert {finding.what for finding in findings} <= {"untouched"}, findings  # which slot has counted what
    assert all("slot" in str(finding) for finding in findings)
    assert not np.array_equal(memory, arena.memory)


def test_a_frame_that_was_let_go_is_anybodys() -> None:
    """Between the two marks: the first frame may be another's by now, whatever the record says of it."""
    arena = Judge([(A, B)]).toy
    found: list[NDArray[np.uint8]] = []

    def look() -> None:
        if worker.record.phase == 3 and worker.record.marked(B) and not worker.record.marked(A):
            found.append(arena.memory.copy())

    worker = Worker(arena.memory, look)
    worker.end(worker.begin([(A, B)]))
    memory = found[0]
    entries = f.read(Image(memory)).entries
    entries["owner"][A], entries["private"][A] = f.OWNER_CALL | SELF + 1, 77
    stranger = entries[A].copy()
    assert recover(memory, 1).done == "recovered"
    assert entries[A] == stranger
    assert entries["owner"][B] == 0
