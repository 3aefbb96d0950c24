"""The planted faults of tests/mutants/native/ can be run: `make mutants` does it."""

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHES = ROOT / "tests/mutants/native"


def problems(patch: Path) -> Iterator[str]:
    """What keeps a patch from being run, and from planting the fault that it describes."""
    head, _, diff = patch.read_text(encoding="utf-8").partition("\n\n")
    facts = dict(line.split(": ", 1) for line in head.splitlines())
    if not facts.keys() >= {"breaks", "test"} or not facts.keys() <= {"breaks", "test", "survives"}:
        yield f"its facts are {', '.join(facts)}; wanted: breaks, test, and perhaps survives"
    path, _, name = facts.get("test", "").partition("::")
    file = ROOT / path
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else ast.Module([], [])
    if name.partition("[")[0] not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
        yield f"there is no test {path}::{name}"
    # git looks for a repository in folders above a checkout that is none itself, and would then apply nothing.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(ROOT.parent)}
    command = ["git", "apply", "--check", str(patch)]
    applied = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if applied.returncode:
        yield applied.stderr.strip()
        return
    # git takes the nearest of several places that fit, which need not be the one that was meant.
    text = (ROOT / diff.partition("+++ b/")[2].partition("\n")[0]).read_text(encoding="utf-8")
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE)[1:]:
        old = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in " -")
        if (places := f"\n{text}".count(f"\n{old}")) != 1:
            yield f"its lines are there {places} times; give it more context"


def test_each_fault_can_be_planted_and_names_its_test() -> None:
    patches = sorted(PATCHES.glob("*.patch"))
    assert len(patches) >= 200
    assert [f"{patch.name}: {problem}" for patch in patches for problem in problems(patch)] == []
