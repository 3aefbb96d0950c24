"""Arena.tier: pages end where a plain model puts them, heat follows them, and answers of pairings are checked."""

from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pagexchange
from pagexchange.errors import ConfigError, PluginContractError, PluginError
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange_native.tier.step import TierStep
from tests.core.tier_model import TierModel

FAST, SLOW = 12, 20


@pytest.fixture
def arena():
    with pagexchange.Arena.create(nodes=[("fast", FAST), ("slow", SLOW)]) as arena:
        yield arena


def fill(arena, fast=FAST, slow=SLOW):
    """Fill frames with pages of a mapping, index by index; return the mapping."""
    mapping = arena.new_mapping()
    pfns = np.concatenate([arena.alloc("fast", fast), arena.alloc("slow", slow)])
    arena.cache_add(mapping, np.arange(len(pfns)), np.sort(pfns))
    return mapping


@contextmanager
def held(arena, *pfns):
    """Pin pages, so that exchanges of them are refused."""
    for pfn in pfns:
        arena.pin(pfn)
    yield
    for pfn in pfns:
        arena.unpin(pfn)


def stamp(arena, pfns):
    """Give each page its own bytes; return them by frame."""
    arena.frames[pfns, 0] = np.asarray(pfns) + 1000
    return {int(pfn): int(pfn) + 1000 for pfn in pfns}


