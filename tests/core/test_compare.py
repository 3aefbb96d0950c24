"""`pagexchange compare`: what differs beside the times, cells by name and point, verdicts that are no accident."""

import json
import math
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from pagexchange.compare.compare import compare
from pagexchange.compare.sides import NotComparableError, Side
from pagexchange.errors import FolderError
from pagexchange.samples.across import across, repeated
from pagexchange.samples.folder import Folder
from tests.core.command_line import SMALL, pagexchange
from tests.core.made_runs import BUSY, CONFIG, ENVIRONMENT, QUIET, Made, Noise

EXACT = Noise(0.0, 0.0, 0.0, 0.0)
SAME = Made(noise=EXACT)


@pytest.fixture
def make(tmp_path):
    """Writes runs, each with its own noise."""
    numbers = count(1)

    def write(made, runs=1):
        return [made.folder(tmp_path / f"run-{number:03}", number) for number in islice(numbers, runs)]

    return write


def between(old, new, **options):
    return compare(Side.open(old), Side.open(new), **options)


def verdicts(found):
    return {change.name: change.verdict for change in found.cells}


# ---- what differs ----------------------------------------------------------------------------------------------------


def test_nothing_is_said_to_differ_where_nothing_does(make):
    passing = replace(SAME, environment=ENVIRONMENT | {"load": [9.0, 9.0, 9.0], "memory": {"total": 65536}})
    found = between(make(SAME), make(passing))
    assert found.differences == []
    assert (found.missing, found.outcomes, found.warnings) == ([], [], [])


def test_each_difference_is_named_with_both_sides_the_machine_first(make):
    other = replace(
        SAME,
        environment={"cpu": {"model": "Z80", "smt": "on"}, "memory": {"total": 1}},
        version="2.0",
        pressure=0.5,
        host="vm-2",
        config=CONFIG.replace("linux-6.18", "linux-5.0").replace("[strategy.a]", "[strategy.new]"),
    )
    found = between(make(SAME), make(other))
    assert [(d.kind, d.what, d.old, d.new) for d in found.differences] == [
        ("environment", "machine", "vm-1", "vm-2"),
        ("environment", "cpu.smt", "off", "on"),
        ("environment", "memory.total", "65536", "1"),
        ("environment", "pressure.some_cpu", "0%", "50%"),
        ("versions", "pagexchange", "1.0", "2.0"),
        ("configuration", "arena.layout", "linux-6.18", "linux-5.0"),
        ("configuration", "strategy.a", "there", ""),
        ("configuration", "strategy.new", "", "there"),
    ]


def test_other_pages_are_refused_unless_forced(make):
    old, new = make(SAME), make(replace(SAME, digest="e" * 64))
    with pytest.raises(NotComparableError, match=r"exchanged other pages .* compare them nevertheless with --force$"):
        between(old, new)
    assert [d.what for d in between(old, new, force=True).differences] == ["digest"]


def test_runs_of_one_side_have_one_input_and_each_is_there_once(make):
    (old,), (new,), (other,) = make(SAME), make(SAME), make(replace(SAME, digest="e" * 64))
    with pytest.raises(NotComparableError, match="are of different inputs: they repeat nothing"):
        between([old, other], [new])
    with pytest.raises(NotComparableError, match="is there twice on one side: a run is no repetition of itself"):
        between([old], [new, new])


# ---- cells -----------------------------------------------------------------------------------------------------------


def test_cells_are_matched_by_name_and_point_whatever_their_ids(make):
    old = replace(SAME, points={"a": {"size": 4096, "order": 0}})
    new = replace(
        old, times={"c": 400.0, "a": 150.0, "b": 200.0}, points={"a": {"order": 0, "size": 4096}}, version="2"
    )
    found = between(make(old), make(new))
    assert [(c.name, round(c.ratio, 3)) for c in found.cells] == [("a", 1.5), ("b", 1.0), ("c", 1.0)]
    assert verdicts(found) == {"a": "slower", "b": "level", "c": "level"}
    assert found.mean is not None
    assert found.mean.ratio == pytest.approx(1.5 ** (1 / 3), abs=1e-3)
    assert verdicts(between(make(new), make(old)))["a"] == "faster"


