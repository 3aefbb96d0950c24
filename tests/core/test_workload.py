"""The list to exchange: hot slow pages for cold fast ones, one frame once per round, as many as asked for."""

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.pages import populate_synthetic
from pagexchange.pages.choose import choose, leave_free
from pagexchange.pages.placement import Population


@pytest.fixture
def filled():
    with Arena.create(nodes=[("fast", 3000), ("slow", 3000)]) as arena:
        yield arena, populate_synthetic(arena, seed=1, orders={0: 0.95, 3: 0.05})


def columns(population):
    """node, order and heat by frame."""
    at = {int(pfn): k for k, pfn in enumerate(population.pfns)}
    return lambda pfns, name: getattr(population, name)[[at[int(pfn)] for pfn in pfns]]


def test_pairs_are_hot_slow_pages_against_cold_fast_ones_of_the_same_order(filled):
    arena, population = filled
    (pairs,) = choose(arena, population)
    of = columns(population)
    assert pairs.dtype == np.int64
    assert len(pairs) > 100
    assert len(np.unique(pairs)) == pairs.size
    assert set(of(pairs[:, 0], "node")) == {1}
    assert set(of(pairs[:, 1], "node")) == {0}
    np.testing.assert_array_equal(of(pairs[:, 0], "order"), of(pairs[:, 1], "order"))
    assert (of(pairs[:, 0], "hot") > of(pairs[:, 1], "hot")).all()
    assert set(of(pairs[:, 0], "order")) == {0, 3}


def test_the_greatest_gains_come_first_when_few_are_asked_for(filled):
    arena, population = filled
    of = columns(population)

    def gains(pairs):
        return np.sort(of(pairs[:, 0], "hot").astype(int) - of(pairs[:, 1], "hot"))[::-1]

    (best,) = choose(arena, population)
    for many in (20, 300):
        (pairs,) = choose(arena, population, many)
        np.testing.assert_array_equal(gains(pairs), gains(best)[:many])


@pytest.mark.parametrize("many", [0, 1, 5000, 12_345])
def test_any_number_of_pairs_in_rounds_without_a_frame_twice(filled, many):
    arena, population = filled
    rounds = choose(arena, population, many)
    assert sum(map(len, rounds)) == many
    of = columns(population)
    for pairs in rounds:
        assert len(np.unique(pairs)) == pairs.size
        np.testing.assert_array_equal(of(pairs[:, 0], "order"), of(pairs[:, 1], "order"))
        assert set(of(pairs[:, 0], "node")) == {1}


def test_orderings(filled):
    arena, population = filled
    lists = {name: choose(arena, population, 500, ordering=name)[0] for name in ("random", "sorted", "adjacent")}
    assert (np.diff(lists["sorted"][:, 0]) > 0).all()
    assert not (np.diff(lists["random"][:, 0]) > 0).all()
    base = columns(population)(lists["adjacent"][:, 0], "order") == 0
    assert (np.diff(lists["adjacent"][base], axis=0) > 0).all()
    for pairs in lists.values():
        of = columns(population)
        np.testing.assert_array_equal(of(pairs[:, 0], "order"), of(pairs[:, 1], "order"))
    assert {tuple(p) for p in lists["sorted"]} == {tuple(p) for p in lists["random"]}


def test_the_seed_decides(filled):
    arena, population = filled
    np.testing.assert_array_equal(choose(arena, population, 99, seed=4)[0], choose(arena, population, 99, seed=4)[0])
    assert not np.array_equal(choose(arena, population, 99, seed=4)[0], choose(arena, population, 99, seed=5)[0])


def test_one_order_only(filled):
    arena, population = filled
    (pairs,) = choose(arena, population, 30, order=3)
    assert set(columns(population)(pairs.ravel(), "order")) == {3}
    assert choose(arena, population, 30, order=7) == []


def test_nodes_by_name_and_in_either_direction(filled):
    arena, population = filled
    (pairs,) = choose(arena, population, 10, fast="slow", slow="fast")
    assert set(columns(population)(pairs[:, 0], "node")) == {0}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"pairs": -1}, ValueError),
        ({"ordering": "best"}, ValueError),
        ({"fast": "quick"}, LookupError),
        ({"fast": 1}, ValueError),
    ],
)
def test_what_cannot_be_chosen_is_refused(filled, wrong, error):
    with pytest.raises(error):
        choose(*filled, **wrong)


def test_nothing_to_choose_from_is_no_list(filled):
    none = np.zeros(0, np.uint8)
    assert choose(filled[0], Population(none.astype(np.int64), none, none, none, none), 5) == []


def test_fewer_than_no_free_frame_cannot_be_left(filled):
    arena, _ = filled
    before = [node["free"] for node in arena.nodes]
    with pytest.raises(ValueError, match="-1 free frames: 0 or more"):
        leave_free(arena, -1)
    assert [node["free"] for node in arena.nodes] == before


@pytest.mark.parametrize("n", [0, 1, 100, 10_000])
def test_leave_free_leaves_so_many_and_gives_back(filled, n):
    arena, _ = filled
    before = [node["free"] for node in arena.nodes]
    taken = leave_free(arena, n)
    assert [node["free"] for node in arena.nodes] == [min(n, free) for free in before]
    arena.free(taken)
    assert [node["free"] for node in arena.nodes] == before
