"""No row is without a test or a reason."""

import re
from pathlib import Path

from tests.core.bugs_2019.rows import CANNOT, ROWS

TESTED = {
    found[1]
    for file in Path(__file__).parent.glob("test_*.py")
    for found in re.finditer(r"^def test_([lb]\d+[a-z]?)_", file.read_text(encoding="utf-8"), re.MULTILINE)
}


def test_each_row_has_a_test_or_a_reason_and_not_both() -> None:
    assert [row for row in ROWS if (row.lower() in TESTED) == (row in CANNOT)] == []


def test_no_test_is_named_after_a_row_that_is_not_there() -> None:
    assert {row.lower() for row in ROWS} >= TESTED
    assert set(ROWS) >= set(CANNOT)
