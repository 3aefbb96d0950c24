"""On which node a page was: read from /proc/zoneinfo, kept in a snapshot, kept by a run, and said where it is not."""

import json
from typing import cast

import numpy as np
import pytest

from pagexchange.errors import SnapshotError
from pagexchange.pages import arena_from_snapshot
from pagexchange.pages.folios import folios
from pagexchange.pages.snapshot import Snapshot, nodes, take
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot.facts import Facts
from pagexchange.pages.snapshot.proc import zoneinfo
from pagexchange.pages.snapshot.proc.kpageflags import mask
from pagexchange.pages.snapshot.proc.tree import Tree
from tests.core.command_line import pagexchange
from tests.core.zoo import VERSIONS, Zoo, lay_out

CACHE, HOT = mask("UPTODATE", "LRU"), mask("UPTODATE", "LRU", "ACTIVE", "REFERENCED")


def zone(node, name, start, spanned):
    begin = f"  start_pfn:           {start}\n" if spanned else ""
    return (
        f"Node {node}, zone {name:>8}\n  pages free     12\n        min      3\n        spanned  {spanned}\n"
        f"        present  {spanned}\n        managed  {spanned // 2}\n        protection: (0, 951)\n"
        f"      nr_free_pages 5\n  pagesets\n    cpu: 0\n              count: 66\n  node_unreclaimable:  0\n{begin}"
    )


def made(*parts):
    return {"number": parts[0], "spans": [tuple(span) for span in parts[1:]]}


def pages(pfns, known=(), words=None, **facts):
    """A snapshot of page cache at these frames."""
    n = len(pfns)
    none = np.zeros(0, np.uint32)
    if known:
        facts["nodes"] = list(known)
    return Snapshot(
        pfn=np.array(pfns, np.uint64), flags=np.full(n, CACHE, np.uint64) if words is None else words,
        count=np.zeros(n, np.uint32), file=np.full(n, -1, np.int32), index=np.zeros(n, np.uint64), map_space=none,
        map_vpn=none.astype(np.uint64), map_frame=none, map_bits=none.astype(np.uint8), facts=cast("Facts", facts),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("zones", "spans"),
    [
        ([(0, "DMA", 1, 4095), (0, "DMA32", 4096, 8192), (1, "Normal", 12_288, 100)],
         {0: [(1, 12_288)], 1: [(12_288, 12_388)]}),
        ([(0, "DMA", 1, 9), (0, "Normal", 100, 50), (0, "Movable", 500, 10)], {0: [(1, 10), (100, 150), (500, 510)]}),
        ([(0, "Normal", 0, 10), (1, "Normal", 0, 0), (2, "Movable", 20, 10)], {0: [(0, 10)], 1: [], 2: [(20, 30)]}),
        ([(0, "Normal", 0, 100), (1, "Normal", 40, 20)], {0: [(0, 100)], 1: [(40, 60)]}),
        ([(11, "Normal", 7, 1)], {11: [(7, 8)]}),
        ([], {}),
    ],
    ids=["two nodes", "zones with gaps", "a node without memory", "one inside the other", "two digits", "nothing"],
)  # fmt: skip
def test_spans_of_nodes_are_those_of_their_zones(zones, spans):
    assert zoneinfo.spans("".join(zone(*some) for some in zones)) == spans


def test_a_zone_that_does_not_say_where_it_begins_is_wrong():
    text = zone(0, "DMA", 1, 9) + zone(1, "Normal", 50, 7).replace("start_pfn:           50", "start_pfn:")
    with pytest.raises(ValueError, match="node 1, zone Normal: 7 frames and no start_pfn"):
        zoneinfo.spans(text)


@pytest.mark.parametrize(
    ("known", "pfns", "expected"),
    [
        ([made(0, (1, 10)), made(1, (10, 20))], [0, 1, 9, 10, 19, 20], [-1, 0, 0, 1, 1, -1]),
        ([made(0, (0, 100)), made(1, (40, 60))], [0, 39, 40, 59, 60, 99], [0, 0, 1, 1, 0, 0]),
        ([made(1, (40, 60)), made(0, (0, 100))], [39, 40, 59, 60], [0, 1, 1, 0]),
        ([made(0, (0, 60)), made(1, (40, 100))], [39, 40, 59, 60], [0, -1, -1, 1]),
        ([made(0, (0, 60)), made(1, (0, 60))], [5], [-1]),
        ([made(0, (0, 10), (20, 30)), made(3, (10, 20)), made(7)], [5, 15, 25], [0, 3, 0]),
    ],
)
def test_a_frame_is_on_the_node_whose_span_it_is_in(known, pfns, expected):
    assert nodes.of_frames(known, np.array(pfns, np.uint64)).tolist() == expected


