"""Frames by node: what is handed out is whole, aligned and nobody else's; what is given back is there again."""

import errno
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange_native.arena.region import MAX_ORDER, STATES, Region
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.errors import ArenaFullError
from pagexchange_native.movers.temp_page import TempPage
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord
from tests.native.arena_state import facts, sound, unchanged
from tests.native.conftest import LAYOUT

HUGE = 1 << 80


@pytest.fixture
def region() -> Iterator[Region]:
    """Two nodes whose borders are no power of two."""
    with Region.create(nodes=[("fast", 1100), ("slow", 700)], layout=LAYOUT, workers=1) as region:
        yield region


def free_by_state(region: Region, node: int) -> int:
    where = region.nodes[node]
    states = region.entries["state"][where["start"] : where["start"] + where["frames"]]
    return int((states == STATES["free"]).sum())


# ---- taking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", range(MAX_ORDER + 1))
@pytest.mark.parametrize("node", ["fast", "slow"])
def test_folios_are_aligned_apart_and_on_their_node(region: Region, node: str, order: int) -> None:
    where = region.nodes[region.node_number(node)]
    first, end = where["start"], where["start"] + where["frames"]
    room = (end >> order) - -(-first >> order)  # aligned places
    pfns = region.alloc(node, room, order)
    assert pfns.dtype == np.int64
    assert sorted(pfns.tolist()) == [k << order for k in range(-(-first >> order), end >> order)]
    entries = region.entries
    tails = (pfns[:, None] + np.arange(1, 1 << order)).ravel()
    assert (entries["state"][pfns] == STATES["used"]).all()
    assert (entries["order"][pfns] == order).all()
    assert (entries["refs"][pfns] == 1).all()
    assert (entries["held"][pfns] == 1).all()
    assert (entries["state"][tails] == STATES["tail"]).all()
    assert (entries["head"][tails] - 1 == np.repeat(pfns, (1 << order) - 1)).all()
    sound(region, at_rest=True)
    with unchanged(region), pytest.raises(ArenaFullError, match=f"1 folios of order {order} asked for") as caught:
        region.alloc(node, 1, order)
    assert caught.value.errno == errno.ENOMEM
    del entries


@pytest.mark.parametrize("order", [0, 3, MAX_ORDER])
def test_more_than_there_is_takes_nothing(region: Region, order: int) -> None:
    most = 1100 >> order
    for n in (most + 1, most * 2, HUGE):
        with unchanged(region), pytest.raises(ArenaFullError) as caught:
            region.alloc("fast", n, order)
        assert str(1100) in str(caught.value)
    assert len(region.alloc("fast", most, order)) == most


@pytest.mark.parametrize("frames", [1, 5, 63])
def test_an_injected_failure_takes_nothing(region: Region, frames: int) -> None:
    for nth in (1, frames):
        region.fail_alloc = nth
        with unchanged(region), pytest.raises(ArenaFullError):
            region.alloc("slow", frames)
        assert region.fail_alloc == 0
    region.alloc("slow", frames)


