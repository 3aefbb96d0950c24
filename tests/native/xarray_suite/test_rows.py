"""The suite is whole: each row that applies has a test, each other one a reason, and each test a row."""

import ast
from pathlib import Path

from tests.native.xarray_suite.rows import ROWS

HERE = Path(__file__).parent
TESTS = [
    node.name
    for file in sorted(HERE.glob("test_*.py"))
    if file != Path(__file__)
    for node in ast.walk(ast.parse(file.read_text()))
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
]


def row_of(test):
    """Name of the row that a test stands for: the longest that it begins with."""
    rest = test.removeprefix("test_")
    return max(
        (row.name for row in ROWS if rest == row.name or rest.startswith(f"{row.name}__")), key=len, default=None
    )


def problems():
    """Rows and tests that do not match."""
    for row in ROWS:
        tests = [test for test in TESTS if row_of(test) == row.name]
        if row.applies in ("A", "Multi", "gap"):
            if not tests:
                yield f"{row.name}: no test named test_{row.name} or test_{row.name}__..."
        elif row.applies not in ("optional", "P", "N", "driver"):
            yield f"{row.name}: applies = {row.applies!r} is unknown"
        elif not row.note:
            yield f"{row.name}: no reason why it does not apply"
        elif tests:
            yield f"{row.name}: it has a test: then it applies"
    yield from (f"{test}: it stands for no row" for test in TESTS if row_of(test) is None)


def test_each_row_has_a_test_or_a_reason_and_each_test_a_row():
    assert list(problems()) == []


def test_no_row_and_no_test_is_there_twice():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert len(set(TESTS)) == len(TESTS)
