"""Flag policies against slow models, bit by bit, on random words of both Linux layouts."""

import random

import numpy as np
import pytest

from pagexchange_native.policies.flag_policy import FlagPolicy, MaskedWord, PerFlag, TwoPass, WholeWord

NODE, ZONE, CPUPID = 0x3FF << 54, 7 << 51, ((1 << 21) - 1) << 30

# name -> bit; the policies under test know a layout only through such a table
LINUX_5_0 = {
    "locked": 0, "referenced": 1, "uptodate": 2, "dirty": 3, "lru": 4, "active": 5, "workingset": 6, "waiters": 7,
    "error": 8, "slab": 9, "owner_priv_1": 10, "checked": 10, "swapcache": 10, "arch_1": 11, "reserved": 12,
    "private": 13, "private_2": 14, "writeback": 15, "head": 16, "mappedtodisk": 17, "reclaim": 18, "readahead": 18,
    "swapbacked": 19, "unevictable": 20, "mlocked": 21, "hwpoison": 23, "young": 24, "idle": 25,
}  # fmt: skip
LINUX_6_18 = {
    "locked": 0, "writeback": 1, "referenced": 2, "uptodate": 3, "dirty": 4, "lru": 5, "head": 6, "waiters": 7,
    "active": 8, "workingset": 9, "owner_priv_1": 10, "checked": 10, "swapcache": 10, "owner_2": 11,
    "mappedtodisk": 11, "arch_1": 12, "reserved": 13, "private": 14, "private_2": 15, "reclaim": 16, "readahead": 16,
    "swapbacked": 17, "unevictable": 18, "dropbehind": 19, "mlocked": 20, "hwpoison": 21, "young": 22, "idle": 23,
}  # fmt: skip
SWAPPED = (
    "referenced", "uptodate", "dirty", "active", "workingset", "error", "owner_priv_1", "owner_2", "private",
    "mappedtodisk", "reclaim", "swapbacked", "unevictable", "mlocked", "young", "idle", "dropbehind",
)  # fmt: skip
LAYOUTS = {"linux-5.0": LINUX_5_0, "linux-6.18": LINUX_6_18}


def masks_of(layout: str) -> dict[str, int]:
    return {name: 1 << bit for name, bit in LAYOUTS[layout].items()} | {"last_cpupid": CPUPID}


def swap_of(layout: str) -> int:
    masks = masks_of(layout)
    swap = CPUPID
    for name in SWAPPED:
        swap |= masks.get(name, 0)
    return swap


