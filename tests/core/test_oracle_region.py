"""The oracle on a real arena: what the library builds is sound, what the engine does is exact, losses are named."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.oracle import Oracle, check
from pagexchange.oracle import format as f
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.policies.find_slot import RadixTree
from pagexchange_native.policies.flag_policy import FlagPolicy, MaskedWord, PerFlag


def filled(page_size: int = 4096) -> tuple[Arena, NDArray[np.int64]]:
    """An arena with files, shared memory, anonymous and shared pages of orders 0, 3 and 9, and pairs of them."""
    arena = Arena.create([("fast", 2048), ("slow", 2048)], page_size=page_size)
    files = [arena.new_mapping("file"), arena.new_mapping("shm", shmem=True)]
    spaces = [arena.new_space("one"), arena.new_space("two")]
    rng = np.random.default_rng(1)
    pairs = []
    for order, count in ((0, 200), (3, 24), (9, 2)):
        heads = np.stack([arena.alloc(node, count, order) for node in ("fast", "slow")])
        first, second, rest = np.split(rng.permutation(heads.ravel()), [count // 2, count])
        size, far = np.int64(1) << order, np.int64(order + 1) << 20
        for mapping, part in zip(files, (first, second), strict=True):
            arena.cache_add(mapping, far + np.arange(len(part)) * size, part)
        arena.map(spaces[0], far + np.arange(len(rest)) * size, rest)
        arena.map(spaces[1], far + np.arange(len(rest)) * size, rest, write=False)
        arena.map(spaces[1], 16 * far + np.arange(len(first)) * size, first)
        arena.set_private(first[::3], first[::3])
        arena.set_flags(second[::2], arena.layout.word("dirty", "young", "workingset", last_cpupid=77))
        arena.set_flags(rest[::2], arena.layout.word("referenced", "idle", "dropbehind"))
        pairs.append(rng.permutation(heads.ravel()).reshape(-1, 2))
    return arena, np.ascontiguousarray(rng.permutation(np.concatenate(pairs)))


def policy(arena: Arena, name: str) -> FlagPolicy:
    if name == "masked-word":
        return MaskedWord(arena.layout.mask("swap"))
    return PerFlag({flag: arena.layout.flag(flag).mask for flag in PerFlag.names() if flag in arena.layout})


def run(arena: Arena, pairs: NDArray[np.int64], flags: str = "masked-word") -> NDArray[np.int32]:
    status = np.zeros(len(pairs), np.int32)
    Exchanger(arena, policy(arena, flags), [WordSwap()], RadixTree()).exchange(pairs, status)
    return status


@pytest.fixture(scope="module")
def shared() -> tuple[Arena, NDArray[np.int64]]:
    """One arena for the tests that leave it sound."""
    return filled()


def test_an_arena_that_the_library_fills_is_sound(shared: tuple[Arena, NDArray[np.int64]]) -> None:
    assert check(shared[0]) == []


def test_the_engine_is_exact_on_files_anonymous_pages_and_folios(shared: tuple[Arena, NDArray[np.int64]]) -> None:
    arena, pairs = shared
    oracle = Oracle.before(arena)
    status = run(arena, pairs)
    verdict = oracle.after(pairs, status)
    assert verdict.kind == "exact", "\n".join(map(str, verdict.findings))
    assert verdict.checked["exchanged"] == len(pairs)


def test_pairs_that_the_engine_refuses_have_changed_nothing(shared: tuple[Arena, NDArray[np.int64]]) -> None:
    arena, pairs = shared
    arena.pin(int(pairs[0, 0]))
    assert arena.lock(int(pairs[1, 1]))
    assert arena.get(int(pairs[2, 0]))
    asked = np.concatenate([pairs, [[0, 0], [-1, 3], [1 << 40, 2], pairs[5], [4095, 4094]]])
    oracle = Oracle.before(arena)
    status = run(arena, asked)
    verdict = oracle.after(asked, status)
    assert verdict.kind == "exact", "\n".join(map(str, verdict.findings))
    assert np.flatnonzero(status).tolist() == [0, 1, 2, *range(len(pairs), len(asked))]
    assert {finding.what for finding in verdict.unsound_before} == {"pin", "lock"}
    arena.unpin(int(pairs[0, 0]))
    arena.unlock(int(pairs[1, 1]))
    arena.put(int(pairs[2, 0]))
    assert check(arena) == []


def test_flags_that_the_2019_list_forgets_are_named() -> None:
    arena, pairs = filled()
    oracle = Oracle.before(arena)
    verdict = oracle.after(pairs, run(arena, pairs, "per-flag"))
    assert verdict.kind == "loses", "\n".join(map(str, verdict.findings))
    assert {"workingset", "dropbehind", "last_cpupid"} <= verdict.lost.keys()
    assert not {"dirty", "referenced", "uptodate"} & verdict.lost.keys()


def test_larger_frames_are_compared_in_full_too() -> None:
    arena = Arena.create([("fast", 16), ("slow", 16)], page_size=1 << 16)
    pairs = np.stack([arena.alloc("fast", 9), arena.alloc("slow", 9)], axis=1)
    oracle = Oracle.before(arena)
    verdict = oracle.after(pairs, run(arena, pairs))
    assert verdict.kind == "exact", "\n".join(map(str, verdict.findings))
    assert verdict.checked["bytes"] == 18 << 16
    arena.frames[pairs[3, 0], -1] ^= np.uint64(1)
    assert oracle.after(pairs, np.zeros(9)).by_kind == {"contents": 1}


def test_a_fault_in_a_real_arena_is_seen() -> None:
    arena, pairs = filled()
    oracle = Oracle.before(arena, stamped=False)
    status = run(arena, pairs)
    raw = f.read(arena)
    raw.xanodes["marks"][0, 0] ^= np.uint64(1)
    table = np.flatnonzero(raw.tables["space"])[0]
    raw.tables["pte"]["pte"][table, np.flatnonzero(raw.tables["pte"]["pte"][table])[0]] ^= np.uint64(4)
    raw.slots["counter"][1, 7] += 1
    verdict = oracle.after(pairs, status)
    assert verdict.kind == "wrong"
    assert {"marks", "pte-bits", "counter"} <= verdict.by_kind.keys()
