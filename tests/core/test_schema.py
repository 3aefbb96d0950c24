"""The JSON Schemas fit what is read and written: what is right is valid, and what is wrong is not."""

from __future__ import annotations

import json
import sys

import pytest
import tomli

from pagexchange.host import read
from pagexchange.host.discovery import Registry
from pagexchange.host.resolved import resolved
from pagexchange.host.schema import strategies
from pagexchange.model.jsonschema import field_docs
from pagexchange.model.tomltext import toml
from pagexchange.samples import jsonschema as run_schema
from pagexchange.samples.schema import Cell
from tests.core.command_line import SMALL, pagexchange, stranger
from tests.core.folders import files, finished, refuse_invalid

library = pytest.importorskip("jsonschema")


def validator(schema, part=""):
    library.Draft202012Validator.check_schema(schema)
    return library.Draft202012Validator({**schema, "anyOf": [{"$ref": f"#/$defs/{part}"}]} if part else schema)


@pytest.fixture(scope="module")
def of_strategies():
    return validator(strategies(Registry().list()))


@pytest.fixture(scope="module")
def of_run():
    return run_schema.run()


def printed(what):
    ran = pagexchange("schema", what)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def test_the_verb_prints_both(of_strategies, of_run):
    assert printed("strategies") == of_strategies.schema
    assert printed("run") == of_run


def test_the_file_that_ships_is_valid_and_so_is_it_written_out(of_strategies):
    of_strategies.validate(tomli.loads(read.packaged().decode()))
    config = read.load()
    of_strategies.validate(tomli.loads(toml(resolved(config, config.strategies.values()))))


GOOD = """
schema = 1
[run]
rounds = 3
[arena]
page_size = "64 KiB"
nodes = { fast = "1 MiB", slow = 2097152 }
watermarks = [1, 2, 3]
[workload]
split = "halves"
kinds = { anon = 1 }
[plugins]
block = ["timing"]
[sweep.axes]
"run.threads" = [1, 2]
[strategy.a]
flags = "masked-word"
data = ["temp-page", { plugin = "word-swap", isa = "scalar" }]
mapping = { plugin = "xarray" }
wrap = []
"""


def test_what_may_be_said_is_valid(of_strategies):
    of_strategies.validate(tomli.loads(GOOD))
    read.load(read.Source("a", GOOD.encode(), None))


@pytest.mark.parametrize(
    ("right", "wrong", "where"),
    [
        ("schema = 1", "", ""),
        ("schema = 1", "schema = 2", "schema"),
        ("rounds = 3", "ruonds = 3", "run"),
        ("rounds = 3", "rounds = -1", "run.rounds"),
        ("[1, 2, 3]", "[1, 2]", "arena.watermarks"),
        ('"halves"', '"half"', "workload.split"),
        ("{ anon = 1 }", "{ none = 1 }", "workload.kinds"),
        ('"timing"', '"timings"', "plugins.block.0"),
        ("[strategy.a]", "[strategy.A]", "strategy"),
        ('flags = "masked-word"', "", "strategy.a"),
        ('flags = "masked-word"', "flags = []", "strategy.a.flags"),
        ('"masked-word"', '"word-swap"', "strategy.a.flags"),
        ('"scalar"', '"scalr"', "strategy.a.data"),
        ("isa =", "iso =", "strategy.a.data"),
        ('{ plugin = "xarray" }', "{ }", "strategy.a.mapping"),
        ("wrap = []", "threads = 0", "strategy.a.threads"),
    ],
)
def test_what_is_wrong_is_not_valid_and_the_reader_agrees(of_strategies, right, wrong, where):
    text = GOOD.replace(right, wrong)
    assert text != GOOD
    (error,) = of_strategies.iter_errors(tomli.loads(text))
    assert ".".join(map(str, error.absolute_path)) == where
    assert read.examine(read.Source("a", text.encode(), None)).problems


def test_every_key_of_the_file_has_words(of_strategies):
    schema = of_strategies.schema
    tables = [schema["$defs"][name] for name in ("RunConfig", "ArenaConfig", "WorkloadConfig", "Strategy")]
    assert [key for table in tables for key, value in table["properties"].items() if not value.get("description")] == []


STRANGER = """
from dataclasses import dataclass
from typing import Annotated
import msgspec
import pagexchange

class Own:
    pass

class Table(msgspec.Struct):
    inner: int = 0

@dataclass(frozen=True)
class Typed:
    "Many options."
    must: int
    step: Annotated[int, msgspec.Meta(ge=1)] = 8
    own: Own | None = None
    table: Table | None = None

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        return None
"""


def test_options_of_strangers_are_checked_by_their_types_as_far_as_these_are_known(tmp_path, monkeypatch):
    stranger(tmp_path, STRANGER, typed="stranger_plugins:Typed", broken="stranger_missing:X")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        known = validator(strategies(Registry().list()))
    finally:
        sys.modules.pop("stranger_plugins", None)

    def valid(data):
        table = {"flags": "masked-word", "data": data, "mapping": "xarray"}
        return known.is_valid({"schema": 1, "strategy": {"a": table}})

    assert valid({"plugin": "typed", "must": 1, "step": 1, "own": "anything", "table": {"inner": 3}})
    assert valid([{"plugin": "broken", "anything": 1}, "word-swap"])
    assert not valid({"plugin": "typed"})
    assert not valid({"plugin": "typed", "must": 1, "step": 0})
    assert not valid({"plugin": "typed", "must": 1, "stop": 1})


def test_every_file_of_a_folder_is_valid(tmp_path, of_run):
    ran = pagexchange("run", *SMALL, "--strategy", "word-swap", "--rounds", "2", "--out", str(tmp_path / "run"))
    assert ran.code == 0
    for path in (tmp_path / "run", finished(tmp_path / "made").path):
        assert refuse_invalid(path) == {"Manifest", "Host", "Cell", "Sample"}
        assert all(validator(of_run).is_valid(value) for _, value in files(path))


def test_a_file_with_something_wrong_is_not_valid(tmp_path, of_run):
    made = dict(files(finished(tmp_path / "made").path))
    for part, change in {
        "Manifest": {"schema": 2},
        "Host": {"id": "a/b"},
        "Cell": {"seconds": "long"},
        "Sample": {"wall_ns": -1},
    }.items():
        assert validator(of_run, part).is_valid(made[part])
        assert not validator(of_run, part).is_valid(made[part] | change)
        assert not validator(of_run, part).is_valid(dict(list(made[part].items())[1:]))


def test_fields_are_documented_where_their_source_is_there(of_run, monkeypatch):
    assert field_docs(Cell)["exit"].startswith("Exit status of its process")
    assert of_run["$defs"]["Cell"]["properties"]["exit"]["description"].startswith("Exit status of its process")

    def frozen(_module):
        raise OSError

    monkeypatch.setattr("inspect.getsource", frozen)
    assert field_docs(Cell) == {}
    assert run_schema.run()["$defs"].keys() == of_run["$defs"].keys()