def words(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    a, b = (rng.integers(0, 1 << 64, n, dtype=np.uint64) for _ in range(2))
    sparse = rng.integers(0, 1 << 64, n, dtype=np.uint64) & rng.integers(0, 1 << 64, n, dtype=np.uint64)
    a[n // 2 :] &= sparse[n // 2 :]
    return a, b


def swapped_bit_by_bit(a: int, b: int, mask: int) -> tuple[int, int]:
    for bit in range(64):
        one = 1 << bit
        if mask & one and (a & one) != (b & one):
            a, b = a ^ one, b ^ one
    return a, b


def rfc_2019(a: int, b: int, masks: dict[str, int]) -> tuple[int, int]:
    """`exchange_page_flags` as its source reads, on a dict of named flags per page."""
    fixed = [
        "error", "referenced", "uptodate", "active", "unevictable", "checked", "mappedtodisk", "dirty", "young", "idle",
    ]  # fmt: skip
    page = {"from": a, "to": b}
    for name in ("swapbacked", "private", "mlocked", "last_cpupid"):
        page["from"], page["to"] = swapped_bit_by_bit(page["from"], page["to"], masks.get(name, 0))
    saw: dict[str, dict[str, bool]] = {"from": {}, "to": {}}
    for side in ("from", "to"):
        for name in fixed:
            saw[side][name] = bool(page[side] & masks.get(name, 0))
            page[side] &= ~masks.get(name, 0)
        saw[side]["swapcache"] = bool(page[side] & masks.get("swapcache", 0))
        page[side] &= ~masks.get("writeback", 0)
    for side, other in (("to", "from"), ("from", "to")):
        for name in fixed:
            if name == "unevictable" and saw[other]["active"]:
                continue
            if saw[other][name]:
                page[side] |= masks.get(name, 0)
    for side in ("to", "from"):
        page[side] &= ~masks.get("swapcache", 0)
    for side, other in (("to", "from"), ("from", "to")):
        if saw[other]["swapcache"]:
            page[side] |= masks.get("swapcache", 0)
    return page["from"], page["to"]


def pairs_of(policy: FlagPolicy, a: np.ndarray, b: np.ndarray) -> list[tuple[int, int]]:
    new_a, new_b = policy(a, b)
    assert new_a.dtype == new_b.dtype == np.uint64
    return [(int(x), int(y)) for x, y in zip(new_a, new_b, strict=True)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_masked_word_moves_the_mask_and_nothing_else(layout: str) -> None:
    a, b = words()
    want = [swapped_bit_by_bit(int(x), int(y), swap_of(layout)) for x, y in zip(a, b, strict=True)]
    assert pairs_of(MaskedWord(swap_of(layout)), a, b) == want


def test_whole_word_moves_node_and_zone_too() -> None:
    a, b = words()
    new_a, new_b = WholeWord()(a, b)
    np.testing.assert_array_equal(new_a, b)
    np.testing.assert_array_equal(new_b, a)
    assert ((new_a ^ a) & np.uint64(NODE)).any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_pass_is_exact(layout: str) -> None:
    a, b = words()
    swap = swap_of(layout)
    assert pairs_of(TwoPass(masks_of(layout), swap), a, b) == pairs_of(MaskedWord(swap), a, b)


def test_two_pass_says_which_bits_the_helper_does_not_cover() -> None:
    masks = masks_of("linux-6.18")
    added = TwoPass(masks, swap_of("linux-6.18")).added
    assert added == sum(masks[n] for n in ("swapbacked", "private", "mlocked", "dropbehind"))
    old = masks_of("linux-5.0")
    assert TwoPass(old, swap_of("linux-5.0")).added & old["error"]


def test_two_pass_never_moves_a_bit_that_the_layout_does_not_swap() -> None:
    policy = TwoPass({"dirty": 1, "active": 2}, swap=1)
    assert pairs_of(policy, np.array([3], np.uint64), np.array([0], np.uint64)) == [(2, 1)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_per_flag_does_what_the_source_of_2019_does(layout: str) -> None:
    a, b = words()
    masks = masks_of(layout)
    want = [rfc_2019(int(x), int(y), masks) for x, y in zip(a, b, strict=True)]
    assert pairs_of(PerFlag(masks), a, b) == want


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("where", [(1, 0), (0, 1), (1, 1)])
def test_per_flag_loses_the_bit_that_has_two_names(layout: str, where: tuple[int, int]) -> None:
    masks = masks_of(layout)
    bit = masks["owner_priv_1"]
    a, b = (np.array([bit * has], np.uint64) for has in where)
    assert pairs_of(PerFlag(masks), a, b) == [(0, 0)]


def test_per_flag_keeps_it_when_the_names_are_two_bits() -> None:
    policy = PerFlag({"checked": 1, "swapcache": 2})
    for a in range(4):
        for b in range(4):
            assert pairs_of(policy, np.array([a], np.uint64), np.array([b], np.uint64)) == [(b, a)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_per_flag_leaves_behind_what_it_does_not_know(layout: str) -> None:
    masks = masks_of(layout)
    for name in ("workingset", "reclaim", "private_2", "dropbehind"):
        if name in masks:
            one, none = np.array([masks[name]], np.uint64), np.zeros(1, np.uint64)
            assert pairs_of(PerFlag(masks), one, none) == [(masks[name], 0)], name
    for name in ("error", "referenced", "dirty", "swapbacked", "private", "last_cpupid", "mlocked"):
        if name in masks:
            one, none = np.array([masks[name]], np.uint64), np.zeros(1, np.uint64)
            assert pairs_of(PerFlag(masks), one, none) == [(0, masks[name])], name


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["masked", "per-flag", "two-pass"])
def test_frame_bits_stay_with_the_frame(layout: str, kind: str) -> None:
    masks, swap = masks_of(layout), swap_of(layout)
    policy = {"masked": MaskedWord(swap), "per-flag": PerFlag(masks), "two-pass": TwoPass(masks, swap)}[kind]
    stay = NODE | ZONE | sum(masks[n] for n in ("locked", "lru", "waiters", "arch_1", "head", "reserved", "hwpoison"))
    a, b = words()
    new_a, new_b = policy(a, b)
    assert not ((new_a ^ a) & np.uint64(stay)).any()
    assert not ((new_b ^ b) & np.uint64(stay)).any()


@pytest.mark.parametrize("make", [lambda m, s: MaskedWord(s), lambda m, s: TwoPass(m, s)])
def test_twice_is_the_identity(make) -> None:
    a, b = words()
    policy = make(masks_of("linux-6.18"), swap_of("linux-6.18"))
    again_a, again_b = policy(*policy(a, b))
    np.testing.assert_array_equal(again_a, a)
    np.testing.assert_array_equal(again_b, b)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="a has 2 words and b 1"):
        MaskedWord(1)(np.zeros(2, np.uint64), np.zeros(1, np.uint64))
    with pytest.raises(ValueError, match="must fit into 64 bits"):
        PerFlag({"dirty": 1 << 64})
    with pytest.raises(OverflowError):
        MaskedWord(-1)
    with pytest.raises(TypeError, match="has no exchange function"):
        FlagPolicy()([1], [2])
    new_a, new_b = MaskedWord(1)(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    assert len(new_a) == len(new_b) == 0


def test_any_set_of_masks_is_moved_exactly() -> None:
    rng = random.Random(3)
    a, b = words(200)
    for _ in range(50):
        swap = rng.getrandbits(64)
        names = {name: rng.getrandbits(64) & rng.getrandbits(64) for name in TwoPass.names()}
        assert pairs_of(TwoPass(names, swap), a, b) == pairs_of(MaskedWord(swap), a, b)
