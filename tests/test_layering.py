"""Imports run one way: plugins -> core -> native, and down through the rooms; the core names no built-in plug-in."""

import ast
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from tests.rooms import ROOT, circles, floors, imports, named_in, rooms

CORE, PLUGINS, NATIVE = ROOT / "core", ROOT / "plugins", ROOT / "cython"
BUILT_IN = [e.name for e in entry_points(group="pagexchange.plugins") if e.dist and e.dist.name == "pagexchange"]

# What is read first stands lowest: a room imports from those above it in this list, never from one below.
ORDER = {
    "pagexchange_native": ("errors", "format", "integers", "procfs", "buffers", "plugin", "arena", "xarray", "pages",
                           "movers", "policies", "tier", "engine", "recovery", "wrappers", "bench", "reader", ""),
    "pagexchange": ("version", "trail", "signals", "strangers", "exits", "errors", "model", "statuses", "hookspecs",
                    "host", "arena", "linux", "", "pages", "oracle", "testing", "measure", "samples", "runs", "bench",
                    "tier", "compare", "html", "sweep", "cli", "__main__"),
}  # fmt: skip
# Beyond the order: what stays apart, so that it can be believed (the oracle) or replaced (the rest).
ONLY = {
    "pagexchange.oracle": {"errors"},
    "pagexchange.model": {"strangers", "errors"},
    "pagexchange.testing": {
        "version", "strangers", "errors", "model", "hookspecs", "host", "arena", "", "pages", "oracle",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def graph():
    return imports()


def top(module):
    """Package and room of a module: the first folder below the package, or the module that lies beside the folders."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0]


def climbs(graph):
    """Every import that does not run down, as `a -> b`."""
    for module, targets in graph.items():
        package, here = top(module)
        for other, there in map(top, targets):
            if package == other and package in ORDER and here != there:
                order = ORDER[package]
                if here not in order or there not in order or order.index(here) < order.index(there):
                    yield f"{module} -> {other}.{there}"


def test_plugins_import_core_and_native_core_imports_native_and_never_back(graph):
    layers = ("pagexchange_native", "pagexchange", "pagexchange_plugins")
    back = [
        f"{module} -> {target}"
        for module, targets in graph.items()
        for target in targets
        if layers.index(top(module)[0]) < layers.index(top(target)[0])
    ]
    assert back == []


def test_imports_run_down_through_the_rooms(graph):
    assert sorted(climbs(graph)) == []


def test_an_import_that_climbs_is_seen():
    planted = {
        "pagexchange.model.config": {"pagexchange.host.read"},
        "pagexchange.new_room.file": {"pagexchange.errors"},
        "pagexchange.cli.run": {"pagexchange.runs.run"},
    }
    assert sorted(climbs(planted)) == [
        "pagexchange.model.config -> pagexchange.host", "pagexchange.new_room.file -> pagexchange.errors",
    ]  # fmt: skip


def test_there_is_no_circle_neither_of_rooms_nor_of_modules(graph):
    assert circles(rooms(graph)) == []
    assert circles(graph) == []


def test_a_circle_is_seen_and_floors_are_counted_from_what_imports_nothing():
    planted = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a"}}
    assert circles(planted) == [["b", "c"]]
    assert floors(planted) == {"d": 1, "b": 2, "c": 2, "a": 3, "e": 4}


def test_oracle_model_and_suite_stay_apart(graph):
    for room, allowed in ONLY.items():
        package = room.partition(".")[0]
        inside = {target for module in graph if f"{module}.".startswith(f"{room}.") for target in graph[module]}
        others = {target for target in inside if target.startswith(f"{package}.") or target == package}
        others = {target for target in others if not f"{target}.".startswith(f"{room}.")}
        assert {top(target)[1] for target in others} <= allowed, room
    native = {target for module in graph if module.startswith("pagexchange.oracle") for target in graph[module]}
    assert not [target for target in native if target.startswith("pagexchange_native")]


def test_plug_ins_do_not_reach_into_the_engine_nor_into_runs(graph):
    rooms_used = {
        top(target) for module in graph if top(module)[0] == "pagexchange_plugins" for target in graph[module]
    }
    engine = {("pagexchange_native", "engine"), ("pagexchange", "runs"), ("pagexchange", "cli")}
    assert rooms_used
    assert rooms_used.isdisjoint(engine)


def test_compiled_strangers_cimport_from_the_door_alone():
    files = [*(ROOT / "examples").rglob("*.pyx"), *(ROOT / "tests/third_party/native_strangers").rglob("*.pyx")]
    cimported = {module for file in files for module, _ in named_in(file)}
    assert {name for name in cimported if name.startswith("pagexchange_native")} == {
        "pagexchange_native",
        "pagexchange_native.plugin",
    }


def test_the_rooms_can_be_counted_by_anyone():
    done = subprocess.run([sys.executable, "-m", "tests.rooms"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].endswith("0 circles of rooms, 0 of modules")


def test_the_folder_cython_is_no_package():
    # or `import cython` would find it, for every Python that is started at the top of the repository
    assert not (NATIVE / "__init__.py").exists()
    assert not (CORE / "__init__.py").exists()
    assert not (PLUGINS / "__init__.py").exists()


def test_the_core_names_no_built_in_plug_in():
    """No string in the code of core/ is the name of a built-in plug-in; prose in docstrings may be."""
    assert len(BUILT_IN) >= 14
    # The default strategy is called as its mover is; the default pairing; what oracle and suite find in an XArray.
    others = {
        ("arena/arena.py", "list-exchange"), ("arena/pairing.py", "hottest-coldest"),
        ("oracle/trees.py", "xarray"), ("testing/verdict/judge.py", "xarray"),
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