pages = st.integers(0, FAST + SLOW - 6)  # some frames stay free
streams = st.lists(st.lists(pages, max_size=30), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(streams, st.integers(1, 8), st.sampled_from([1.0, 2.0, 4.0]), st.integers(0, 3), st.data())
def test_pages_end_where_a_plain_model_puts_them(stream, batch, hysteresis, rest, data):
    page_size = data.draw(st.sampled_from([1024, 4096]))
    with pagexchange.Arena.create(nodes=[("fast", FAST), ("slow", SLOW)], page_size=page_size) as arena:
        mapping = fill(arena, FAST - 2, SLOW - 3)
        places = arena.cache_load(mapping, np.arange(FAST + SLOW - 5))
        options = {"batch": batch, "hysteresis": hysteresis, "rest": rest}
        tier = arena.tier(pairing={"plugin": "hottest-coldest", **options}, half_life=1.0)
        model = TierModel(places.tolist(), FAST, **options)
        for accesses in stream:
            frames = arena.cache_load(mapping, np.array(accesses, np.int64))
            assert tier.touch(frames) == model.touch(accesses)
            pinned = data.draw(st.lists(st.sampled_from([page.place for page in model.pages]), max_size=3, unique=True))
            with held(arena, *pinned):
                step = tier.step()
            traded = model.step(pinned)
            assert step.done == len(traded)
            assert {tuple(move) for move in step.moves.tolist()} == {
                move for a, b in traded for move in ((a, b), (b, a))
            }
            now = arena.cache_load(mapping, np.arange(len(places)))
            assert now.tolist() == [page.place for page in model.pages]
            heat = tier.heat
            assert heat[now].tolist() == [page.heat for page in model.pages]
            assert heat.sum() == heat[now].sum()


def test_a_step_counts_what_it_has_done(arena):
    fill(arena)
    contents = stamp(arena, np.arange(FAST + SLOW))
    tier = arena.tier(pairing={"plugin": "hottest-coldest", "batch": 3})
    assert tier.touch([20, 20, 20, 13, 13, 30, 2, 2]) == 2
    assert tier.touch(np.array([3], np.uint32), writes=[True]) == 1
    with held(arena, 30):
        step = tier.step()
    assert (step.asked, step.done, step.refused, step.left, step.stalls) == (3, 2, 1, 0, 0)
    assert step.moves.tolist() == [[20, 0], [13, 1], [0, 20], [1, 13]]
    assert (step.promoted, step.demoted, step.bytes, step.back_and_forth) == (2, 2, 4 * 4096, 0)
    assert min(step.choose_ns, step.move_ns, step.cpu_ns) > 0
    for old, new in step.moves.tolist():
        assert arena.frames[new, 0] == contents[old]
    assert tier.heat[[0, 1, 30, 20, 13]] == pytest.approx(np.array([3, 2, 1, 0, 0]) * 2 ** (-1 / 8), rel=1e-6)
    counts = tier.counts
    assert (counts["steps"], counts["accesses"], counts["hits"], counts["writes"]) == (1, 9, 3, 1)
    assert (counts["done"], counts["promoted"], counts["bytes"]) == (2, 2, 4 * 4096)


def test_a_write_counts_as_often_as_it_weighs(arena):
    fill(arena)
    tier = arena.tier(write_weight=3.0)
    tier.touch([14, 15, 15], writes=np.array([True, False, False]))
    assert tier.heat[[14, 15]].tolist() == [3.0, 2.0]


def test_pages_that_move_again_soon_are_counted_as_back_and_forth(arena):
    fill(arena)
    tier = arena.tier(pairing=lambda view: np.array([[20, 3]]), half_life=2.0)
    assert [tier.step().back_and_forth for _ in range(3)] == [0, 2, 2]
    tier = arena.tier(pairing=lambda view: np.array([[20, 3]])[: view.step % 4 == 1], half_life=2.0)
    assert [tier.step().back_and_forth for _ in range(5)] == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("bad", [[0, FAST + SLOW], [-1], [1 << 40], np.array([1 << 63], np.uint64)])
def test_of_a_bad_frame_number_nothing_is_counted(arena, bad):
    tier = arena.tier()
    with pytest.raises(IndexError, match="nothing was counted"):
        tier.touch(bad)
    assert not tier.heat.any()
    assert tier.counts["accesses"] == 0


def test_accesses_are_integers_and_writes_as_many_bools(arena):
    tier = arena.tier()
    with pytest.raises(TypeError, match="want integers"):
        tier.touch([1.5])
    for writes in ([True], [1, 0]):
        with pytest.raises(ValueError, match=r"want bool\[2\]"):
            tier.touch([1, 2], writes=writes)
    assert tier.touch([]) == 0
    assert not tier.heat.any()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([[20, 3]], "int64"),
        (np.array([20, 3]), "int64"),
        (np.array([[20.0, 3.0]]), "int64"),
        (np.array([[3, 20]]), "blocks 12 to 31 of the slow node in column 0, not 3"),
        (np.array([[20, 12]]), "blocks 0 to 11 of the fast node in column 1, not 12"),
        (np.array([[20, 3], [21, 3]]), "block 3 twice"),
        (np.array([[20, 3], [20, 4]]), "block 20 twice"),
        (np.array([[20, 3], [21, 4], [22, 5]]), "2 pairs at most, not 3"),
        (None, "int64"),
    ],
)
def test_what_a_pairing_answers_is_checked_before_anything_moves(arena, answer, words):
    mapping = fill(arena)
    tier = arena.tier(pairing=lambda view: answer)
    with pytest.raises(PluginContractError, match=words):
        tier.step(pairs=2)
    assert arena.cache_load(mapping, np.arange(FAST + SLOW)).tolist() == list(range(FAST + SLOW))
    assert tier.counts["steps"] == 0


def test_a_pairing_that_raises_is_named(arena):
    fill(arena)

    def clever(view):
        raise KeyError("no such page")

    with pytest.raises(PluginError, match=r"'clever'.*KeyError"):
        arena.tier(pairing=clever).step()


def test_a_pairing_cannot_change_what_it_sees(arena):
    fill(arena)

    def vandal(view):
        for values in (view.heat, view.moved, view.order):
            with pytest.raises(ValueError, match="read-only"):
                values[0] = 1
        return np.zeros((0, 2), np.int64)

    assert arena.tier(pairing=vandal).step().asked == 0


