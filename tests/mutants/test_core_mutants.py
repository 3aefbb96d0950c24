"""What is said about survivors of `make mutants-core` is about code that is there."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SURVIVORS = tomllib.loads((ROOT / "tests/mutants/core.toml").read_text(encoding="utf-8"))["mutant"]


@pytest.mark.parametrize("mutant", SURVIVORS, ids=lambda mutant: f"{mutant['file']} {mutant['new'][:40]}")
def test_a_survivor_that_is_explained_has_a_place(mutant: dict[str, str]) -> None:
    text = (ROOT / "core/pagexchange" / mutant["file"]).read_text(encoding="utf-8")
    assert mutant["old"] in " ".join(text.split())
    assert mutant["old"] != mutant["new"]
    assert mutant["survives"] != ""