WRONG: dict[str, tuple[Callable[[Region], object], type[Exception], str]] = {
    "a negative order": (lambda r: r.alloc("fast", 1, -1), ValueError, "order -1: want 0 to 9"),
    "a large order": (lambda r: r.alloc("fast", 1, 10), ValueError, "order 10: want 0 to 9"),
    "a huge order": (lambda r: r.alloc("fast", 1, HUGE), ValueError, "want 0 to 9"),
    "a negative number": (lambda r: r.alloc("fast", -1), ValueError, "n -1: want 0 or more"),
    "half a folio": (lambda r: r.alloc("fast", 1.5), TypeError, "float"),  # type: ignore[arg-type]
    "an unknown node": (lambda r: r.alloc("fats", 1), LookupError, "choose one of fast, slow"),
    "a node number": (lambda r: r.alloc(2, 1), LookupError, "choose one of fast, slow"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_named_and_takes_nothing(region: Region, case: str) -> None:
    call, error, said = WRONG[case]
    with unchanged(region), pytest.raises(error, match=said):
        call(region)


def test_none_is_an_empty_array(region: Region) -> None:
    with unchanged(region):
        assert region.alloc("fast", 0).tolist() == []
        region.free([])
        region.reserve_frames(np.empty(0, np.int64))


# ---- giving back -----------------------------------------------------------------------------------------------------


def test_buddies_join_again_whatever_the_order_of_freeing(region: Region) -> None:
    before = sorted(region.alloc("fast", 2, MAX_ORDER).tolist())
    region.free(before)
    rng = random.Random(1)
    for _ in range(5):
        pfns = region.alloc("fast", 1100).tolist()
        assert sorted(pfns) == list(range(1100))
        rng.shuffle(pfns)
        for cut in range(0, 1100, 100):
            region.free(pfns[cut : cut + 100])
        sound(region, at_rest=True)
        large = region.alloc("fast", 2, MAX_ORDER)
        assert sorted(large.tolist()) == before
        region.free(large)


def test_a_freed_page_leaves_nothing_of_itself_to_the_next(make_region: Callable[..., Region]) -> None:
    with Arena.create([("fast", 8)]) as arena:
        everything = arena.layout.mask("swap") | arena.layout.mask("refuse")
        for name in ("private", "hwpoison"):
            everything &= ~arena.layout.flag(name).mask
        clean = facts(arena)["entries"]
        (folio,) = arena.alloc("fast", 1, 3)
        arena.set_flags(folio, everything)
        arena.free(folio)
        assert facts(arena)["entries"] == clean
        arena.set_flags(range(8), everything)  # and what was done to free frames is no page's
        (page,) = arena.alloc("fast")
        assert arena.frame(page).flags == []


@pytest.fixture
def busy() -> Iterator[tuple[Arena, dict[str, int]]]:
    """An arena, and frames in every state in which nobody may give them back."""
    with Arena.create([("fast", 64), ("slow", 64)], workers=1) as arena:
        file, space = arena.new_mapping(), arena.new_space()
        single = arena.alloc("fast", 8).tolist()
        large, in_cache = arena.alloc("slow", 2, 2).tolist()
        reserved = arena.alloc("slow", 1, 3)
        frames = {
            "free": 63, "tail": large + 1, "tail of a free block": 62, "reserved": int(reserved[0]),
            "tail of a reserved folio": int(reserved[0]) + 1, "mapped": single[0], "mapped twice": single[1],
            "in a file": single[2], "large in a file": in_cache, "in a file and mapped": single[3],
            "in a file with private data": single[4], "locked": single[5], "pinned": single[6],
            "pinned in its tail": large,
        }  # fmt: skip
        arena.reserve_frames(reserved)
        arena.map(space, [0, 1], single[:2])
        arena.map(arena.new_space(), [1], single[1:2])
        arena.cache_add(file, [0, 1, 2, 8], [*single[2:5], in_cache])
        arena.map(space, [2], single[3:4])
        arena.set_private(single[4], 5)
        assert arena.lock(single[5])
        arena.pin(single[6])
        arena.pin(large + 1)
        assert arena.entries["state"][[62, 63]].tolist() == [STATES["free"]] * 2
        yield arena, frames


NOT_GIVEN_BACK = (
    "free", "tail", "tail of a free block", "reserved", "tail of a reserved folio", "mapped", "mapped twice",
    "in a file", "large in a file", "in a file and mapped", "in a file with private data", "locked", "pinned",
    "pinned in its tail",
)  # fmt: skip


@pytest.mark.parametrize("what", NOT_GIVEN_BACK)
def test_what_somebody_else_holds_is_not_given_back(busy: tuple[Arena, dict[str, int]], what: str) -> None:
    arena, frames = busy
    assert frames.keys() == set(NOT_GIVEN_BACK)
    good = arena.alloc("fast", 2)
    for give in (arena.put, arena.free, lambda pfn: arena.free([good[0], pfn, good[1]])):
        with unchanged(arena), pytest.raises(ValueError, match=f"frame {frames[what]}: "):
            give(frames[what])
    for keep in (arena.reserve_frames, lambda pfn: arena.reserve_frames([good[0], pfn])):
        with unchanged(arena), pytest.raises(ValueError, match=f"frame {frames[what]}: "):
            keep(frames[what])


@pytest.mark.parametrize("pfn", [-1, 128, 1 << 31, 1 << 63, HUGE, -HUGE])
def test_numbers_that_are_no_frame_change_nothing(busy: tuple[Arena, dict[str, int]], pfn: int) -> None:
    arena, _ = busy
    good = arena.alloc("fast", 2).tolist()
    for call in (arena.free, arena.reserve_frames):
        with unchanged(arena), pytest.raises(IndexError, match="the arena has frames 0 to 127"):
            call([good[0], pfn, good[1]])
    for one in (arena.put, arena.get, arena.pin, arena.unpin, arena.lock, arena.unlock, arena.expected_refs):
        with unchanged(arena), pytest.raises(IndexError, match=f"frame {pfn}: out of range"):
            one(pfn)


@pytest.mark.parametrize("pfns", [[0.0, 1.0], "01", [[0], [1, 2]], [None], [True], {0: 1}])
def test_what_is_no_list_of_integers_changes_nothing(busy: tuple[Arena, dict[str, int]], pfns: Any) -> None:
    arena, _ = busy
    for call in (arena.free, arena.reserve_frames, lambda which: arena.set_flags(which, 4)):
        with unchanged(arena), pytest.raises((TypeError, ValueError)):
            call(pfns)


def test_a_frame_named_twice_is_given_back_not_at_all(busy: tuple[Arena, dict[str, int]]) -> None:
    arena, _ = busy
    good = arena.alloc("fast", 3).tolist()
    arena.get(good[1])  # and had it two references: which one is meant?
    for call in (arena.free, arena.reserve_frames):
        for pfn in good[:2]:
            with unchanged(arena, is_sound=False), pytest.raises(ValueError, match=f"frame {pfn}: "):
                call([pfn, good[2], pfn])


def test_any_array_of_integers_names_frames(region: Region) -> None:
    for kind in (np.uint64, np.int32, np.uint16):
        before = facts(region)
        pfns = region.alloc("fast", 6).astype(kind).reshape(2, 3)[:, ::-1]
        pfns.flags.writeable = False
        region.free(pfns)
        assert region.nodes == before["nodes"]
        sound(region, at_rest=True)


def test_a_page_that_others_hold_too_is_not_reserved(region: Region) -> None:
    one, two = region.alloc("slow", 2).tolist()
    assert region.get(two)
    with unchanged(region, is_sound=False), pytest.raises(ValueError, match=f"frame {two}: others hold it, too"):
        region.reserve_frames([one, two])


def test_reserved_frames_are_never_handed_out_again(region: Region) -> None:
    kept = region.alloc("slow", 10)
    region.reserve_frames(kept)
    assert (region.entries["state"][kept] == STATES["reserved"]).all()
    assert region.nodes[1]["free"] == 690
    rest = region.alloc("slow", 690)
    assert not np.isin(rest, kept).any()
    region.free(rest)
    assert region.nodes[1]["free"] == 690
    sound(region)


# ---- against a model -------------------------------------------------------------------------------------------------


class Model:
    """Which frames are taken. A folio can be had exactly when an aligned run of its size is free."""

    def __init__(self, nodes: list[tuple[int, int]]) -> None:
        self.nodes = nodes
        self.folios: dict[int, int] = {}
        self.taken: set[int] = set()

    def has_room(self, node: int, order: int) -> bool:
        start, end = self.nodes[node]
        places = range(-(-start >> order) << order, (end >> order) << order, 1 << order)
        return any(self.taken.isdisjoint(range(pfn, pfn + (1 << order))) for pfn in places)

    def take(self, node: int, pfn: int, order: int) -> None:
        frames = set(range(pfn, pfn + (1 << order)))
        start, end = self.nodes[node]
        assert pfn % (1 << order) == 0
        assert start <= pfn
        assert pfn + (1 << order) <= end
        assert self.taken.isdisjoint(frames)
        self.folios[pfn] = order
        self.taken |= frames

    def give(self, pfn: int) -> None:
        self.taken -= set(range(pfn, pfn + (1 << self.folios.pop(pfn))))

    def free(self, node: int) -> int:
        start, end = self.nodes[node]
        return end - start - sum(start <= pfn < end for pfn in self.taken)


@pytest.mark.parametrize("seed", range(4))
def test_a_random_history_agrees_with_a_set_of_frames(seed: int) -> None:
    rng = random.Random(seed)
    with Region.create(nodes=[("a", 77), ("b", 300), ("c", 1030)], layout=LAYOUT, workers=1) as region:
        model = Model([(0, 77), (77, 377), (377, 1407)])
        for step in range(400):
            node, order = rng.randrange(3), min(rng.getrandbits(4), rng.randrange(10))
            if rng.random() < 0.55:
                if model.has_room(node, order):
                    model.take(node, int(region.alloc(node, 1, order)[0]), order)
                else:
                    with pytest.raises(ArenaFullError):
                        region.alloc(node, 1, order)
            elif model.folios:
                for pfn in rng.sample(sorted(model.folios), min(len(model.folios), rng.randrange(6))):
                    region.free(pfn)
                    model.give(pfn)
            for number, state in enumerate(region.nodes):
                assert state["free"] == model.free(number) == free_by_state(region, number)
            if step % 40 == 0:
                sound(region, at_rest=True)
        region.free(sorted(model.folios))
        assert [state["free"] for state in region.nodes] == [77, 300, 1030]
        assert len(region.alloc("c", 1, MAX_ORDER)) == 1
        sound(region, at_rest=True)


# ---- watermarks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "got", "below_low", "below_min"), [(3, 0, 1, 1), (4, 1, 1, 0), (5, 1, 1, 0), (6, 1, 0, 0), (9, 1, 0, 0)]
)
def test_an_exchange_that_needs_a_frame_meets_the_watermarks(
    free: int, got: int, below_low: int, below_min: int
) -> None:
    # min 3, low 5: a frame is given while at least `min` are left after it, and counted when fewer than `low` are
    arena = Arena.create([("fast", free + 1), ("slow", 1)], watermarks=(3, 5, 7), workers=1)
    pair = np.array([[arena.alloc("fast")[0], arena.alloc("slow")[0]]])
    status = np.zeros(1, np.int32)
    mover = TempPage("local")
    Exchanger(arena, MaskedWord(arena.layout.mask("swap")), [mover], XArrayCursor()).exchange(pair, status)
    node = arena.nodes[0]
    assert (node["min"], node["low"], node["high"]) == (3, 5, 7)
    assert status[0] == (0 if got else -errno.ENOMEM)
    assert (node["asked"], node["got"], node["below_low"], node["below_min"]) == (1, got, below_low, below_min)
    assert node["free"] == free


def test_filling_an_arena_goes_to_the_last_frame_and_is_not_counted() -> None:
    with Arena.create([("fast", 2048)], workers=1) as arena:
        node = arena.nodes[0]
        assert (node["min"], node["low"], node["high"]) == (2, 2, 3)
        assert len(arena.alloc("fast", 2048)) == 2048
        after = arena.nodes[0]
        assert [after[name] for name in ("free", "asked", "got", "below_low", "below_min")] == [0] * 5
