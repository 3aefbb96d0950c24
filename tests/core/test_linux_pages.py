"""A process's own pages that Linux moves: what is asked of it, what is believed of it, what is refused in words."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagexchange.bench.catalogue import OTHERS
from pagexchange.bench.linux_peers import MovePagesCell, OwnStage
from pagexchange.bench.plan import plan
from pagexchange.bench.scenes import Setting
from pagexchange.bench.turn import WrongError
from pagexchange.errors import ConfigError
from pagexchange.host import read
from pagexchange.linux.beside import beside
from pagexchange.linux.move_pages import MovePages, migrated, warnings
from pagexchange.linux.own_pages import OwnPages, two_nodes
from pagexchange.linux.remap import Remap
from pagexchange_native.arena import real_nodes
from pagexchange_native.bench import time_remap
from tests.core.command_line import pagexchange as command
from tests.two_nodes import TwoNodes, plant, put

MIB = 1 << 20
FIRST, SECOND = np.arange(4), np.arange(16, 20)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoNodes:
    machine = TwoNodes(tmp_path / "root")
    plant(monkeypatch, machine)
    return machine


# ---- this machine ----------------------------------------------------------------------------------------------------


def test_linux_moves_pages_of_this_process_without_privilege_and_leaves_their_contents() -> None:
    node = real_nodes.HERE.allowed()[0]
    try:
        pages = OwnPages(16, nodes=(node, node))
    except LookupError as error:
        pytest.skip(str(error))
    pages.words()[:, 3] = np.arange(32)
    done = MovePages(pages).exchange(FIRST, SECOND)
    assert (done.pairs, done.failed, done.status.tolist()) == (4, 0, [[0, 0]] * 4)
    assert set(pages.where(np.arange(32)).tolist()) == {node}
    assert pages.words()[:, 3].tolist() == list(range(32))


def test_a_page_is_4_kib_or_2_mib() -> None:
    with pytest.raises(LookupError, match="Linux moves pages of 4 KiB and of 2 MiB here, not of 64 KiB"):
        OwnPages(1, size=65536)


def test_huge_pages_lie_at_multiples_of_their_size_or_are_said_to_be_missing() -> None:
    try:
        pages = OwnPages(2, size=2 * MIB)
    except LookupError as error:
        assert "of 4 pages of 2 MiB Linux gave" in str(error)  # noqa: PT017 - one of two good ends
    else:
        assert not (pages.addresses % (2 * MIB)).any()


# ---- which nodes -----------------------------------------------------------------------------------------------------


def test_a_machine_of_one_node_is_said_to_have_one(two: TwoNodes) -> None:
    put(two.root / "sys/devices/system/node/has_memory", "0\n")
    with pytest.raises(
        LookupError, match="Linux moves pages between nodes of memory, and this machine has one: node 0"
    ):
        two_nodes()


def test_a_cpuset_of_one_node_is_said_to_be_one(two: TwoNodes) -> None:
    put(two.root / "proc/self/status", "Mems_allowed_list:\t2\n")
    with pytest.raises(LookupError, match="of nodes 0 and 2 the cpuset of this process allows node 2 alone"):
        two_nodes()


def test_the_fast_node_has_processors_and_the_slow_one_none_unless_the_file_says_otherwise(two: TwoNodes) -> None:
    assert two_nodes() == (0, 2)
    assert two_nodes((2, 0)) == (2, 0)
    put(two.root / "sys/devices/system/node/node2/cpulist", "2-3\n")
    put(two.root / "sys/devices/system/node/node0/cpulist", "\n")
    assert two_nodes() == (2, 0)
    with pytest.raises(LookupError, match="node 7: this process may use memory of nodes 0 and 2"):
        two_nodes((0, 7))


def test_too_little_memory_on_one_of_them_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, TwoNodes(tmp_path, free=(4096, 2)))
    with pytest.raises(LookupError, match=r"node 2: 3 MiB are needed for pages, 1.969 MiB are available"):
        OwnPages(256, nodes=(0, 2), spare=512)


def test_a_container_that_forbids_to_place_pages_is_told(two: TwoNodes) -> None:
    two.refuses["mbind"] = errno.EPERM
    with pytest.raises(LookupError, match="pages cannot be placed on node 0: mbind is refused"):
        OwnPages(4, nodes=(0, 2))


# ---- moves -----------------------------------------------------------------------------------------------------------


def test_both_halves_go_to_the_other_node_and_which_goes_first_alternates(two: TwoNodes) -> None:
    pages = OwnPages(16, nodes=(0, 2))
    moves = MovePages(pages)
    assert pages.where(np.array([0, 16])).tolist() == [0, 2]
    assert moves.exchange(FIRST, SECOND).pairs == 4
    assert pages.where(np.concatenate([FIRST, SECOND])).tolist() == [2] * 4 + [0] * 4
    assert list(two.moved.values()) == [2] * 4 + [0] * 4
    two.moved.clear()
    moves.exchange(SECOND, FIRST)
    assert list(two.moved) == pages.addresses[np.concatenate([FIRST, SECOND])].tolist()


def test_after_a_call_that_left_pages_linux_is_asked_again_where_they_are(two: TwoNodes) -> None:
    pages = OwnPages(16, nodes=(0, 2))
    two.stuck = {int(pages.addresses[2])}
    done = MovePages(pages).exchange(FIRST, SECOND)
    assert done.failed == 1
    assert done.status.tolist() == [[0, 0], [0, 0], [-errno.EBUSY, 0], [0, 0]]
    assert done.pairs == 3


def test_a_call_that_fails_as_a_whole_leaves_its_errno_to_the_pages_that_stayed(two: TwoNodes) -> None:
    pages = OwnPages(16, nodes=(0, 2))
    two.moved[int(pages.addresses[1])] = 2  # Linux had moved it when memory ended
    two.refuses["move"] = errno.ENOMEM
    status, _, _, again = MovePages(pages).move(FIRST, 2)
    assert again
    assert status.tolist() == [-errno.ENOMEM, 0, -errno.ENOMEM, -errno.ENOMEM]


def test_the_fixed_cost_of_a_call_is_what_one_page_takes_more_than_its_share(
    two: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = MovePages(OwnPages(64, nodes=(0, 2)))
    monkeypatch.setattr(moves, "move", lambda numbers, _: (np.zeros(len(numbers)), 9000 + 100 * len(numbers), 0, False))
    call, page = moves.fixed_cost()
    assert (round(call), round(page)) == (9000, 100)


def test_what_linux_counts_and_what_moves_pages_besides_is_read(tmp_path: Path) -> None:
    assert (migrated(tmp_path), warnings(tmp_path)) == (-1, [])
    put(tmp_path / "proc/vmstat", "numa_hit 3\npgmigrate_success 812\npgmigrate_fail 2\n")
    put(tmp_path / "proc/sys/kernel/numa_balancing", "2\n")
    assert migrated(tmp_path) == 812
    assert warnings(tmp_path) == ["numa_balancing is 2: Linux moves pages between nodes at the same time"]


# ---- the cell of a bench ---------------------------------------------------------------------------------------------


def test_lists_name_places_and_each_page_is_followed_to_where_it_is(two: TwoNodes) -> None:
    stage = OwnStage(Setting("anon", 64 * 4096), 1, (0, 2))
    cell = MovePagesCell(stage)
    rng = np.random.default_rng(5)
    found = cell.check(stage.lists(8, 1, "random", rng)[0])
    assert (found["frames"], found["refused"]) == (16, {})
    for _ in range(3):
        turn = cell.turn(stage.lists(8, 5, "random", rng))
        assert (turn.pairs, turn.exchanged, turn.calls, len(turn.call_ns)) == (40, 40, 5, 5)
    assert set(stage.pages.where(cell._now[stage.sides[0]]).tolist()) == {0}
    assert set(stage.pages.where(cell._now[stage.sides[1]]).tolist()) == {2}


def test_pages_that_stay_are_no_exchanged_pairs(two: TwoNodes) -> None:
    stage = OwnStage(Setting("anon", 64 * 4096), 1, (0, 2))
    two.stuck = {int(stage.pages.addresses[40])}
    found = MovePagesCell(stage).check(np.column_stack(stage.sides))
    assert found["refused"] == {"EBUSY": 1}
    assert (found["frames"], found["details"]["asked_again"]) == (62, 1)


def test_contents_that_change_are_wrong(two: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = OwnStage(Setting("anon", 64 * 4096), 1, (0, 2))
    cell, move = MovePagesCell(stage), two.move

    def scribbles(*args: object) -> object:
        stage.pages.words()[7, 0] = 99
        return move(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(two, "move", scribbles)
    with pytest.raises(WrongError, match="move_pages has changed what is in pages"):
        cell.check(np.column_stack(stage.sides))


def planned(*overrides: str) -> tuple[set[str], tuple[str, ...]]:
    made = plan(read.load(overrides=overrides, only=[]), [], caches=None, cpus=2, memory=1 << 34)
    return {cell.planned.name for cell in made.cells}, made.left_out


def test_a_machine_without_two_nodes_has_no_row_and_is_told_once(two: TwoNodes) -> None:
    names, left_out = planned()
    assert "move-pages" in names
    assert left_out == ()
    put(two.root / "sys/devices/system/node/has_memory", "0\n")
    names, left_out = planned()
    assert "move-pages" not in names
    assert left_out == ("move-pages: Linux moves pages between nodes of memory, and this machine has one: node 0",)
    with pytest.raises(ConfigError, match="'move-pages' is not measured: Linux moves pages between nodes"):
        planned("bench.reference=move-pages")


def test_the_row_s_nodes_are_those_that_the_file_binds(two: TwoNodes) -> None:
    config = read.load(overrides=["arena.nodes.fast.numa=2", "arena.nodes.slow.numa=0"])
    stage = OTHERS["move-pages"].stage(Setting("anon", 64 * 4096), 1, config)
    assert stage.details() == {"page_size": 4096, "real_nodes": "fast on node 2, slow on node 0"}


# ---- mremap ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4096, 2 * MIB])
def test_mremap_lets_pages_trade_addresses_and_twice_is_the_identity(size: int) -> None:
    try:
        pages = OwnPages(4, size=size)
    except LookupError as error:
        pytest.skip(str(error))
    remap, words = Remap(pages), pages.words()
    words[:, 0] = words[:, -1] = np.arange(8)
    remap.exchange(np.array([0, 1]), np.array([6, 4]))
    assert words[:, 0].tolist() == words[:, -1].tolist() == [6, 4, 2, 3, 1, 5, 0, 7]
    remap.exchange(np.array([0, 1]), np.array([6, 4]))
    assert words[:, 0].tolist() == list(range(8))


def test_more_mappings_than_linux_allows_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "proc/sys/vm/max_map_count", "1030\n")
    with pytest.raises(
        LookupError, match=r"32 pages may become as many mappings, vm.max_map_count is 1,030; want fewer"
    ):
        Remap(OwnPages(16), tmp_path)


def test_a_call_that_linux_refuses_is_an_error_and_a_wrong_array_a_wrong_value() -> None:
    with pytest.raises(OSError, match="mremap, pair 0"):
        time_remap(np.array([[1, 2]], np.uint64), 4096, 4096)
    with pytest.raises(ValueError, match="3 columns"):
        time_remap(np.zeros((1, 3), np.uint64), 4096, 4096)
    signed: Any = np.zeros((1, 2), np.int64)
    with pytest.raises(ValueError, match="pairs: want a C-contiguous uint64 array of 2 dimensions"):
        time_remap(signed, 4096, 4096)


def test_bench_measures_mremap_where_it_is_asked_for(tmp_path: Path) -> None:
    done = command(
        "bench", "--size", "64 KiB", "--batch", "4", "--rounds", "1", "--peers", "rfc-loop,mremap,move-pages",
        "--strategy", "list-exchange", "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.code in (0, 6), done.err
    assert "mremap" in done.out
    if len(real_nodes.HERE.with_memory()) < 2:
        assert "Left out: move-pages: Linux moves pages between nodes of memory" in " ".join(done.out.split())


# ---- beside a tier's figures -----------------------------------------------------------------------------------------


def test_linux_s_own_exchange_is_said_with_its_nodes_or_why_it_is_not_here(two: TwoNodes) -> None:
    config = read.load(overrides=["arena.nodes.fast.numa=2", "arena.nodes.slow.numa=[0,2]"])
    assert config.real_nodes == (2, 0)
    said = beside(config.real_nodes, 16)
    assert said.startswith(
        "Linux itself, two calls of move_pages for 16 pairs of this process's own pages of 4 KiB between"
    )
    assert "between node 2 and node 0: " in said
    assert "could not be moved" not in said
    put(two.root / "sys/devices/system/node/has_memory", "0\n")
    assert beside((), 16).startswith(
        "Linux itself is not here: Linux moves pages between nodes of memory, and this machi"
    )
    assert read.load(overrides=["arena.nodes.fast.numa=2"]).real_nodes == ()
