"""What a bench prints: a table for each point, what is not to be trusted, worst calls against their limit, the plan."""

import re
from typing import Any

from pagexchange.bench.axes import Point
from pagexchange.bench.catalogue import OTHERS
from pagexchange.bench.plan import plan
from pagexchange.bench.summary import summary
from pagexchange.cli import bench_table
from pagexchange.cli.layout import render
from pagexchange.host import read
from pagexchange.samples.folder import Folder
from pagexchange.samples.schema import Cell, Host, Planned
from tests.core.folders import HOST, IDS, manifest, sample

MIB = 1 << 20
FILE = """schema = 1
[strategy.short]
flags = "masked-word"
data = "word-swap"
mapping = "xarray"
max_call_us = 15.0
"""


def shown(tmp_path, *, aside=False, error="", worst=20_000, interrupted=False, width=200):
    point = Point(MIB, batch=8).values()
    names = ("short", "rfc-loop")
    folder = Folder.create(tmp_path / "run", manifest(verb="bench", reference="rfc-loop", cells=[
        Planned(id=cell, name=name, kind="peer" if name == "rfc-loop" else "strategy", point=point)
        for cell, name in zip(IDS, names, strict=True)
    ], axes={axis: [value] for axis, value in point.items()}))  # fmt: skip
    folder.add_host(Host(id=HOST, fingerprint="3f29c1", environment={}))
    for turn in range(5):
        calls = [10_000] * 99 + [worst if turn == 3 else 11_000]
        folder.append([
            sample(IDS[0], turn, cpu_ns=30_000 + turn, wall_ns=31_000, calls=100, call_ns=calls, aside=aside),
            sample(IDS[1], turn, cpu_ns=60_000 + turn, wall_ns=61_000),
        ])  # fmt: skip
    for cell, name in zip(IDS, names, strict=True):
        said: dict[str, Any] = {"exit": -11, "error": error} if error and name == "short" else {"verdict": "exact"}
        folder.add_cell(Cell(id=cell, host=HOST, name=name, point=point, started="", seconds=1.0, **said))
    file = tmp_path / "strategies.toml"
    file.write_text(FILE)
    config = read.load(file, overrides=['bench.size=["1 MiB"]', "bench.batch=[8]"])
    made = plan(config, config.strategies.values(), caches=None, cpus=2, memory=1 << 33)
    blocks = bench_table.blocks(folder, summary(folder), made, ascii_only=True, interrupted=interrupted)
    return render(blocks, width), made


def test_a_row_has_cost_ratio_and_calls_with_intervals_and_a_sentence_says_who_won(tmp_path) -> None:
    text, _ = shown(tmp_path)
    (row,) = re.findall(r"^short +exact .*$", text, re.M)
    assert row.split()[:7] == ["short", "exact", "300", "300-300", "0.50", "0.50-0.50", "faster"]
    assert row.split()[7:11] == ["10", "11", "-", "20"]
    assert "1 MiB, folios of 4 KiB, 8 pairs per call" in text
    assert "short wins: 300 ns per pair, 0.50 of the reference" in text
    assert "short: worst call 20 us, beyond its max_call_us of 15." in text
    assert "Kept in" in text


def test_a_worst_call_within_its_limit_is_said_too(tmp_path) -> None:
    assert "short: worst call 14 us, within its max_call_us of 15." in shown(tmp_path, worst=14_000)[0]


def test_what_cannot_be_trusted_is_marked_and_does_not_win(tmp_path) -> None:
    text, _ = shown(tmp_path, aside=True)
    assert re.search(r"^short +exact +300 \?", text, re.M)
    assert "Not to be trusted, others had the CPU in most turns: short (5 of 5)." in text
    assert "No strategy has figures that can be trusted here." in text


def test_a_cell_that_crashed_has_its_exit_status_below_the_table(tmp_path) -> None:
    text, _ = shown(tmp_path, error="killed by signal 11 (SIGSEGV) while its turn 3")
    assert re.search(r"^short +failed", text, re.M)
    assert "short: exit status -11: killed by signal 11 (SIGSEGV) while its turn 3" in text


def test_an_interrupted_bench_says_so(tmp_path) -> None:
    assert "Interrupted: what was measured until then is shown and kept." in shown(tmp_path, interrupted=True)[0]


def test_where_the_table_is_too_wide_calls_stand_below_and_nothing_is_cut(tmp_path) -> None:
    text, _ = shown(tmp_path, width=60)
    assert len(re.findall(r"^short  ", text, re.M)) == 2
    assert all(f" {head}" in text for head in ("ns/pair", "against", "p99.9", "worst"))


def test_the_plan_says_points_cells_memory_and_time(tmp_path) -> None:
    _, made = shown(tmp_path)
    text = " ".join(render(bench_table.plan_blocks(made), 100).split())
    cells = 1 + sum(other.usual and not other.why_not(made.config) for other in OTHERS.values())
    assert f"Would measure {cells} cells at 1 point, 15 rounds, seed 1, ratios to rfc-loop" in text
    assert f"1 MiB, folios of 4 KiB, 8 pairs per call {cells} 1 " in text
    assert "on an idle machine. Nothing was measured." in text


def test_the_advice_is_printed_with_what_to_paste(tmp_path) -> None:
    _, made = shown(tmp_path)
    text = render(bench_table.tuning(summary(Folder.open(tmp_path / "run")), made), 100)
    assert "1 MiB: short wins." in text
    assert "[strategy.tuned]" in text
    assert "max_call_us = 15.0" in text
