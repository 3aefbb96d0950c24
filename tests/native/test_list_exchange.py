"""A list exchange shared over threads, as a list or as one large folio, moves every page once."""

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.movers.list_exchange import ListExchange
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize(("pairs", "order"), [(700, 0), (9, 3), (2, 9), (1, 9), (1, 6)])
def test_every_page_is_moved_once(threads: int, pairs: int, order: int) -> None:
    arena = Arena.create(nodes=[("fast", pairs << order), ("slow", pairs << order)], watermarks=(0, 0, 0), workers=12)
    fast, slow = arena.alloc("fast", pairs, order), arena.alloc("slow", pairs, order)
    list_ = np.ascontiguousarray(np.column_stack([fast, np.random.default_rng(1).permutation(slow)]))
    words = arena.frames
    words[:] = np.arange(words.size, dtype=np.uint64).reshape(words.shape)
    want = words.copy()
    tails = np.arange(1 << order)
    a, b = (list_[:, :1] + tails).ravel(), (list_[:, 1:] + tails).ravel()
    want[a], want[b] = want[b], want[a].copy()
    status = np.full(pairs, 9, np.int32)
    policy = MaskedWord(arena.layout.native()["swap"])
    Exchanger(arena, policy, [ListExchange(threads=threads)], XArrayCursor()).exchange(list_, status)
    assert not status.any()
    np.testing.assert_array_equal(words, want)
