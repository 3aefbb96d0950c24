"""The three roots: arrows go plugins -> core -> native, and the core names no built-in plug-in."""

import ast
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE, PLUGINS, NATIVE = ROOT / "core", ROOT / "plugins", ROOT / "cython"
BUILT_IN = [e.name for e in entry_points(group="pagexchange.plugins") if e.dist and e.dist.name == "pagexchange"]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def cython_imports(path):
    """Imports of Python, Cython and stub files alike."""
    return re.findall(r"^\s*(?:from|import|cimport)\s+([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_imports_no_plug_in(path):
    assert [name for name in imports(path) if name.split(".")[0] == "pagexchange_plugins"] == []


def test_the_native_layer_imports_neither_core_nor_plug_ins():
    files = [file for pattern in ("*.py", "*.pyx", "*.pxd", "*.pyi") for file in NATIVE.rglob(pattern)]
    assert len(files) > 10
    for file in files:
        roots = {name.split(".")[0] for name in cython_imports(file)}
        assert roots.isdisjoint({"pagexchange", "pagexchange_plugins"}), file


def test_compiled_strangers_cimport_from_the_door_alone():
    files = [*(ROOT / "examples").rglob("*.pyx"), *(ROOT / "tests/third_party/native_strangers").rglob("*.pyx")]
    lines = re.compile(r"^\s*(?:from\s+([\w.]+)\s+cimport|cimport\s+([\w.]+))", re.MULTILINE)
    cimported = {name for file in files for pair in lines.findall(file.read_text(encoding="utf-8")) for name in pair}
    assert {name for name in cimported if name.startswith("pagexchange")} == {
        "pagexchange_native",
        "pagexchange_native.plugin",
    }


def test_plug_ins_do_not_reach_into_the_engine():
    files = sorted(PLUGINS.rglob("*.py"))
    assert files
    for file in files:
        assert not [name for name in imports(file) if name.startswith(("pagexchange.cli", "pagexchange.runs"))], file


def test_the_folder_cython_is_no_package():
    # or `import cython` would find it, for every Python that is started at the top of the repository
    assert not (NATIVE / "__init__.py").exists()
    assert not (CORE / "__init__.py").exists()
    assert not (PLUGINS / "__init__.py").exists()


def test_the_core_names_no_built_in_plug_in():
    """No string in the code of core/ is the name of a built-in plug-in; prose in docstrings may be."""
    assert len(BUILT_IN) >= 14
    # The default strategy is called as its mover is; the oracle and the suite report what they find in an XArray.
    others = {
        ("arena/arena.py", "list-exchange"), ("oracle/trees.py", "xarray"), ("testing/verdict/judge.py", "xarray"),
    }  # fmt: skip
    for path in sorted(CORE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                named = str(path.relative_to(CORE / "pagexchange")), node.value
                assert node.value not in BUILT_IN or named in others, f"{path}:{node.lineno}: {node.value!r}"
