"""Runs the machine: 100 programs of 30 calls, or with PAGEXCHANGE_MODEL=ci 2,000 of 50 (`make model`).

The seed is printed. The same programs again: PAGEXCHANGE_MODEL_SEED=number python -m pytest tests/model.
"""

import os
import random
from collections.abc import Iterable
from typing import cast

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import MIGRATING, STRATEGIES, Machine, config

LONG = os.environ.get("PAGEXCHANGE_MODEL") == "ci"
EXAMPLES, STEPS = (2000, 50) if LONG else (100, 30)


def test_any_program_of_calls_leaves_what_the_reference_says(capsys: pytest.CaptureFixture[str]) -> None:
    number = int(os.environ.get("PAGEXCHANGE_MODEL_SEED") or random.SystemRandom().randrange(1 << 32))
    again = f"PAGEXCHANGE_MODEL_SEED={number}" + (" PAGEXCHANGE_MODEL=ci" if LONG else "")
    with capsys.disabled():
        print(f"\nmodel: {EXAMPLES} programs of {STEPS} calls; the same again with {again}")
    run_state_machine_as_test(
        seed(number)(Machine),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None, print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(cast(Iterable[HealthCheck], HealthCheck)),
        ),
    )  # fmt: skip


def test_every_shipped_strategy_is_driven() -> None:
    shipped, ours, _ = config()
    named = {name: spec.migrates for name, spec in (*shipped.strategies.items(), *ours.strategies.items())}
    assert set(STRATEGIES) == {name for name, migrates in named.items() if not migrates}
    assert set(MIGRATING) == {name for name, migrates in named.items() if migrates}