def test_the_view_says_what_lies_where(arena):
    mapping = fill(arena)
    free = [arena.cache_remove(mapping, index) for index in range(8, 12)]
    seen = []

    def look(view):
        seen.append(view)
        return np.array([[14, 0]])[: view.step == 2]

    tier = arena.tier(pairing=look)
    tier.touch([14, 14])
    tier.step(now=10.0)
    tier.step(now=10.5, pairs=5)
    tier.step(now=11.0)
    assert [(view.step, view.limit, view.seconds) for view in seen] == [(1, 12, 0.0), (2, 5, 0.5), (3, 12, 0.5)]
    last = seen[-1]
    assert (last.fast, last.slow, last.free_fast, last.block_bytes) == (range(12), range(12, 32), 4, 4096)
    assert np.flatnonzero(last.order == -1).tolist() == free
    assert np.flatnonzero(last.moved).tolist() == [0, 14]
    assert last.heat.dtype == np.float32
    assert last.moved.dtype == np.uint32
    assert last.order.dtype == np.int8
    assert last.ns_per_pair > 0


def test_blocks_of_several_frames_move_together_or_not_at_all(arena):
    mapping = fill(arena)
    tier = arena.tier(run=4, pairing=lambda view: np.array([[3, 0], [5, 2]]))
    assert tier.touch([13, 14, 15, 20]) == 0
    assert tier.heat[12:16].tolist() == [3.0] * 4
    with held(arena, 22):
        step = tier.step()
    assert (step.asked, step.done, step.refused, step.promoted) == (2, 1, 1, 4)
    assert step.moves.tolist() == [[12 + i, i] for i in range(4)] + [[i, 12 + i] for i in range(4)]
    where = arena.cache_load(mapping, np.arange(FAST + SLOW))
    assert where.tolist() == [12, 13, 14, 15, *range(4, 12), 0, 1, 2, 3, *range(16, 32)]
    assert step.bytes == 8 * 4096


def test_a_tier_says_what_is_wrong_with_its_arguments(arena):
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"fast": "quick"}, "'quick': no such node; the arena has fast, slow"),
        ({"fast": "slow"}, "fast and slow are one node"),
        ({"run": 5}, "run 5: node 'slow' starts at frame 12"),
        ({"run": 0}, "run 0"),
        ({"half_life": 0}, "half_life 0: want steps above 0"),
        ({"write_weight": -1.0}, "write_weight -1.0"),
    ]
    for arguments, words in wrong:
        with pytest.raises(ValueError, match=words):
            arena.tier(**arguments)
    with pytest.raises(TypeError, match="pairing: want the name of a plug-in"):
        arena.tier(pairing=7)
    with pytest.raises(PluginError, match="is named under 'pairing', but does not answer pair_pages"):
        arena.tier(pairing="word-swap")
    with pytest.raises(ValueError, match="pairs -1"):
        arena.tier().step(pairs=-1)


def test_pairs_that_the_time_does_not_reach_are_left(arena):
    fill(arena)
    tier = arena.tier(pairing=lambda view: np.stack([np.arange(12, 24), np.arange(12)], axis=1))
    step = tier.step(max_us=1e-3)
    assert step.asked == 12
    assert step.done >= 1
    assert step.left == 12 - step.done
    rested = tier.step(max_us=1e6)
    assert rested.done == 12


def test_a_strategy_may_name_its_pairing(arena, tmp_path):
    (tmp_path / "strategies.toml").write_text(
        "schema = 1\n[strategy.own]\nflags = 'masked-word'\ndata = 'word-swap'\nmapping = 'xarray'\n"
        "pairing = { plugin = 'hottest-coldest', batch = 1 }\n"
    )
    fill(arena)
    tier = arena.tier(strategy=pagexchange.strategy("own", arena, file=tmp_path / "strategies.toml"))
    tier.touch([14, 15])
    assert tier.step().asked == 1


def test_what_is_blocked_for_a_strategy_is_blocked_for_its_tier(arena):
    host = PagexchangeHost(["quota"])
    built = host.build(read.load().strategy("list-exchange"), arena)
    assert arena.tier(strategy=built).pairing.plugin == "hottest-coldest"
    with pytest.raises(PluginError, match="no plug-in answers pair_pages: quota is blocked"):
        arena.tier(strategy=built, pairing="quota")


