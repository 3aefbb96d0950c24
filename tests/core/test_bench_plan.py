"""What a bench would measure: points of the axes, cells and their ids, groups that fit into memory; what is refused."""

from dataclasses import replace

import pytest

from pagexchange.bench.axes import Point, points, sizes
from pagexchange.bench.catalogue import OTHERS
from pagexchange.bench.plan import PlannedCell, grouped, plan
from pagexchange.bench.rounds import turns
from pagexchange.errors import ConfigError
from pagexchange.host import read
from pagexchange.model.config import BenchConfig
from pagexchange.runs.contenders import contenders
from pagexchange.samples.schema import Planned

CACHES = {"L1d": 32 << 10, "L1i": 64 << 10, "L2": 2 << 20, "L3": 64 << 20}
MIB = 1 << 20


def planned(*settings: str, names=("list-exchange",)):
    config = read.load(None, overrides=settings)
    return plan(config, contenders(config, names), caches=CACHES, cpus=4, memory=1 << 33)


def test_sizes_are_halves_of_this_machines_caches_and_more_than_any_holds() -> None:
    assert sizes(("l1", "l2", "l3", "dram", "3 MiB", 4096), CACHES) == [
        16 << 10, MIB, 32 * MIB, 512 * MIB, 3 * MIB, 4096
    ]  # fmt: skip
    assert sizes(("dram",), {"L1d": 32 << 10}) == [256 * MIB]
    assert sizes(("l1", "l2", "l3", "dram"), None) == [16 << 10, 512 << 10, 8 * MIB, 256 * MIB]


def test_every_combination_is_a_point_and_the_first_axis_varies_slowest() -> None:
    found = points(BenchConfig(size=(MIB, 4 * MIB), order=(0, 2), batch=(8, 16)), CACHES, 4)
    assert [(p.size, p.order, p.batch) for p in found.points] == [
        (size, order, batch) for size in (MIB, 4 * MIB) for order in (0, 2) for batch in (8, 16)
    ]
    assert found.left_out == ()


def test_a_batch_that_a_set_has_not_is_cut_once_and_said() -> None:
    found = points(BenchConfig(size=(64 << 10,), batch=(1, 16, 128)), CACHES, 4)
    assert [p.batch for p in found.points] == [1, 8]
    assert found.left_out == ("64 KiB of 4 KiB folios: lists have 8 pairs, all that there are",)


def test_a_set_has_whole_pairs() -> None:
    (point,) = points(BenchConfig(size=(100_000,), batch=(1,)), CACHES, 4).points
    assert (point.size, point.pairs, point.frames) == (98_304, 12, 12)


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        ({"order": (9,)}, "1 MiB: less than one pair of 2 MiB folios for each of 1 thread"),
        ({"threads": (3,)}, "3 threads: 2 CPUs can be used"),
        ({"threads": (2,), "load": ("busy",)}, "load beside 2 threads: takes one CPU more than the 2 that can be used"),
    ],
)
def test_what_this_machine_cannot_do_is_left_out_with_a_reason(axes, why) -> None:
    found = points(BenchConfig(**({"size": (MIB,), "batch": (1,)} | axes)), CACHES, 2)
    assert found.points == ()
    assert found.left_out == (why,)


def test_a_plan_has_limits_peers_and_strategies_at_each_point() -> None:
    made = planned('bench.size=["1 MiB", "2 MiB"]', "bench.batch=[8]")
    usual = [name for name, other in OTHERS.items() if other.usual and not other.why_not(read.load(None, only=[]))]
    assert [cell.planned.name for cell in made.cells] == 2 * [*usual, "list-exchange"]
    assert made.reference == "rfc-loop"
    assert made.axes()["size"] == [MIB, 2 * MIB]
    assert {cell.planned.clock for cell in made.cells} == {"cpu"}
    assert made.seconds > 0
    assert made.bytes == max(sum(c.bytes for c in group) for _, groups in made.groups() for group in groups)


