"""What is written about survivors of `make mutants-core` is about code that is there."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SURVIVORS = tomllib.loads((ROOT / "tests/mutants/core.toml").read_text(encoding="utf-8"))["mutant"]


def is_there(mutant: dict[str, str]) -> bool:
    file = ROOT / "core/pagexchange" / mutant["file"]
    return file.is_file() and mutant["old"] in " ".join(file.read_text(encoding="utf-8").split())


def test_each_survivor_that_is_explained_is_in_the_code() -> None:
    assert [f"{m['file']}: {m['old']}" for m in SURVIVORS if not is_there(m)] == []
    assert [m for m in SURVIVORS if m["old"] == m["new"] or not m["survives"]] == []
