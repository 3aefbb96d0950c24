"""Nodes with places, from a file or from Python, and what Linux says of where their frames lie."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from pagexchange.arena import lying
from pagexchange.arena.arena import Arena
from pagexchange.arena.given_nodes import Nodes
from pagexchange.errors import ArenaError
from pagexchange.host import read
from pagexchange.host.resolved import resolved
from pagexchange.model.tomltext import toml
from pagexchange.pages import arena_from_snapshot
from pagexchange.pages.snapshot import format as file_format
from pagexchange_native.arena import numa, real_nodes
from pagexchange_native.arena.places import Place
from pagexchange_native.arena.region import makes_huge_pages
from tests.core.command_line import pagexchange as command
from tests.two_nodes import TwoNodes, plant, put

MIB = 1 << 20
NODES: Nodes = {"fast": {"size": "4 MiB", "numa": 0}, "slow": {"size": "4 MiB", "numa": 2}}


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoNodes:
    machine = TwoNodes(tmp_path / "root")
    plant(monkeypatch, machine)
    return machine


def test_nodes_given_as_tables_are_bound_and_their_frames_counted_where_they_lie(two: TwoNodes) -> None:
    with Arena.create(nodes=NODES) as arena:
        assert arena.places == (Place((0,)), Place((2,)))
        assert [size for _, size, _, _ in two.bound] == [4 * MIB, 4 * MIB]
        arena.frames[:1500] = 1
        fast, slow = lying.lie(arena)
        assert (fast.looked_at, fast.on, fast.untouched, fast.elsewhere) == (1024, {0: 1024}, 0, 0)
        assert (slow.looked_at, slow.on, slow.untouched, slow.elsewhere) == (1024, {2: 476}, 548, 0)
        assert lying.words([fast, slow]) == "fast on node 0, slow on node 2"
        assert lying.remarks([fast, slow]) == []


def test_frames_that_are_elsewhere_are_counted_and_said(two: TwoNodes) -> None:
    with Arena.create(nodes=NODES) as arena:
        arena.frames[:] = 1
        offset, _, size = arena.geometry()["frames"]
        first = arena.memory.__array_interface__["data"][0] + offset
        two.moved = {first + frame * size: 0 for frame in range(1024, 1034)}
        found = lying.lie(arena)
        assert found[1].elsewhere == 10
        assert found[1].values()["on"] == {"0": 10, "2": 1014}
        assert lying.words(found) == "fast on node 0, slow on node 0 (1%) and node 2 (99%)"
        (remark,) = lying.remarks(found)
        assert remark.startswith(
            "Node 'slow' is bound to node 2, and 10 of the 1,024 frames that were looked at lie elsew"
        )


def test_of_many_frames_some_are_looked_at_evenly(two: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lying, "MOST", 4)
    with Arena.create(nodes=NODES) as arena:
        arena.frames[1024 + 512 :] = 1
        fast, slow = lying.lie(arena)
        assert (fast.looked_at, fast.untouched) == (4, 4)
        assert (slow.looked_at, slow.untouched, slow.on) == (4, 2, {2: 2})


def test_two_nodes_on_one_are_said_to_be_one_memory(two: TwoNodes) -> None:
    same: dict[str, Any] = {"fast": {"size": "4 MiB", "numa": 2}, "slow": {"size": "4 MiB", "numa": [2]}}
    with Arena.create(nodes=same) as arena:
        arena.frames[:] = 1
        assert lying.remarks(lying.lie(arena)) == ["All nodes of the arena lie on node 2: one memory, and one speed."]


def test_unbound_nodes_on_a_machine_of_two_are_remarked_on(two: TwoNodes) -> None:
    with Arena.create(nodes={"fast": "4 MiB", "slow": "4 MiB"}) as arena:
        assert two.bound == []
        arena.frames[:] = 1
        (remark,) = lying.remarks(lying.lie(arena))
        assert remark.startswith(
            "This machine has memory on nodes 0 and 2, and the arena's nodes are not bound to them"
        )
        put(two.root / "sys/devices/system/node/has_memory", "0\n")
        assert lying.remarks(lying.lie(arena)) == []
        assert lying.words(lying.lie(arena)) == ""


def test_a_machine_that_does_not_say_where_pages_are_is_told(two: TwoNodes) -> None:
    with Arena.create(nodes=NODES) as arena:
        two.refuses["where"] = errno.EPERM
        found = lying.lie(arena)
        assert [one.why for one in found] == ["where is refused"] * 2
        assert lying.words(found) == "fast where Linux does not say, slow where Linux does not say"
        assert len(lying.remarks(found)) == 2


def test_this_machine_says_where_frames_lie() -> None:
    with Arena.create(nodes={"fast": "1 MiB", "slow": "1 MiB"}) as arena:
        assert [one.untouched for one in lying.lie(arena)] == [256, 256]
        arena.frames[:] = 1
        for one in lying.lie(arena):
            assert one.why or sum(one.on.values()) == 256


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"numa": 0}, "node 'slow': want size or frames, one of the two"),
        ({"size": 4096, "frames": 1}, "node 'slow': want size or frames, one of the two"),
        (
            {"size": 4096, "node": 1},
            "node 'slow': unknown key 'node'; choose of size, frames, numa, interleave and path",
        ),
        ({"size": 4096, "interleave": "odd"}, "node 'slow': interleave 'odd': choose 'even' or 'weighted'"),
        ({"size": 5000}, "node 'slow': 5000 is not a multiple of the page size 4096"),
    ],
)
def test_a_wrong_table_is_a_wrong_value(table: dict[str, object], says: str) -> None:
    nodes: dict[str, Any] = {"fast": "1 MiB", "slow": table}
    with pytest.raises(ValueError, match=says):
        Arena.create(nodes=nodes)


def test_a_node_s_number_is_an_integer() -> None:
    nodes: dict[str, Any] = {"fast": "1 MiB", "slow": {"size": "1 MiB", "numa": ["1"]}}
    with pytest.raises(TypeError, match="node 'slow': numa: want an integer, got str '1'"):
        Arena.create(nodes=nodes)


# ---- files -----------------------------------------------------------------------------------------------------------

FILE = """schema = 1
[arena]
nodes = { fast = { size = "4 MiB", numa = 0 }, slow = { size = "8 MiB", numa = [0, 2], interleave = "weighted" } }
[strategy.s]
flags = "masked-word"
data = "list-exchange"
mapping = "xarray"
"""


def test_a_file_says_where_nodes_lie_and_reads_the_same_when_it_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(FILE)
    config = read.load(tmp_path / "s.toml")
    assert config.arena.frames == {"fast": 1024, "slow": 2048}
    assert config.placed() == {"fast": {"numa": 0}, "slow": {"numa": (0, 2), "interleave": "weighted"}}
    (tmp_path / "again.toml").write_text(toml(resolved(config, config.strategies.values())))
    again = read.load(tmp_path / "again.toml")
    assert again.arena == config.arena


def test_a_path_of_a_node_starts_from_the_file_s_folder(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(FILE.replace('numa = [0, 2], interleave = "weighted"', 'path = "pages"'))
    config = read.load(tmp_path / "s.toml")
    assert config.placed()["slow"] == {"path": tmp_path / "pages"}


def test_one_node_is_bound_from_the_command_line() -> None:
    config = read.load(overrides=["arena.nodes.slow.numa=1", "arena.nodes.fast.numa=[0,2]"])
    assert config.placed() == {"fast": {"numa": (0, 2)}, "slow": {"numa": 1}}
    assert config.arena.sizes == {"fast": 256 * MIB, "slow": 256 * MIB}


@pytest.mark.skipif(not makes_huge_pages(), reason="this Linux makes no huge pages on demand")
def test_a_snapshot_s_nodes_are_whole_huge_pages_where_they_are_bound(two: TwoNodes) -> None:
    arena, _ = arena_from_snapshot(file_format.packaged(), nodes={"a": {"numa": 0}, "b": {"numa": 2}}, huge="thp")
    with arena:
        assert [mode for _, _, mode, _ in two.bound] == [numa.BIND] * 2
        assert all(size % (2 * MIB) == 0 and address % (2 * MIB) == 0 for address, size, _, _ in two.bound)
        assert [node["name"] for node in arena.nodes] == ["a", "b"]


# ---- a run -----------------------------------------------------------------------------------------------------------

SMALL = ("--set", "workload.source=synthetic", "--rounds=1", "--strategy=list-exchange")


def test_a_run_says_where_its_nodes_lie_in_its_heading_and_in_json(two: TwoNodes) -> None:
    places = ("--set", 'arena.nodes={ fast = { size = "4 MiB", numa = 0 }, slow = { size = "4 MiB", numa = 2 } }')
    done = command("run", *SMALL, *places)
    assert "fast on node 0, slow on node 2" in " ".join(done.out.split())
    nodes = json.loads(command("run", *SMALL, *places, "--json").out)["input"]
    assert nodes["real_nodes"] == "fast on node 0, slow on node 2"
    assert [node["lies"]["asked"] for node in nodes["nodes"]] == [[0], [2]]
    assert [list(node["lies"]["on"]) for node in nodes["nodes"]] == [["0"], ["2"]]


def test_a_run_on_a_node_that_is_not_there_ends_with_3_and_names_those_that_are() -> None:
    there = real_nodes.HERE.with_memory()
    done = command("run", *SMALL, "--set", f"arena.nodes.slow.numa={max(there) + 1}")
    assert done.code == 3
    assert f"node {max(there) + 1} has no memory here; this machine has memory on node" in done.err
    nodes: dict[str, Any] = {"fast": "1 MiB", "slow": {"size": "1 MiB", "numa": max(there) + 1}}
    with pytest.raises(ArenaError):
        Arena.create(nodes=nodes)


def test_explain_says_where_nodes_are_to_lie_and_what_the_machine_has_not(two: TwoNodes) -> None:
    args = ("explain", "numpy", "--set", "arena.nodes.fast.numa=0", "--set", "arena.nodes.slow.numa=[2,5]")
    said = " ".join(command(*args).out.split())
    assert (
        "nodes: fast on node 0, slow on nodes 2 and 5 interleaved; not here: node 'slow': numa = [2, 5]: node 5" in said
    )
    told = json.loads(command(*args, "--json").out)
    assert told["nodes"]["slow"] == {"bytes": 256 * MIB, "place": "on nodes 2 and 5 interleaved"}
    assert told["nodes_wanting"].startswith("node 'slow': numa = [2, 5]: node 5 has no memory here")
    plain = json.loads(command("explain", "numpy", "--json").out)
    assert (plain["nodes"]["fast"]["place"], plain["nodes_wanting"]) == ("", "")
    assert two.bound == []
