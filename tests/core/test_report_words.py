"""Figures in words, and places on a scale: what is printed has three digits, units and round ticks."""

import math
from typing import Any

import pytest

from pagexchange.html.failures import status
from pagexchange.html.scale import LogScale, around
from pagexchange.html.words import duration, duration_tick, figure, point_words, share


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.03124, "0.0312"), (1.0, "1.00"), (8.4149, "8.41"), (9.999, "10.0"), (99.96, "100"), (212.4, "212"),
     (999.7, "1,000"), (1234.4, "1,234"), (12_345_678, "12,345,678")],
)  # fmt: skip
def test_a_figure_has_three_digits_that_count(value: float, words: str) -> None:
    assert figure(value) == words


def test_times_have_units() -> None:
    assert [duration(ns) for ns in (7, 999.4, 999.6, 1240, 35e6, 2.5e9)] == [
        "7.00 ns", "999 ns", "1.00 µs", "1.24 µs", "35.0 ms", "2.50 s",
    ]  # fmt: skip
    assert [duration_tick(ns) for ns in (50, 1000, 15_000, 2e9)] == ["50 ns", "1 µs", "15 µs", "2 s"]


def test_shares_and_points() -> None:
    assert [share(value) for value in (0, 0.004, 0.0996, 0.18, 1)] == ["0%", "0.4%", "10%", "18%", "100%"]
    point: dict[str, Any] = {"size": 8 << 20, "order": 9, "batch": 128, "sorted": True, "load": "idle"}
    assert point_words(point) == "working set 8 MiB, order 9, pairs a call 128, sorted yes, load idle"


def test_a_scale_is_by_the_logarithm_and_holds_all_values() -> None:
    scale = LogScale(10.0, 1000.0, 0.0, 100.0)
    assert [scale(value) for value in (10, 100, 1000)] == pytest.approx([0, 50, 100])
    made = around([200.0, 450.0], 8, 392)
    assert 8 < made(200) < made(450) < 392
    assert around([5.0], 0, 1).high / around([5.0], 0, 1).low == pytest.approx(1.5)
    assert around([], 0, 1).low < 1 < around([], 0, 1).high


@pytest.mark.parametrize("factor", [1.5, 2, 5, 20, 100, 1e4, 1e12])
@pytest.mark.parametrize("low", [0.3, 1, 7.5, 990])
def test_ticks_are_round_few_and_inside(low: float, factor: float) -> None:
    ticks = LogScale(low, low * factor, 0, 1).ticks(8)
    assert 1 <= len(ticks) <= 8
    assert ticks == sorted(ticks)
    assert low <= ticks[0]
    assert ticks[-1] <= low * factor
    for tick in ticks:
        digits = f"{tick / 10 ** math.floor(math.log10(tick) + 1e-9):.6g}"
        assert len(digits) <= 3, tick


def test_how_a_process_ended() -> None:
    assert [status(code) for code in (0, 3, -11, -9, -250)] == [
        "exit status 0", "exit status 3", "signal 11, SIGSEGV", "signal 9, SIGKILL", "signal 250",
    ]  # fmt: skip
