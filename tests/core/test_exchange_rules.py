"""The rules of one exchange, for every kind of page, order, layout and native strategy, judged by the oracle."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.model.layout import Layout
from pagexchange.oracle import Oracle, Verdict, check
from pagexchange.oracle import format as oracle_format
from pagexchange_native.arena.region import BATCH
from tests.core.pages import EAGAIN, EBUSY, EFAULT, EINVAL, NATIVE, Pages, Pfns, differences, picture, resting, strategy

LAYOUTS = ("linux-5.0", "linux-6.18")
ORDERS = (0, 1, 4, 9)
EXACT = tuple(name for name in NATIVE if name != "rfc-2019")  # which forgets flags, as it is meant to
IN_PLACE = tuple(name for name in NATIVE if name != "copy-page")
TAKES_FRAMES = ("copy-page",)


def everything(layout: str = "linux-6.18") -> tuple[Pages, Pfns]:
    """All of anon/file x anon/file, in one mapping and in two, shared memory and raw pages, in each order."""
    pages = Pages(frames=8 * 512, layout=layout)
    pairs = []
    for order in ORDERS:
        for kinds in product(("anon", "file"), ("anon", "file")):
            for mappings in ((0, 0), (0, 1)) if kinds == ("file", "file") else ((0, 0),):
                if order < 9 or mappings == (0, 1) or kinds != ("file", "file"):
                    pairs.append(pages.pair(kinds, order, mappings))
        if order < 9:
            pairs += [pages.pair(("shmem", "file"), order), pages.pair(("raw", "shmem"), order)]
    arena = pages.arena
    files = [pfn for pair in pairs for pfn in pair if arena.frame(pfn).kind == "file"]
    arena.set_private(files[::3], np.arange(len(files[::3])) + 5)
    for pfn in files[::2]:
        pages.flag(pfn, "dirty")
    for n, pfn in enumerate(np.ravel(pairs).tolist()):
        pages.flag(pfn, *(name for k, name in enumerate(SWAPPED[layout]) if n >> (k % 5) & 1))
    return pages, np.array(pairs)


def free_to_set(layout: Layout) -> list[str]:
    """Flags that move with any page: without those that say what kind of page it is."""
    special = {"dirty", "private", "swapbacked", layout.flag("swapcache").name}
    return [flag.name for flag in layout.flags if flag.policy == "swap" and flag.name not in special]


SWAPPED = {name: free_to_set(Layout.load(name)) for name in LAYOUTS}


@pytest.fixture(params=LAYOUTS)
def full(request: pytest.FixtureRequest) -> Iterator[tuple[Pages, Pfns]]:
    pages, pairs = everything(request.param)
    yield pages, pairs
    pages.arena.close()


def said(verdict: Verdict) -> str:
    return "\n".join([str(verdict), *map(str, verdict.findings)])


# ---- 1 to 4: one list with everything in it, under every strategy ----------------------------------------------------


@pytest.mark.parametrize("name", NATIVE)
def test_every_kind_of_pair_is_exchanged_and_nothing_is_lost(full: tuple[Pages, Pfns], name: str) -> None:
    pages, pairs = full
    oracle = Oracle.before(pages.arena, stamped=False)
    assert oracle.unsound.total == 0
    out = np.full(len(pairs), 12345, np.int32)
    result = strategy(pages.arena, name).exchange(pairs, out=out)
    assert out.tolist() == [0] * len(pairs)
    assert result.status is out
    verdict = oracle.after(pairs, out)
    if name == "rfc-2019":
        assert verdict.kind == "loses", said(verdict)
    else:
        assert verdict.kind == "exact", said(verdict)
    assert check(pages.arena) == []


@pytest.mark.parametrize("name", EXACT)
def test_twice_is_the_identity_byte_for_byte(full: tuple[Pages, Pfns], name: str) -> None:
    pages, pairs = full
    bound, scratch = strategy(pages.arena, name), name in TAKES_FRAMES
    before = picture(pages.arena, scratch=scratch)
    assert bound.exchange(pairs).ok
    assert differences(before, picture(pages.arena, scratch=scratch))
    assert bound.exchange(pairs[::-1, ::-1]).ok
    assert differences(before, picture(pages.arena, scratch=scratch)) == []
    assert resting(pages.arena)


def outcome(name: str, call: Callable[[Any, Pfns], Any]) -> Any:
    pages, pairs = everything()
    call(strategy(pages.arena, name), pairs)
    after = picture(pages.arena, scratch=name in TAKES_FRAMES)
    pages.arena.close()
    return after


def one_by_one(bound: Any, pairs: Pfns) -> None:
    for i in range(len(pairs)):
        assert bound.exchange(pairs[i : i + 1]).ok


@pytest.mark.parametrize("name", ["copy-page", "list-exchange"])
def test_no_way_to_ask_makes_a_difference(name: str) -> None:
    """(a, b) is (b, a); a batch is its pairs one by one; threads, and large folios cut over threads, change nothing."""
    want = outcome(name, lambda bound, pairs: bound.exchange(pairs).raise_for_status())
    ways: dict[str, Callable[[Any, Pfns], Any]] = {
        "(b, a)": lambda bound, pairs: bound.exchange(pairs[:, ::-1]).raise_for_status(),
        "another order": lambda bound, pairs: bound.exchange(pairs[::-1]).raise_for_status(),
        "sequential": lambda bound, pairs: bound.exchange(pairs, order="sequential").raise_for_status(),
        "one by one": one_by_one,
        "2 threads": lambda bound, pairs: bound.exchange(pairs, threads=2).raise_for_status(),
        "4 threads": lambda bound, pairs: bound.exchange(pairs, threads=4).raise_for_status(),
        "fewer pairs than threads": lambda bound, pairs: [
            bound.exchange(pairs[i : i + 2], threads=3).raise_for_status() for i in range(0, len(pairs), 2)
        ],
    }
    for way, call in ways.items():
        assert differences(want, outcome(name, call)) == [], way


# ---- 1: borders of batches, lists with refused pairs -----------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> Iterator[tuple[Arena, Pfns]]:
    """Raw pages whose first word says where they are from; tests put it back."""
    arena = Arena.create([("fast", 320), ("slow", 320)])
    pairs = np.stack([arena.alloc(0, 300), arena.alloc(1, 300)], axis=1)
    yield arena, pairs
    arena.close()


def stamp(arena: Arena) -> None:
    arena.frames[:] = np.arange(arena.nframes, dtype=np.uint64)[:, None]


def swapped(arena: Arena, pairs: Pfns) -> Any:
    """Which pairs lie crosswise; a pair that lies half here, half there is an error."""
    a, b = np.asarray(pairs, np.int64).T
    cross = (arena.frames[a] == b[:, None]).all(axis=1) & (arena.frames[b] == a[:, None]).all(axis=1)
    at_home = (arena.frames[a] == a[:, None]).all(axis=1) & (arena.frames[b] == b[:, None]).all(axis=1)
    assert (cross ^ at_home).all()
    return cross


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n", [1, 2, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH - 1, 2 * BATCH, 2 * BATCH + 1, 300])
def test_borders_of_batches(plain: tuple[Arena, Pfns], n: int, threads: int) -> None:
    arena, pairs = plain
    stamp(arena)
    out = np.full(n + 2, 12345, np.int32)
    result = arena.exchange(pairs[:n], out=out[1:-1], threads=threads)
    assert out.tolist() == [12345, *[0] * n, 12345]
    assert swapped(arena, pairs).tolist() == [True] * n + [False] * (300 - n)
    assert (result.exchanged, result.workers) == (n, min(threads, n if n >= threads else 1))


@pytest.mark.parametrize("at", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH - 1, 2 * BATCH, 298, 299])
@pytest.mark.parametrize("how", ["screened", "looked at", "locked"])
def test_a_refused_pair_at_a_border_takes_no_status_but_its_own(plain: tuple[Arena, Pfns], at: int, how: str) -> None:
    """The 2019 code wrote 0 over each error, and no status at all behind the first (B14, B15)."""
    arena, pairs = plain
    stamp(arena)
    asked, want = pairs.copy(), np.zeros(300, np.int32)
    if how == "screened":
        asked[at] = asked[at, 0]
        want[at] = EINVAL
    elif how == "looked at":
        arena.set_flags(pairs[at, 0], arena.layout.word("hwpoison"))
        want[at] = -133
    else:
        arena.lock(pairs[at, 1])
        want[at] = EAGAIN
    status = arena.exchange(asked, out=np.full(300, 12345, np.int32)).status
    arena.clear_flags(pairs[at, 0], arena.layout.word("hwpoison"))
    if how == "locked":
        arena.unlock(pairs[at, 1])
    assert (status == want).all()
    assert (swapped(arena, pairs) == (want == 0)).all()


REFUSALS: dict[int, Callable[[Pages, list[int]], Any]] = {
    EAGAIN: lambda pages, pair: pages.arena.lock(pair[0]),
    EBUSY: lambda pages, pair: pages.flag(pair[1], "writeback"),
    -133: lambda pages, pair: pages.flag(pair[0], "hwpoison"),
    -95: lambda pages, pair: pages.flag(pair[1], "swapcache", "swapbacked"),  # EOPNOTSUPP
    EFAULT: lambda pages, pair: pair.__setitem__(0, -5),
    EINVAL: lambda pages, pair: pair.__setitem__(0, pair[1]),
    0: lambda pages, pair: None,
}


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("seed", range(4))
def test_good_and_refused_pairs_in_random_order(seed: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    pages = Pages(frames=512)
    asked, want = [], []
    for _ in range(300):
        code = int(rng.choice(list(REFUSALS), p=[0.06] * 6 + [0.64]))
        pair = pages.pair(tuple(rng.choice(["anon", "file", "shmem", "raw"], 2)), mappings=tuple(rng.integers(0, 2, 2)))
        REFUSALS[code](pages, pair)
        asked.append(pair)
        want.append(code)
    oracle = Oracle.before(pages.arena)
    status = pages.arena.exchange(asked, threads=threads, out=np.full(300, 12345, np.int32)).status
    assert status.tolist() == want
    verdict = oracle.after(asked, status)
    assert verdict.kind == "exact", said(verdict)


# ---- sequential ------------------------------------------------------------------------------------------------------


def test_a_chain_hands_a_page_on(plain: tuple[Arena, Pfns]) -> None:
    arena, pairs = plain
    stamp(arena)
    a, b, c = pairs[0, 0], pairs[0, 1], pairs[1, 0]
    chain = [(a, b), (b, c), (c, a)]
    assert arena.exchange(chain).status.tolist() == [0, EINVAL, EINVAL]
    stamp(arena)
    assert arena.exchange(chain, order="sequential").ok
    assert [int(arena.frames[x, 7]) for x in (a, b, c)] == [a, c, b]


@pytest.mark.parametrize("frames", [4, 40, 600])
def test_sequential_pairs_are_done_one_after_the_other(plain: tuple[Arena, Pfns], frames: int) -> None:
    """Chains, duplicates, pairs with themselves: as if each were a call of its own; few frames mean many batches."""
    arena, pairs = plain
    stamp(arena)
    rng = np.random.default_rng(frames)
    chosen = rng.choice(pairs.ravel(), frames, replace=False)
    asked = rng.choice(chosen, (400, 2))
    asked[100] = asked[99]
    asked[200] = asked[199, ::-1]
    asked[300, 0] = -1
    expected = np.arange(arena.nframes, dtype=np.uint64)
    for x, y in asked.tolist():
        if x >= 0:
            expected[[x, y]] = expected[[y, x]]
    want = np.where(asked[:, 0] < 0, EFAULT, np.where(asked[:, 0] == asked[:, 1], EINVAL, 0))
    oracle = Oracle.before(arena, stamped=False)
    status = arena.exchange(asked, order="sequential", threads=4, out=np.full(400, 12345, np.int32)).status
    assert (status == want).all()
    assert (arena.frames == expected[:, None]).all()
    verdict = oracle.after(asked, status, order="sequential")
    assert verdict.kind == "exact", said(verdict)


def test_a_refused_link_does_not_break_the_chain(plain: tuple[Arena, Pfns]) -> None:
    arena, pairs = plain
    stamp(arena)
    (a, b), (c, d) = pairs[:2].tolist()
    arena.lock(c)
    status = arena.exchange([(a, b), (b, c), (b, d)], order="sequential").status
    arena.unlock(c)
    assert status.tolist() == [0, EAGAIN, 0]
    assert [int(arena.frames[x, 3]) for x in (a, b, c, d)] == [b, d, c, a]


# ---- 5: what moves and what stays ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [name for name in EXACT if name in ("list-exchange", "two-pass")])
def test_each_bit_does_what_its_layout_says(layout: str, name: str) -> None:
    """Each bit alone on one side, on the other, on both; then random words: the rest of the word never moves."""
    pages = Pages(frames=512, layout=layout)
    arena, lay = pages.arena, pages.arena.layout
    swap, refuse = np.uint64(lay.mask("swap")), np.uint64(lay.mask("refuse"))
    pairs = np.stack([arena.alloc(0, 500), arena.alloc(1, 500)], axis=1)
    place = np.uint64(lay.word(**{f.name: (1 << f.width) - 1 for f in lay.fields if f.name in ("node", "zone")}))
    forbidden = np.uint64(lay.word("locked", "private", "head") | lay.flag("swapcache").mask) | refuse | place
    rng = np.random.default_rng(5)
    words = rng.integers(0, 1 << 64, (500, 2), dtype=np.uint64)
    for bit in range(64):
        one = np.uint64(1 << bit)
        words[3 * bit : 3 * bit + 3] = np.array([[1, 0], [0, 1], [1, 1]], np.uint64) * one
    checked = np.uint64(lay.flag("swapcache").mask)
    words &= ~forbidden
    words[400:402] = np.array([[1, 0], [1, 1]], np.uint64) * checked  # alone it is `checked`, which moves
    arena.set_flags(pairs.ravel(), words.ravel())
    before = arena.flags[pairs]
    assert (
        before[:, 0] >> np.uint64(lay.field("node").shift) != before[:, 1] >> np.uint64(lay.field("node").shift)
    ).all()
    assert strategy(arena, name).exchange(pairs).ok
    assert (arena.flags[pairs] == (before & ~swap | before[:, ::-1] & swap)).all()


PAGE = ("refs", "mapcount", "mapping", "index", "private", "rmap", "held", "next")
"""`next` of a used page is a hint: the number of its word in a tree."""
FRAME = ("owner", "prev", "head", "order", "state")


def test_page_fields_move_and_frame_fields_stay() -> None:
    pages, pairs = everything()
    before = pages.arena.entries[pairs]
    assert pages.arena.exchange(pairs).ok
    after = pages.arena.entries[pairs]
    for name in PAGE:
        assert (after[name] == before[name][:, ::-1]).all(), name
        assert (before[name][:, 0] != before[name][:, 1]).any(), name
    for name in FRAME:
        assert (after[name] == before[name]).all(), name
    assert {*PAGE, *FRAME, "flags"} == set(before.dtype.names or ()) - {"pad"}


def test_private_data_its_flag_and_its_reference_move_together(pages: Pages) -> None:
    """The 2019 code cleared the flag on both and left the pointer behind (B18b)."""
    for kinds in (("file", "anon"), ("anon", "file"), ("file", "file")):
        pair = pages.pair(kinds)
        side = kinds.index("file")
        pages.arena.set_private(pair[side], 77)
        assert pages.arena.exchange([pair]).ok
        here, there = (pages.arena.frame(pair[s]) for s in (1 - side, side))
        assert (here.private, "private" in here.flags, here.refs) == (77, True, 2)
        assert (there.private, "private" in there.flags) == (0, False)
        assert there.refs == pages.arena.expected_refs(there.pfn)


@pytest.mark.parametrize("order", ORDERS)
def test_counters_of_the_nodes_follow_the_pages(order: int) -> None:
    """A regular file's page moved NR_SHMEM in the 2019 code (B19), and a folio counted as one (B19b)."""
    pages = Pages(frames=4 * 512)
    cross = pages.pair(("shmem", "file"), order), pages.pair(("anon", "raw"), order)
    pages.flag(cross[0][1], "dirty")
    before = [dict(node["counters"]) for node in pages.arena.nodes]
    assert pages.arena.exchange(cross).ok
    after = [node["counters"] for node in pages.arena.nodes]
    moved = {name: after[0][name] - before[0][name] for name in before[0]}
    size = 1 << order
    assert moved == {"file": 0, "shmem": -size, "anon": -size, "dirty": size}
    assert all(after[1][name] - before[1][name] == -change for name, change in moved.items())


