"""The values of a run: the JSON that the issue promises, and the exit code that follows from them."""

import json
from typing import Any

import msgspec
import pytest

from pagexchange.model.words import counted
from pagexchange.runs.result import Costs, PlugIn, from_json, judge, to_json
from tests.core.fake_runs import seven, strategy


def test_the_json_has_the_promised_fields() -> None:
    data = json.loads(to_json(seven()))
    assert {"schema", "seed", "environment", "input", "strategies"} <= data.keys()
    assert data["schema"] == 1
    for one in data["strategies"]:
        assert {
            "name", "verdict", "expected", "pairs", "exchanged", "refused", "ns_per_pair", "frames_allocated", "lost"
        } <= one.keys()  # fmt: skip
    costs = data["strategies"][0]["ns_per_pair"]
    assert list(costs) == ["total", "lock", "flags", "data", "mapping", "finish"]


def test_the_json_reads_back() -> None:
    result = seven()
    assert from_json(to_json(result)) == result
    assert from_json(to_json(result, indent=None)) == result


def test_the_json_takes_what_others_bring_and_is_ascii() -> None:
    brought: dict[str, Any] = {
        "sn\udcff": ["日\ud800", float("nan"), float("inf"), 1 << 70, -(1 << 64), (1 << 64) - 1, 0.5]
    }
    text = to_json(brought)
    assert text.isascii()
    wanted = ["日\\ud800", None, None, hex(1 << 70), hex(-(1 << 64)), (1 << 64) - 1, 0.5]
    assert json.loads(text) == msgspec.json.decode(text) == {r"sn\xff": wanted}


def test_a_count_of_one_is_singular() -> None:
    assert [counted(n, "pair") for n in (0, 1, 2, 2000)] == ["0 pairs", "1 pair", "2 pairs", "2,000 pairs"]
    assert [counted(n, "strategy", "strategies") for n in (1, 2)] == ["1 strategy", "2 strategies"]


def test_a_result_cannot_be_changed() -> None:
    result = seven()
    one = result.strategies[0]
    mover = PlugIn(question="data", name="x", distribution="y")
    values: list[Any] = [result, result.input, one, one.ns_per_pair, one.rounds[0], one.lost[0], mover]
    for value in values:
        with pytest.raises(AttributeError):
            setattr(value, value.__struct_fields__[0], None)


def test_another_schema_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="schema 2: this version reads schema 1"):
        from_json(to_json(msgspec.structs.replace(seven(), schema=2)))


def test_costs_are_divided_by_pairs() -> None:
    whole = Costs(total=1000, lock=100, flags=50, data=700, mapping=50, finish=100)
    assert whole.per(10) == Costs(total=100, lock=10, flags=5, data=70, mapping=5, finish=10)


def test_exit_codes_follow_the_verdicts() -> None:
    assert seven().exit_code == 0
    assert seven(as_expected=False).exit_code == 1
    failed = strategy("x", None, verdict="failed", as_expected=False)
    assert seven(strategies=[failed], as_expected=False).exit_code == 4
    assert seven(interrupted=True).exit_code == 130


def test_starving_is_expected_only_where_frames_were_held_back() -> None:
    assert judge("exact", "exact")
    assert not judge("exact", "loses")
    assert not judge("loses", "exact")
    assert not judge("exact", "starved")
    assert judge("exact", "starved", pressure=True)
    assert not judge("refused", "starved")  # it was refused for another reason than the one expected
    assert not judge("exact", "wrong", pressure=True)
