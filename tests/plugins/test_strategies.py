"""The shipped strategies on a real arena, plain and wrapped: wrappers see every pair and fail just those asked for."""

import dataclasses
import errno

import numpy as np
import pytest

from pagexchange import Arena
from pagexchange.arena.strategy import Strategy
from pagexchange.errors import PluginError
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.model.config import PluginUse

N = 200
CONFIG = read.load()
WORKING = [name for name, spec in CONFIG.strategies.items() if spec.expect != "refused" and not spec.migrates]
NATIVE = [name for name in WORKING if name != "numpy"]


@pytest.fixture
def arena():
    arena = Arena.create(nodes={"fast": "2 MiB", "slow": "2 MiB"})
    mapping = arena.new_mapping("file")
    left, right = arena.alloc(0, N), arena.alloc(1, N)
    arena.cache_add(mapping, np.arange(N), left)
    arena.cache_add(mapping, 1000 + np.arange(N), right)
    arena.frames[:] = np.arange(arena.nframes, dtype=np.uint64)[:, None]
    return arena


@pytest.fixture
def pairs(arena):
    at = [arena.cache_load(0, index) for index in (*range(N), *range(1000, 1000 + N))]
    return np.array(at).reshape(2, N).T


def built(arena, name, *wrap, **changes):
    spec = dataclasses.replace(CONFIG.strategies[name], wrap=wrap, **changes)
    return Strategy(arena, PagexchangeHost().build(spec, arena))


def moved(arena, pairs):
    """Which pairs have each other's contents and each other's place in the file."""
    a, b = pairs.T
    contents = (arena.frames[a, 0] == b) & (arena.frames[b, 511] == a)
    places = np.array([arena.cache_load(0, i) for i in range(N)]) == b
    assert (contents == places).all()
    return contents


@pytest.mark.parametrize("name", WORKING)
def test_every_strategy_exchanges_and_twice_is_the_identity(arena, pairs, name):
    strategy = built(arena, name)
    assert strategy.native == (name != "numpy")
    assert strategy.exchange(pairs).ok
    assert moved(arena, pairs).all()
    assert strategy.exchange(pairs).ok
    assert not moved(arena, pairs).any()


def test_the_whole_word_is_refused_by_name(arena, pairs):
    result = built(arena, "whole-word").exchange(pairs)
    assert result.exchanged == 0
    assert "node" in result.touched
    assert not moved(arena, pairs).any()


@pytest.mark.parametrize("name", WORKING)
def test_timing_counts_every_pair_of_every_question(arena, pairs, name):
    strategy = built(arena, name, PluginUse("timing"))
    assert strategy.exchange(pairs).ok
    timing = strategy.built.report()["timing"]
    assert isinstance(timing, dict)
    assert {question: counts["items"] for question, counts in timing.items()} == {
        "flags": N,
        "data": N,
        "mapping": 2 * N,
    }
    assert all(counts["ns"] > 0 for counts in timing.values())
    assert moved(arena, pairs).all()


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("question", ["data", "mapping"])
def test_a_fault_refuses_its_pair_and_no_other(arena, pairs, name, question):
    faults = PluginUse("faults", {"question": question, "every": 40, "error": "EBUSY"})
    strategy = built(arena, name, faults)
    result = strategy.exchange(pairs)
    failed = strategy.built.report()["faults"]["failed"]
    assert failed == (N // 40 if question == "data" else 2 * N // 40)
    assert result.refused == {"EBUSY": failed}
    assert (moved(arena, pairs) == (result.status == 0)).all()


@pytest.mark.parametrize("name", WORKING)
def test_a_fault_of_the_flag_policy_refuses_its_batch(arena, pairs, name):
    result = built(arena, name, PluginUse("faults", {"question": "flags", "nth": 1, "error": "EIO"})).exchange(pairs)
    assert 0 < result.refused["EIO"] < N
    assert (moved(arena, pairs) == (result.status == 0)).all()


def test_a_pair_without_a_frame_goes_to_the_next_mover(arena, pairs):
    faults = PluginUse("faults", {"every": 10, "error": "ENOMEM"})
    chain = (PluginUse("temp-page"), PluginUse("word-swap"))
    strategy = built(
        arena, "copy-page", PluginUse("timing"), PluginUse("faults", {"nth": 7, "error": "ENOMEM"}), data=chain
    )
    assert strategy.exchange(pairs).ok
    timing = strategy.built.report()["timing"]
    assert (timing["data"]["refused"], timing["data"]["items"], timing["data: word-swap"]["items"]) == (1, N - 1, 1)
    assert moved(arena, pairs).all()
    # without a second mover the pair is refused
    result = built(arena, "copy-page", faults).exchange(pairs)
    assert result.refused == {"ENOMEM": N // 10}


@pytest.mark.parametrize("options", [{"error": "EBUSY"}, {"exception": True}])
def test_a_python_mover_that_fails_half_way_leaves_every_page_as_it_was(arena, pairs, options):
    before = arena.frames.copy()
    strategy = built(arena, "numpy", PluginUse("faults", {"nth": 3, **options}))
    with pytest.raises(PluginError, match="injected into data") as caught:
        strategy.exchange(pairs)
    assert caught.value.plugin == "numpy-swap"
    assert (arena.frames == before).all()
    assert not moved(arena, pairs).any()
    assert built(arena, "numpy").exchange(pairs).ok


def test_a_trace_has_a_line_for_each_batch_of_each_question(arena, pairs):
    strategy = built(arena, "list-exchange", PluginUse("trace"))
    strategy.exchange(pairs)
    lines = strategy.built.report()["trace"]
    assert isinstance(lines, list)
    asked = [line.split()[1] for line in lines]
    assert asked.count("flags") == asked.count("mapping") == asked.count("data") >= 2
    assert sum(int(line.split("pairs=")[1].split()[0]) for line in lines if " data " in line) == N


def test_eagain_is_what_faults_say_when_not_told_otherwise(arena, pairs):
    result = built(arena, "word-swap", PluginUse("faults", {"nth": 2})).exchange(pairs)
    assert result.status[1] == -errno.EAGAIN
    assert result.exchanged == N - 1
