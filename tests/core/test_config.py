"""strategies.toml: what is right becomes typed values, what is wrong is said all at once and with its place."""

import os
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import get_args

import pytest

from pagexchange.errors import ConfigError, UnknownStrategyError
from pagexchange.host import read
from pagexchange.host.read import packaged
from pagexchange.model.config import ArenaConfig, PluginUse, Threads
from pagexchange.runs.contenders import contenders
from pagexchange.runs.trial import trial
from pagexchange_native.engine.exchange import MAX_THREADS
from pagexchange_native.movers.mover import available_isas

GOOD = """\
schema = 1
[run]
seed = 7
mode = "sync"
[arena]
nodes = { fast = "1 MiB", slow = 2097152 }
[strategy.fast]
flags = "masked-word"
data = ["list-exchange", { plugin = "word-swap", isa = "scalar" }]
mapping = "xarray"
"""

WANT_SEED = "expected an integer from 0 to 9223372036854775807"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "s.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def wrong(tmp_path: Path, text: str | bytes, *overrides: str) -> list[str]:
    path = written(tmp_path, text)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in trial(path, overrides).problems]


def test_a_file_becomes_typed_values(tmp_path):
    config = read.load(written(tmp_path, GOOD))
    assert (config.run.seed, config.run.mode, config.run.threads) == (7, "sync", 1)
    assert config.arena.frames == {"fast": 256, "slow": 512}
    assert config.layout.name == "linux-6.18"
    spec = config.strategy("fast")
    assert spec.data == (PluginUse("list-exchange"), PluginUse("word-swap", {"isa": "scalar"}))
    assert (spec.expect, spec.mode, spec.threads, spec.wrap) == ("exact", "sync", 1, ())
    with pytest.raises(UnknownStrategyError, match="did you mean 'fast'"):
        config.strategy("fats")


def test_what_was_checked_cannot_be_changed(tmp_path):
    config = read.load(written(tmp_path, GOOD))
    spec = config.strategy("fast")
    for value, name in (
        (config, "base"), (config.run, "seed"), (config.arena, "page_size"), (config.workload, "pairs"),
        (spec, "mode"), (spec.data[0], "plugin"),
    ):  # fmt: skip
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)


def test_the_shipped_file_is_right_and_is_the_one_at_the_top():
    assert trial().problems == []
    config = read.load()
    assert list(config.strategies) == [
        "rfc-2019",
        "whole-word",
        "copy-page",
        "word-swap",
        "two-pass",
        "list-exchange",
        "migrate",
        "numpy",
    ]
    expect = {name: spec.expect for name, spec in config.strategies.items()}
    assert expect.pop("rfc-2019") == "loses"
    assert expect.pop("whole-word") == "refused"
    assert set(expect.values()) == {"exact"}
    assert all(spec.summary for spec in config.strategies.values())
    top = Path(__file__).parents[2] / "strategies.toml"
    assert top.read_bytes() == packaged()


