"""A tree whose word an exchange stores to is held until it has done so, at whichever instruction somebody looks."""

from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.oracle import format as f
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord
from tests.stepping import Prepared, stepped

pytestmark = pytest.mark.plain_build


def exchange() -> Prepared:
    """An exchange of a page that is alone in its file, so that the tree's head is its word."""
    arena = Arena.create([("fast", 8), ("slow", 8)], watermarks=(0, 0, 0))
    pair = np.array([[arena.alloc(0)[0], arena.alloc(1)[0]]])
    file = arena.new_mapping()
    arena.cache_add(file, 0, pair[:, :1].ravel())
    engine = Exchanger(arena, MaskedWord(arena.layout.native()["swap"]), [WordSwap()], XArrayCursor())
    status = np.ones(1, np.int32)
    for there in (pair, pair[:, ::-1].copy()):
        engine.exchange(there, status)  # everything is warm
        assert status == 0
    first, _, size = arena.geometry()["mappings"]
    tree = arena.memory.ctypes.data + first + file * size
    return lambda: engine.exchange(pair, status), [tree, status.ctypes.data]


def test_a_tree_is_held_until_the_word_that_was_found_in_it_is_stored_to() -> None:
    fields: Any = f.XARRAY.fields
    head_at, lock_at = (fields[name][1] for name in ("head", "lock"))
    with stepped(exchange) as child:
        tree, status = child.told
        heads, held = [child.word(tree + head_at)], False
        running = True
        while running:
            before = child.word(tree + lock_at)
            running = child.step()
            head = child.word(tree + head_at)
            if head != heads[-1]:
                heads.append(head)
                assert before == child.word(tree + lock_at) != 0
            held = held or before != 0
        assert (child.word(status, 4), child.word(tree + lock_at)) == (0, 0)
    assert held
    assert len(heads) == 2
