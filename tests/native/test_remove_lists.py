"""Pages leave a mapping or a space by the list: as one by one; what cannot leave is named, those before it are out."""

import numpy as np
import pytest

import pagexchange
from pagexchange.oracle import check
from pagexchange_native.errors import ArenaError
from pagexchange_native.pages import cache, space

N = 50


@pytest.fixture
def arena():
    with pagexchange.Arena.create(nodes={"fast": "1 MiB", "slow": "1 MiB"}) as arena:
        yield arena


@pytest.fixture(params=["mapping", "space"])
def placed(request, arena):
    """A function that removes lists, one that looks pages up, and the frames at places 0 to N - 1."""
    pfns = arena.alloc("fast", N)
    if request.param == "mapping":
        number = arena.new_mapping("x")
        arena.cache_add(number, range(N), pfns)
        return (lambda at: cache.remove_all(arena, number, at)), (lambda at: arena.cache_load(number, at)), pfns
    number = arena.new_space("x")
    arena.map(number, range(N), pfns)
    return (lambda at: space.unmap_all(arena, number, at)), (lambda at: arena.translate(number, at)), pfns


def test_a_list_leaves_and_its_frames_are_free(arena, placed) -> None:
    remove, look, pfns = placed
    free = arena.nodes[0]["free"]
    places = np.arange(N)[::-1].copy()
    assert remove(places[:30]).tolist() == pfns[places[:30]].tolist()
    assert (look(np.arange(N)) == np.where(np.arange(N) < 20, pfns, -1)).all()
    assert arena.nodes[0]["free"] == free + 30
    assert remove(places[:0]).tolist() == []
    assert check(arena) == []


@pytest.mark.parametrize(("place", "error"), [(N, ArenaError), (-1, ValueError), (1 << 60, ValueError)])
def test_a_place_without_a_page_is_named_and_the_pages_before_it_are_out(arena, placed, place, error) -> None:
    remove, look, _ = placed
    with pytest.raises(error, match=str(place)):
        remove(np.array([3, 4, place, 5], np.int64))
    assert look(3) == look(4) == -1
    assert look(5) != -1
    assert check(arena) == []


def test_a_pinned_page_stays(arena, placed) -> None:
    remove, look, pfns = placed
    arena.pin(pfns[7])
    with pytest.raises(ArenaError, match="pinned"):
        remove(np.array([6, 7, 8], np.int64))
    assert look(6) == -1
    assert look(7) == pfns[7]
    arena.unpin(pfns[7])


@pytest.mark.parametrize("wrong", [[1, 2], np.array([1, 2], np.int32), np.zeros((2, 2), np.int64)])
def test_only_a_list_of_int64_is_taken(arena, placed, wrong) -> None:
    remove, _, _ = placed
    with pytest.raises((TypeError, ValueError)):
        remove(wrong)