# ---- 6: look-ups -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("order", ORDERS)
def test_each_place_leads_to_the_whole_page(name: str, order: int) -> None:
    pages = Pages(frames=5 * 512)
    arena, size = pages.arena, 1 << order
    pairs = [pages.pair(("file", "anon"), order), pages.pair(("shmem", "file"), order, (0, 1))]
    state = arena.entries.copy()
    files = [((int(state["mapping"][p]) >> 2) - 1, int(state["index"][p]), p) for p in (pairs[0][0], *pairs[1])]
    anon = [(space, int(state["index"][pairs[0][1]]), pairs[0][1]) for space in pages.spaces]
    anon.append((pages.spaces[1], int(state["index"][pairs[1][0]]), pairs[1][0]))  # shared memory, mapped
    contents = arena.frames.copy()
    assert strategy(arena, name).exchange(pairs).ok
    for k in range(size):
        for mapping, index, was in files:
            head = arena.cache_load(mapping, index)
            assert arena.cache_load(mapping, index + k) == head  # an entry stands for a folio
            assert (arena.frames[head + k] == contents[was + k]).all()
        for space, vpn, was in anon:
            assert (arena.frames[arena.translate(space, vpn + k)] == contents[was + k]).all()


# ---- 7: frames taken -------------------------------------------------------------------------------------------------