def test_the_defaults_of_an_arena_are_whole():
    assert ArenaConfig().frames == {"fast": 65536, "slow": 65536}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("schema = 1\n", "", "s.toml:1:1: missing key 'schema'; write `schema = 1` at the top"),
        ("schema = 1", "schema = 2", "s.toml:1:10: schema: schema 2 is not known; this version reads schema = 1"),
        ("schema = 1", "schema = true", "s.toml:1:10: schema: schema True is not known"),
        ("[run]", "[rum]", "s.toml:2:1: rum: unknown key 'rum'; did you mean 'run'?"),
        ("seed = 7", "sede = 7", "s.toml:3:1: run.sede: unknown key 'sede'; did you mean 'seed'?"),
        ("seed = 7", "seed = -7", f"s.toml:3:8: run.seed: {WANT_SEED}, got -7"),
        ("seed = 7", f"seed = {'9' * 40}", f"s.toml:3:8: run.seed: {WANT_SEED}, got 9999"),
        ("seed = 7", 'seed = "7"', f"s.toml:3:8: run.seed: {WANT_SEED}, got '7'"),
        ('"sync"', '"snyc"', "s.toml:4:8: run.mode: unknown value 'snyc'; did you mean 'sync'?"),
        ("[run]\nseed", "run = 3\nx.seed", "s.toml:2:7: run: expected a table, got 3"),
        ('"1 MiB"', '"1 MiX"', "s.toml:6:18: arena.nodes.fast: size '1 MiX': want bytes or text such as '64 MiB'"),
        ('"1 MiB"', '"65 TiB"', "s.toml:6:18: arena.nodes.fast: 71468255805440 bytes: want 1 byte to 64 TiB"),
        ('"1 MiB"', "0", "s.toml:6:18: arena.nodes.fast: 0 bytes: want 1 byte to 64 TiB"),
        ('"1 MiB"', "1.5", "s.toml:6:18: arena.nodes.fast: expected an integer or a string or a table, got "),
        (
            "slow = 2097152",
            "slow = { size = 1, numa = 1024 }",
            "s.toml:6:53: arena.nodes.slow.numa: expected an integer from 0 to 1023 or a list, got 1024",
        ),
        (
            "slow = 2097152",
            "slow = { numa = 1 }",
            "s.toml:6:34: arena.nodes.slow: object missing required field `size`",
        ),
        (
            "slow = 2097152",
            "slow = { size = 5000 }",
            "s.toml:6:43: arena.nodes.slow.size: 5000 bytes are not a multiple",
        ),
        (
            "slow = 2097152",
            "slow = { size = 4096, nuam = 1 }",
            "s.toml:6:49: arena.nodes.slow.nuam: unknown key 'nuam'",
        ),
        (
            "slow = 2097152",
            'slow = { size = 4096, numa = 1, path = "/mnt" }',
            "s.toml:6:34: arena.nodes.slow: numa and path: want one of them",
        ),
        (
            "slow = 2097152",
            'slow = { size = 4096, numa = [1], interleave = "weighted" }',
            "s.toml:6:34: arena.nodes.slow: interleave: want two nodes or more in numa",
        ),
        (
            "2097152",
            "2097153",
            "s.toml:6:34: arena.nodes.slow: 2097153 bytes are not a multiple of the page size, 4096",
        ),
        ("[arena]", "[arena]\npage_size = 5000", "s.toml:6:13: arena.page_size: 5000 bytes: want a power of two"),
        (
            "[arena]",
            "[arena]\npage_size = 512",
            "s.toml:6:13: arena.page_size: 512 bytes: want a power of two from 1024 to 2 MiB",
        ),
        ('"1 MiB", slow = 2097152', '"1 MiB"', "s.toml:6:9: arena.nodes: 1 node: want 2, the fast one first"),
        ("slow = 2097152", "slow = 4096, far = 4096", "s.toml:6:9: arena.nodes: 3 nodes: want 2, the fast one first"),
        ("[arena]", "[arena]\nwatermarks = [3, 2, 1]", "s.toml:6:14: arena.watermarks: [3, 2, 1]: want min <= low"),
        ("[arena]", '[arena]\nlayout = "linux-5.1"', "s.toml:6:10: arena.layout: unknown layout 'linux-5.1'; did you"),
        ('"masked-word"', '"maksed-word"', "s.toml:8:9: strategy.fast.flags: unknown plug-in 'maksed-word'; did you"),
        ('"masked-word"', "3", "s.toml:8:9: strategy.fast.flags: expected the name of a plug-in, a table with it, or"),
        ('"masked-word"', "[]", "s.toml:8:9: strategy.fast.flags: an empty list: name at least one plug-in"),
        ('"masked-word"', "{ x = 1 }", "s.toml:8:1: strategy.fast.flags: missing key 'plugin'"),
        ('"masked-word"', "{ plugin = 1 }", "s.toml:8:20: strategy.fast.flags.plugin: expected the name of a plug-in"),
        ('"list-exchange"', '"lsit-exchange"', "s.toml:9:9: strategy.fast.data.0: unknown plug-in 'lsit-exchange'"),
        ('plugin = "word-swap"', 'plugin = "w"', "s.toml:9:37: strategy.fast.data.1.plugin: unknown plug-in 'w'"),
        ('"scalar"', '"sclar"', "s.toml:9:56: strategy.fast.data.1.isa: unknown value 'sclar'; did you mean 'scalar'?"),
        ("isa =", "ias =", "s.toml:9:50: strategy.fast.data.1.ias: unknown key 'ias'; did you mean 'isa'?"),
        ("mapping", "maping", "s.toml:10:1: strategy.fast.maping: unknown key 'maping'; did you mean 'mapping'?"),
        ("mapping", "maping", "s.toml:7:1: strategy.fast: missing key 'mapping': name the plug-in that answers it"),
        ("[strategy.fast]", "[strategy.FAST]", "s.toml:7:1: strategy.FAST: a strategy's name is lower case"),
        ("[strategy.fast]", '[strategy.fast]\nexpect="perfect"', "s.toml:8:8: strategy.fast.expect: unknown value"),
        (
            "[strategy.fast]",
            "[strategy.fast]\nthreads = 65",
            "s.toml:8:11: strategy.fast.threads: expected an integer from 1 to 64, got 65",
        ),
        (
            "[strategy.fast]",
            "[strategy.fast]\nthreads = 0",
            "s.toml:8:11: strategy.fast.threads: expected an integer from 1",
        ),
        ("slow =", f"{'s' * 32} =", f"s.toml:6:27: arena.nodes.{'s' * 32}: a node's name has 1 to 31 bytes"),
        ("slow =", '"" =', 's.toml:6:27: arena.nodes."": a node\'s name has 1 to 31 bytes'),
        ('"1 MiB"', '"64 TiB"', "s.toml:6:9: arena.nodes: more than 2^31 - 1 frames of 4096 bytes"),
        ("[run]", "[plugins]\nblok = []\n[run]", "s.toml:3:1: plugins.blok: unknown key 'blok'; did you mean 'block'?"),
        ("[run]", "[plugins]\nblock = [1]\n[run]", "s.toml:3:10: plugins.block.0: expected a string, got 1"),
        ("[run]", "[workload]\norders = { 11 = 1 }\n[run]", "s.toml:3:12: workload.orders.11: order '11': want 0 to 9"),
        (
            "[run]",
            "[workload]\nkinds = { anno = 1 }\n[run]",
            "s.toml:3:11: workload.kinds.anno: unknown key 'anno'; did you",
        ),
        ("[run]", "[workload]\nkinds = { anon = 0 }\n[run]", "s.toml:3:9: workload.kinds: at least one weight must be"),
        (
            "[run]",
            "[workload]\ndirty = 2.0\n[run]",
            "s.toml:3:9: workload.dirty: expected a number from 0 to 1, got 2.0",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, old, new, expected):
    assert old in GOOD
    found = wrong(tmp_path, GOOD.replace(old, new, 1))
    assert any(problem.startswith(expected) for problem in found), found
    with pytest.raises(ConfigError):
        read.load(tmp_path / "s.toml")


