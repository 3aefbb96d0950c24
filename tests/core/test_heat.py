"""How hot pages are: what flags say, what they cannot say, and what says more."""

import json
import shutil

import numpy as np
import pytest

from pagexchange.errors import SnapshotError
from pagexchange.pages import arena_from_snapshot
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot import heat, take
from pagexchange.pages.snapshot.proc import reader
from pagexchange.pages.snapshot.proc.kpageflags import mask
from pagexchange.pages.snapshot.proc.tree import Tree
from tests.core.command_line import pagexchange
from tests.core.test_nodes import RUN
from tests.core.test_snapshot_take import FakeProc
from tests.core.zoo import lay_out

CACHE = mask("UPTODATE", "LRU")
NAMES = {
    0: (),
    1: ("REFERENCED",),
    2: ("ACTIVE",),
    3: ("ACTIVE", "REFERENCED"),
    4: ("IDLE",),
    5: ("IDLE", "REFERENCED"),
}


@pytest.fixture
def tree(tmp_path):
    """Page cache: frame 100 + k has the flags NAMES[k], 40 of them at a stretch of 10."""
    root = tmp_path / "tree" / "proc"
    root.mkdir(parents=True)
    proc = FakeProc(root)
    for k, names in NAMES.items():
        proc.flags[100 + k :: 10][:40] = CACHE | mask(*names)
    proc.write()
    return root.parent


def lru_gen(tree, text):
    (tree / "sys/kernel/mm/lru_gen").mkdir(parents=True)
    (tree / "sys/kernel/mm/lru_gen/enabled").write_text(f"{text}\n")


def without_idle(tree):
    words = np.fromfile(tree / "proc/kpageflags", "<u8")
    (words & ~mask("IDLE")).tofile(tree / "proc/kpageflags")


def by_flags(snapshot):
    return [int(snapshot.heat()[snapshot.pfn == 100 + k][0]) for k in NAMES]


@pytest.mark.parametrize(
    ("text", "on"), [("0x0000", False), ("0x0007", True), ("0x0001", True), ("0x0006", False), ("y", None)]
)
def test_flags_are_blind_with_the_multi_generational_lru_and_it_is_said(tree, text, on):
    lru_gen(tree, text)
    without_idle(tree)
    snapshot = take(proc=tree)
    assert (snapshot.facts.get("lru_gen"), snapshot.facts["heat"], snapshot.blind) == (on, "flags", on is True)
    assert any("never sets ACTIVE" in note for note in snapshot.notes) == (on is True)
    assert by_flags(snapshot) == [1, 3, 5, 7, 1, 3]
    assert snapshot.summary()["hot"] == (None if on else 80)


def test_with_that_lru_idle_tracking_says_which_pages_were_used(tree):
    lru_gen(tree, "0x0007")
    snapshot = take(proc=tree)
    assert (snapshot.facts["heat"], snapshot.blind, snapshot.notes) == ("idle", False, [])
    assert by_flags(snapshot) == [4, 6, 5, 7, 0, 2]
    assert snapshot.summary()["hot"] == 160


def test_without_it_the_lists_come_first(tree):
    lru_gen(tree, "0x0000")
    snapshot = take(proc=tree)
    assert (snapshot.facts["heat"], by_flags(snapshot)) == ("flags", [1, 3, 5, 7, 0, 2])


def test_more_active_pages_than_are_shown_tell_of_that_lru_where_there_is_no_sys(tmp_path):
    for version, on in (("6.1", False), ("6.12", True)):
        root = lay_out(version, tmp_path / version)
        shutil.rmtree(root / "sys")
        facts = take(proc=root).facts
        assert facts["lru_gen"] == on


def test_run_says_that_heat_is_not_known(tree, tmp_path):
    lru_gen(tree, "0x0007")
    without_idle(tree)
    file_format.save(take(proc=tree), tmp_path / "s")
    ran = pagexchange(*RUN, "--input", str(tmp_path / "s"), "--json")
    details = json.loads(ran.out)["input"]["details"]
    assert details["heat"] == "flags"
    assert any("flags hardly tell hot pages from cold ones" in note for note in details["notes"])
    assert "flags hardly tell hot pages" in " ".join(pagexchange(*RUN, "--input", str(tmp_path / "s")).out.split())


def test_linux_is_made_to_look_which_idle_pages_were_used_before_flags_are_read(tree, monkeypatch):
    (tree / "sys/kernel/mm/page_idle").mkdir(parents=True)
    (tree / "sys/kernel/mm/page_idle/bitmap").write_bytes(bytes(8 * 64))
    read: list[tuple[str, int]] = []
    words = reader.Words.read

    def noted(self, first, count):
        found = words(self, first, count)
        read.append((self.path.name, len(found)))
        return found

    monkeypatch.setattr(reader.Words, "read", noted)
    take(proc=tree)
    assert "bitmap" not in dict(read)  # of a saved machine it would tell nothing
    monkeypatch.setattr("pagexchange.pages.snapshot.proc.tree._is_this_machines", lambda proc: True)
    read.clear()
    take(proc=tree)
    assert [name for name, n in read if n > 1][:2] == ["bitmap", "kpageflags"]
    assert ("bitmap", 64) in read


