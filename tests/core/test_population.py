"""A filled arena is at rest: references, page tables, caches, counters and flags say the same, and the seed decides."""

import numpy as np
import pytest

from pagexchange import oracle
from pagexchange.arena.arena import Arena
from pagexchange.errors import ArenaFullError, SnapshotError
from pagexchange.model.layout import Layout
from pagexchange.model.statuses import EHWPOISON
from pagexchange.pages import arena_from_snapshot, fill, flagwords, placement, populate_synthetic, synthetic
from pagexchange.pages.folios import folios
from pagexchange.pages.placement import KINDS, Plan
from pagexchange.pages.snapshot import Snapshot
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot.facts import Facts
from pagexchange.pages.snapshot.proc import kpageflags
from pagexchange.pages.snapshot.proc.kpageflags import mask
from pagexchange.pages.snapshot.proc.mappings import WRITABLE
from pagexchange.pages.within import within
from pagexchange_native.arena.region import STATES

ANON = mask("UPTODATE", "LRU", "MMAP", "ANON", "SWAPBACKED")
CACHE = mask("UPTODATE", "LRU", "REFERENCED")
SHMEM = mask("UPTODATE", "LRU", "SWAPBACKED", "DIRTY")
HEAD, TAIL = mask("COMPOUND_HEAD", "THP"), mask("COMPOUND_TAIL", "THP")


def tables(arena):
    """All present page-table entries, read from the arena's bytes: (space, virtual page) -> frame."""
    offset, n, size = arena.geometry()["tables"]
    raw = arena.memory[offset : offset + n * size].reshape(n, size)
    space = raw[:, :4].copy().view("<u4").ravel()
    base = raw[:, 8:16].copy().view("<u8").ravel()
    entry = raw[:, 64:].copy().view("<u8").reshape(n, 64, 2)[:, :, 0]
    entries = {}
    for table in np.flatnonzero(space):
        for slot in np.flatnonzero(entry[table] & np.uint64(1)):
            entries[int(space[table]) - 1, int(base[table]) + int(slot)] = int(entry[table, slot]) >> 12
    return entries


