"""A resolved configuration, written as TOML and read elsewhere, is the same configuration."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import tomli

from pagexchange.host import read
from pagexchange.host.resolved import resolved
from pagexchange.model.tomltext import toml

FULL = """
schema = 1
[run]
seed = 7
threads = 2
mode = "sync"
[arena]
page_size = "16 KiB"
nodes = { "f a\\"st" = "1 MiB", slow = "2 MiB" }
watermarks = [1, 2, 3]
[workload]
source = "synthetic"
split = 0.25
kinds = { anon = 1.0 }
orders = { "0" = 1, "3" = 1e-3 }
[plugins]
block = ["two-pass"]
[strategy.one]
flags = "masked-word"
data = ["temp-page", { plugin = "word-swap", isa = "scalar" }]
mapping = "xarray"
wrap = "timing"
summary = 'quotes " and \\ and ü'
[strategy.two]
flags = "whole-word"
data = "word-swap"
mapping = "radix-tree"
threads = 1
expect = "refused"
"""


@pytest.mark.parametrize("text", [FULL.encode(), read.packaged()], ids=["full", "packaged"])
def test_what_is_read_again_is_the_same(text: bytes) -> None:
    config = read.load(read.Source("a", text, None), plugins=False)
    again = read.load(
        read.Source("a", toml(resolved(config, config.strategies.values())).encode(), None), plugins=False
    )
    assert again == replace(config, layout=again.layout)
    assert again.layout == config.layout


def test_overrides_the_variable_and_the_choice_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEXCHANGE_BLOCK", "null")
    config = read.load(read.Source("a", FULL.encode(), None), overrides=["run.seed=9"], plugins=False)
    data = resolved(config, [config.strategy("two")])
    assert data["run"]["seed"] == 9
    assert data["plugins"]["block"] == ["null", "two-pass"]
    assert list(data["strategy"]) == ["two"]
    assert os.environ["PAGEXCHANGE_BLOCK"] == "null"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": {}},
        {"a": {"b": {"c": 1}}, "d": [1, [2.5, True], {"e f": "\x00\n\x7f"}]},
        {"": {"a.b": {"": -1}}, "x": 1e300, "y": [], "big": 1 << 62},
    ],
)
def test_any_table_is_read_as_it_was(data: dict[str, object]) -> None:
    assert tomli.loads(toml(data)) == data


def test_what_toml_has_not_is_left_out_or_refused() -> None:
    assert tomli.loads(toml({"a": None, "b": {"c": None, "d": 1}, "e": {"f": None}})) == {"b": {"d": 1}, "e": {}}
    with pytest.raises(TypeError, match="bytes: TOML has no such value"):
        toml({"a": b""})