def allocations(arena: Arena) -> list[tuple[int, ...]]:
    return [tuple(node[key] for key in ("asked", "got", "below_low", "below_min", "free")) for node in arena.nodes]


def test_helpers_of_a_large_folio_give_their_slots_back() -> None:
    pages = Pages(frames=1024)
    pair = pages.pair(("file", "anon"), order=9)
    assert strategy(pages.arena, "list-exchange").exchange([pair], threads=4).ok
    assert resting(pages.arena)


def test_the_trees_that_a_batch_held_are_forgotten_with_it(pages: Pages) -> None:
    """A worker has room for those of one batch, 256."""
    pair = pages.pair(("file", "file"), mappings=(0, 1))
    bound = strategy(pages.arena)
    for _ in range(150):
        assert bound.exchange([pair]).ok


def test_a_slot_is_never_claimed_as_it_was_before(pages: Pages) -> None:
    """Who takes over from a dead owner must be able to tell that somebody else has done so."""
    pair, seen = pages.pair(), []
    for _ in range(4):
        assert strategy(pages.arena).exchange([pair]).ok
        seen.append(int(oracle_format.read(pages.arena).slots["claim"][1]) >> 8)
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("name", IN_PLACE)
def test_movers_in_place_take_no_frame(name: str) -> None:
    pages, pairs = everything()
    before = allocations(pages.arena)
    result = strategy(pages.arena, name).exchange(pairs)
    assert (result.ok, result.frames_asked, result.frames_got) == (True, 0, 0)
    assert allocations(pages.arena) == before