MIGRATES = 'schema = 1\n[strategy.m]\nflags = "masked-word"\ncopy = "folio-copy"\nmapping = "xarray"\n'


def test_a_strategy_exchanges_or_migrates(tmp_path):
    (tmp_path / "s.toml").write_text(MIGRATES)
    spec = read.load(tmp_path / "s.toml").strategy("m")
    assert spec.migrates
    assert (spec.data, spec.copy) == ((), (PluginUse("folio-copy"),))
    assert spec.questions == ("flags", "copy", "mapping", "pairing")
    both = "strategy.m.copy: a strategy exchanges by 'data' or migrates by 'copy': leave one of them out"
    assert wrong(tmp_path, f'{MIGRATES}data = "word-swap"\n') == [f"s.toml:4:1: {both}"]
    limited = "strategy.m.max_call_us: a strategy that migrates takes its whole list: leave this out"
    assert wrong(tmp_path, f"{MIGRATES}max_call_us = 5\n") == [f"s.toml:6:1: {limited}"]
    (mover,) = wrong(tmp_path, MIGRATES.replace("folio-copy", "word-swap"))
    assert "is named under 'copy', but does not answer copy_data; it has exchange_data" in mover
    (copier,) = wrong(tmp_path, MIGRATES.replace("copy =", "data ="))
    assert "is named under 'data', but does not answer exchange_data; it has copy_data" in copier


def test_all_that_is_wrong_is_said_at_once_and_in_order(tmp_path):
    text = GOOD.replace("seed", "sede").replace('"sync"', '"x"').replace("masked", "maksed").replace("scalar", "s")
    found = wrong(tmp_path, text)
    assert len(found) == 4
    assert [int(problem.split(":")[1]) for problem in found] == [3, 4, 8, 9]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "missing key 'schema'"),
        (b"", "no strategy: write at least one table [strategy.NAME]"),
        (b"schema = 1\n[strategy.x]\n", "missing key"),
        (b"schema = ", "not TOML"),
        (b"\xff", "is not UTF-8"),
        (b"\xef\xbb\xbf" + GOOD.replace("seed", "sede").replace("\n", "\r\n").encode(), "s.toml:3:1: run.sede"),
    ],
)
def test_broken_files_are_clear_errors(tmp_path, text, expected):
    assert any(expected in problem for problem in wrong(tmp_path, text))