def test_a_cell_of_one_side_is_listed_with_the_reason(make):
    new = replace(SAME, times={"a": 100.0, "b": 200.0, "d": 1.0}, points={"b": {"order": 9}})
    found = between(make(SAME), make(new))
    assert [c.name for c in found.cells] == ["a"]
    assert [(m.name, m.point, m.side, m.reason) for m in found.missing] == [
        ("b", {}, "old", "it was not planned"),
        ("c", {}, "old", "it was not planned"),
        ("b", {"order": 9}, "new", "it was not planned"),
        ("d", {}, "new", "it was not planned"),
    ]
    assert found.mean is None  # of one cell it would say the same again


def test_pages_that_fared_otherwise_are_said(make):
    found = between(make(SAME), make(replace(SAME, verdicts={"b": "loses"})))
    assert [(o.name, o.old, o.new) for o in found.outcomes] == [("b", "exact", "loses")]


def test_what_the_machine_did_to_limits_and_peers_is_taken_out(make):
    kinds = {"read": "limit", "loop": "peer"}
    times = {"a": 100.0, "b": 200.0, "read": 50.0, "loop": 70.0}
    old = replace(SAME, times=times, kinds=kinds)
    # a machine that is slower by half, and code of a that is slower by a fifth
    new = replace(old, times={"a": 180.0, "b": 300.0, "read": 75.0, "loop": 105.0})
    found = between(make(old), make(new))
    by_name = {change.name: change for change in found.cells}
    assert round(by_name["a"].ratio, 3) == 1.2
    assert by_name["a"].against == ["read", "loop"]
    assert verdicts(found) == {"a": "slower", "b": "level", "read": "slower", "loop": "slower"}
    assert found.mean is not None
    assert found.mean.cells == 2
    other_point = replace(old, points={"read": {"order": 9}, "loop": {"order": 9}})
    assert between(make(other_point), make(other_point)).cells[0].against == []


def test_wall_times_of_turns_that_were_pushed_aside_say_nothing(make):
    wall = replace(SAME, clock="wall")
    found = between(make(wall), make(replace(wall, times={"a": 300.0, "b": 200.0, "c": 400.0}, aside=1.0)))
    assert set(verdicts(found).values()) == {"unclear"}
    assert "pushed aside" in found.cells[0].reason
    by_cpu = between(make(SAME), make(replace(SAME, times={"a": 300.0, "b": 200.0, "c": 400.0}, aside=1.0)))
    assert verdicts(by_cpu)["a"] == "slower"


def test_where_one_side_was_measured_by_wall_time_both_are_compared_by_it(make):
    found = between(make(SAME), make(replace(SAME, clock="wall", host="vm-2")))
    assert {change.clock for change in found.cells} == {"wall"}


def test_one_round_has_a_ratio_and_no_interval(make):
    one = replace(SAME, rounds=1)
    found = between(make(one), make(replace(one, times={"a": 300.0, "b": 200.0, "c": 400.0})))
    assert [(c.low, c.high, c.verdict) for c in found.cells] == [(None, None, "unclear")] * 3
    assert round(found.cells[0].ratio, 3) == 3.0


# ---- noise: false alarms and power -----------------------------------------------------------------------------------


def side(made, seeds):
    """A side that is on no disk."""
    return Side(tuple(Folder(Path(str(seed)), made.contents(str(seed), seed)) for seed in seeds))