def test_a_mover_with_a_temporary_page_shows_what_it_took() -> None:
    pages, pairs = everything()
    before = allocations(pages.arena)
    orders = pages.arena.entries["order"][pairs[:, 0]].astype(int)
    taken = int((1 << orders).sum())
    result = strategy(pages.arena, "copy-page").exchange(pairs)
    assert (result.ok, result.frames_asked, result.frames_got) == (True, taken, taken)
    after = allocations(pages.arena)
    assert sum(a[1] - b[1] for a, b in zip(after, before, strict=True)) == taken
    assert [a[4] for a in after] == [b[4] for b in before]


def test_the_watermarks_say_how_far_down_it_went() -> None:
    arena = Arena.create([("fast", 64), ("slow", 64)], watermarks=(4, 8, 12))
    left, right = arena.alloc(0, 50), arena.alloc(1, 50)
    pairs = np.stack([left, right], axis=1)
    arena.alloc(1, 64 - 50 - 4)
    low = sum(node["below_low"] for node in arena.nodes)
    result = strategy(arena, "copy-page").exchange(pairs)
    assert result.exchanged == 64 - 50 - 4  # down to the min watermark and not further
    assert result.refused == {"ENOMEM": 50 - 10}
    assert (result.frames_asked, result.frames_got) == (50, 10)
    assert result.moved == {"temp-page": 10}
    assert sum(node["below_low"] for node in arena.nodes) - low >= 4
    assert arena.nodes[0]["free"] == 14
    assert check(arena) == []
