"""Every export is made from the samples: other programs read in it what the samples say."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from statistics import median
from typing import Any

import pytest

from pagexchange.errors import MissingExtraError
from pagexchange.samples import statistics
from pagexchange.samples.columns import columns
from pagexchange.samples.export import FORMATS
from pagexchange.samples.folder import Folder
from pagexchange.samples.schema import Planned
from tests.core.command_line import pagexchange
from tests.core.folders import HOST, IDS, cell, finished, manifest, sample

AXES = {"size": [65536, 1 << 20], "workload.hot": [0.5, 1], "backing": ["base"], "run.verify": [True]}


@pytest.fixture
def swept(tmp_path):
    """A folder with axes of every type, a turn that was pushed aside, and a cell that exchanged nothing."""
    other: dict[str, Any] = {"backing": "base", "run.verify": True}
    points = [{"size": 65536, "workload.hot": 0.5} | other, {"size": 1 << 20, "workload.hot": 1} | other]
    cells = [Planned(id=id_, name="a|b", point=point) for id_, point in zip(IDS, points, strict=True)]
    folder = Folder.create(tmp_path / "swept", manifest(cells=cells, axes=AXES))
    folder.add_host(finished(tmp_path / "night").hosts[HOST])
    folder.append(sample(number=turn, aside=turn == 1, cpu_ns=1000 * (turn + 1)) for turn in range(4))
    folder.append([sample(number=1, attempt=1, cpu_ns=7000, threads=[(9, 7), (8, 6)], call_ns=[4, 5])])
    folder.append([sample(IDS[1], exchanged=0)])
    folder.add_cell(cell(0, name="a|b"))
    return folder


def test_csv_has_every_sample_and_a_unit_in_the_name_of_every_number(swept):
    lines = list(csv.DictReader(io.StringIO(FORMATS["csv"](swept).decode())))
    assert len(lines) == len(swept.samples()) == 6
    units = ("_ns", "_count", "_number", "_share", "_bytes", "_value", "_per_pair")
    for column, kind in columns(swept).items():
        assert kind in ("text", "truth") or column.endswith(units), column
    axes = ("axis_size_bytes", "axis_workload.hot_value", "axis_backing", "axis_run.verify")
    assert [lines[0][axis] for axis in axes] == ["65536", "0.5", "base", "true"]
    assert [lines[5][axis] for axis in axes] == ["1048576", "1", "base", "true"]
    retaken, refused = lines[4:]
    assert (retaken["attempt_number"], retaken["cpu_ns"], retaken["cpu_ns_per_pair"]) == ("1", "7000", "70.0")
    assert (retaken["threads_wall_ns"], retaken["threads_cpu_ns"]) == ("9 8", "7 6")
    assert (retaken["call_p50_ns"], retaken["call_worst_ns"], refused["call_p50_ns"]) == ("4.5", "5.0", "")
    assert (refused["exchanged_count"], refused["wall_ns_per_pair"]) == ("0", "")
    assert [line["aside"] for line in lines] == ["false", "true", "false", "false", "false", "false"]


def test_csv_of_a_run_without_samples_has_its_columns(tmp_path):
    folder = Folder.create(tmp_path / "night", manifest())
    assert FORMATS["csv"](folder).decode() == ",".join(list(columns(folder))[:-1]) + "\n"


def test_markdown_has_a_line_for_each_cell_made_of_the_samples_that_count(swept):
    about, _, head, _, first, second = FORMATS["markdown"](swept).decode().splitlines()
    assert about == "run night, 2026-11-29T04:24:16Z, seed 7, pages of: packaged snapshot"
    assert head.startswith("| name | size | workload.hot | backing | run.verify | host | verdict | clock | samples |")
    # of the turn that was pushed aside the second attempt: 1000, 7000, 3000, 4000 ns for 100 pairs
    middle, low, high = statistics.median([10.0, 70.0, 30.0, 40.0])
    assert middle == 35
    figures = f"35.0 | {low:.1f} | {high:.1f}"
    assert first == f"| a\\|b | 65536 | 0.5 | base | True | {HOST} | exact | cpu | 4 | {figures} |"
    assert second == f"| a\\|b | 1048576 | 1 | base | True | {HOST} | not finished | cpu | 0 | - | - | - |"


def test_pyperf_reads_compares_and_draws_it(tmp_path):
    library = pytest.importorskip("pyperf")
    night = finished(tmp_path / "night", rounds=9)
    slower = Folder.create(tmp_path / "slower", manifest())
    slower.add_host(night.hosts[HOST])
    for id_ in IDS:
        slower.append(sample(id_, turn, cpu_ns=2 * sample(id_, turn).cpu_ns) for turn in range(9))
    for folder in (night, slower):
        folder.path.with_suffix(".json").write_bytes(FORMATS["pyperf"](folder))
    suite = library.BenchmarkSuite.load(str(tmp_path / "night.json"))
    assert suite.get_benchmark_names() == ["word-swap", "rfc-2019"]
    values = [one.cpu_ns / 100 / 1e9 for one in night.samples() if one.cell == IDS[0]]
    assert suite.get_benchmark("word-swap").get_values() == pytest.approx(values)

    def pyperf(*args):
        return subprocess.run(
            [sys.executable, "-m", "pyperf", *args], cwd=tmp_path, check=True, text=True, capture_output=True
        ).stdout

    compared = pyperf("compare_to", "night.json", "slower.json")
    assert "word-swap: Mean +- std dev: [night] 294 ns" in compared
    assert "2.00x slower" in compared
    assert "rfc-2019" in pyperf("hist", "night.json")


def test_pyperf_names_are_those_of_the_points_and_without_a_value_there_is_no_file(swept, tmp_path):
    data = json.loads(FORMATS["pyperf"](swept))
    (benchmark,) = data["benchmarks"]
    assert benchmark["metadata"]["name"] == "a|b[size=65536,workload.hot=0.5,backing=base,run.verify=True]"
    assert median(benchmark["runs"][0]["values"]) == pytest.approx(35e-9)
    Folder.create(tmp_path / "none", manifest())
    ran = pagexchange("export", str(tmp_path / "none"), "--format", "pyperf")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.endswith("none: no cell has a sample that exchanged anything: nothing to compare\n")


def test_parquet_has_the_rows_of_csv_with_types_and_the_manifest(swept):
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(io.BytesIO(FORMATS["parquet"](swept)))
    assert table.column_names == list(columns(swept))
    assert [str(table.schema.field(name).type) for name in ("wall_ns", "data_ns", "aside", "axis_backing")] == [
        "int64", "double", "bool", "string"
    ]  # fmt: skip
    assert table["cpu_ns"].to_pylist() == [s.cpu_ns for s in swept.samples()]
    assert table["calls_ns"].to_pylist()[4] == [4, 5]
    assert json.loads(table.schema.metadata[b"pagexchange.manifest"])["seed"] == 7


def test_without_pyarrow_the_cure_is_said(swept, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError):
        FORMATS["parquet"](swept)
    ran = pagexchange("export", str(swept.path), "--format", "parquet", "-o", str(swept.path.parent / "x"))
    assert (ran.code, ran.out) == (2, "")
    cure = "pip install 'pagexchange[parquet]'"
    assert ran.err == f"pagexchange: Parquet needs pyarrow, which is not installed. Cure: {cure}\n"


def test_the_verb_writes_to_stdout_or_a_file_and_takes_the_latest_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = finished(tmp_path / "runs" / "night")
    told = pagexchange("export", "--format", "csv")
    assert (told.code, told.err) == (0, "")
    assert told.out.encode() == FORMATS["csv"](folder)
    assert pagexchange("export", "night", "--format", "csv", "-o", "night.csv").out == ""
    assert (tmp_path / "night.csv").read_bytes() == FORMATS["csv"](folder)
    file = folder.path / "samples.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    torn = pagexchange("export", "night", "--format", "markdown")
    assert (torn.code, torn.err) == (
        0, "note: runs/night/samples.jsonl:6: the last line was cut off and is left out; all before it is used\n"
    )  # fmt: skip


def test_what_cannot_be_read_or_written_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished(tmp_path / "night")
    for args, said in {
        ("no",): "no: no such folder",
        ("night", "-o", "no/file"): "no/file: cannot be written: there is no folder no",
        (): "runs: no run folder is in it; make one with --out, or say which",
    }.items():
        ran = pagexchange("export", *args, "--format", "csv")
        assert (ran.code, ran.out, ran.err) == (3, "", f"{said}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["night"]
