"""Which samples count: of a turn one attempt, of a cell the turns that were not pushed aside, if these are most."""

from typing import Any

from pagexchange.samples.schema import Sample
from pagexchange.samples.turns import by_cell, costs, counted, final


def sample(round: int = 0, **fields: Any) -> Sample:
    plain = {"cell": "0" * 12, "host": "a", "position": 0, "started_ns": 0, "pairs": 10, "exchanged": 10}
    return Sample(round=round, **{**plain, "wall_ns": 1000, "cpu_ns": 1000, **fields})


def test_samples_are_told_apart_by_cell_and_host() -> None:
    one, two, three = sample(), sample(host="b"), sample(1)
    assert by_cell([one, two, three]) == {("0" * 12, "a"): [one, three], ("0" * 12, "b"): [two]}


def test_of_a_turn_that_was_taken_again_the_first_clean_attempt_counts() -> None:
    first, again, third = sample(aside=True), sample(attempt=1), sample(attempt=2)
    assert final([third, again, first]) == [again]


def test_of_attempts_that_were_all_pushed_aside_the_one_that_had_most_of_its_cpu_counts() -> None:
    bad, less, other = (sample(attempt=n, aside=True, cpu_ns=cpu) for n, cpu in enumerate((300, 700, 500)))
    assert final([bad, less, other]) == [less]
    # The mark decides, whatever the clocks say: of the process's threads not all may have worked.
    assert final([sample(aside=True, cpu_ns=1000), clean := sample(attempt=1, cpu_ns=100)]) == [clean]


def test_turns_are_in_the_order_of_rounds() -> None:
    assert [each.round for each in final([sample(2), sample(0), sample(1)])] == [0, 1, 2]


def test_turns_that_stayed_pushed_aside_are_left_out_if_most_were_not() -> None:
    turns = [sample(n, aside=n == 1) for n in range(3)]
    assert [each.round for each in counted(turns)] == [0, 2]
    turns = [sample(n, aside=n > 0) for n in range(3)]
    assert [each.round for each in counted(turns)] == [0, 1, 2]
    assert counted([]) == []


def test_a_cost_is_per_pair_that_was_exchanged() -> None:
    turns = [sample(0, exchanged=4, cpu_ns=800), sample(1, exchanged=0), sample(2)]
    assert costs(turns, "cpu") == {0: 200.0, 2: 100.0}
    assert costs(turns, "wall") == {0: 250.0, 2: 100.0}
