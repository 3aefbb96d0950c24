"""A page that is pinned or put beside a call that looks through the pins: seen, at whichever instruction that is."""

import errno

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

OTHERS = 30  # references between the two places, so that it takes a while to come from one to the other
EVERY = 200  # instructions
LONG, ONCE, FROZEN, BY_GET = 1 << 63, 1 << 32, 1 << 31, 1 << 15


def first_pin(arena: Arena) -> int:
    """The address of this process's first place for a pin."""
    first, processes, _ = arena.geometry()["pins"]
    return int(arena.memory.ctypes.data + first + 4 * processes)


def field(arena: Arena, name: str, pfn: int) -> int:
    """The address of a field of a frame's entry."""
    return int(arena.entries[name][pfn:].ctypes.data)


# ---- beside an exchange ----------------------------------------------------------------------------------------------


def exchange() -> Prepared:
    """An exchange of a page that this process has by `get`, in a place behind those of others and a free one."""
    arena = Arena.create([("fast", 64), ("slow", 64)], watermarks=(0, 0, 0))
    others, pair = arena.alloc(0, OTHERS), np.array([[arena.alloc(0)[0], arena.alloc(1)[0]]])
    for pfn in [*others, pair[0, 0]]:
        assert arena.get(pfn)
    arena.put(others[0])
    engine = Exchanger(arena, MaskedWord(arena.layout.native()["swap"]), [WordSwap()], XArrayCursor())
    status = np.ones(1, np.int32)
    engine.exchange(pair, status)
    assert status == -errno.EAGAIN  # everything is warm
    pfn = int(pair[0, 0])
    told = [first_pin(arena), field(arena, "refs", pfn), status.ctypes.data, pfn]
    return lambda: engine.exchange(pair, status), told


def pinned_after(instructions: int) -> int | None:
    """The status where a page is pinned for long, then put, so many instructions after its freeze. None: too late."""
    with stepped(exchange) as child:
        pins, refs, status, pfn = child.told
        own = pins + 8 * OTHERS
        assert (child.word(pins), child.word(own)) == (0, ONCE | pfn + 1)
        while not child.word(refs, 4) & FROZEN:
            assert child.step()
        for _ in range(instructions):
            child.step()
        if not child.word(refs, 4) & FROZEN:
            return None
        child.set_word(pins, LONG | ONCE | pfn + 1)
        child.set_word(own, 0)
        child.rest()
        return int(np.uint32(child.word(status, 4)).astype(np.int32))


def test_a_page_that_is_pinned_and_put_while_the_pins_are_looked_through_is_not_exchanged() -> None:
    """Its pin was in a place that had been passed, and its reference had gone when its own place was looked at."""
    statuses, at = [], 0
    while (status := pinned_after(at)) is not None:
        statuses.append(status)
        at += EVERY
    assert len(statuses) > 4
    assert set(statuses) <= {-errno.EAGAIN, -errno.EBUSY}


# ---- beside a call that takes a page's last user away ---------------------------------------------------------------


def put() -> Prepared:
    """A put of a page that this process holds, and has by `get`."""
    arena = Arena.create([("fast", 64), ("slow", 64)], watermarks=(0, 0, 0))
    warm, pfn = map(int, arena.alloc(0, 2))
    assert arena.get(warm)
    arena.put(warm)
    assert arena.get(pfn)
    told = [first_pin(arena), *(field(arena, name, pfn) for name in ("held", "state", "refs"))]
    return lambda: arena.put(pfn), told


def removal() -> Prepared:
    """The removal of a page from its file, which this process has by `get`."""
    arena = Arena.create([("fast", 64), ("slow", 64)], watermarks=(0, 0, 0))
    mapping, (warm, pfn) = arena.new_mapping(), map(int, arena.alloc(0, 2))
    arena.cache_add(mapping, 0, warm)
    arena.cache_remove(mapping, 0)
    arena.cache_add(mapping, 0, pfn)
    assert arena.get(pfn)
    told = [first_pin(arena), field(arena, "held", pfn), field(arena, "state", pfn)]
    return lambda: arena.cache_remove(mapping, 0), told


def put_without_last_user(instructions: int) -> int | None:
    """What becomes of a page that loses its last user so many instructions into its put. None: too late."""
    with stepped(put) as child:
        pin, held, state, _ = child.told
        for _ in range(instructions):
            child.step()
        if child.word(pin) == 0:
            return None
        child.set_word(held, child.word(held, 2) | BY_GET, 2)
        child.rest()
        return child.word(state, 1)


@pytest.fixture(scope="module")
def dropped() -> int:
    """After how many instructions a put has dropped the reference."""
    with stepped(put) as child:
        dropped = 0
        while child.word(child.told[0]):
            assert child.step()
            dropped += 1
        return dropped


def test_a_put_frees_a_page_whose_last_user_goes_before_its_reference_does(dropped: int) -> None:
    """The call that took the user away has seen the reference, and left the page to it."""
    states = {put_without_last_user(dropped - before) for before in (1, 4, 16)}
    assert states - {None} == {f.FREE}


def put_of_freed(dropped: int, after: int) -> int | None:
    """What is left of a reference by `get` whose page is held for it, and freed so many instructions after the put has
    dropped it. None: too late, the put has taken it again, and the removal would see that."""
    with stepped(put) as child:
        pin, held, state, refs = child.told
        # Behind the first look at `held`. Two processes do not take exactly as many instructions: so some before.
        for _ in range(dropped - 4):
            child.step()
        child.set_word(held, child.word(held, 2) | BY_GET, 2)
        while child.word(pin):
            assert child.step()
        for _ in range(after):
            child.step()
        if child.word(pin):
            return None
        for address, size, value in ((refs, 4, 0), (held, 2, 0), (state, 1, f.FREE)):
            child.set_word(address, value, size)
        child.rest()
        return child.word(pin)


def test_a_put_leaves_no_reference_to_a_page_that_the_removal_has_freed(dropped: int) -> None:
    """Both have seen that the page is held for a reference which has gone; the removal was first."""
    left, after = [], 0
    while (pin := put_of_freed(dropped, after)) is not None:
        left.append(pin)
        after += 4
    assert len(left) > 2
    assert set(left) == {0}


def test_a_removal_frees_a_page_whose_reference_goes_as_it_is_held_for_that() -> None:
    """The put has found a page with a user, and left it to that."""
    with stepped(removal) as child:
        pin, held, state = child.told
        while not child.word(held, 2) & BY_GET:
            assert child.step()
        child.set_word(pin, 0)
        child.rest()
        assert child.word(state, 1) == f.FREE
