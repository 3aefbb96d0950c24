"""The list of planted faults can be run: `make mutants` does it."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUTANTS = tomllib.loads((ROOT / "tests/mutants/native.toml").read_text(encoding="utf-8"))["mutant"]

each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["name"])


def test_there_are_forty_and_each_has_a_name_of_its_own() -> None:
    assert len({mutant["name"] for mutant in MUTANTS}) == len(MUTANTS) >= 40


@each
def test_a_mutant_has_one_place(mutant: dict[str, str]) -> None:
    file = ROOT / "cython/pagexchange_native" / mutant["file"]
    assert file.read_text(encoding="utf-8").count(mutant["old"]) == 1
    assert mutant["old"] != mutant["new"]


@each
def test_a_mutant_has_a_test(mutant: dict[str, str]) -> None:
    path, _, name = mutant["test"].partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name.partition("[")[0] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert mutant.get("survives", "said") != ""
