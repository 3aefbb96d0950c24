"""The temporary page takes frames it can name, gives every one back, and refuses a pair when there is none."""

import errno
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.oracle import format as oracle_format
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.movers.temp_page import TempPage
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord
from tests.core.pages import LONG

PAIRS = 300  # more than two batches


def arena_with(free: int, *, order: int = 0, pairs: int = PAIRS) -> tuple[Arena, np.ndarray]:
    """Pages for `pairs` pairs on two nodes, and `free` frames left on the first."""
    frames = pairs << order
    arena = Arena.create(nodes=[("fast", frames + free), ("slow", frames)], watermarks=(0, 0, 0))
    fast, slow = arena.alloc("fast", pairs, order), arena.alloc("slow", pairs, order)
    words = arena.frames
    words[:] = np.arange(words.size, dtype=np.uint64).reshape(words.shape)
    return arena, np.ascontiguousarray(np.column_stack([fast, slow]))


def run(arena: Arena, pairs: np.ndarray, *movers: DataMover) -> tuple[np.ndarray, tuple[Any, ...]]:
    status = np.full(len(pairs), 99, np.int32)
    policy = MaskedWord(arena.layout.native()["swap"])
    result = Exchanger(arena, policy, list(movers), XArrayCursor()).exchange(pairs, status)
    return status, result


def moved(arena: Arena, pairs: np.ndarray, order: int = 0) -> np.ndarray:
    """Which pairs have each other's contents, in full."""
    width = arena.frames.shape[1]
    first = arena.frames[:, 0] // np.uint64(width)
    right = arena.frames == (first[:, None] * np.uint64(width) + np.arange(width, dtype=np.uint64))
    assert right.all()  # no frame is torn
    tails = np.arange(1 << order)
    a, b = pairs[:, :1] + tails, pairs[:, 1:] + tails
    return np.asarray(((first[a] == b) & (first[b] == a)).all(axis=1))


def counts(arena: Arena) -> list[tuple[int, int, int]]:
    return [(node["free"], node["asked"], node["got"]) for node in arena.nodes]


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize("source", ["local", "per-worker"])
def test_every_frame_taken_is_given_back(source: str, order: int) -> None:
    # One more than a batch needs, so that what is left is whole and aligned.
    arena, pairs = arena_with(256 << order, order=order)
    before, state = counts(arena), arena.entries["state"].copy()
    status, _ = run(arena, pairs, TempPage(source))
    after = counts(arena)
    assert not status.any()
    used = arena.entries["state"] == 2
    assert (used == (state == 2)).all()
    assert not arena.entries["owner"].any()
    assert [free for free, _, _ in after] == [free for free, _, _ in before]
    took = after[0][2] - before[0][2]
    batches = -(-PAIRS // LONG)
    assert took == (PAIRS << order if source == "local" else batches << order)


@pytest.mark.parametrize(("left", "order"), [(2, 2), (2, 0), (0, 2)])
def test_a_folio_that_could_not_be_given_back_is_found_again(left: int, order: int) -> None:
    arena, pairs = arena_with(16 << order, order=order, pairs=3)
    (folio,) = arena.alloc("fast", 1, left)
    raw = oracle_format.read(arena)
    slot = 1  # the first that a worker claims
    raw.entries["owner"][folio], raw.slots["pair"]["temp"][slot, 1] = slot + 1, folio + 1
    before = counts(arena)
    status, _ = run(arena, pairs, TempPage("local"))
    assert not status.any()
    assert moved(arena, pairs, order).all()
    after = counts(arena)
    # The second pair used it if it was large enough, and it was given back in either case.
    assert after[0][1] - before[0][1] == (2 if left >= order else 3) << order
    assert after[0][0] == before[0][0] + (1 << left)
    assert not raw.slots["pair"]["temp"].any()
    assert not raw.entries["owner"].any()


def test_the_contents_are_exchanged() -> None:
    for source in ("local", "per-worker"):
        arena, pairs = arena_with(128)
        occupied = np.sort(pairs.ravel())
        status, _ = run(arena, pairs, TempPage(source))
        assert not status.any()
        width = arena.frames.shape[1]
        want = np.arange(arena.frames.size, dtype=np.uint64).reshape(arena.frames.shape)
        want[pairs[:, 0]], want[pairs[:, 1]] = want[pairs[:, 1]], want[pairs[:, 0]].copy()
        assert width == 512
        np.testing.assert_array_equal(arena.frames[occupied], want[occupied])


def test_with_one_free_frame_a_worker_needs_no_more() -> None:
    arena, pairs = arena_with(1)
    status, _ = run(arena, pairs, TempPage("per-worker"))
    assert not status.any()
    assert counts(arena)[0][0] == 1


def test_a_folio_is_shared_by_pairs_that_are_no_larger() -> None:
    arena = Arena.create(nodes=[("fast", 32), ("slow", 32)], watermarks=(0, 0, 0))
    small, large = ([int(arena.alloc(node, 1, order)[0]) for node in ("fast", "slow")] for order in (0, 2))
    words = arena.frames
    words[:] = np.arange(words.size, dtype=np.uint64).reshape(words.shape)
    before = counts(arena)
    status, _ = run(arena, np.array([small, large]), TempPage("per-worker"))
    assert not status.any()
    assert counts(arena)[0][2] - before[0][2] == 1 + 4
    assert (arena.frames[large[0], 0], arena.frames[large[1], 0]) == (large[1] * 512, large[0] * 512)


def test_without_a_free_frame_each_pair_is_refused_and_nothing_changed() -> None:
    for source in ("local", "per-worker"):
        arena, pairs = arena_with(0)
        memory = arena.frames.copy()
        entries = arena.entries.copy()
        status, _ = run(arena, pairs, TempPage(source))
        assert (status == -errno.ENOMEM).all()
        np.testing.assert_array_equal(arena.frames, memory)
        np.testing.assert_array_equal(arena.entries, entries)


def test_without_a_free_frame_the_next_mover_of_the_chain_serves() -> None:
    arena, pairs = arena_with(0)
    status, _ = run(arena, pairs, TempPage(), WordSwap())
    assert not status.any()
    assert moved(arena, pairs).all()


def test_the_first_node_that_has_a_frame_gives_it() -> None:
    arena, pairs = arena_with(0)
    for pfn in pairs[-8:, 1].tolist():  # the slow node has eight free frames then
        arena.put(pfn)
    status, _ = run(arena, pairs[:-8], TempPage("per-worker"))
    assert not status.any()
    assert counts(arena)[1][0] == 8


def test_an_in_place_mover_asks_the_allocator_for_nothing() -> None:
    arena, pairs = arena_with(16)
    before = counts(arena)
    status, _ = run(arena, pairs, WordSwap())
    assert not status.any()
    assert counts(arena) == before