def test_a_tier_keeps_ten_bytes_for_a_frame_at_most():
    with pagexchange.Arena.create(nodes=[("fast", 1000), ("slow", 31000)]) as arena:
        tier = arena.tier()
        assert 0 < tier.nbytes <= 10 * arena.nframes


def test_a_block_that_was_empty_is_known_again_once_it_is_touched(arena):
    mapping = fill(arena)
    gone = arena.cache_remove(mapping, 30)
    tier = arena.tier(pairing={"plugin": "hottest-coldest", "rest": 0})
    assert tier.step().asked == 0
    arena.cache_add(mapping, [30], arena.alloc("slow", 1))
    tier.touch([gone, gone])
    assert tier.step().moves.tolist() == [[gone, 0], [0, gone]]


def test_a_page_that_is_gone_is_refused_once_and_not_asked_for_again(arena):
    mapping = fill(arena)
    tier = arena.tier(pairing={"plugin": "hottest-coldest", "rest": 0, "batch": 1})
    tier.touch([20, 20])
    gone = arena.cache_remove(mapping, 20)
    assert gone == 20
    assert tier.step().refused == 1
    assert tier.step().asked == 0


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(1, 1000)), min_size=1, max_size=60), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_the_best_are_found_whatever_the_last_search_has_found(accesses, batch):
    """Bounds and hints of earlier steps say how long a search takes, never what it finds."""
    with pagexchange.Arena.create(nodes=[("fast", FAST), ("slow", SLOW)]) as arena:
        fill(arena)
        tier = arena.tier(pairing={"plugin": "hottest-coldest", "batch": batch, "rest": 0}, half_life=1.0)
        for count in range(0, len(accesses), 7):
            for frame, times in accesses[count : count + 7]:
                tier.touch(np.full(times, frame))
            fresh = arena.tier(pairing={"plugin": "hottest-coldest", "batch": batch, "rest": 0}, half_life=1.0)
            for frame, heat in enumerate(np.round(tier.heat * 1024).astype(np.int64)):
                fresh.touch(np.full(heat, frame))
            wanted = fresh.pairing.object(fresh._heat.view())
            assert tier.pairing.object(tier._heat.view()).tolist() == wanted.tolist()
            tier.step()


@settings(max_examples=60, deadline=None)
@given(streams, st.integers(1, 8), st.integers(0, 3), st.integers(0, 3))
def test_migrations_end_on_the_nodes_where_a_plain_model_puts_them(stream, batch, rest, low):
    nodes = [("fast", FAST), ("slow", SLOW)]
    with pagexchange.Arena.create(nodes=nodes, watermarks=(0, low, low)) as arena:
        mapping = fill(arena, FAST - 2, SLOW - 3)
        indexes = np.arange(FAST + SLOW - 5)
        options = {"batch": batch, "hysteresis": 1.0, "rest": rest}
        tier = arena.tier(strategy="migrate", pairing={"plugin": "hottest-coldest", **options}, half_life=1.0)
        model = TierModel(arena.cache_load(mapping, indexes).tolist(), FAST, **options)
        for accesses in stream:
            tier.touch(arena.cache_load(mapping, np.array(accesses, np.int64)))
            model.touch(accesses)
            free = [FAST - sum(page.place < FAST for page in model.pages)]
            free.append(FAST + SLOW - len(model.pages) - free[0])
            went = model.migrate(free[0], free[1], low)
            step = tier.step()
            assert (step.promoted, step.demoted, step.stalls) == went
            now = arena.cache_load(mapping, indexes)
            assert [bool(place < FAST) for place in now] == [page.place < FAST for page in model.pages]
            for page, place in zip(model.pages, now.tolist(), strict=True):
                page.place = place  # which of the free frames it got is the allocator's choice
            assert tier.heat[now].tolist() == [page.heat for page in model.pages]