def test_an_empty_strategy_names_what_it_lacks(tmp_path):
    found = wrong(tmp_path, "schema = 1\n[strategy.x]\n")
    assert [problem.split("missing key ")[1].split(":")[0] for problem in found] == [
        "'flags'", "'data' or 'copy'", "'mapping'",
    ]  # fmt: skip


def test_missing_files_and_directories_are_clear_errors(tmp_path):
    assert [problem.what for problem in trial(tmp_path / "none.toml").problems] == ["no such file"]
    assert [problem.what for problem in trial(tmp_path).problems] == ["is a directory, not a TOML file"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("run.seed=0x10", lambda c: c.run.seed == 16),
        ("run.mode=async", lambda c: c.run.mode == "async"),
        ('run.mode="async"', lambda c: c.run.mode == "async"),
        ("arena.nodes.slow=8 KiB", lambda c: c.arena.frames["slow"] == 2),
        ("workload.orders={0=3, 9=1}", lambda c: c.workload.orders == {"0": 3, "9": 1}),
        ("workload.free=0", lambda c: c.workload.free == 0),
        ("strategy.fast.data=word-swap", lambda c: c.strategies["fast"].data == (PluginUse("word-swap"),)),
        ("strategy.fast.data.1.isa=auto", lambda c: c.strategies["fast"].data[1].options == {"isa": "auto"}),
        ("strategy.fast.data.0.threads=2", lambda c: c.strategies["fast"].data[0].options == {"threads": 2}),
        ('strategy.fast.wrap=["timing"]', lambda c: c.strategies["fast"].wrap == (PluginUse("timing"),)),
        ("strategy.fast.threads=2", lambda c: c.strategies["fast"].threads == 2),
        ('plugins.block=["null"]', lambda c: c.block == ("null",)),
    ],
)
def test_an_override_is_as_if_the_file_had_said_it(tmp_path, override, expected):
    assert expected(read.load(written(tmp_path, GOOD), overrides=[override]))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("run.seed", "--set run.seed: expected KEY=VALUE"),
        ("=3", "--set =3: expected KEY=VALUE"),
        ("[run]\n[arena]\nseed=3", "--set [run]\n[arena]\nseed=3: expected KEY=VALUE"),
        ("run.seed=[1", "--set run.seed=[1: '[1' is not a TOML value"),
        ("run.seed=", "--set run.seed=: '' is not a TOML value"),
        ("run.seed=x", f"--set run.seed=x: run.seed: {WANT_SEED}, got 'x'"),
        ("run.sede=1", "--set run.sede=1: run.sede: unknown key 'sede'; did you mean 'seed'?"),
        ("rum.seed=1", "--set rum.seed=1: rum: unknown key 'rum'; did you mean 'run'?"),
        ("rum.seed.x=1", "--set rum.seed.x=1: rum: unknown key 'rum'; did you mean 'run'?"),
        ("strategy.fats.threads=1", "--set strategy.fats.threads=1: no strategy 'fats'; did you mean 'fast'?"),
        ("strategy.fast.data.7.isa=x", "--set strategy.fast.data.7.isa=x: strategy.fast.data is a list of 2"),
        ("run.seed.x=1", "--set run.seed.x=1: run.seed is a value, not a table"),
        ("strategy.fast.data=wrd-swap", "--set strategy.fast.data=wrd-swap: strategy.fast.data: unknown plug-in"),
        ("strategy.fast.flags.x=1", "--set strategy.fast.flags.x=1: strategy.fast.flags.x: unknown option 'x': it"),
        ("run.seed=1\n[arena]", f"--set run.seed=1\n[arena]: run.seed: {WANT_SEED}, got '1\\n[arena]'"),
    ],
)
def test_a_wrong_override_is_said_as_one(tmp_path, override, expected):
    found = wrong(tmp_path, GOOD, override)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_a_table_that_an_override_makes_is_the_override_s(tmp_path):
    text = GOOD.replace('[run]\nseed = 7\nmode = "sync"\n', "")
    assert read.load(written(tmp_path, text), overrides=["run.seed=3", "run.threads=2"]).run.seed == 3
    assert [problem.split(": ")[:2] for problem in wrong(tmp_path, text, "run.seed=x", "run.mode=y")] == [
        ["--set run.seed=x", "run.seed"],
        ["--set run.mode=y", "run.mode"],
    ]


