"""The suite is whole: each row that applies has a test, each other one a reason, and each test a row."""

import ast
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_each_row_has_a_test_or_a_reason(row):
    tests = [test for test in TESTS if row_of(test) == row.name]
    if row.applies in ("A", "Multi", "gap"):
        assert tests, f"no test named test_{row.name} or test_{row.name}__..."
    else:
        assert row.applies in ("optional", "P", "N", "driver")
        assert row.note
        assert not tests, "it has a test: then it applies"


@pytest.mark.parametrize("test", TESTS)
def test_each_test_stands_for_a_row(test):
    assert row_of(test) is not None


def test_no_row_and_no_test_is_there_twice():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert len(set(TESTS)) == len(TESTS)
