"""The rooms of the source tree and the imports between them: `python -m tests.rooms [FOLDER]` counts and lists them.

A room is a folder of modules; a module that lies beside folders is a room of its own. An arrow is an import, at the top
of a file, in a function or for types only alike; in a Cython file a `cimport` is one too. A floor is a step of the
longest way down. Lines are those of Python, Cython and C that somebody wrote. FOLDER is a checkout of any state of the
project, so that two states can be compared.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = {"core": "pagexchange", "plugins": "pagexchange_plugins", "cython": "pagexchange_native"}
# `from a.b cimport c`, `from a.b import (c, d)`, `import a.b`: with the names behind it, which may be modules.
CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n#]*)|c?import[ \t]+([\w.]+))", re.MULTILINE
)

Graph = dict[str, set[str]]


def modules(root: Path) -> dict[str, list[Path]]:
    """Return dotted module name -> its files (a compiled module has up to three)."""
    files: dict[str, list[Path]] = {}
    for source, package in SOURCES.items():
        for path in sorted((root / source / package).rglob("*.p*")):
            if path.suffix in (".py", ".pyi", ".pyx", ".pxd") and "__pycache__" not in path.parts:
                parts = path.relative_to(root / source).with_suffix("").parts
                files.setdefault(".".join(part for part in parts if part != "__init__"), []).append(path)
    return files


def named_in(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each import of a file as a module and the names that are taken from it."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".pyx", ".pxd"):
        for module, names, alone in CYTHON_IMPORT.findall(text):
            yield module or alone, re.findall(r"\w+", names)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, [alias.name for alias in node.names]


def imports(root: Path = ROOT) -> Graph:
    """Return module -> the project's modules that it imports."""
    files = modules(root)
    graph: Graph = {}
    for module, paths in files.items():
        targets = set()
        for path in paths:
            for target, names in named_in(path):
                inner = {f"{target}.{name}" for name in names} & files.keys()
                targets |= inner
                if target in files and (len(inner) < len(names) or not names):
                    targets.add(target)
        graph[module] = targets - {module}
    return graph


def room(module: str, folders: set[str]) -> str:
    """Return the folder that a module lies in; the module itself where it lies beside folders."""
    if module in folders:
        return module
    parent = module.rpartition(".")[0]
    beside = any(folder.startswith(f"{parent}.") for folder in folders)
    return module if beside and "." not in parent else parent


def rooms(graph: Graph) -> Graph:
    """Return room -> the rooms that it imports from."""
    folders = {module for module in graph if any(other.startswith(f"{module}.") for other in graph)}
    between: Graph = {}
    for module, targets in graph.items():
        here = room(module, folders)
        between.setdefault(here, set()).update(room(target, folders) for target in targets)
    return {here: there - {here} for here, there in between.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Return the sets of nodes that reach each other, each sorted."""
    reach = {node: reachable(graph, node) for node in graph}
    groups = {tuple(sorted(m for m in reach[node] if node in reach[m])) for node in graph if node in reach[node]}
    return [list(group) for group in sorted(groups)]


def reachable(graph: Graph, start: str) -> set[str]:
    """Return all nodes on a way from `start`; itself only where a way leads back."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph.get(waiting.pop(), set()) - reached:
            reached.add(target)
            waiting.append(target)
    return reached


def floors(graph: Graph) -> dict[str, int]:
    """Return node -> floor: 1 for what imports nothing; the nodes of a circle share a floor."""
    circle_of = {node: frozenset(circle) for circle in circles(graph) for node in circle}
    level: dict[str, int] = {}

    def floor(node: str) -> int:
        if node not in level:
            together = circle_of.get(node, {node})
            below = {target for member in together for target in graph[member]} - together
            level.update(dict.fromkeys(together, 1 + max(map(floor, below), default=0)))
        return level[node]

    for node in graph:
        floor(node)
    return level


def lines(root: Path) -> dict[str, int]:
    """Return folder or file beside folders -> lines of its sources; what Cython made is left out."""
    names = rooms(imports(root))
    count: dict[str, int] = {}
    for source, package in SOURCES.items():
        for path in sorted((root / source / package).rglob("*.*")):
            made = path.suffix == ".c" and path.with_suffix(".pyx").exists()
            if path.suffix not in (".py", ".pyi", ".pyx", ".pxd", ".c", ".h") or made:
                continue
            place = ".".join(
                part for part in path.relative_to(root / source).with_suffix("").parts if part != "__init__"
            )
            while place and place not in names:  # a module of a room, or a header below one
                place = place.rpartition(".")[0]
            count[place] = count.get(place, 0) + len(path.read_text(encoding="utf-8").splitlines())
    return count


def main() -> None:
    """Print the rooms from the top floor down, then the sums."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    graph = imports(root)
    between = rooms(graph)
    level = floors(between)
    length = lines(root)
    print("floor  lines  room, and what it imports from")
    for name in sorted(between, key=lambda name: (-level[name], name)):
        print(f"{level[name]:5} {length.get(name, 0):6}  {name:42} {' '.join(sorted(between[name]))}")
    for circle in circles(between):
        print("circle of rooms:", " ".join(circle))
    for circle in circles(graph):
        print("circle of modules:", " ".join(circle))
    arrows = sum(map(len, between.values()))
    print(
        f"{sum(length.values())} lines, {len(between)} rooms, {max(level.values())} floors, {arrows} arrows, "
        f"{len(circles(between))} circles of rooms, {len(circles(graph))} of modules"
    )


if __name__ == "__main__":
    main()