@pytest.mark.parametrize(
    ("known", "fast", "slow", "why"),
    [
        ([made(0, (0, 9)), made(1, (9, 20))], [0], [1], "number"),
        ([made(0, (0, 9)) | {"cpus": False}, made(1, (9, 20)) | {"cpus": True}], [1], [0], "CPUs"),
        (
            [made(0, (0, 9)) | {"cpus": True, "tier": 22}, made(1, (9, 20)) | {"cpus": False, "tier": 4}],
            [1],
            [0],
            "tier",
        ),
        ([made(0, (0, 9)) | {"tier": 4}, made(1, (9, 20)) | {"tier": 4}], [0], [1], "number"),
        ([made(0, (0, 9)) | {"tier": 4}, made(1, (9, 20)) | {"cpus": False}], [0], [1], "CPUs"),
        ([made(n, (9 * n, 9 * n + 9)) | {"cpus": n < 2} for n in range(4)], [0, 1], [2, 3], "CPUs"),
        ([made(n, (9 * n, 9 * n + 9)) | {"cpus": True} for n in range(4)], [0], [1, 2, 3], "number"),
        ([made(0), made(2, (0, 9)), made(5, (9, 12))], [2], [5], "number"),
        ([made(0, (0, 9)), made(1)], [], [], ""),
        ([], [], [], ""),
    ],
)
def test_which_nodes_are_fast(known, fast, slow, why):
    found = nodes.sides({"nodes": known})
    assert found[:2] == (fast, slow)
    assert why in found[2]


def test_what_sys_says_of_nodes_is_recorded(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/zoneinfo").write_text(
        zone(0, "Normal", 0, 10) + zone(1, "Movable", 10, 10) + zone(2, "Normal", 0, 0)
    )
    for number, cpus in ((0, "0-3\n"), (1, "\n")):
        folder = tmp_path / f"sys/devices/system/node/node{number}"
        folder.mkdir(parents=True)
        (folder / "cpulist").write_text(cpus)
    for tier, listed in ((4, "0,2"), (22, "1"), (30, "nonsense, 1-")):
        folder = tmp_path / f"sys/devices/virtual/memory_tiering/memory_tier{tier}"
        folder.mkdir(parents=True)
        (folder / "nodelist").write_text(listed)
    notes: list[str] = []
    assert nodes.read(Tree.at(tmp_path), notes) == [
        made(0, (0, 10)) | {"cpus": True, "tier": 4}, made(1, (10, 20)) | {"cpus": False, "tier": 22},
        made(2) | {"tier": 4},
    ]  # fmt: skip
    assert notes == []
    (tmp_path / "proc/zoneinfo").write_text("Node 0, zone DMA\n        spanned  7\n")
    assert nodes.read(Tree.at(tmp_path), notes) == []
    assert notes == [
        f"{tmp_path}/proc/zoneinfo: node 0, zone DMA: 7 frames and no start_pfn. On which node a page was is not known."
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("split", [None, "real"])
def test_every_page_of_a_recorded_machine_is_on_its_own_node(version, split, tmp_path):
    raw = Zoo(lay_out(version, tmp_path))
    snapshot = take(proc=tmp_path)
    assert snapshot.facts["nodes"] == [
        made(0, (1, 262_144)) | {"cpus": True}, made(1, (262_144, 524_241)) | {"cpus": True},
    ]  # fmt: skip
    file_format.save(snapshot, tmp_path / "s.pgxsnap")
    arena, population = arena_from_snapshot(file_format.load(tmp_path / "s.pgxsnap"), split=split)
    with arena:
        pfn = snapshot.pfn[folios(snapshot).row]
        np.testing.assert_array_equal(population.node, pfn >= 262_144)
        size = np.left_shift(1, population.order.astype(int))
        on_first = int(raw.user[:262_144].sum())
        assert on_first == {"6.1": 11_153, "6.12": 11_822}[version] == size[population.node == 0].sum()
        assert population.split is not None
        assert population.split.how == "real"
        assert (
            population.split.sentence
            == "nodes as they were: fast 0, slow 1 (by number, as nothing else tells them apart)"
        )


TWO = (made(0, (0, 100)), made(1, (100, 200)))


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        (pages([1, 150]), "the snapshot does not say on which node a page was"),
        (pages([1, 150], [made(0, (0, 200))]), "the machine of the snapshot has one node with memory"),
        (pages([1, 150], [made(0, (0, 200)), made(1)]), "the machine of the snapshot has one node with memory"),
        (pages([1, 50], TWO), "no page of the snapshot was on a slow node (1)"),
        (pages([110, 150], TWO), "no page of the snapshot was on a fast node (0)"),
        (pages([1, 150], TWO, partial=True), "the snapshot's frame numbers are made up"),
    ],
)
def test_where_two_nodes_cannot_be_kept_they_are_drawn_and_it_is_said_or_refused(snapshot, why):
    arena, population = arena_from_snapshot(snapshot)
    with arena:
        assert population.split is not None
        assert population.split.how == "drawn"
        assert population.split.sentence.startswith(f"nodes are drawn by the seed: {why}")
    with pytest.raises(SnapshotError) as caught:
        arena_from_snapshot(snapshot, split="real")
    assert f"split = 'real': {why}" in str(caught.value)