# ---- a user's file ---------------------------------------------------------------------------------------------------


def given(tree, tmp_path, text):
    (tmp_path / "heat.txt").write_bytes(text)
    return take(proc=tree, heat_file=tmp_path / "heat.txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"100 7\n101 3\n", [7, 3, 0, 0, 0, 0]),
        (b"# mine\n0x64 2.5 # warm\n\n  101\t1e0\n", [3, 1, 0, 0, 0, 0]),
        (b"0-4000 1\n102-0x67 6\n102 2\n", [1, 1, 2, 6, 1, 1]),
        (b"100 0\n101 1\n102 10\n103 100\n104 1000\n105 1023", [0, 1, 3, 5, 7, 7]),
        (b"100 0\n", [0, 0, 0, 0, 0, 0]),
    ],
    ids=["plain", "comments", "stretches", "counts", "cold"],
)
def test_a_file_says_how_hot_pages_are(tree, tmp_path, text, expected):
    lru_gen(tree, "0x0007")
    snapshot = given(tree, tmp_path, text)
    assert by_flags(snapshot) == expected
    assert (snapshot.facts["heat"], snapshot.blind, snapshot.notes) == ("file", False, [])
    file_format.save(snapshot, tmp_path / "s")
    again = file_format.load(tmp_path / "s")
    assert by_flags(again) == expected
    assert again.select(np.flatnonzero(again.pfn == 101)).heat().tolist() == expected[1:2]


@pytest.mark.parametrize(
    "line", [b"100", b"100 hot", b"100 -1", b"100 nan", b"100 inf", b"1e2 5", b"102-101 5", b"-1 5", b"100 5 6",
             b"\xff 5", b"100-0x 5"],
)  # fmt: skip
def test_a_wrong_line_is_named(tree, tmp_path, line):
    with pytest.raises(SnapshotError, match=r"heat.txt:2: .*a frame number, or FIRST-LAST, and a number of 0 or more"):
        given(tree, tmp_path, b"100 5\n" + line + b"\n")


def test_a_file_that_is_of_no_use_is_refused(tree, tmp_path):
    with pytest.raises(SnapshotError, match="none of the 240 pages is named in it"):
        given(tree, tmp_path, b"99 5\n4095 6\n")
    with pytest.raises(SnapshotError, match="gone: cannot be read: No such file"):
        take(proc=tree, heat_file=tmp_path / "gone")
    (tree / "proc/kpageflags").unlink()
    (tree / "proc/7").mkdir()
    (tree / "proc/7/maps").write_text("3e9000-3ea000 rw-p 00000000 00:00 0\n")
    (tree / "proc/7/pagemap").write_bytes(bytes(8 * 0x3E9) + (1 << 63).to_bytes(8, "little"))
    with pytest.raises(SnapshotError, match="of no use where frame numbers are made up"):
        given(tree, tmp_path, b"100 5\n")


def test_a_folio_is_as_hot_as_its_hottest_page(tmp_path):
    root = lay_out("6.12", tmp_path / "zoo")
    whole = take(proc=root)
    heads = np.flatnonzero((whole.flags & mask("COMPOUND_HEAD")) != 0)
    tail = int(whole.pfn[heads[0]]) + 3
    (tmp_path / "heat.txt").write_text(f"{tail} 7\n")
    arena, population = arena_from_snapshot(take(proc=root, heat_file=tmp_path / "heat.txt"))
    with arena:
        hot = np.flatnonzero(population.hot)
        assert population.hot[hot].tolist() == [7]
        assert population.order[hot].tolist() == [9]


def test_run_exchanges_what_a_file_calls_hot(tree, tmp_path):
    (tmp_path / "heat.txt").write_text("".join(f"{100 + 10 * k} {k}\n" for k in range(40)))
    asked = ("snapshot", str(tmp_path / "s"), "--proc", str(tree), "--heat", str(tmp_path / "heat.txt"))
    assert pagexchange(*asked).code == 0
    ran = pagexchange(*RUN, "--input", str(tmp_path / "s"), "--json")
    assert json.loads(ran.out)["input"]["details"]["heat"] == "file"
    assert 5 < json.loads(ran.out)["input"]["pairs"] < 40
    (tmp_path / "heat.txt").write_text("nonsense\n")
    (tmp_path / "s").unlink()
    ran = pagexchange(*asked)
    assert (ran.code, "heat.txt:1: 'nonsense'" in ran.err) == (3, True)
    assert pagexchange("snapshot", "--save-proc", str(tmp_path / "x"), "--heat", "y").code == 2


def test_a_bitmap_that_cannot_be_read_is_no_error(tree):
    heat.refresh(Tree(tree / "proc", tree / "sys", True))