def test_a_promotion_without_a_free_frame_is_a_stall(arena):
    fill(arena)
    tier = arena.tier(strategy="migrate")
    tier.touch([20, 20])
    step = tier.step()
    assert (step.asked, step.done, step.refused, step.stalls, step.promoted, step.demoted) == (1, 0, 1, 1, 0, 0)


def test_blocks_of_several_frames_are_not_migrated(arena):
    with pytest.raises(ValueError, match="run 4: strategy 'migrate' migrates"):
        arena.tier(strategy="migrate", run=4)


def test_a_step_of_migrations_stops_when_its_time_is_over():
    with pagexchange.Arena.create(nodes=[("fast", 512), ("slow", 1024)]) as arena:
        fill(arena, 500, 900)
        tier = arena.tier(strategy="migrate")
        tier.touch(np.arange(512, 1024))
        step = tier.step(max_us=1e-3, pairs=200)
        assert step.asked == 200
        assert step.done == 64
        assert step.left == 136


def quota(arena, **options):
    """A tier whose pairing is `quota`, after a first step that begins its time."""
    tier = arena.tier(pairing={"plugin": "quota", **options}, half_life=1e9)
    tier.step(now=0.0)
    return tier


def test_a_quota_of_bytes_holds_from_second_to_second(arena):
    fill(arena)
    tier = quota(arena, bytes_per_second=6.0 * 4096)
    tier.touch(np.arange(12, 32))
    assert [tier.step(now=float(second)).asked for second in (1, 2)] == [3, 3]
    assert tier.step(now=2.0).asked == 0
    halves = [tier.step(now=2.0 + part / 6).asked for part in range(1, 7)]
    assert (sum(halves), max(halves)) == (3, 1)


def test_a_quota_of_time_counts_what_a_pair_has_taken(arena):
    fill(arena)
    tier = quota(arena, bytes_per_second=0.0, ms_per_second=1.0, batch=2)
    tier.touch(np.arange(12, 32))
    view = tier._heat.view(12, 1e-3)
    assert len(tier.pairing.object(view)) == 2
    tier._heat.end(TierStep(done=1), choose_ns=0, move_ns=1000, cpu_ns=0)
    took = tier._heat.view(12, 1.0).ns_per_pair
    view = tier._heat.view(12, 1.0 + 1.0001e-6 * took)  # of a millisecond in a second as much as a pair takes
    assert len(tier.pairing.object(view)) == 1


def test_a_quota_takes_the_hot_and_leaves_the_hot_of_the_fast_node(arena):
    fill(arena)
    tier = quota(arena, bytes_per_second=0.0, hot=2.0)
    tier.touch([20, 20, 21, 22, 22, 22, *[0] * 5, *[1] * 5, 2])
    step = tier.step(now=1.0)
    pairs = step.moves[: step.done].tolist()
    assert sorted(a for a, _ in pairs) == [20, 22]
    assert not {b for _, b in pairs} & {0, 1}


def test_a_quota_prefers_what_is_hotter_and_then_what_is_longer_there(arena):
    fill(arena)
    tier = quota(arena, bytes_per_second=2.0 * 4096, by_age=0.0)
    tier.touch([20] * 4 + [25] * 9 + [30] * 2)
    assert tier.step(now=1.0).moves[0].tolist()[0] == 25
    tier = arena.tier(
        pairing={"plugin": "quota", "bytes_per_second": 2.0 * 4096, "by_heat": 0.0, "by_age": 1.0}, half_life=1e9
    )
    for number in range(6):
        tier.step(now=0.0)
        if number == 4:
            tier._heat.refused(np.array([12, 13]))
    tier.touch([12, 13, 14])
    assert tier.step(now=1.0).moves[0].tolist()[0] == 14


def test_a_quota_wants_a_weight(arena):
    with pytest.raises(ConfigError, match="by_heat and by_age are both 0"):
        arena.tier(pairing={"plugin": "quota", "by_heat": 0.0, "by_age": 0.0})