def test_pages_outside_of_all_nodes_are_drawn_counted_and_said():
    arena, population = arena_from_snapshot(pages([1, 2, 150, *range(300, 400)], TWO))
    with arena:
        assert population.node[:3].tolist() == [0, 0, 1]
        assert 20 < population.node[3:].sum() < 80
        assert population.counts["outside_nodes"] == 100
        assert population.split is not None
        assert "100 folios were on none of them and are drawn" in population.split.sentence


@pytest.mark.parametrize(
    ("split", "how"), [(0.25, "drawn"), (0, "drawn"), ("halves", "halves"), ("interleave", "interleave")]
)
def test_whoever_asks_for_another_split_gets_it(split, how):
    arena, population = arena_from_snapshot(pages([*range(50), *range(100, 150)], TWO), split=split)
    with arena:
        assert population.split is not None
        assert population.split.how == how
        assert {0.25: 60 < population.node.sum() < 90, 0: population.node.all()}.get(split, True)


def test_a_snapshot_tells_how_many_pages_are_on_each_node(tmp_path):
    root = lay_out("6.1", tmp_path / "zoo")
    said = json.loads(pagexchange("snapshot", str(tmp_path / "o"), "--proc", str(root), "--json").out)
    assert said["pages_by_node"] == {"0": 11_153, "1": 10_221}
    printed = pagexchange("snapshot", str(tmp_path / "p"), "--proc", str(root)).out
    assert "pages on nodes: 11,153 on 0, 10,221 on 1" in printed
    (root / "proc/zoneinfo").write_text(zone(0, "Normal", 0, 262_144))
    assert nodes.pages(take(proc=root).facts, take(proc=root).pfn) == {"0": 11_153, "none": 10_221}
    (root / "proc/zoneinfo").unlink()
    assert nodes.pages(take(proc=root).facts, take(proc=root).pfn) == {}


@pytest.fixture
def on_disk(tmp_path):
    """A snapshot of two nodes whose hot pages are on the second one, and one without nodes."""
    pfns = [*range(40), *range(100, 140)]
    words = np.repeat(np.array([CACHE, HOT], np.uint64), 40)
    for name, known in (("two", TWO), ("none", ())):
        file_format.save(pages(pfns, known, words), tmp_path / f"{name}.pgxsnap")
    return tmp_path


RUN = ("run", "--rounds", "0", "--strategy", "word-swap")


def test_run_keeps_the_nodes_of_a_snapshot_and_says_so(on_disk):
    ran = pagexchange(*RUN, "--input", str(on_disk / "two.pgxsnap"), "--json")
    assert ran.code == 0, ran.err
    given = json.loads(ran.out)["input"]
    assert given["pairs"] == 40  # every hot page against a cold one
    assert given["details"]["split"] == "real"
    assert any(note.startswith("nodes as they were: fast 0, slow 1") for note in given["details"]["notes"])
    printed = pagexchange(*RUN, "--input", str(on_disk / "two.pgxsnap")).out
    assert "nodes as recorded" in " ".join(printed.split())


@pytest.mark.parametrize("more", [("none",), ("two", "--set", "workload.split=0.5")])
def test_run_says_when_nodes_are_drawn(on_disk, more):
    name, *options = more
    printed = " ".join(pagexchange(*RUN, "--input", str(on_disk / f"{name}.pgxsnap"), *options).out.split())
    assert "nodes drawn" in printed
    assert "nodes are drawn by the seed" in printed
    assert "nodes drawn" in " ".join(pagexchange(*RUN, "--pairs", "9").out.split())


def test_check_refuses_what_run_refuses(on_disk):
    for name, code in (("two", 0), ("none", 3), ("gone", 3)):
        asked = ("--set", f"workload.snapshot={on_disk / name}.pgxsnap", "--set", "workload.split=real")
        ran, checked = pagexchange(*RUN, *asked), pagexchange("check", *asked)
        assert (ran.code, checked.code) == (code, code), (ran.err, checked.err)
        assert checked.err == (f"{ran.err}1 error\n" if code else "")
    assert "split = 'real': the snapshot does not say" in pagexchange(
        "check", "--set", f"workload.snapshot={on_disk}/none.pgxsnap", "--set", "workload.split=real"
    ).err  # fmt: skip


@pytest.mark.parametrize("value", ["1.5", "-0.1", "thirds", "true", "[1]"])
def test_a_split_that_there_is_not_is_refused_by_both(value):
    asked = ("--set", f"workload.split={value}")
    assert (pagexchange(*RUN, *asked).code, pagexchange("check", *asked).code) == (2, 2)
