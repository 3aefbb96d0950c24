"""A configuration written out is a file that reads as the same configuration, wherever it is read."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, time

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from pagexchange.host import read
from pagexchange.host.resolved import resolved
from pagexchange.model.config import ArenaConfig, PluginUse, RunConfig, StrategySpec, WorkloadConfig
from pagexchange.model.tomltext import toml

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)
NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1)
WHEN = st.datetimes() | st.datetimes(timezones=st.just(UTC)) | st.dates() | st.times()
DATA = st.recursive(
    TEXT | NUMBERS | st.booleans() | WHEN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=9,
)
SHARES = st.floats(0, 1)
WEIGHTS = st.floats(0.5, 1e9)
FRAMES = st.integers(0, 2**31 - 1)

RUNS = st.builds(
    RunConfig,
    seed=st.integers(0, 2**63 - 1),
    mode=st.sampled_from(["async", "sync-light", "sync"]),
    threads=st.integers(1, 64),
    verify=st.booleans(),
    rounds=st.none() | st.integers(0, 1_000_000),
)
ARENAS = st.builds(
    ArenaConfig,
    page_size=st.sampled_from([1024, 4096, 65536, 2 << 20]),
    nodes=st.dictionaries(NAMES, st.integers(1, 99).map(lambda n: n * (2 << 20)), min_size=2, max_size=2),
    huge=st.sampled_from(["no", "thp", "hugetlb"]),
    workers=st.integers(1, 4096),
    watermarks=st.none() | st.tuples(FRAMES, FRAMES, FRAMES).map(lambda marks: tuple(sorted(marks))),
    path=st.none() | NAMES,
)
WORKLOADS = st.builds(
    WorkloadConfig,
    source=st.sampled_from(["snapshot", "synthetic"]),
    snapshot=st.none() | NAMES,
    split=st.none() | SHARES | st.sampled_from(["real", "interleave", "halves"]),
    pairs=st.none() | st.integers(1, 1 << 40),
    sort=st.booleans(),
    free=st.none() | st.integers(0, 1 << 40),
    kinds=st.dictionaries(st.sampled_from(["anon", "file", "shmem"]), WEIGHTS, min_size=1),
    orders=st.dictionaries(st.sampled_from([*"0123456789"]), WEIGHTS, min_size=1),
    dirty=SHARES,
    shared=SHARES,
    hot=SHARES,
)
OPTIONS = st.dictionaries(TEXT.filter(lambda key: key != "plugin"), DATA, max_size=3)
CHAINS = st.lists(st.builds(PluginUse, TEXT, OPTIONS), min_size=1, max_size=3).map(tuple)
SPECS = st.builds(
    StrategySpec,
    name=st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,9}\Z"),
    flags=CHAINS,
    data=CHAINS,
    mapping=CHAINS,
    wrap=CHAINS | st.just(()),
    expect=st.sampled_from(["exact", "loses", "refused"]),
    mode=st.sampled_from(["async", "sync-light", "sync"]),
    threads=st.integers(1, 64),
    timeout=st.floats(0, 3600),
    summary=TEXT,
)


def again(config):
    text = toml(resolved(config, config.strategies.values()))
    read_again = read.load(read.Source(config.origin, text.encode(), config.base), plugins=False)
    return dataclasses.replace(read_again, block=tuple(sorted(read_again.block)))


FULL = b"""
schema = 1
[run]
threads = 2
mode = "sync"
[arena]
page_size = "16 KiB"
nodes = { "f a\\"st" = "1 MiB", slow = "2 MiB" }
[workload]
source = "synthetic"
orders = { "0" = 1, "3" = 1e-3 }
[plugins]
block = ["two-pass"]
[strategy.one]
flags = "masked-word"
data = ["temp-page", { plugin = "word-swap", isa = "scalar" }]
mapping = "xarray"
wrap = "timing"
summary = 'quotes " and \\ and \xc3\xbc'
[strategy.two]
flags = "whole-word"
data = "word-swap"
mapping = "radix-tree"
threads = 1
"""


@pytest.mark.parametrize("text", [read.packaged(), FULL], ids=["packaged", "full"])
def test_a_file_reads_as_itself(text):
    config = read.load(read.Source("a", text, None))
    assert again(config) == config
    assert again(again(config)) == config


@settings(max_examples=30, deadline=None)
@given(RUNS, ARENAS, WORKLOADS, st.lists(SPECS, min_size=1, max_size=3), st.sets(TEXT, max_size=2))
def test_a_configuration_reads_as_itself(run, arena, workload, specs, block):
    config = dataclasses.replace(
        read.load(plugins=False),
        run=run,
        arena=arena,
        workload=workload,
        strategies={spec.name: spec for spec in specs},
        block=tuple(sorted(block)),
    )
    assert again(config) == config


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(TEXT, DATA, max_size=4))
def test_values_are_read_as_they_were_written(data):
    assert tomli.loads(toml(data)) == data


def test_what_is_not_there_is_left_out_and_what_toml_lacks_is_refused():
    assert toml({"a": None, "t": {"b": None}, "when": [date(2026, 11, 29), time(4, 24), datetime(2026, 1, 2, 3)]}) == (
        "when = [2026-11-29, 04:24:00, 2026-01-02T03:00:00]\n\n[t]\n"
    )
    with pytest.raises(TypeError, match="bytes: TOML has no such value"):
        toml({"a": b"x"})


def test_overrides_and_what_the_environment_blocks_are_in_it(monkeypatch):
    monkeypatch.setenv("PAGEXCHANGE_BLOCK", "temp-page,of-another-machine")
    config = read.load(overrides=["run.seed=9", "strategy.word-swap.data.isa=scalar"], broken=False)
    data = resolved(config, [config.strategy("word-swap"), config.strategy("copy-page")])
    assert data["run"]["seed"] == 9
    assert data["strategy"]["word-swap"]["data"] == [{"plugin": "word-swap", "isa": "scalar"}]
    assert list(data["strategy"]) == ["word-swap", "copy-page"]
    assert data["plugins"] == {"block": ["temp-page"]}