def test_an_id_says_what_is_measured_and_nothing_else() -> None:
    setting = ('bench.size=["1 MiB"]', "bench.batch=[8, 16]")
    first, again = (
        planned(*setting),
        planned(*setting, "bench.rounds=3", "bench.deadline=9", "strategy.numpy.threads=2"),
    )
    ids = [cell.planned.id for cell in first.cells]
    assert ids == [cell.planned.id for cell in again.cells]
    assert len(set(ids)) == len(ids)
    for other in (("run.seed=2",), ("strategy.list-exchange.data.prefetch=false",)):
        changed = planned(*setting, "strategy.list-exchange.data={plugin='list-exchange'}", *other)
        assert changed.cells[-1].planned.id != first.cells[-1].planned.id
    more = [cell.planned.id for cell in planned(*setting, names=("list-exchange", "word-swap")).cells]
    assert set(ids) < set(more)


def test_several_numbers_of_threads_are_compared_in_wall_time_and_one_thread_peers_left_out() -> None:
    made = planned('bench.size=["1 MiB"]', "bench.batch=[8]", "bench.threads=[1, 2]")
    assert {cell.planned.clock for cell in made.cells} == {"wall"}
    assert "blas-dswap: one thread only" in made.left_out
    assert [c.point.threads for c in made.cells if c.planned.name == "numpy-loop"] == [1]


def test_without_peers_ratios_are_to_the_first_strategy() -> None:
    made = planned("bench.peers=[]", 'bench.size=["1 MiB"]', "bench.batch=[8]", names=("word-swap", "list-exchange"))
    assert [cell.planned.name for cell in made.cells] == ["word-swap", "list-exchange"]
    assert made.reference == "word-swap"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (('bench.peers=["rfc-lop"]',), "unknown peer or limit 'rfc-lop'; did you mean 'rfc-loop'?"),
        (("bench.reference=memcpi",), "bench.reference: 'memcpi' is not measured; did you mean 'memcpy'?"),
        (("bench.order=[9]", 'bench.size=["l1"]'), "not one point is possible: 16 KiB: less than one pair"),
        (("bench.order=[]",), "bench.order: an empty list"),
        (('bench.size=["l4"]',), "size 'l4': want bytes or text such as '64 MiB'"),
        (("bench.order=[10]",), "expected an integer from 0 to 9, got 10"),
        (("bench.page_size=[5000]",), "5000 bytes: want a power of two"),
        (("bench.page_size=[1024, 512]",), "512 bytes: want a power of two from 1024 to 2 MiB"),
        (("bench.rond=3",), "unknown key 'rond'; did you mean 'rounds'?"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(settings, said) -> None:
    with pytest.raises(ConfigError) as error:
        planned(*settings)
    assert said in str(error.value)


def test_a_strategy_with_the_name_of_a_peer_is_refused() -> None:
    chain = 'flags="masked-word", data="word-swap", mapping="xarray"'
    with pytest.raises(ConfigError, match="'memcpy' has the name of a peer or a limit"):
        planned(f"strategy.memcpy={{{chain}}}", names=("memcpy",))


def cell(name: str, size: int) -> PlannedCell:
    return PlannedCell(Planned(id="0" * 12, name=name), Point(MIB), size)


def test_what_does_not_fit_at_once_goes_in_groups_that_each_have_the_reference() -> None:
    cells = [cell("a", 3), cell("r", 2), cell("b", 3), cell("c", 3), cell("d", 9)]

    def names(memory):
        return ["".join(c.planned.name for c in group) for group in grouped(cells, "r", memory)]

    assert names(100) == ["rabcd"]
    assert names(9) == ["rab", "rc", "rd"]  # one that is too large alone is tried all the same
    assert ["".join(c.planned.name for c in group) for group in grouped(cells[:1], "r", 1)] == ["a"]


def test_whose_turn_it_is_follows_from_the_seed_and_each_round_has_all() -> None:
    first = [order for order, _ in zip(turns("abcd", "1"), range(9), strict=False)]
    assert first == [order for order, _ in zip(turns("abcd", "1"), range(9), strict=False)]
    assert first != [order for order, _ in zip(turns("abcd", "2"), range(9), strict=False)]
    assert all(sorted(order) == list("abcd") for order in first)
    assert len({tuple(order) for order in first}) > 2


def test_a_point_is_said_in_words() -> None:
    point = replace(Point(MIB), load="busy", backing="thp")
    assert point.words(["size", "batch", "load"]) == "1 MiB, 128 pairs per call, another process copies memory"
    assert point.words().count(",") == 9  # half file, half anonymous
