"""What the pages of a run do not ask for is said to be not shown: no failure, and no pass."""

import errno
import re
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from pagexchange.arena.strategy import bind
from pagexchange.cli.layout import render
from pagexchange.cli.run_table import blocks
from pagexchange.host.build import PagexchangeHost
from pagexchange.host.read import load
from pagexchange.runs.inputs import workbench
from pagexchange.runs.result import RunResult, from_json, to_json
from pagexchange.runs.run import run
from pagexchange.runs.verdict import Stamping
from tests.core.fake_engine import LAYOUT, fake, make, race
from tests.core.fake_runs import seven, strategy


def printed(result: RunResult) -> str:
    return " ".join(render(blocks(result), 200).split())


def test_a_loss_that_no_page_could_show_is_no_failure_and_no_pass() -> None:
    result = race(make(), [fake("forgetful", "loses", loses=LAYOUT.word("dirty", "young")), fake("good")], rounds=1)
    one, other = result.strategies
    assert (one.verdict, one.as_expected, other.as_expected) == ("exact", None, True)
    assert one.reason == "no page had a flag that it loses (dirty, young); not shown"
    assert (result.exit_code, result.as_expected) == (0, True)
    text = printed(result)
    assert "exact ?" in text
    assert "Not shown, because the pages do not ask for it: forgetful. The other did as expected." in text
    assert from_json(to_json(result)).strategies[0].as_expected is None


def test_a_policy_that_loses_nothing_at_all_contradicts_what_is_expected() -> None:
    (one,) = race(make(), [fake("good", "loses")], rounds=1).strategies
    assert (one.as_expected, one.reason) == (False, "")


def test_a_policy_that_loses_what_a_page_had_and_is_exact_all_the_same_contradicts_it_too() -> None:
    policy = fake("odd", "loses")

    def forget_from_now_on(*_: Any) -> None:
        policy.loses = LAYOUT.mask("swap")

    policy.after = forget_from_now_on
    (one,) = race(make(), [policy], rounds=0).strategies
    assert (one.verdict, one.as_expected) == ("exact", False)


@pytest.mark.parametrize("expected", ["exact", "loses", "refused"])
def test_pages_that_nobody_could_exchange_show_nothing(expected: str) -> None:
    bench = make(1, locked=0)
    (one,) = race(bench, [fake("any", expected)], rounds=1).strategies  # type: ignore[arg-type]
    assert (one.verdict, one.refused, one.as_expected) == ("refused", {"EAGAIN": 1}, None)
    assert one.reason == "no pair of the list can be exchanged, whatever the strategy: see the refusals; not shown"


def test_a_strategy_that_refuses_pages_which_could_be_exchanged_is_a_failure() -> None:
    (one,) = race(make(), [fake("shy", refuses=errno.EAGAIN)], rounds=1).strategies
    assert (one.verdict, one.as_expected) == ("refused", False)


def test_the_shipped_strategies_on_five_pairs_do_not_fail() -> None:
    settings = ["workload.pairs=5", "workload.source=synthetic", "workload.dirty=0", "arena.nodes.fast=4 MiB"]
    config = load(None, overrides=[*settings, "arena.nodes.slow=4 MiB", "run.threads=8"], only=["rfc-2019", "two-pass"])
    specs = [config.strategy(name) for name in ("rfc-2019", "two-pass")]
    result = run(workbench(config), specs, partial(bind, PagexchangeHost()), Stamping(), rounds=1)
    assert result.exit_code == 0
    assert {(s.threads, s.workers) for s in result.strategies} == {(8, 1)}
    assert "8 threads, of which 1 worked" in printed(result)


def test_what_was_asked_for_stands_beside_what_was_done() -> None:
    result = seven(rounds=15, rounds_done=3, interrupted=True)
    assert "15 rounds, 3 of them done" in printed(result)
    fewer, enough = (seven(rounds_done=3, input=replace(seven().input, pairs_asked=n)) for n in (20_000, 12_288))
    assert "12,288 pairs of 4 KiB pages (20,000 were asked for)" in printed(fewer)
    assert "asked for" not in printed(enough)
    assert "worked" not in printed(enough)


def test_strategies_without_a_common_round_are_compared_as_two_samples() -> None:
    first, second = strategy("first", 100.0), strategy("second", 200.0)
    second = replace(second, rounds=[replace(timed, round=timed.round + 10) for timed in second.rounds])
    text = printed(seven(strategies=[first, second]))
    assert re.search(r"first wins: 100 ns per pair, 2.00x faster than second \(1\.9\d to 2\.[01]\d\)", text)