def alarms(noise, pairs, runs, change=1.0, **facts):
    """In how many of so many pairs a cell is said to be faster or slower; and in how many the changed one is found."""
    made = Made(noise=noise, **facts)
    planted = replace(made, times=made.times | {"b": 200.0 * change})
    seeds = count(1)
    false = found = 0
    for _ in range(pairs):
        said = verdicts(compare(*(side(each, list(islice(seeds, runs))) for each in (made, planted))))
        found += said.pop("b") == "slower" if change > 1 else False
        false += bool({"faster", "slower"} & set(said.values()))
    return false, found


@pytest.mark.parametrize(("noise", "runs"), [(QUIET, 1), (BUSY, 1), (BUSY, 3)], ids=["quiet", "busy", "several"])
def test_runs_of_the_same_code_give_at_most_2_false_alarms_in_50(noise, runs):
    assert alarms(noise, 50, runs)[0] <= 2


def test_an_interval_from_rounds_alone_would_give_many():
    """The control: rounds of a busy machine, each taken for a run of its own."""
    made = Made(noise=BUSY)
    false = 0
    for number in range(20):
        samples = [made.contents("x", 2 * number + seed).samples[: made.rounds] for seed in (0, 1)]
        one, other = ([np.log([sample.cpu_ns]) for sample in each] for each in samples)
        false += across(one, other).relation() in ("above", "below")
    assert false >= 4


def test_a_slowdown_of_10_percent_is_found_by_one_quiet_run_a_side_or_by_many_busy_ones():
    assert alarms(QUIET, 10, 1, change=1.1)[1] >= 8
    assert alarms(BUSY, 3, 60, change=1.1)[1] >= 2


def test_what_is_measured_beside_it_makes_intervals_narrower():
    times, kinds = {"a": 100.0, "b": 200.0, "read": 50.0, "loop": 70.0}, {"read": "limit", "loop": "peer"}

    def width(**facts):
        made = Made(noise=BUSY, **facts)
        change = compare(side(made, range(12)), side(made, range(12, 24))).cells[1]
        assert change.high is not None
        return math.log(change.high / change.ratio)

    assert width(times=times, kinds=kinds) < 0.7 * width()


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_the_interval_has_the_truth_in_it_as_often_as_it_says(runs):
    random = np.random.default_rng(3)

    def drawn():
        return [random.normal(run, 0.05, 15) for run in random.normal(0, 0.05, runs)]

    assert 0.93 <= sum(1 in across(drawn(), drawn()).interval for _ in range(400)) / 400 <= 0.99


def test_of_many_ratios_each_has_to_be_clearer():
    one = [[np.array([0.0, 0.01, -0.01])], [np.array([0.06, 0.07, 0.05])]]
    assert across(*one).relation() == "above"
    assert across(*one, among=200).relation() == "unclear"
    assert across(*one).interval == across(*one, among=200).interval


def test_what_has_no_run_or_no_sample_is_no_side():
    for wrong in ([], [np.array([])]):
        with pytest.raises(ValueError, match="at least one run"):
            across(wrong, [np.array([1.0])])


def test_repeated_is_what_both_halves_say():
    low, high = np.zeros(3), np.full(3, math.log(1.2))
    assert repeated([low, low], [high, high], effect=0.05)
    assert repeated([high, high, high], [low, low, low], effect=0.05)
    assert not repeated([low, low], [high, low], effect=0.05)
    assert not repeated([low, low], [high, high], effect=0.25)
    assert not repeated([low], [high, high], effect=0.05)  # a side that was run once may have had a good minute


# ---- the command -----------------------------------------------------------------------------------------------------


SLOWER = replace(SAME, times={"a": 150.0, "b": 200.0, "c": 400.0})


def paths(folders):
    return ",".join(map(str, folders))


