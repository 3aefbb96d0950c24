"""The one table of steps against the engine's source: the order, the point of no return, where the time is counted."""

import re
from pathlib import Path

from pagexchange_native.engine.steps import COSTS, POINT_OF_NO_RETURN, STEPS

ENGINE = Path(__file__).parents[2] / "cython" / "pagexchange_native" / "engine"
BATCH = (ENGINE / "worker.pyx").read_text(encoding="utf-8").partition("cdef void run_batch")[2]


def call(name: str) -> int:
    """Where `run_batch` calls the step's function."""
    calls = re.search(rf"^ +_{name}\(w\)", BATCH, re.MULTILINE)
    assert calls, f"run_batch calls no function of the step {name!r}"
    return calls.start()


def test_the_engine_takes_the_steps_in_the_order_of_the_table() -> None:
    names = [step.name for step in STEPS]
    assert names[0] == "validate"  # before the batch: `_screen`
    places = [call(name) for name in names[1:]]
    assert places == sorted(places)
    assert len(set(names)) == len(names)


def test_data_is_published_between_the_last_step_that_can_be_undone_and_the_first_that_cannot() -> None:
    names = [step.name for step in STEPS]
    at = names.index(POINT_OF_NO_RETURN)
    assert call(names[at - 1]) < BATCH.index("PGX_DATA)") < call(POINT_OF_NO_RETURN)
    assert not any(step.undo for step in STEPS[at:])
    assert [step.name for step in STEPS[at:] if step.errors] == ["data"]


def test_the_enum_of_the_worker_has_the_names_of_the_costs_in_their_order() -> None:
    declared = re.findall(r"^    T_(\w+) = (\d)", (ENGINE / "work.pxd").read_text(encoding="utf-8"), re.MULTILINE)
    assert [(name.lower(), int(number)) for name, number in declared] == [
        *((cost, number) for number, cost in enumerate(COSTS)),
        ("parts", len(COSTS)),
    ]


def test_the_time_of_each_step_is_counted_where_the_table_says() -> None:
    counted = [(found.start(), found[1].lower()) for found in re.finditer(r"w\.ns\[T_(\w+)\] \+=", BATCH)]
    for step in STEPS[1:]:
        assert next(cost for place, cost in counted if place > call(step.name)) == step.cost, step.name
    assert {step.cost for step in STEPS} == {"", *COSTS}
    assert {step.server for step in STEPS} == {"core", "flags", "mapping", "data"}
