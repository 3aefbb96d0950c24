"""The picture over time, in the terminal and in the page: every value at its height."""

import re

import pytest

from pagexchange.cli.layout import render
from pagexchange.cli.over_time import OverTime, bar, narrowed
from pagexchange.html.over_time import picture
from pagexchange.html.scale import ShareScale

ROWS = [("nothing", [0.25, 0.25, 0.25, 0.25]), ("migrate", [0.25, 0.5, 0.75, 1.0])]


@pytest.mark.parametrize(("ascii_only", "bars"), [(False, "▁▂▃▄▅▆▇█"), (True, "_.:-=+*#")])
def test_a_bar_is_as_high_as_its_share_of_the_greatest(ascii_only, bars):
    text = render([OverTime(ROWS, 1.6, ascii_only=ascii_only)], 80)
    first, second = text.splitlines()[-2:]
    assert first == f"nothing  {bars[2] * 4}   25% to  25%"
    assert second == f"migrate  {bars[2]}{bars[4]}{bars[6]}{bars[7]}   25% to 100%"
    assert f"{bars[0]} is 0%, {bars[7]} 100%" in text


def test_more_values_than_columns_share_a_bar_and_none_is_left_out():
    assert narrowed([1.0, 2, 3, 4, 5, 6], 3) == [1.5, 3.5, 5.5]
    assert narrowed([1.0], 80) == [1.0]
    assert [bar(share, "abc") for share in (0, 0.34, 0.67, 1)] == ["a", "b", "c", "c"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_longer_than_the_terminal(width):
    rows = [("list-exchange/hottest-coldest", [n / 160 for n in range(160)])]
    lines = render([OverTime(rows, 1.6, ascii_only=False)], width).splitlines()
    assert max(map(len, lines)) <= max(width, 31 + 16 + 15)


def test_a_scale_of_shares_begins_at_0_and_has_few_ticks():
    scale = ShareScale(0.8, 200.0, 0.0)
    assert [scale(0), scale(0.4), scale(0.8)] == [200, 100, 0]
    assert scale.ticks(6) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert len(ShareScale(1.0, 0, 1).ticks(7)) <= 7


def test_lines_of_the_page_go_through_their_values():
    drawn = picture([(name, n, values) for n, (name, values) in enumerate(ROWS)], 2.0)
    paths = [path.get("d", "") for path in drawn.iter("path") if path.get("class") == "line"]
    points = [[tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", path)] for path in paths]
    flat, rising = points
    assert len({y for _, y in flat}) == 1
    assert [x for x, _ in flat] == [x for x, _ in rising]
    assert flat[0] == rising[0]
    heights = [flat[0][1] - y for _, y in rising]
    assert heights == pytest.approx([0, heights[1], 2 * heights[1], 3 * heights[1]], abs=0.2)
    words = [text.text for text in drawn.iter("text")]
    assert {"nothing", "migrate", "time of the stream", "2 s"} <= set(words)