def test_the_table_says_what_is_slower_and_by_how_much(make):
    ran = pagexchange("compare", paths(make(SAME)), paths(make(replace(SLOWER, version="2.0"))))
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[-5:] for line in lines if line.startswith("a  ")] == [
        ["100", "150", "1.50x", "1.45-1.55", "slower"]
    ]
    assert "versions  pagexchange  1.0 -> 2.0" in lines
    assert "1 slower, 2 level of 3 cells." in lines
    assert lines.index("versions  pagexchange  1.0 -> 2.0") < lines.index("1 slower, 2 level of 3 cells.")
    same = pagexchange("compare", paths(make(SAME)), paths(make(SAME))).out
    assert "Machine, versions, configuration and input are the same." in same


def test_axes_that_do_not_vary_are_said_once(make):
    points = {"a": {"size": 4096, "order": 0}, "b": {"size": 4096, "order": 9}, "c": {"size": 4096, "order": 0}}
    made = replace(SAME, points=points)
    out = pagexchange("compare", paths(make(made)), paths(make(made))).out
    assert out.count("size=4096") == 1
    assert "all at size=4096\n" in out
    assert [line.split()[:2] for line in out.splitlines() if "order=" in line] == [
        ["a", "order=0"], ["b", "order=9"], ["c", "order=0"],
    ]  # fmt: skip


def test_json_is_the_same_for_programs(make):
    ran = pagexchange("compare", paths(make(SAME)), paths(make(SLOWER)), "--json", "--threshold", "60%")
    data = json.loads(ran.out)
    assert (data["schema"], data["threshold"], data["ci"], data["failed"]) == (1, 0.6, False, [])
    assert [(c["name"], c["verdict"]) for c in data["cells"]] == [("a", "level"), ("b", "level"), ("c", "level")]


@pytest.mark.parametrize(
    ("runs", "new", "threshold", "code", "said"),
    [
        (2, SLOWER, "5%", 1, "FAILED: slower by more than 5%, beyond noise, and repeated: a."),
        (2, SLOWER, "60", 0, "Passed: nothing is slower by more than 60%"),
        (2, SAME, "5%", 0, "Passed: nothing is slower by more than 5%"),
        (1, SLOWER, "5%", 0, "Passed, with a warning: slower, but not repeated: that takes two runs on each side: a."),
    ],
)
def test_ci_fails_only_for_what_is_beyond_threshold_and_noise_and_repeated(make, runs, new, threshold, code, said):
    ran = pagexchange("compare", "--ci", "--threshold", threshold, paths(make(SAME, runs)), paths(make(new, runs)))
    assert ran.code == code
    assert said in " ".join(ran.out.split())


def test_ci_counts_from_5_percent_on_if_nobody_says_otherwise(make):
    new = replace(SAME, times={"a": 104.0, "b": 200.0, "c": 400.0})
    old, new = (paths(make(made, 10)) for made in (SAME, new))
    assert pagexchange("compare", old, new, "--ci").code == 0
    assert pagexchange("compare", old, new, "--ci", "--threshold", "2%").code == 1


def test_a_folder_of_runs_stands_for_them(make, tmp_path):
    for side, made in (("old", SAME), ("new", SLOWER)):
        for number in range(2):
            made.folder(tmp_path / side / str(number), number)
    ran = pagexchange("compare", str(tmp_path / "old"), str(tmp_path / "new"), "--ci")
    assert ran.code == 1
    assert f"old  2 runs: {tmp_path}/old/0, {tmp_path}/old/1" in ran.out.replace("\n     ", " ")


def test_what_run_json_printed_can_be_compared(make, tmp_path):
    for name in ("old", "new"):
        ran = pagexchange("run", *SMALL, "--strategy", "word-swap", "--rounds=3", "--json")
        (tmp_path / f"{name}.json").write_text(ran.out)
    data = json.loads(pagexchange("compare", str(tmp_path / "old.json"), str(tmp_path / "new.json"), "--json").out)
    assert [d for d in data["differences"] if d["kind"] != "environment"] == []
    assert [c["name"] for c in data["cells"]] == ["word-swap"]


