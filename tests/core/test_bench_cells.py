"""Every peer exchanges what it says, and one that does not is caught; a strategy's cell says what the oracle said."""

import numpy as np
import pytest

import pagexchange
from pagexchange.bench.catalogue import OTHERS
from pagexchange.bench.loops import LOOPS
from pagexchange.bench.migrate import MigratingCell
from pagexchange.bench.python_peers import CalledCell
from pagexchange.bench.scenes import Scene, Setting, Stage
from pagexchange.bench.strategies import StrategyCell
from pagexchange.bench.turn import WrongError
from pagexchange.host import read
from pagexchange.model.config import Population, Sorting
from pagexchange.oracle import check

CONFIG = read.load(only=[])


def scene_of(order: int = 0, pages: Population = "half", **kwargs) -> Scene:
    return Scene(Setting(pages, 1 << 20, order, "base"), 1, flags=True, **kwargs)


def lists_of(scene: Stage, batch: int, calls: int, sorting: Sorting = "random"):
    return scene.lists(batch, calls, sorting, np.random.default_rng(5))


def made(name: str, order: int = 0, threads: int = 1):
    """A peer, and the pages that it works on."""
    try:
        stage = OTHERS[name].stage(Setting("half", 1 << 20, order, "base"), 1, CONFIG)
        return stage, OTHERS[name].make(stage, threads)
    except LookupError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("order", [0, 4])
@pytest.mark.parametrize("name", OTHERS)
def test_a_peer_exchanges_contents_and_counts_what_it_did(name: str, order: int) -> None:
    scene, cell = made(name, order)
    (first,) = lists_of(scene, 5, 1)
    cell.check(first)
    lists = lists_of(scene, 5, 7)
    turn = cell.turn(lists)
    assert (turn.pairs, turn.exchanged) == (35, 35)
    assert turn.wall_ns > 0
    assert turn.cpu_ns > 0
    assert len(turn.call_ns) in (0, turn.calls)
    cell.check(first)  # after a turn, too
    if isinstance(scene, Scene):
        assert check(scene.arena) == []


@pytest.mark.parametrize("pages", ["anon", "file", "half"])
@pytest.mark.parametrize("order", [0, 4])
def test_a_migrating_strategy_leaves_each_page_in_its_place_on_the_other_node_with_its_flags(pages, order) -> None:
    scene = scene_of(order, pages)
    arena = scene.arena
    entries = arena.entries
    heads = np.concatenate(scene.sides)

    def described(pfns):
        return {
            (int(e["mapping"]), int(e["index"])): (int(pfn) < arena.nframes // 2, arena.frame(int(pfn)).flags)
            for pfn, e in zip(pfns, entries[pfns], strict=True)
        }

    before = described(heads)
    cell = MigratingCell(scene, pagexchange.strategy("migrate", arena), 1)
    (pairs,) = lists_of(scene, len(scene.sides[0]), 1)
    found = cell.check(pairs)
    assert (found["verdict"], found["frames"]) == ("exact", 2 * len(pairs) << order)
    used = np.flatnonzero((entries["state"] == 2) & (entries["mapping"] != 0))
    after = described(used)
    assert after.keys() == before.keys()
    for place, (fast, flags) in before.items():
        assert after[place] == (not fast, flags)
    turn = cell.turn(lists_of(scene, 3, 20))  # pages are followed to where they are
    assert (turn.calls, turn.pairs, turn.exchanged, len(turn.call_ns)) == (20, 60, 60, 20)
    assert sum(turn.call_ns) == turn.wall_ns > sum(turn.parts.values()) > 0
    assert cell.check(pairs)["verdict"] == "exact"
    assert sum(node["free"] for node in arena.nodes) == 2 * 512


@pytest.mark.parametrize("name", [name for name, loop in LOOPS.items() if loop.exchanges])
def test_a_loop_that_exchanges_does_so_with_two_threads(name: str) -> None:
    scene, cell = made(name, threads=2)
    turn = cell.turn(lists_of(scene, 6, 4))
    assert len(turn.threads) == 2
    assert turn.pairs == 24


def test_a_peer_that_moves_nothing_or_half_is_caught() -> None:
    scene = scene_of()
    (pairs,) = lists_of(scene, 8, 1)
    with pytest.raises(WrongError, match="pages are not where they belong"):
        CalledCell(scene, lambda pairs: None).check(pairs)

    def half(pairs):
        frames = scene.arena.frames
        a, b = pairs.T
        frames[a, :256], frames[b, :256] = frames[b, :256], frames[a, :256]

    with pytest.raises(WrongError, match="pages are not where they belong"):
        CalledCell(scene, half).check(pairs)


@pytest.mark.parametrize(
    ("name", "verdict"), [("list-exchange", "exact"), ("whole-word", "refused"), ("rfc-2019", "loses")]
)
def test_a_strategys_cell_says_what_the_oracle_found(name: str, verdict: str) -> None:
    scene = scene_of()
    cell = StrategyCell(scene, pagexchange.strategy(name, scene.arena), 1)
    found = cell.check(lists_of(scene, 128, 1)[0])
    assert found["verdict"] == verdict
    assert bool(found["lost"]) is (verdict == "loses")
    assert bool(found["refused"]) is (verdict == "refused")
    turn = cell.turn(lists_of(scene, 10, 3))
    assert (turn.calls, turn.pairs, turn.exchanged) == (3, 30, 0 if verdict == "refused" else 30)
    assert len(turn.call_ns) == 3
    assert sum(turn.call_ns) == turn.wall_ns
    assert sum(turn.parts.values()) > 0


def test_lists_have_each_folio_once_before_one_comes_again_and_follow_from_the_seed() -> None:
    scene = scene_of()
    lists = lists_of(scene, 32, 8)
    for half in (lists[:4], lists[4:]):
        for side in (0, 1):
            assert sorted(np.concatenate(half)[:, side]) == sorted(scene.sides[side])
    assert all((one == other).all() for one, other in zip(lists, lists_of(scene, 32, 8), strict=True))
    ascending = lists_of(scene, 32, 8, "sorted")
    assert all((np.diff(pairs, axis=0) > 0).all() for pairs in ascending)
    assert [len(pairs) for pairs in lists_of(scene, 48, 5)] == [48] * 5
