"""Run folders brought together: every sample once, nothing averaged, and what does not belong together is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pagexchange.errors import FolderError
from pagexchange.measure.pressure import Pressure
from pagexchange.samples.folder import Folder
from pagexchange.samples.schema import Host, Input, Planned, Sample
from pagexchange.sweep.merging import together, write
from pagexchange.sweep.united import United, twice
from tests.core import folders as made
from tests.core.command_line import pagexchange

OTHER = "other-000000"


def run_folder(path: Path, *, host: str = made.HOST, origin: str = "", first: int = 0, **changes: Any) -> Folder:
    folder = Folder.create(path, made.manifest(name=path.name, **changes))
    folder.add_host(Host(id=host, fingerprint="3f29c1", environment={}))
    for place, planned in enumerate(folder.manifest.cells):
        folder.append(
            made.sample(planned.id, number, host=host, position=place, origin=f"{origin}:{number}" if origin else "",
                        wall_ns=first + 1000 + number, cpu_ns=(first + 1000 + number) * (1 + place))
            for number in range(3)
        )  # fmt: skip
        folder.add_cell(made.cell(made.IDS.index(planned.id), host=host))
    return folder


def times(samples: list[Sample]) -> list[tuple[str, str, int]]:
    """What no merging may change of a sample."""
    return sorted((sample.cell, sample.host, sample.cpu_ns) for sample in samples)


def test_two_hosts_stay_two(tmp_path: Path) -> None:
    a, b = run_folder(tmp_path / "a"), run_folder(tmp_path / "b", host=OTHER, first=500)
    both = together([a, b])
    assert set(both.hosts) == {made.HOST, OTHER}
    assert len(both.cells) == 4
    assert times(both.samples) == times([*a.samples(), *b.samples()])
    assert {sample.round for sample in both.samples} == {0, 1, 2}
    assert [source.name for source in both.manifest.sources] == ["a", "b"]


def test_the_same_cells_measured_twice_have_the_samples_of_both_in_rounds_of_their_own(tmp_path: Path) -> None:
    a, b = run_folder(tmp_path / "a"), run_folder(tmp_path / "b", first=500)
    both = together([a, b])
    assert len(both.cells) == 2
    assert times(both.samples) == times([*a.samples(), *b.samples()])
    for cell in made.IDS:
        of_cell = [sample for sample in both.samples if sample.cell == cell]
        assert [sample.round for sample in of_cell] == [0, 1, 2, 3, 4, 5]
        assert [sample.origin.partition("@")[0] for sample in of_cell] == ["a", "a", "a", "b", "b", "b"]
    # what was measured side by side still stands in one round
    for number in range(6):
        beside = {sample.origin for sample in both.samples if sample.round == number}
        assert len(beside) == 1


def test_a_folder_merged_with_itself_or_with_what_it_is_part_of_adds_nothing(tmp_path: Path) -> None:
    a, b = run_folder(tmp_path / "a"), run_folder(tmp_path / "b", first=500)
    c = write(together([a, b], name="c"), tmp_path / "c")
    again = together([c, a, b, c])
    assert again.new == [12, 0, 0, 0]
    assert again.samples == c.samples()
    assert again.cells == c.cells
    assert [source.name for source in again.manifest.sources] == ["a", "b"]
    assert times(together([b, c]).samples) == times(c.samples())


def test_what_was_written_reads_as_it_was_merged(tmp_path: Path) -> None:
    both = together([run_folder(tmp_path / "a"), run_folder(tmp_path / "b", host=OTHER)], name="c", command=["merge"])
    write(both, tmp_path / "c")
    read = Folder.open(tmp_path / "c")
    assert (read.manifest, read.hosts, read.cells, read.samples()) == (
        both.manifest, both.hosts, both.cells, both.samples,
    )  # fmt: skip
    assert read.manifest.started == made.manifest().started


def test_cells_that_only_one_has_are_there_too(tmp_path: Path) -> None:
    one = [Planned(id=made.IDS[1], name=made.NAMES[1])]
    a, b = run_folder(tmp_path / "a", cells=one), run_folder(tmp_path / "b", host=OTHER)
    assert {cell.id for cell in together([a, b]).manifest.cells} == set(made.IDS)


def test_other_pages_are_refused_in_words(tmp_path: Path) -> None:
    a = run_folder(tmp_path / "a")
    b = run_folder(tmp_path / "b", input=Input(name="snapshot mine", kind="snapshot", digest="ab" * 32))
    with pytest.raises(FolderError, match=r"b: is of other pages, snapshot mine \(abababababab\), than .*a, packaged"):
        together([a, b])


def test_a_merge_that_cannot_be_finished_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = together([run_folder(tmp_path / "a"), run_folder(tmp_path / "b", host=OTHER)])

    def full(self: Folder, samples: object) -> None:
        raise FolderError([])

    monkeypatch.setattr(Folder, "append", full)
    with pytest.raises(FolderError):
        write(both, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_cell_that_failed_once_tells_of_it_whatever_the_order() -> None:
    good, bad = (
        made.cell(),
        made.cell(started="2026-11-30T00:00:00Z", exit=-11, error="killed by signal 11", verdict=""),
    )
    for one in (twice(good, bad), twice(bad, good)):
        assert one.exit == -11
        assert [other["exit"] for other in one.details["others"]] == [0]
        assert twice(one, bad) == one == twice(one, good)
    assert twice(good, good) == good
    assert twice(None, bad) == bad


def test_a_machine_is_told_of_before_the_first_and_after_the_last_run(tmp_path: Path) -> None:
    folders = [run_folder(tmp_path / name) for name in "abc"]
    for number, folder in enumerate(folders):
        after = Pressure(load=[10.0 + number]) if number < 2 else None  # the third did not come to its end
        folder.add_host(
            Host(id=made.HOST, fingerprint="3f29c1", environment={}, before=Pressure(load=[number + 0.5]), after=after)
        )
    host = together(folders).hosts[made.HOST]
    assert host.before.load == [0.5]
    assert host.after is not None
    assert host.after.load == [11.0]


def test_more_of_an_execution_that_is_there_keeps_its_rounds() -> None:
    first = [made.sample(number=number, origin=f"x:{number}") for number in range(2)]
    united = United(first)
    assert [s.round for s in united.add([made.sample(number=n, origin=f"y:{n}") for n in range(2)])] == [2, 3]
    late = united.add([made.sample(made.IDS[1], 1, origin="y:1"), made.sample(number=1, origin="y:1")])
    assert [(sample.cell, sample.round) for sample in late] == [(made.IDS[1], 3)]
    taken_again = made.sample(number=1, origin="y:1", attempt=1)
    assert united.add([taken_again])[0].round == 3


# ---- the verb --------------------------------------------------------------------------------------------------------


def test_the_table_has_a_column_for_each_host_and_ratios_within_it(tmp_path: Path) -> None:
    run_folder(tmp_path / "a")
    run_folder(tmp_path / "b", host=OTHER, first=7000)
    ran = pagexchange("merge", str(tmp_path / "a"), str(tmp_path / "b"), "--table", "--out", str(tmp_path / "c"))
    assert ran.code == 0, ran.err
    table = ran.out
    assert f"{made.HOST} ns/pair" in table
    assert f"{OTHER} ratio" in table
    lines = {line.split()[0]: line.split() for line in table.splitlines() if line.startswith(made.NAMES)}
    assert lines["word-swap"][1:] == ["10", "1.00x", "80", "1.00x"]
    assert lines["rfc-2019"][1] == "20"
    assert lines["rfc-2019"][2] == lines["rfc-2019"][5] == "2.00x"
    assert pagexchange("merge", str(tmp_path / "c"), "--table").out.splitlines()[2:] == table.splitlines()[2:]


def test_what_failed_or_is_missing_is_said_below_the_table(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "a")
    folder.add_cell(made.cell(1, exit=-11, error="killed by signal 11 (SIGSEGV)"))
    (tmp_path / "a" / "cells" / f"{made.IDS[0]}@{made.HOST}.json").unlink()
    out = pagexchange("merge", str(tmp_path / "a"), "--table").out
    assert f"rfc-2019 on {made.HOST}: killed by signal 11 (SIGSEGV)" in out
    assert f"1 cell not measured, the first: word-swap on {made.HOST}" in out


def test_samples_that_were_pushed_aside_are_marked(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "a")
    folder.append([made.sample(number=n, aside=True, origin=f"late:{n}") for n in range(3, 9)])
    out = pagexchange("merge", str(tmp_path / "a"), "--table").out
    assert "?" in next(line for line in out.splitlines() if line.startswith("word-swap"))
    assert "not to be trusted" in out


def test_a_merge_with_itself_is_said(tmp_path: Path) -> None:
    run_folder(tmp_path / "a")
    ran = pagexchange("merge", str(tmp_path / "a"), str(tmp_path / "a"), "--out", str(tmp_path / "c"))
    assert ran.code == 0
    assert "none of its 6 samples is new" in ran.err
    assert "2 cells, 6 samples" in ran.err
    again = pagexchange("merge", str(tmp_path / "c"), str(tmp_path / "a"), "--out", str(tmp_path / "c"))
    assert again.code == 3
    assert "a run is in it already" in again.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a"], 2, "say what for"),
        ([], 2, "Missing argument"),
        (["none", "--table"], 3, "no such folder"),
        (["a", "cut", "--table"], 3, "cut short"),
        (["a", "later", "--table"], 3, "schema 99"),
    ],
)
def test_what_cannot_be_merged_is_refused(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    run_folder(tmp_path / "a")
    run_folder(tmp_path / "cut")
    run_folder(tmp_path / "later")
    for name, change in ("cut", lambda text: text[: len(text) // 2]), ("later", _of_later):
        manifest = tmp_path / name / "manifest.json"
        manifest.write_text(change(manifest.read_text()))
    ran = pagexchange("merge", *(a if a.startswith("-") else str(tmp_path / a) for a in arguments))
    assert ran.code == code
    assert words in ran.err


def _of_later(text: str) -> str:
    return text.replace('"schema": 1', '"schema": 99', 1)