def check_at_rest(arena, population):
    """Everything about each page that can be counted twice, counted twice; and the oracle finds nothing."""
    assert [str(finding) for finding in oracle.check(arena)] == []
    entries = arena.entries
    pfns, order = population.pfns, population.order.astype(np.int64)
    page = entries[pfns]
    layout = arena.layout
    assert len(set(pfns.tolist())) == len(pfns)
    np.testing.assert_array_equal(page["order"], population.order)
    np.testing.assert_array_equal(page["held"], 0)
    np.testing.assert_array_equal(page["owner"], 0)
    is_file = population.kind != KINDS["anon"]
    np.testing.assert_array_equal((page["mapping"] & np.uint64(3)) == 1, ~is_file)
    assert (page["mapping"] != 0).all()
    private = (page["flags"] & np.uint64(layout.flag("private").mask)) != 0
    np.testing.assert_array_equal(page["refs"], (1 << order) * is_file + private + page["mapcount"])
    # page tables: each maps whole folios, each folio as often as its count says
    mapped = np.zeros(arena.nframes, dtype=np.int64)
    for frame in tables(arena).values():
        mapped[frame] += 1
    for k in range(int((1 << order).max())):
        np.testing.assert_array_equal(mapped[(pfns + k)[1 << order > k]], page["mapcount"][1 << order > k])
    assert mapped.sum() == (page["mapcount"].astype(np.int64) << order).sum()
    # each page of a file is found where it says
    for row in np.flatnonzero(is_file)[:: max(1, len(pfns) // 500)]:
        assert arena.cache_load((int(page["mapping"][row]) >> 2) - 1, int(page["index"][row])) == pfns[row]
    # nodes
    dirty = (page["flags"] & np.uint64(layout.flag("dirty").mask)) != 0
    for number, node in enumerate(arena.nodes):
        here = population.node == number
        inside = (pfns >= node["start"]) & (pfns < node["start"] + node["frames"])
        np.testing.assert_array_equal(here, inside)
        count = {
            "file": is_file,
            "shmem": population.kind == KINDS["shmem"],
            "anon": ~is_file,
            "dirty": dirty & is_file,
        }
        assert node["counters"] == {name: int((1 << order)[here & which].sum()) for name, which in count.items()}
    shmem_or_anon = population.kind != KINDS["file"]
    backed = (page["flags"] & np.uint64(layout.flag("swapbacked").mask)) != 0
    assert not backed[~shmem_or_anon].any()


@pytest.mark.parametrize("size", [[], [0], [1], [3, 1, 0, 2], [0, 0, 5, 0], [255, 255, 9]])
def test_the_members_of_each_group_are_numbered_from_0(size):
    position = within(np.array(size, dtype=np.int64))
    assert position.dtype == np.int64
    assert position.tolist() == [k for count in size for k in range(count)]


def test_fill_takes_the_share_of_each_node_and_the_seed_decides_the_pages():
    arenas = [Arena.create([("fast", 400), ("slow", 800)], workers=1) for _ in range(3)]
    populations = [fill(arena, 0.25, seed=seed) for arena, seed in zip(arenas, (3, 3, 4), strict=True)]
    for arena, population in zip(arenas, populations, strict=True):
        assert [int((population.node == number).sum()) for number in (0, 1)] == [100, 200]
        check_at_rest(arena, population)
    first, again, other = (
        arena.entries[population.pfns] for arena, population in zip(arenas, populations, strict=True)
    )
    assert first.tobytes() == again.tobytes() != other.tobytes()


def snapshot_of(words, mappings=(), files=None, first=512, facts=None):
    """A snapshot of consecutive frames with these words; mappings are (space, vpn, row)."""
    n = len(words)
    files = files or {}
    rows = sorted(mappings)
    return Snapshot(
        pfn=np.arange(first, first + n, dtype=np.uint64),
        flags=np.array(words, dtype=np.uint64),
        count=np.ones(n, dtype=np.uint32),
        file=np.array([files.get(k, (-1, 0))[0] for k in range(n)], dtype=np.int32),
        index=np.array([files.get(k, (-1, 0))[1] for k in range(n)], dtype=np.uint64),
        map_space=np.array([row[0] for row in rows], dtype=np.uint32),
        map_vpn=np.array([row[1] for row in rows], dtype=np.uint64),
        map_frame=np.array([row[2] for row in rows], dtype=np.uint32),
        map_bits=np.full(len(rows), WRITABLE, dtype=np.uint8),
        facts=facts or Facts(page_size=4096),
    )


@pytest.mark.parametrize("flags", ["realistic", "random", "plain"])
@pytest.mark.parametrize("layout", ["linux-5.0", "linux-6.18"])
def test_a_made_up_population_is_at_rest(flags, layout):
    with Arena.create(nodes=[("fast", 3000), ("slow", 5000)], layout=layout) as arena:
        population = populate_synthetic(
            arena, seed=3, flags=flags, orders={0: 0.95, 3: 0.049, 9: 0.001}, shared=0.2, private=0.3
        )
        check_at_rest(arena, population)
        assert {0, 3, 9} == set(population.order.tolist())
        assert [round(3000 * 0.75), round(5000 * 0.75)] == [n["frames"] - n["free"] for n in arena.nodes]
        kinds = np.bincount(population.kind, minlength=4)[1:] / len(population)
        np.testing.assert_allclose(kinds, [0.5, 0.4, 0.1], atol=0.05)
        count = arena.entries["mapcount"][population.pfns]
        assert 0.1 < (count > 1).mean() < 0.3
        assert (count == 0).any()
        assert count.max() >= 3
        words = arena.flags[population.pfns] & np.uint64(arena.layout.mask("swap"))
        assert {"plain": 1, "realistic": 20, "random": 2000}[flags] <= len(np.unique(words))


def test_a_random_word_touches_no_bit_that_refuses_or_belongs_to_the_arena():
    with Arena.create(nodes=[("fast", 2000), ("slow", 2000)]) as arena:
        population = populate_synthetic(arena, flags="random", fraction=1.0, private=0.0)
        words = arena.flags[population.pfns]
        names = set(arena.layout.names(int(np.bitwise_or.reduce(words))))
        assert not names & {"locked", "waiters", "head", "private", "writeback", "hwpoison", "reserved"}
        assert {"arch_1", "dropbehind", "mlocked", "dirty", "lru"} <= names
        assert {arena.layout.get(int(word), "node") for word in words[population.node == 1]} == {1}
        assert len({arena.layout.get(int(word), "last_cpupid") for word in words}) > 1000


def test_a_random_word_alone_sets_nothing_that_the_arena_keeps():
    layout = Layout.load("linux-6.18")
    words = flagwords.at_random(1000, layout, np.random.default_rng(1))
    names = set(layout.names(int(np.bitwise_or.reduce(words))))
    assert not names & {"locked", "waiters", "head", "private", "writeback", "hwpoison", "reserved", "swapbacked"}
    assert layout.get(int(np.bitwise_or.reduce(words)), "node") == 0


def test_a_random_word_of_a_small_layout_has_the_bits_that_it_knows(tmp_path):
    flags = {"locked": (0, "stay"), "dirty": (3, "swap"), "mark": (5, "stay"), "broken": (7, "refuse")}
    lines = [f"{name} = {{ bit = {bit}, policy = '{policy}', meaning = '' }}" for name, (bit, policy) in flags.items()]
    (tmp_path / "small.toml").write_text("\n".join(["schema = 1", "name = 'small'", "[flags]", *lines]))
    words = flagwords.at_random(1000, Layout.load(tmp_path / "small.toml"), np.random.default_rng(1))
    assert int(np.bitwise_or.reduce(words)) == 1 << 3 | 1 << 5


def test_an_arena_with_few_page_tables_gets_less_sharing_and_says_so():
    with Arena.create(nodes=[("fast", 4096), ("slow", 4096)], page_tables=110) as arena:
        population = populate_synthetic(arena, shared=0.5)
        check_at_rest(arena, population)
        assert any("shared mappings were left out: the arena has 110 page tables" in note for note in population.notes)
    with Arena.create(nodes=[("fast", 4096), ("slow", 4096)]) as arena:
        assert populate_synthetic(arena, shared=0.1).notes == []


def test_shares_of_dirty_and_hot_pages_are_those_asked_for():
    with Arena.create(nodes=[("fast", 4000), ("slow", 4000)]) as arena:
        population = populate_synthetic(arena, dirty=0.3, hot=0.2)
        check_at_rest(arena, population)
        dirty = (arena.flags[population.pfns] & np.uint64(arena.layout.flag("dirty").mask)) != 0
        assert abs(dirty.mean() - 0.3) < 0.03
        assert abs((population.hot == 7).mean() - 0.2) < 0.03
        assert set(population.hot.tolist()) == {0, 7}


def test_dirty_is_the_only_flag_that_its_share_changes():
    with Arena.create(nodes=[("fast", 500), ("slow", 500)]) as arena:
        population = populate_synthetic(arena, flags="plain", dirty=0.5, private=0.0, kinds={"file": 1})
        names = {frozenset(arena.layout.names(int(word))) - {"node"} for word in arena.flags[population.pfns]}
        assert names == {frozenset({"uptodate", "lru"}), frozenset({"uptodate", "lru", "dirty"})}


def test_a_kind_of_weight_zero_is_not_made():
    with Arena.create(nodes=[("fast", 500), ("slow", 500)]) as arena:
        population = populate_synthetic(arena, kinds={"anon": 1, "file": 0}, orders={0: 0, 3: 1})
        assert set(population.kind.tolist()) == {KINDS["anon"]}
        assert (population.order == 3).sum() == 2 * (375 >> 3)


def test_weights_of_orders_count_folios():
    with Arena.create(nodes=[("fast", 4096), ("slow", 4096)]) as arena:
        population = populate_synthetic(arena, orders={0: 2.0, 3: 1.0, 5: 1.0}, fraction=0.9)
        count = np.bincount(population.order)
        assert 0 <= count[0] - 2 * count[3] <= 2 * 42  # what does not divide is order 0
        assert count[3] == count[5]


@pytest.mark.parametrize(
    ("asked", "pages"), [({"pages_per_node": 0}, 0), ({"pages_per_node": 64}, 64), ({"free": 65}, 0)]
)
def test_all_frames_of_a_node_can_be_filled_or_none(asked, pages):
    with Arena.create(nodes=[("fast", 64), ("slow", 64)]) as arena:
        population = populate_synthetic(arena, **asked)
        assert oracle.check(arena) == []
        assert population.pages == 2 * pages
        assert [node["free"] for node in arena.nodes] == [64 - pages, 64 - pages]


def mapping_of(arena, population, kind):
    """The numbers of the files of one kind, page by page."""
    return arena.entries["mapping"][population.pfns[population.kind == KINDS[kind]]] >> np.uint64(2)


@pytest.mark.parametrize(
    ("mappings", "files", "shmems"), [(8, 4, 2), (13, 6, 3), (2, 1, 1), (200, -(-750 // 16), -(-750 // 16))]
)
def test_made_up_files_take_half_of_the_mappings_and_shared_memory_a_quarter_at_most(
    mappings, files, shmems, monkeypatch
):
    monkeypatch.setattr(synthetic, "PER_FILE", 16)
    with Arena.create(nodes=[("fast", 1000), ("slow", 1000)], mappings=mappings, page_tables=999) as arena:
        population = populate_synthetic(arena, kinds={"file": 1, "shmem": 1})
        check_at_rest(arena, population)
        of = {kind: len(np.unique(mapping_of(arena, population, kind))) for kind in ("file", "shmem")}
        assert (of["file"], of["shmem"]) == pytest.approx((files, shmems), abs=3 if mappings == 200 else 0)
        assert len(population.mappings) == of["file"] + of["shmem"]


@pytest.mark.parametrize("shared", [0.0, 0.2, 1.0])
def test_a_made_up_file_has_no_holes_its_first_half_is_mapped_and_its_beginning_by_several(shared, monkeypatch):
    monkeypatch.setattr(synthetic, "PER_FILE", 64)
    with Arena.create(nodes=[("fast", 5000), ("slow", 5000)], mappings=256, page_tables=2000) as arena:
        population = populate_synthetic(arena, kinds={"file": 3, "shmem": 1}, orders={0: 0.9, 2: 0.1}, shared=shared)
        check_at_rest(arena, population)
        page = arena.entries[population.pfns]
        assert len(np.unique(page["mapping"])) > 64
        for mapping in np.unique(page["mapping"]):
            mine = np.sort(page[page["mapping"] == mapping], order="index")
            size = np.left_shift(1, mine["order"].astype(int))
            assert mine["index"].tolist() == (np.cumsum(size) - size).tolist()
            where = mine["index"] / size.sum()
            times = np.where(where < min(shared, 0.5), 3, where < 0.5)
            assert mine["mapcount"].tolist() == times.tolist()


def test_an_anonymous_page_is_mapped_by_one_to_four_at_one_address():
    with Arena.create(nodes=[("fast", 5000), ("slow", 5000)]) as arena:
        population = populate_synthetic(arena, kinds={"anon": 1}, shared=0.25)
        check_at_rest(arena, population)
        count = arena.entries["mapcount"][population.pfns]
        assert set(count.tolist()) == {1, 2, 3, 4}
        assert abs((count > 1).mean() - 0.25) < 0.03
        address: dict[int, int] = {}
        for (_, vpn), frame in tables(arena).items():
            assert address.setdefault(frame, vpn) == vpn
        assert len(set(address.values())) == len(population)


@pytest.mark.parametrize(
    ("pages", "spaces", "made"), [(9216, 20, 8), (9216, 6, 3), (9216, 1, 1), (2048, 16, 2), (2047, 16, 1), (9, 16, 1)]
)
def test_there_is_an_address_space_for_every_1024_pages_up_to_eight_and_half_of_what_the_arena_has(pages, spaces, made):
    with Arena.create(nodes=[("fast", pages)], spaces=spaces) as arena:
        population = populate_synthetic(arena, kinds={"anon": 1}, fraction=1.0)
        assert len(population.spaces) == made


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_private_data_belong_to_pages_of_files_only(share):
    with Arena.create(nodes=[("fast", 500), ("slow", 500)]) as arena:
        population = populate_synthetic(arena, private=share, flags="plain")
        check_at_rest(arena, population)
        private = (arena.flags[population.pfns] & np.uint64(arena.layout.flag("private").mask)) != 0
        np.testing.assert_array_equal(private, (population.kind == KINDS["file"]) & (share == 1.0))
        assert set(population.hot.tolist()) == set(range(8))


@pytest.mark.parametrize("blocks", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("asked", [0, 1, 2, 3, 4, 7, 8])
def test_as_many_folios_as_there_are_free_blocks(blocks, asked):
    with Arena.create(nodes=[("fast", 64), ("slow", 64)]) as arena:
        taken = arena.alloc("fast", 64)
        arena.free(taken[taken < 8 * blocks])
        got = synthetic._as_many(arena, 0, asked, 3)
        assert len(got) == min(asked, blocks)
        assert set(got.tolist()) <= set(range(0, 8 * blocks, 8))


def everything(arena):
    at = arena.geometry()["nodes"][0]
    end = arena.geometry()["frames"][0]
    return arena.memory[at:end].tobytes()


@pytest.mark.parametrize("how", ["synthetic", "snapshot"])
def test_the_same_seed_gives_the_same_arena_and_another_one_another(how):
    def made(seed):
        if how == "snapshot":
            arena, _ = arena_from_snapshot(file_format.packaged(), seed=seed)
        else:
            arena = Arena.create(nodes=[("fast", 2000), ("slow", 2000)])
            populate_synthetic(arena, seed=seed, orders={0: 0.9, 4: 0.1})
        with arena:
            return everything(arena)

    assert made(1) == made(1)
    assert made(1) != made(2)


@pytest.mark.parametrize("free", [0, 1, 777])
def test_free_frames_are_exactly_those_asked_for(free):
    with Arena.create(nodes=[("fast", 2000), ("slow", 3000)]) as arena:
        check_at_rest(arena, populate_synthetic(arena, free=free, orders={0: 0.9, 5: 0.1}))
        assert [node["free"] for node in arena.nodes] == [free, free]
    arena, population = arena_from_snapshot(file_format.packaged(), free=free)
    with arena:
        check_at_rest(arena, population)
        assert [node["free"] for node in arena.nodes] == [free, free]
        reserved = int((arena.entries["state"] == STATES["reserved"]).sum())
        assert reserved == population.counts["reserved"] > 0
        assert population.pages + reserved + 2 * free == arena.nframes


def test_orders_that_find_no_room_become_base_pages():
    with Arena.create(nodes=[("fast", 600), ("slow", 300)]) as arena:
        population = populate_synthetic(arena, orders={9: 1.0}, fraction=1.0)
        check_at_rest(arena, population)
        assert np.bincount(population.order)[9] == 1
        assert population.pages == 900


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": {"slab": 1.0}}, {"kinds": {"anon": -1.0}}, {"kinds": {"anon": 0.0}}, {"orders": {10: 1.0}},
        {"orders": {0: float("nan")}}, {"fraction": 1.5}, {"shared": -0.1}, {"private": 2}, {"flags": "pretty"},
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_before_anything_is(wrong):
    with Arena.create(nodes=[("fast", 64), ("slow", 64)]) as arena:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            populate_synthetic(arena, **wrong)
        for pages in (-1, 65):
            with pytest.raises(ArenaFullError, match=f" {pages} pages asked for, 64 frames are free"):
                populate_synthetic(arena, pages_per_node=pages)
        assert [node["free"] for node in arena.nodes] == [64, 64]


@pytest.mark.parametrize("split", [0.25, "interleave", "halves"])
@pytest.mark.parametrize("layout", ["linux-5.0", "linux-6.18"])
def test_an_arena_of_the_packaged_snapshot_is_at_rest_and_says_what_linux_said(split, layout):
    snapshot = file_format.packaged()
    arena, population = arena_from_snapshot(snapshot, split=split, layout=layout, seed=5)
    with arena:
        check_at_rest(arena, population)
        folded = folios(snapshot)
        assert population.pages == int(snapshot.is_page().sum())
        words, linux = arena.flags[population.pfns], snapshot.flags[folded.row]
        names = {
            "REFERENCED": "referenced", "UPTODATE": "uptodate", "DIRTY": "dirty", "ACTIVE": "active", "LRU": "lru",
            "IDLE": "idle", "MLOCKED": "mlocked", "UNEVICTABLE": "unevictable", "SWAPBACKED": "swapbacked",
        }  # fmt: skip
        for theirs, ours in names.items():
            np.testing.assert_array_equal(
                (words & np.uint64(arena.layout.flag(ours).mask)) != 0, (linux & mask(theirs)) != 0, theirs
            )
        # who maps what, compared with the snapshot's own rows
        mapped = np.bincount(snapshot.map_frame, minlength=len(snapshot))[folded.row]
        made_up = (folded.kind == KINDS["anon"]) & (mapped == 0)
        entry = arena.entries[population.pfns]
        if population.counts["other_addresses"] == 0:
            np.testing.assert_array_equal(entry["mapcount"], mapped + made_up)
        known = folded.file >= 0
        np.testing.assert_array_equal(entry["index"][known].astype(np.int64), snapshot.index[folded.row[known]])
        number: dict[int, int] = {}
        for file, mapping in zip(folded.file[known].tolist(), entry["mapping"][known].tolist(), strict=True):
            assert number.setdefault(file, mapping) == mapping
        assert len(set(number.values())) == len(number)
        share = (1 << population.order.astype(int))[population.node == 0].sum() / population.pages
        assert abs(share - (0.25 if split == 0.25 else 0.5)) < 0.1


def test_sharing_after_a_fork_is_kept():
    snapshot = snapshot_of([ANON] * 4, [(0, 700, 0), (1, 700, 0), (2, 700, 0), (0, 701, 1), (1, 701, 2), (1, 9, 3)])
    arena, population = arena_from_snapshot(snapshot)
    with arena:
        check_at_rest(arena, population)
        assert arena.entries["mapcount"][population.pfns].tolist() == [3, 1, 1, 1]
        frames = [arena.translate(space, 700) for space in population.spaces]
        assert frames == [population.pfns[0]] * 3
        assert arena.translate(population.spaces[0], 701) != arena.translate(population.spaces[1], 701)


def test_an_anonymous_page_at_two_addresses_keeps_one_and_says_so():
    snapshot = snapshot_of([ANON], [(0, 700, 0), (1, 700, 0), (1, 800, 0)])
    arena, population = arena_from_snapshot(snapshot)
    with arena:
        check_at_rest(arena, population)
        assert arena.entries["mapcount"][population.pfns].tolist() == [2]
        assert population.counts["other_addresses"] == 1
        assert any("1 mappings of a page at a second address" in note for note in population.notes)


@pytest.mark.parametrize(
    ("name", "mappings", "orders"),
    [
        ("whole and aligned", [(0, 1024 + k, k) for k in range(8)], [3]),
        ("not at a multiple of its size", [(0, 1025 + k, k) for k in range(8)], [0] * 8),
        ("in part", [(0, 1024 + k, k) for k in range(5)], [0] * 8),
        ("whole by one, in part by another", [(s, 64 + k, k) for s in (0, 1) for k in range(8 - s)], [0] * 8),
        ("whole by two", [(s, 64 + k, k) for s in (0, 1) for k in range(8)], [3]),
        ("by no process", [], [3]),
    ],
)
def test_a_folio_stays_one_if_whoever_maps_it_maps_all_of_it(name, mappings, orders):
    snapshot = snapshot_of([ANON | HEAD] + [ANON | TAIL] * 7, mappings)
    arena, population = arena_from_snapshot(snapshot)
    with arena:
        check_at_rest(arena, population)
        assert population.order.tolist() == orders
        assert population.counts["split_folios"] == (len(orders) > 1)


@pytest.mark.parametrize(
    ("words", "files", "orders"),
    [
        ([CACHE | HEAD] + [CACHE | TAIL] * 3, {k: (0, 8 + k) for k in range(4)}, [2]),
        ([CACHE | HEAD] + [CACHE | TAIL] * 3, {k: (0, 9 + k) for k in range(4)}, [0] * 4),
        ([CACHE | HEAD] + [CACHE | TAIL] * 3, {k: (0, [8, 9, 11, 10][k]) for k in range(4)}, [0] * 4),
        ([CACHE | HEAD] + [CACHE | TAIL] * 3, {k: (k // 2, 8 + k) for k in range(4)}, [0] * 4),
        ([CACHE | HEAD] + [CACHE | TAIL] * 2, {}, [0] * 3),
        ([CACHE | TAIL] * 3, {}, [0] * 3),
        ([ANON | HEAD | mask("HUGE")] + [ANON | TAIL | mask("HUGE")] * 1023, {}, [9, 9]),
        ([CACHE | HEAD, CACHE | TAIL, CACHE | HEAD, CACHE | TAIL, CACHE], {}, [1, 1, 0]),
    ],
)
def test_a_folio_is_one_aligned_run_of_one_file_of_at_most_order_nine(words, files, orders):
    arena, population = arena_from_snapshot(snapshot_of(words, files=files, first=1024))
    with arena:
        check_at_rest(arena, population)
        assert population.order.tolist() == orders


def test_pages_of_unknown_files_lie_at_their_frame_numbers_with_their_neighbours_and_apart_from_shared_memory():
    arena, population = arena_from_snapshot(snapshot_of([CACHE, SHMEM, CACHE, SHMEM], first=4094))
    with arena:
        check_at_rest(arena, population)
        page = arena.entries[population.pfns]
        assert page["index"].tolist() == [4094, 4095, 4096, 4097]
        assert len(set(page["mapping"].tolist())) == 4  # two kinds, two stretches of 4096 frames
        assert (population.counts["made_up_places"], population.counts["changed_kinds"]) == (4, 0)
        assert population.kind.tolist() == [KINDS["file"], KINDS["shmem"]] * 2


@pytest.mark.parametrize(
    ("uses", "free"),
    [
        ({"free": 50, "pages": 1000}, 2),
        ({"free": 51, "pages": 1000}, 3),
        ({"free": 900, "pages": 1000}, 5),
        ({"free": 0, "pages": 1000}, 1),
        ({"free": 3, "pages": 0}, 5),
        ({"free": 3}, 5),
        (None, 5),
    ],
)
def test_as_large_a_share_is_free_as_on_the_machine_but_an_eighth_at_most(uses, free, monkeypatch):
    monkeypatch.setattr(
        "pagexchange.pages.replay.BATCH", 1
    )  # else the frames that a batch needs are more than the share
    facts = {"page_size": 4096} | ({"uses": uses} if uses else {})
    arena, population = arena_from_snapshot(snapshot_of([CACHE] * 80, facts=facts), split="interleave")
    with arena:
        assert [node["free"] for node in arena.nodes] == [free, free]
        assert population.node.tolist() == [0, 1] * 40


def test_as_many_tree_nodes_and_page_tables_are_counted_as_a_plan_needs():
    def plan(places, maps):
        file, index = (np.array(column, dtype=np.int64) for column in zip(*places, strict=True))
        space, vpn, folio = (np.array(column, dtype=np.int64) for column in zip(*maps, strict=True))
        none = np.zeros(len(file), np.uint8)
        return Plan(none, file, index, none.astype(np.uint64), none > 0, none, space, vpn, folio, space >= 0)

    files = [(0, 0), (0, 63), (0, 64), (1, 5), (-1, 0), (-1, 64 * 64)]
    planned = plan(files, [(0, 0, 4), (0, 63, 4), (0, 64, 5), (1, 64 * 64, 5)])
    # of each file and each space: its leaves, and as many levels above as the highest has
    base = np.zeros(6, np.uint8)
    assert (placement.xa_nodes(planned, base), placement.page_tables(planned, base)) == (3 + 2 + 2 + 2, 3)
    huge = plan([(-1, 0)], [(0, 512, 0), (1, 512, 0)])
    assert placement.page_tables(huge, np.array([9], np.uint8)) == 16
    assert placement.page_tables(huge, np.array([6], np.uint8)) == 2
    assert placement.page_tables(huge, np.array([3], np.uint8)) == 2


@pytest.mark.parametrize(("words", "kind"), [([CACHE, SHMEM, CACHE], "file"), ([SHMEM, SHMEM, CACHE], "shmem")])
def test_a_file_is_shared_memory_or_not_as_most_of_its_pages_say(words, kind):
    arena, population = arena_from_snapshot(snapshot_of(words, files={k: (0, k) for k in range(3)}))
    with arena:
        check_at_rest(arena, population)
        assert population.kind.tolist() == [KINDS[kind]] * 3
        assert population.counts["changed_kinds"] == 1


@pytest.mark.parametrize(("split", "nodes"), [("halves", [0, 0, 0, 1, 1, 1, 1, 1]), ("interleave", [0, 1] * 4)])
def test_the_lower_half_of_the_frames_or_every_other_folio_is_on_the_first_node(split, nodes):
    words = [CACHE] * 3 + [CACHE | HEAD] + [CACHE | TAIL] * 3 + [CACHE] * 4
    arena, population = arena_from_snapshot(snapshot_of(words, first=1021), split=split)
    with arena:
        assert population.order.tolist() == [0, 0, 0, 2, 0, 0, 0, 0]
        assert population.node.tolist() == nodes


def test_two_pages_that_claim_one_place_do_not_share_it():
    snapshot = snapshot_of([CACHE] * 3, files={0: (0, 5), 1: (0, 5), 2: (0, 6)})
    arena, population = arena_from_snapshot(snapshot)
    with arena:
        check_at_rest(arena, population)
        assert population.counts["clashes"] == 1


def test_flags_that_an_arena_cannot_hold_are_dropped_or_counted():
    words = [
        ANON | mask("LOCKED"), ANON | mask("SWAPCACHE", "OWNER_PRIVATE"), CACHE | mask("OWNER_PRIVATE", "PRIVATE"),
        CACHE | mask("WRITEBACK"), ANON | mask("HWPOISON"), CACHE | mask("LOCKED", "SOFTDIRTY"),
        CACHE | mask("PRIVATE_2"),
    ]  # fmt: skip
    arena, population = arena_from_snapshot(snapshot_of(words))
    with arena:
        check_at_rest(arena, population)
        have = [set(arena.layout.names(int(word))) for word in arena.flags[population.pfns]]
        assert have == [
            {"uptodate", "lru", "swapbacked"}, {"uptodate", "lru", "swapbacked"},
            {"uptodate", "lru", "referenced", "owner_priv_1", "private"},
            {"uptodate", "lru", "referenced", "writeback"}, {"uptodate", "lru", "swapbacked", "hwpoison"},
            {"uptodate", "lru", "referenced"}, {"uptodate", "lru", "referenced", "private_2"},
        ]  # fmt: skip
        counts = population.counts
        assert "1 pages are being written to a cache (private_2) and stay so" in population.notes
        assert (counts["dropped_locked"], counts["writeback"], counts["hwpoison"]) == (2, 1, 1)
        assert counts["dropped_swapcache"] == 1
        assert len(population.notes) == 4


@pytest.mark.parametrize("layout", ["linux-5.0", "linux-6.18"])
def test_each_page_of_an_anonymous_folio_keeps_its_own_mark_of_being_exclusive(layout):
    words = np.full(32, np.uint64(mask("UPTODATE", "LRU", "ANON", "MMAP", "SWAPBACKED", "COMPOUND_TAIL")))
    words[[0, 16]] ^= mask("COMPOUND_TAIL", "COMPOUND_HEAD")
    words[16:] ^= mask("ANON")
    own = np.array([0, 3, 7, 15, 16, 20])  # of both folios; those of a file have none in their tails
    words[own] |= mask("OWNER_2")
    none = np.zeros(32, np.uint32)
    recorded = Snapshot(
        pfn=np.arange(64, 96, dtype=np.uint64), flags=words, count=none, file=np.full(32, -1, np.int32),
        index=np.zeros(32, np.uint64), map_space=none[:0], map_vpn=np.zeros(0, np.uint64),
        map_frame=none[:0], map_bits=np.zeros(0, np.uint8),
    )  # fmt: skip
    arena, population = arena_from_snapshot(recorded, layout=layout, split=1.0)
    with arena:
        check_at_rest(arena, population)
        has = (arena.flags & np.uint64(arena.layout.word("anon_exclusive"))) != 0
        anonymous, file = population.pfns[np.argsort(population.kind)].tolist()
        assert np.flatnonzero(has[anonymous + 1 : anonymous + 16]).tolist() == [2, 6, 14]
        assert not has[file + 1 : file + 16].any()


def test_made_up_anonymous_folios_are_exclusive_as_a_whole_or_not_at_all():
    with Arena.create(nodes=[("fast", 500), ("slow", 500)]) as arena:
        population = populate_synthetic(arena, orders={0: 1, 3: 1}, flags="random", seed=3)
        has = (arena.flags & np.uint64(arena.layout.word("anon_exclusive"))) != 0
        seen = set()
        for pfn, order, kind in zip(population.pfns, population.order, population.kind, strict=True):
            if order:
                tails = has[pfn + 1 : pfn + (1 << order)]
                assert tails.all() == tails.any() == (bool(has[pfn]) and kind == KINDS["anon"])
                seen.add((bool(tails.all()), int(kind)))
        assert (True, KINDS["anon"]) in seen


def test_an_anonymous_page_that_linux_may_drop_stays_so():
    arena, population = arena_from_snapshot(snapshot_of([ANON & ~mask("SWAPBACKED"), ANON]))
    with arena:
        check_at_rest(arena, population)
        backed = (arena.flags[population.pfns] & np.uint64(arena.layout.flag("swapbacked").mask)) != 0
        assert backed.tolist() == [False, True]


def test_a_bit_that_meant_something_else_in_old_linux_is_taken_for_files_only():
    arena, population = arena_from_snapshot(
        snapshot_of([ANON | mask("OWNER_2"), CACHE | mask("OWNER_2")]), layout="linux-5.0"
    )
    with arena:
        bit = np.uint64(arena.layout.flag("mappedtodisk").mask)
        assert ((arena.flags[population.pfns] & bit) != 0).tolist() == [False, True]
        assert population.counts["dropped_owner_2"] == 1


@pytest.mark.parametrize("words", [[ANON], [ANON | HEAD, *[ANON | TAIL] * 3]], ids=["pages", "folios"])
def test_a_small_snapshot_leaves_frames_enough_for_a_batch_through_temporary_pages(words):
    arena, population = arena_from_snapshot(snapshot_of(words * 60), split="halves")
    with arena:
        left, right = population.pfns[:30], population.pfns[30:]
        result = arena.exchange(np.stack([left, right], axis=1), "copy-page")
        assert result.ok, result.messages()
        assert result.frames_got == 30 * len(words)


def test_contents_come_along():
    snapshot = snapshot_of([ANON | HEAD] + [ANON | TAIL] * 3 + [CACHE])
    snapshot.content = np.arange(5, dtype=np.uint8)[:, None] * np.ones(4096, dtype=np.uint8)
    snapshot.content_known = np.ones(5, dtype=bool)
    arena, population = arena_from_snapshot(snapshot)
    with arena:
        first, last = population.pfns
        expected = [*range(first, first + 4), last]
        assert (arena.frames[expected] & np.uint64(255)).max(axis=1).tolist() == [0, 1, 2, 3, 4]


def test_frames_of_linux_itself_are_left_out_and_a_snapshot_of_only_these_is_refused():
    snapshot = snapshot_of([CACHE, mask("SLAB"), mask("BUDDY"), mask("RESERVED"), mask("PGTABLE"), np.uint64(0)])
    arena, population = arena_from_snapshot(snapshot)
    with arena:
        assert len(population) == 1
    with pytest.raises(SnapshotError, match="no page"):
        arena_from_snapshot(snapshot.select(np.array([1, 2])))


def test_heat_comes_from_the_flags():
    snapshot = snapshot_of([CACHE | mask("ACTIVE"), CACHE, CACHE | mask("IDLE")])
    arena, population = arena_from_snapshot(snapshot)
    with arena:
        assert population.hot.tolist() == kpageflags.heat(snapshot.flags).tolist() == [7, 3, 2]


def test_heat_is_drawn_where_the_snapshot_does_not_know_it():
    arena, population = arena_from_snapshot(snapshot_of([CACHE] * 400), hot=0.25)
    with arena:
        assert set(population.hot.tolist()) == {0, 7}
        assert 60 < (population.hot == 7).sum() < 140
        assert population.counts["made_up_heat"] == 400


@pytest.mark.parametrize("split", ["both", -0.1, 1.1])
def test_an_unknown_split_is_refused(split):
    with pytest.raises(ValueError, match="split"):
        arena_from_snapshot(snapshot_of([CACHE]), split=split)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"free": -1}, "free -1: 0 or more"), ({"hot": -0.1}, "hot -0.1: a share"), ({"hot": 1.1}, "hot 1.1: a share")],
)
def test_a_number_that_cannot_be_is_refused_by_name(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        arena_from_snapshot(snapshot_of([CACHE]), **wrong)
    arena_from_snapshot(snapshot_of([CACHE]), free=0, hot=1)[0].close()


@pytest.mark.parametrize("split", [0.0, 1.0])
def test_a_node_without_pages_is_possible(split):
    arena, population = arena_from_snapshot(snapshot_of([CACHE, ANON]), split=split)
    with arena:
        check_at_rest(arena, population)


@pytest.mark.parametrize("place", [0, 5, 15])
def test_broken_memory_in_a_folio_is_in_its_frame_and_refuses_the_folio(place):
    words = np.full(32, np.uint64(mask("UPTODATE", "LRU", "ANON", "MMAP", "SWAPBACKED", "COMPOUND_TAIL")))
    words[[0, 16]] ^= mask("COMPOUND_TAIL", "COMPOUND_HEAD")
    words[place] |= mask("HWPOISON")
    none = np.zeros(32, np.uint32)
    recorded = Snapshot(
        pfn=np.arange(64, 96, dtype=np.uint64), flags=words, count=none + 1, file=np.full(32, -1, np.int32),
        index=np.zeros(32, np.uint64), map_space=none, map_vpn=np.arange(64, 96, dtype=np.uint64),
        map_frame=np.arange(32, dtype=np.uint32), map_bits=np.zeros(32, np.uint8),
    )  # fmt: skip
    arena, population = arena_from_snapshot(recorded, split="interleave")
    broken = arena.layout.flag("hwpoison").mask
    with arena:
        first, other = population.pfns.tolist()
        marked = np.flatnonzero(arena.flags & np.uint64(broken)).tolist()
        assert marked == sorted({first, first + place})
        assert population.counts["hwpoison"] == 1
        assert "with broken memory, and not exchanged, folios of any size: 1" in population.notes
        result = arena.exchange([[first, other]])
        assert result.status.tolist() == [-EHWPOISON]


def test_pages_of_a_folio_that_is_split_have_its_state():
    words = np.full(16, np.uint64(mask("ANON", "MMAP", "COMPOUND_TAIL", "THP")))
    words[0] = mask("UPTODATE", "LRU", "DIRTY", "ACTIVE", "ANON", "MMAP", "SWAPBACKED", "COMPOUND_HEAD", "THP")
    words = kpageflags.with_heads(words)
    none = np.zeros(8, np.uint32)
    recorded = Snapshot(  # the first half is mapped, so it becomes base pages
        pfn=np.arange(64, 80, dtype=np.uint64), flags=words, count=np.ones(16, np.uint32),
        file=np.full(16, -1, np.int32), index=np.zeros(16, np.uint64), map_space=none,
        map_vpn=np.arange(64, 72, dtype=np.uint64), map_frame=np.arange(8, dtype=np.uint32),
        map_bits=np.zeros(8, np.uint8),
    )  # fmt: skip
    arena, population = arena_from_snapshot(recorded, split="interleave")
    with arena:
        state = np.uint64(arena.layout.word("uptodate", "lru", "dirty", "active", "swapbacked"))
        assert len(population) == 16
        assert ((arena.flags[population.pfns] & state) == state).all()
