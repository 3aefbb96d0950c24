"""Medians, ratios and what is said of them: against answers that are known beforehand."""

import numpy as np
import pytest

from pagexchange.samples import statistics
from pagexchange.samples.statistics import Interval, geometric_mean, level, median, overlap, ratio, relation


def noisy(middle, n, *, spread=0.05, seed=0):
    return middle * np.exp(np.random.default_rng(seed).normal(0, spread, n))


def test_a_median_lies_in_its_interval_and_the_same_seed_gives_the_same_one():
    found = median([5.0, 1.0, 3.0, 2.0, 4.0])
    assert found.middle == 3
    assert 0 < found.low < 3 < found.high < 7
    assert found == median([5.0, 1.0, 3.0, 2.0, 4.0])
    assert {type(value) for value in found} == {float}, "JSON has no other"
    assert median(noisy(100, 40), seed=1) != median(noisy(100, 40), seed=2)


def test_equal_samples_have_an_interval_without_width():
    assert median([7.0] * 9) == Interval(7, 7, 7)
    assert ratio([7.0] * 9, [7.0] * 9) == Interval(1, 1, 1)


def test_one_sample_has_a_value_and_no_interval():
    found = median([7.0])
    assert found.middle == 7
    assert not found.known
    assert 1e9 in found
    assert not ratio([8.0], [2.0, 2.0]).known
    assert level(ratio([8.0], [2.0])), "four times is no lead of one sample"


def test_the_true_median_is_in_the_interval_about_as_often_as_it_says():
    seen = sum(100 in median(noisy(100, 25, seed=n), seed=n) for n in range(200))
    assert seen >= 180  # seeded: a count, not a chance


@pytest.mark.parametrize("rounds", [3, 5, 15])
@pytest.mark.parametrize("given", [list, lambda values: dict(enumerate(values))], ids=["apart", "by round"])
def test_two_samples_of_the_same_are_rarely_called_different(rounds, given):
    both = [[given(noisy(100, rounds, seed=seed + n)) for seed in (0, 1000)] for n in range(200)]
    assert sum(not level(ratio(*each)) for each in both) <= 10  # seeded: of three rounds all agree in 50


def test_an_interval_of_few_samples_is_wider_than_they_are_apart():
    assert [round(statistics._wider(n), 2) for n in (2, 3, 5, 15, 1000)] == [9.17, 2.69, 1.58, 1.13, 1.0]
    found = median([99.0, 100.0, 101.0])
    assert (found.low, found.high) == pytest.approx((100 * 0.99**2.69, 100 * 1.01**2.69), rel=1e-3)


def test_what_differs_is_found():
    found = ratio(noisy(130, 15, seed=1), noisy(100, 15, seed=2))
    assert found.low > 1.1
    assert found.high < 1.5
    assert relation(found) == "above"
    assert relation(ratio(noisy(100, 15, seed=2), noisy(130, 15, seed=1))) == "below"


def test_a_load_that_hits_both_sides_of_a_round_goes_out():
    load = np.random.default_rng(3).uniform(1, 10, 15)
    mine, theirs = 110 * load, 100 * load
    by_round = ratio(dict(enumerate(mine)), dict(enumerate(theirs)))
    assert by_round.low == pytest.approx(1.1) == by_round.high
    assert relation(by_round) == "above"
    alone = ratio(mine, theirs)
    assert alone.middle == by_round.middle
    assert alone.low < 0.8
    assert alone.high > 1.4


def test_rounds_are_matched_by_their_number_and_only_if_all_are_there():
    mine = {2: 30.0, 0: 10.0, 1: 20.0}
    assert ratio(mine, {0: 1.0, 1: 2.0, 2: 3.0}) == pytest.approx((10, 10, 10))
    assert ratio(mine, {0: 1.0, 1: 2.0, 3: 3.0}).high > 10


def test_level_wants_an_effect_and_a_clear_interval():
    assert relation(Interval(1.02, 1.01, 1.03)) == "level"  # clear, and too little to count
    assert relation(Interval(1.01, 0.98, 1.02)) == "level"
    assert relation(Interval(1.10, 0.90, 1.30)) == "unclear"
    assert relation(Interval(1.10, 1.05, 1.15)) == "above"
    assert relation(Interval(0.90, 0.85, 0.95)) == "below"
    assert [level(Interval(1.10, low, 1.30)) for low in (0.9, 1.05)] == [True, False]
    assert relation(Interval(1.10, 1.05, 1.15), effect=0.2) == "level"


def test_a_geometric_mean_of_ratios_is_theirs():
    cells = [([2.0] * 5, [1.0] * 5), ([8.0] * 5, [1.0] * 5)]
    assert geometric_mean(cells) == pytest.approx((4, 4, 4))
    wide = geometric_mean([(noisy(120, 9, seed=n), noisy(100, 9, seed=50 + n)) for n in range(8)])
    one = ratio(noisy(120, 9, seed=0), noisy(100, 9, seed=50))
    assert wide.low < 1.2 < wide.high
    assert wide.high - wide.low < one.high - one.low
    assert not geometric_mean([([2.0], [1.0])]).known


def test_samples_that_are_drawn_in_parts_are_all_drawn(monkeypatch):
    monkeypatch.setattr(statistics, "_AT_ONCE", 700)
    found = median(noisy(100, 50, spread=0.2))
    assert 80 < found.low < found.middle < found.high < 120


def test_intervals_overlap_where_they_share_a_value():
    assert overlap(Interval(1, 0, 2), Interval(3, 2, 4))
    assert overlap(Interval(3, 2, 4), Interval(1, 0, 2))
    assert not overlap(Interval(1, 0, 1.5), Interval(3, 2, 4))


@pytest.mark.parametrize("values", [[], [0.0, 1.0], [1.0, -1.0], [1.0, float("nan")], [[1.0]]])
def test_what_has_no_ratio_is_refused(values):
    with pytest.raises(ValueError, match="samples: want"):
        median(values)
    with pytest.raises(ValueError, match="samples: want"):
        ratio([1.0, 2.0], values)


def test_no_ratios_have_no_mean():
    with pytest.raises(ValueError, match="at least one"):
        geometric_mean([])
