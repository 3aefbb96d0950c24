"""Samples as little bars: flat where they lie together, tall where they are strewn, the worst never lost."""

import pytest

from pagexchange.cli.sparkline import ASCII_BARS, BARS, sparkline, spread


def test_samples_that_lie_together_are_flat_and_strewn_ones_are_not() -> None:
    assert sparkline([100, 101, 104, 100]) == "▁▁▁▁"
    assert sparkline([100, 199, 141, 100]) == "▁█▄▁"
    assert sparkline([100, 5000]) == "▁█"


def test_one_scale_for_all_rows_of_a_table() -> None:
    rows = [[100.0, 200.0], [7.0, 700.0]]
    top = max(map(spread, rows))
    assert top == 100
    assert [sparkline(row, top=top) for row in rows] == ["▁▂", "▁█"]


def test_only_the_ratio_counts_and_no_unit() -> None:
    samples = [3.0, 4.0, 5.5, 3.1]
    assert sparkline(samples) == sparkline([value * 1e9 for value in samples])


def test_of_more_samples_than_characters_the_worst_are_seen() -> None:
    samples = [100.0] * 1000
    samples[517] = 1000.0
    assert sparkline(samples, width=10) == "▁▁▁▁▁█▁▁▁▁"
    assert len(sparkline([1.0] * 16, width=15)) == 15


@pytest.mark.parametrize("samples", [[], [5.0], [5.0, 5.0]])
def test_few_samples_are_no_error(samples: list[float]) -> None:
    assert sparkline(samples) == "▁" * len(samples)
    assert spread(samples) == 1


def test_a_stream_without_unicode_has_bars_too() -> None:
    samples = [float(2 ** (n / 8)) * 1.001 for n in range(8)]
    samples[0] = 1.0
    assert sparkline(samples) == BARS
    assert sparkline(samples, ascii_only=True) == ASCII_BARS
    assert ASCII_BARS.isascii()
