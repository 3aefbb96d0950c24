"""A sweep's file becomes points that any machine can run: all combinations, resolved, with their files by digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from pagexchange.errors import ConfigError, SnapshotError, UnknownStrategyError
from pagexchange.host import read
from pagexchange.host.blocking import Blocking
from pagexchange.model.layout import Layout
from pagexchange.sweep import inputs
from tests.core.sweeps import TEXT, small_plan

AXES = '"workload.pairs" = [20, 40]'


def with_axes(axes: str) -> str:
    assert AXES in TEXT
    return TEXT.replace(AXES, axes)


def test_the_points_are_all_combinations_and_the_last_axis_changes_fastest(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, with_axes('workload.pairs = [20, 40]\n"arena.huge" = ["no", "thp"]'))
    assert [list(point.values.values()) for point in plan.points] == [[20, "no"], [20, "thp"], [40, "no"], [40, "thp"]]
    assert plan.manifest.axes == {"workload.pairs": [20, 40], "arena.huge": ["no", "thp"]}
    assert len({cell.id for cell in plan.manifest.cells}) == len(plan.manifest.cells) == 8
    assert plan.points[1].words == "workload.pairs = 20, arena.huge = thp"


def test_a_point_is_the_configuration_that_overrides_would_make(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, overrides=["run.seed=9", "workload.pairs=7"])
    for point, pairs in zip(plan.points, (20, 40), strict=True):
        sent = read.load(read.Source("sent", point.text.encode(), None))
        given = read.load(tmp_path / "sweep.toml", overrides=["run.seed=9", f"workload.pairs={pairs}"])
        assert (sent.run, sent.arena, sent.workload) == (given.run, given.arena, given.workload)
        assert sent.strategies == given.strategies
    assert plan.manifest.seed == 9
    again = read.Source("again", plan.manifest.config.encode(), None)
    assert list(read.load(again).strategies) == ["word-swap", "copy-page"]


def test_any_key_is_an_axis_a_plug_in_s_option_too(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, with_axes('"strategy.word-swap.data.isa" = ["scalar", "auto"]'))
    assert 'isa = "scalar"' in plan.points[0].text
    assert 'isa = "auto"' in plan.points[1].text


def test_the_same_cell_has_the_same_id_whatever_stands_beside_it(tmp_path: Path) -> None:
    both, alone = small_plan(tmp_path), small_plan(tmp_path, only=["copy-page"])
    assert {cell.id for cell in alone.manifest.cells} < {cell.id for cell in both.manifest.cells}
    other = small_plan(tmp_path, overrides=["run.seed=2"])
    assert not {cell.id for cell in other.manifest.cells} & {cell.id for cell in both.manifest.cells}


def test_without_axes_there_is_one_point(tmp_path: Path) -> None:
    (point,) = small_plan(tmp_path, with_axes("")).points
    assert point.values == {}
    assert point.words == "the one point"


@pytest.mark.parametrize(
    ("axes", "problem"),
    [
        ('"workload.pairs" = 20', "sweep.toml:11:20: sweep.axes.\"workload.pairs\": expected a list of values, got 20"),
        ('"workload.pairs" = []', "expected a list of values, got []"),
        ('"workload.pairs" = [20, [40]]', ":11:25: sweep.axes.\"workload.pairs\".1: expected a number, a text,"),
        ('"workload.pears" = [1]', "sweep.toml:11:21: sweep.axes.\"workload.pears\".0: unknown key 'pears'; did"),
        ('"workload.pairs" = [20, "x"]', ":11:25: sweep.axes.\"workload.pairs\".1: expected an integer"),
        ('workload.pairs = [20, -1]', "sweep.toml:11:23: sweep.axes.workload.pairs.1: expected an integer from 1"),
        ('"workload.pairs" = [20]\n[sweep.axis]', "unknown key 'axis'; did you mean 'axes'?"),
        ('"strategy.nix.threads" = [1]', "no strategy 'nix'"),
        ('"a b" = [1]', "sweep.toml:11:10: sweep.axes.\"a b\".0: expected KEY=VALUE"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_axis_is_said_where_it_stands(tmp_path: Path, axes: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        small_plan(tmp_path, with_axes(axes))
    assert problem in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        small_plan(tmp_path, with_axes('"workload.pairs" = [0, -1, 20]').replace("rounds = 2", "rounds = -2"))
    assert len(caught.value.problems) == 3


def test_a_strategies_file_with_axes_is_one_for_all_verbs(tmp_path: Path) -> None:
    small_plan(tmp_path)
    assert read.load(tmp_path / "sweep.toml").workload.pairs == 20


def test_names_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownStrategyError, match="word-swop"):
        small_plan(tmp_path, only=["word-swop"])


def test_what_the_command_line_blocks_goes_along(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, blocking=Blocking(("temp-page",)))
    assert 'block = ["temp-page"]' in plan.points[0].text


def test_files_go_along_by_digest_and_no_path_does(tmp_path: Path) -> None:
    (tmp_path / "one.pgxsnap").write_bytes(b"any bytes")
    (tmp_path / "own.toml").write_text(Layout.load("linux-6.18").text)
    text = TEXT.replace('source = "synthetic"', 'snapshot = "one.pgxsnap"').replace(
        "[arena]", '[arena]\nlayout="own.toml"'
    )
    plan = small_plan(tmp_path, text)
    for point in plan.points:
        assert set(point.files) == set(plan.files)
        assert all(name in point.text for name in point.files)
        assert str(tmp_path) not in point.text
        assert "one.pgxsnap" not in point.text
    assert all(inputs.digest_of(data) == Path(name).stem for name, data in plan.files.items())
    assert plan.manifest.input.digest == inputs.digest_of(b"any bytes")
    # where they lie does not matter, what is in them does
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("one.pgxsnap", "own.toml"):
        (elsewhere / name).write_bytes((tmp_path / name).read_bytes())
    assert small_plan(elsewhere, text).manifest.cells == plan.manifest.cells
    (elsewhere / "one.pgxsnap").write_bytes(b"others")
    assert not {c.id for c in small_plan(elsewhere, text).manifest.cells} & {c.id for c in plan.manifest.cells}


def test_a_snapshot_of_the_command_line_is_taken_in_place_of_the_file_s(tmp_path: Path) -> None:
    (tmp_path / "one.pgxsnap").write_bytes(b"any bytes")
    plan = small_plan(tmp_path, snapshot=str(tmp_path / "one.pgxsnap"))
    assert plan.manifest.input.name == "snapshot one.pgxsnap"
    assert 'source = "snapshot"' in plan.points[0].text


def test_what_cannot_be_sent_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"is a folder: make one file of it, `pagexchange snapshot"):
        small_plan(tmp_path, snapshot=str(tmp_path))
    with pytest.raises(SnapshotError, match="No such file"):
        small_plan(tmp_path, snapshot=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"arena\.path: want an absolute path"):
        small_plan(tmp_path, overrides=["arena.path=here"])
    with pytest.raises(ConfigError, match=r"arena\.nodes\.slow\.path: want an absolute path"):
        small_plan(tmp_path, overrides=['arena.nodes.slow={size="1 MiB", path="here"}'])


def test_the_cache_keeps_what_its_digest_says_and_nothing_else(tmp_path: Path) -> None:
    cache = inputs.Cache(tmp_path / "cache")
    name = f"{inputs.digest_of(b'bytes')}.pgxsnap"
    assert cache.find(name) is None
    with pytest.raises(ValueError, match="another digest"):
        cache.keep(name, b"others")
    path = cache.keep(name, b"bytes")
    assert cache.find(name) == path
    path.write_bytes(b"damaged")
    assert cache.find(name) is None
    assert cache.keep(name, b"bytes").read_bytes() == b"bytes"


def test_a_home_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = inputs.Cache()
    name = f"{inputs.digest_of(b'bytes')}.toml"
    assert cache.keep(name, b"bytes") == cache.find(name)
