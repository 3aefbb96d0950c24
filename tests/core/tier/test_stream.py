"""The stream that all ways play: drawn by a law, or as a file says, tick by tick, the same for the same numbers."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pagexchange.errors import TraceError
from pagexchange.model.config import TierConfig
from pagexchange.pages import files
from pagexchange.pages.files.table import table
from pagexchange.samples.schema import Input
from pagexchange.tier.moving import MovingHotSet
from pagexchange.tier.recorded import Ranges, Recorded, by_tick, from_file, packaged
from pagexchange.tier.weighted import Alias
from tests.core.files.damo_made import as_json, record

PAGES = 500
CONFIG = TierConfig(ticks=6, phase=2, shift=0.1, scan=0.25, accesses=20_000, zipf=1.0)


def played(stream, round=0):
    return [pages.copy() for pages in stream.play(round)]


def moving(**keys):
    return MovingHotSet(dataclasses.replace(CONFIG, **keys), PAGES, seed=3)


def test_things_are_drawn_as_often_as_their_weights_say():
    weights = np.array([0.0, 1, 2, 4, 0.5, 0, 12])
    counts = np.bincount(Alias(weights).draw(200_000, np.random.default_rng(1)), minlength=len(weights))
    expected = weights / weights.sum() * 200_000
    assert (counts[weights == 0] == 0).all()
    assert (abs(counts - expected) <= 6 * np.sqrt(expected) + 1e-9).all()


def test_one_round_is_the_same_whenever_it_is_played_and_another_is_not():
    first, again, other = played(moving()), played(moving()), played(moving(), round=1)
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert any((one != two).any() for one, two in zip(first, other, strict=True))
    assert [len(pages) for pages in first] == [20_000] * 6
    assert all(pages.dtype == np.uint32 and pages.max() < PAGES for pages in first)


def test_the_page_of_a_rank_gets_its_share_and_the_scan_goes_through_all():
    counts = np.bincount(np.concatenate(played(moving(phase=100))), minlength=PAGES)
    scanned = 6 * 5_000 / PAGES
    by_rank = np.sort(counts - scanned)[::-1]
    expected = (1 / np.arange(1, PAGES + 1)) / (1 / np.arange(1, PAGES + 1)).sum() * 6 * 15_000
    assert (abs(by_rank[:20] - expected[:20]) <= 6 * np.sqrt(expected[:20])).all()
    only_scan = played(moving(scan=1.0))
    assert (np.concatenate(only_scan) == np.arange(6 * 20_000) % PAGES).all()


def test_after_a_phase_the_hottest_pages_are_the_coldest():
    ticks = played(moving(scan=0.0))
    hot = [set(np.argsort(-np.bincount(pages, minlength=PAGES))[:20].tolist()) for pages in ticks]
    assert len(hot[0] & hot[1]) > 15  # one phase
    assert len(hot[0] & hot[2]) < 5
    counts = np.bincount(ticks[2], minlength=PAGES)
    assert counts[list(hot[0])].mean() < counts.mean()


def test_more_accesses_than_are_drawn_are_stood_for():
    stream = moving(rate=1e9, tick_ms=1.0, accesses=1_000)
    assert (stream.accesses, stream.weight, stream.tick_ns) == (1_000, 1000.0, 1e6)
    few = moving(rate=1e5, tick_ms=1.0)
    assert (few.accesses, few.weight) == (100, 1.0)


# ---- files -----------------------------------------------------------------------------------------------------------


def recorded(*chunks, config=CONFIG, most=PAGES, kind="accesses"):
    trace: Any = SimpleNamespace(
        form="made", numbers="vpn", page_size=4096, kind=kind, notes=(), chunks=lambda: iter(chunks)
    )
    return Recorded(trace, Input(name="made", kind="file"), config, most, 1)


def test_ranges_that_touch_are_one_and_gaps_have_no_pages():
    none = np.zeros(0, np.int64)
    some = Ranges(none, none).joined(np.array([10, 100, 12]), np.array([13, 110, 20]))
    assert (some.start.tolist(), some.end.tolist(), some.pages) == ([10, 100], [20, 110], 20)
    more = some.joined(np.array([20, 0]), np.array([100, 1]))
    assert (more.start.tolist(), more.end.tolist(), more.before.tolist()) == ([0, 10], [1, 110], [0, 1, 101])


def test_rows_are_cut_at_ticks_and_a_tick_without_any_is_empty():
    rows = table([0, 5, 10, 11, 45, 46], np.arange(6))
    cut = [part["page"].tolist() for part in by_tick([rows[:3], rows[3:]], 10.0, 6)]
    assert cut == [[0, 1], [2, 3], [], [], [4, 5], []]
    assert [len(part) for part in by_tick([rows], 10.0, 2)] == [2, 2]


def test_accesses_are_drawn_by_the_heat_of_their_time_and_stay_where_the_file_is_silent():
    config = dataclasses.replace(CONFIG, tick_ms=1e-3, ticks=4, rate=1e9, accesses=1000)
    rows = table([0, 0, 1000, 3000], [1000, 5000, 1000, 5004], [4, 8, 2, 1], [1.0, 0.0, 3.0, 7.0])
    ticks = played(recorded(rows, config=config))
    assert [sorted(set(pages.tolist())) for pages in ticks] == [[0, 1, 2, 3], [0, 1], [0, 1], [8]]
    counts = np.bincount(ticks[0])
    assert (abs(counts - 250) < 100).all()


def test_where_the_file_has_more_pages_neighbours_are_one_and_it_is_said():
    stream = recorded(table(0, [0, 10_000], [900, 100], 1.0), most=100)
    assert stream.pages == 100
    assert any("10 neighbours count as one" in note for note in stream.notes)
    assert max(pages.max() for pages in stream.play(0)) == 99


def test_a_file_lasts_for_all_ticks_unless_a_tick_is_given():
    rows = table([0, 5_000_000_000], [0, 1], 1, 1.0)
    assert recorded(rows).tick_ns == 1e9
    assert recorded(rows).ticks == 6
    given = recorded(rows, config=dataclasses.replace(CONFIG, tick_ms=2500.0))
    assert (given.tick_ns, given.ticks) == (2.5e9, 3)


@pytest.mark.parametrize(
    ("rows", "said"),
    [(table(0, [7], [1], 1.0), "names 1 page"), (table(0, [7], [9], 0.0), "no page that it was accessed")],
)
def test_a_file_with_nothing_to_play_is_refused_by_name(rows, said):
    with pytest.raises(TraceError, match=said):
        recorded(rows)


def test_a_damo_record_is_played(tmp_path):
    page = 4096
    quiet = [(0, 64 * page, 0, 1), (64 * page, 128 * page, 0, 1)]
    hot = [(0, 64 * page, 9, 1), (64 * page, 128 * page, 0, 1)]
    path = Path(tmp_path / "damon.data")
    path.write_bytes(as_json(record([(10**9, quiet), (2 * 10**9, hot), (3 * 10**9, hot)])))
    stream = from_file(path, CONFIG, PAGES, 1)
    assert stream.pages == 128
    ticks = played(stream)
    assert len(ticks[0]) == 0  # nothing was seen yet
    assert ticks[-1].max() == 63


def test_the_packaged_record_is_a_hot_set_that_moves_and_the_same_as_a_file(tmp_path):
    stream = packaged(dataclasses.replace(CONFIG, ticks=60), 4000, 1)
    hot = []
    for pages in stream.play(0):
        counts = np.bincount(pages, minlength=stream.pages)
        hot.append(set(np.argsort(-counts)[: stream.pages // 10].tolist()))
    assert len(hot[20] & hot[21]) > len(hot[20] & hot[50])
    files.save(files.packaged(), tmp_path / "same.pgxtrace")
    assert from_file(tmp_path / "same.pgxtrace", CONFIG, 4000, 1).given.digest == stream.given.digest
