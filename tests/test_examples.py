"""The examples in Python answer as the built-in plug-ins do; what is compiled is tried by the strangers' tests."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.model.layout import Layout
from pagexchange.pages import fill
from pagexchange_native.plugin import NativeObject
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    file = EXAMPLES / name / f"{name.replace('-', '_')}.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("layout", ["linux-6.18", "linux-5.0"])
def test_the_policy_exchanges_what_the_layout_lets_move(layout: str) -> None:
    arena = SimpleNamespace(layout=Layout.load(layout))
    a, b = np.random.default_rng(1).integers(0, 1 << 64, (2, 500), dtype=np.uint64)
    got = example("three-answers").ByLayout().exchange_flags(arena)(a, b)
    want = MaskedWord(arena.layout.mask("swap"))(a, b)
    assert (np.array(got) == np.array(want)).all()


def test_the_updater_finds_what_the_cursor_finds() -> None:
    with Arena.create(nodes={"fast": "4 MiB", "slow": "4 MiB"}) as arena:
        fill(arena)
        entries = arena.entries
        pfns = np.flatnonzero((entries["state"] == 2) & (entries["mapping"] != 0) & (entries["mapping"] & 1 == 0))
        assert len(pfns) > 100
        pages = np.zeros(len(pfns) + 2, [("mapping", "<u8"), ("index", "<u8"), ("pfn", "<u4")])
        pages["mapping"][2:] = (entries["mapping"][pfns] >> 2) - 1
        pages["index"][2:], pages["pfn"][2:] = entries["index"][pfns], pfns
        pages["index"][0] = 1 << 50  # nothing is there
        got = example("three-answers").ByLayout().update_mapping(arena)(pages, arena)
        want = XArrayCursor()(pages, arena)
        assert (got[0] == want[0]).all()
        assert (got[1] == want[1]).all()
        assert got[0][0] == got[1][0] == 0
        assert got[0].dtype == got[1].dtype == np.uint64
        del entries


def test_the_wrapper_passes_on_and_counts() -> None:
    module = example("three-answers")
    plugin = module.LargestBatch()
    called: list[Any] = []

    def wrapped(answer: Any) -> Any:
        asked = plugin.exchange_data(None)
        next(asked)
        with pytest.raises(StopIteration) as stopped:
            asked.send(answer)
        return stopped.value.value

    native = MaskedWord(1)
    assert isinstance(native, NativeObject)
    assert wrapped(None) is None
    assert wrapped(native) is native
    move = wrapped(lambda *arguments: called.append(arguments))
    move("pieces", [1, 2, 3], [4, 5, 6])
    move("pieces", [1], [4])
    assert called == [("pieces", [1, 2, 3], [4, 5, 6]), ("pieces", [1], [4])]
    assert plugin.strategy_report() == {"largest batch": 3}


@pytest.mark.parametrize("step", [1, 8, 100])
def test_the_mover_that_goes_backwards_moves_everything(step: int) -> None:
    pieces = np.arange(40, dtype=np.uint64).reshape(-1, 1).repeat(512, axis=1)
    before = pieces.copy()
    example("backward-swap").BackwardSwap(step).exchange_data(None)(pieces, np.arange(10), np.arange(20, 30))
    assert (pieces[:10] == before[20:30]).all()
    assert (pieces[20:30] == before[:10]).all()
    with pytest.raises(ValueError, match="at least 1"):
        example("backward-swap").BackwardSwap(0)


@pytest.mark.parametrize("size", [1024, 4096])
def test_the_buffer_pool_reads_what_the_file_has_and_hits_the_fast_node_more_often_with_a_tier(
    tmp_path: Path, size: int
) -> None:
    pool = example("buffer-pool")
    path = tmp_path / "blocks"
    np.repeat(np.arange(1024, dtype=np.uint64), size // 8).tofile(path)
    shares = []
    for tiered in (False, True):
        opened = pool.BufferPool(path, size, 128, 600, tiered)
        for batch in pool.accesses(40_000, 1024):
            frames = opened.read(batch)
            assert (opened.arena.frames[frames, 0] == batch).all()
            opened.tier.step(pairs=64 if tiered else 0)
        shares.append(opened.tier.counts["hits"] / 40_000)
    assert shares[1] > shares[0] + 0.2


def test_the_buffer_pool_prints_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    example("buffer-pool").main(20_000, 512)
    without, tiered = capsys.readouterr().out.splitlines()
    assert without.startswith("without ")
    assert without.endswith(" 0 pages moved")
    assert tiered.startswith("with a tier ")
    assert not tiered.endswith(" 0 pages moved")


def test_the_pairing_by_chance_pairs_hot_pages_with_cold_ones() -> None:
    with Arena.create(nodes=[("fast", 16), ("slow", 16)]) as arena:
        mapping = arena.new_mapping()
        arena.cache_add(mapping, np.arange(30), np.concatenate([arena.alloc("fast", 15), arena.alloc("slow", 15)]))
        tier = arena.tier(pairing=example("random-hot").RandomHot(hot=3.0).pair_pages(arena))
        hot = arena.cache_load(mapping, np.array([0, 20, 21, 22]))
        tier.touch(np.repeat(hot, 3))
        step = tier.step()
        assert set(step.moves[:3, 0].tolist()) == set(hot[1:].tolist())
        assert hot[0] not in step.moves[:3, 1]