def test_what_an_old_version_printed_is_compared_by_wall_time_and_by_what_it_knew(tmp_path):
    ran = pagexchange("run", *SMALL, "--strategy", "word-swap", "--rounds=3", "--json")
    (tmp_path / "new.json").write_text(ran.out)
    data = json.loads(ran.out)
    data["environment"]["cpu"] = {"model": "Z80"}
    del data["input"]["digest"]
    for timed in data["strategies"][0]["rounds"]:
        del timed["wall_ns"], timed["attempt"], timed["aside"]
    (tmp_path / "old.json").write_text(json.dumps(data))
    found = json.loads(pagexchange("compare", str(tmp_path / "old.json"), str(tmp_path / "new.json"), "--json").out)
    assert [c["clock"] for c in found["cells"]] == ["wall"]
    assert [d["what"] for d in found["differences"] if d["what"].startswith(("cpu", "digest"))] == ["cpu.model"]


def test_a_kept_run_can_be_compared_with_what_was_printed(tmp_path):
    ran = pagexchange("run", *SMALL, "--strategy", "word-swap", "--rounds=3", "--json", "--out", str(tmp_path / "kept"))
    (tmp_path / "printed.json").write_text(ran.out)
    data = json.loads(pagexchange("compare", str(tmp_path / "kept"), str(tmp_path / "printed.json"), "--json").out)
    assert [c["name"] for c in data["cells"]] == ["word-swap"]
    assert not [d for d in data["differences"] if d["kind"] in ("input", "configuration")]


def test_what_cannot_be_compared_ends_with_a_sentence(make, tmp_path):
    (old,), (new,) = make(SAME), make(SAME)
    ran = pagexchange("compare", str(old), str(old))
    same = f"pagexchange: {old} is on both sides: a run says nothing about itself; name two\n"
    assert (ran.code, ran.out, ran.err) == (2, "", same)
    (tmp_path / "link").symlink_to(old)
    assert pagexchange("compare", str(tmp_path / "link"), str(old)).code == 2
    ran = pagexchange("compare", str(old), "no-such-run")
    assert (ran.code, ran.err) == (3, "no-such-run: no such folder\n")
    (new / "manifest.json").write_text("{")
    assert pagexchange("compare", str(old), str(new)).code == 3
    (tmp_path / "x.json").write_text("[]")
    ran = pagexchange("compare", str(old), str(tmp_path / "x.json"))
    assert (ran.code, "neither a run folder nor what `run --json` prints" in ran.err) == (3, True)


@pytest.mark.parametrize("given", ["0", "-3%", "fast", "nan", "1e9"])
def test_a_threshold_is_percent_above_0(given):
    ran = pagexchange("compare", "x", "y", "--threshold", given)
    assert (ran.code, ran.out) == (2, "")
    assert "want percent above 0, as 5%" in ran.err


def test_a_cell_without_times_has_its_reason(make):
    (old,), (new,) = make(SAME), make(SAME)
    cells = {json.loads(file.read_text())["name"]: file for file in (new / "cells").iterdir()}
    cell = json.loads(cells["b"].read_text()) | {"error": "killed by signal 11 (SIGSEGV)", "exit": -11}
    cells["b"].write_text(json.dumps(cell))
    lines = (new / "samples.jsonl").read_text().splitlines()
    (new / "samples.jsonl").write_text("".join(f"{line}\n" for line in lines if json.loads(line)["cell"] != cell["id"]))
    found = between([old], [new])
    assert [(m.name, m.side, m.reason) for m in found.missing] == [("b", "old", "killed by signal 11 (SIGSEGV)")]
    assert [(o.name, o.new) for o in found.outcomes] == [("b", "killed by signal 11 (SIGSEGV)")]
    assert "b: its pages fared otherwise" in pagexchange("compare", str(old), str(new)).out


def test_a_side_needs_folders(tmp_path):
    with pytest.raises(FolderError, match="not a run folder"):
        Side.open([tmp_path])