@pytest.mark.parametrize("value", ["3", '"x"', "[]"])
def test_what_is_no_table_is_one_mistake(tmp_path, value):
    want = f"expected a table, got {value}".replace('"', "'")
    assert wrong(tmp_path, f"schema = 1\nstrategy = {value}\n") == [f"s.toml:2:12: strategy: {want}"]
    assert wrong(tmp_path, f"schema = 1\nstrategy.x = {value}\n") == [f"s.toml:2:14: strategy.x: {want}"]


def test_only_the_strategies_that_are_used_need_their_plug_ins(tmp_path):
    path = written(tmp_path, GOOD + '[strategy.other]\nflags = "none"\ndata = "none"\nmapping = "none"\n')
    assert len(trial(path).problems) == 3
    assert read.load(path, only=["fast"]).strategies.keys() == {"fast", "other"}
    with pytest.raises(UnknownStrategyError, match="did you mean 'other'"):
        read.load(path, only=["ohter"])


def test_what_may_be_empty_or_blocked_is_no_mistake(tmp_path):
    assert wrong(tmp_path, GOOD + "wrap = []\n") == []
    blocked = GOOD.replace("[run]", '[plugins]\nblock = ["list-exchange"]\n[run]')  # word-swap serves
    assert wrong(tmp_path, blocked) == []


def test_a_plug_in_that_would_not_serve_the_arena_is_found_before_a_run(tmp_path: Path) -> None:
    missing = next(isa for isa in ("neon", "avx2") if isa not in available_isas())
    chain = 'data = ["list-exchange", { plugin = "word-swap", isa = "scalar" }]'
    assert chain in GOOD
    alone = f'data = {{ plugin = "word-swap", isa = "{missing}" }}'
    (said,) = wrong(tmp_path, GOOD.replace(chain, alone))
    assert "s.toml:7:1: strategy.fast: strategy 'fast': no plug-in answers exchange_data: word-swap declined" in said
    assert f"isa '{missing}': this CPU does not have it" in said
    assert wrong(tmp_path, GOOD.replace('isa = "scalar"', f'isa = "{missing}"')) == []  # list-exchange serves
    (said,) = wrong(tmp_path, GOOD.replace(chain, 'data = "null"'))
    assert "s.toml:9:8: strategy.fast.data: plug-in 'null': moves no data" in said


def test_paths_start_from_the_folder_of_the_file(tmp_path):
    layout = "schema = 1\nname = 'm'\n[flags]\nlocked = { bit = 0, policy = 'stay', meaning = '' }\n"
    (tmp_path / "m.toml").write_text(layout)
    path = written(tmp_path, GOOD.replace("[arena]", '[arena]\nlayout = "m.toml"'))
    config = read.load(os.path.relpath(path))
    assert config.layout.name == "m"
    assert config.resolve("x.pgxsnap").resolve() == tmp_path / "x.pgxsnap"
    (tmp_path / "m.toml").write_text(layout.replace("stay", "saty"))
    found = wrong(tmp_path, path.read_text())
    assert any("s.toml:6:10: arena.layout: the layout file 'm.toml' is wrong" in problem for problem in found)
    assert any("m.toml:4:" in problem and "did you mean 'stay'" in problem for problem in found)


def test_a_number_of_pairs_is_at_least_one_and_bounded(tmp_path):
    for pairs in (1, 1 << 40):
        assert wrong(tmp_path, GOOD, f"workload.pairs={pairs}") == []
    for pairs in (0, (1 << 40) + 1):
        assert len(wrong(tmp_path, GOOD, f"workload.pairs={pairs}")) == 1


def test_a_strategy_may_have_as_many_threads_as_the_engine() -> None:
    (most,) = [meta.le for meta in get_args(Threads)[1:]]
    assert most == MAX_THREADS


def test_contenders_are_asked_for_by_names_of_the_file(tmp_path: Path) -> None:
    config = read.load(written(tmp_path, GOOD))
    assert [one.name for one in contenders(config, ["fast"])] == ["fast"]
    with pytest.raises(UnknownStrategyError):
        contenders(config, ["fast", "fats"])
