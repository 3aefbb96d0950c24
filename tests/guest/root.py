"""The guest's root: the Python that runs here with its libraries, and pagexchange as it is installed or checked out.

All files keep their paths, so that what is installed in an environment works in the guest as it does here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tests.guest.errors import SkippedError

PACKAGES = ("pagexchange", "pagexchange_native", "pagexchange_plugins")
# parts of the standard library that are large and that nothing asks for there
_LEFT_OUT = {
    "test",
    "idlelib",
    "ensurepip",
    "tkinter",
    "turtledemo",
    "pydoc_data",
    "lib2to3",
    "site-packages",
    "dist-packages",
}
_SOURCES = {".pyx", ".c", ".h"}


def image(folder: Path) -> Path:
    """A disk image with an ext4 file system, made anew when a file of it has changed."""
    make = shutil.which("mke2fs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if make is None:
        raise SkippedError("no mke2fs here: it makes the guest's disk (package e2fsprogs)")
    wanted = {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in _files()}
    manifest = json.dumps(wanted, sort_keys=True)
    target, noted, tree = folder / "root.img", folder / "root.json", folder / "root"
    if target.exists() and noted.exists() and noted.read_text() == manifest:
        return target
    noted.unlink(missing_ok=True)
    shutil.rmtree(tree, ignore_errors=True)
    for name in wanted:
        copy = tree / name.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, copy)  # with its time, or all of Python would be compiled anew in the guest
    for name in ("bin", "proc", "sys", "dev", "guest"):
        (tree / name).mkdir(exist_ok=True)
    size = sum(size for size, _ in wanted.values()) // 1024 * 5 // 4 + 256 * 1024
    target.unlink(missing_ok=True)
    subprocess.run([make, "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, target, f"{size}k"], check=True)
    shutil.rmtree(tree)
    noted.write_text(manifest)
    return target


def _files() -> list[Path]:
    found = list(_python())
    for name in PACKAGES:
        found += _below(Path(_location(name)))
    for one in _needed("pagexchange"):
        found += [Path(str(one.locate_file(file))) for file in one.files or []]
    found += _below_editable()
    present = {Path(os.path.normpath(file)) for file in found if file.is_file() and file.suffix not in _SOURCES}
    return sorted(present | _libraries(present))


def _python() -> Iterator[Path]:
    """The interpreter with all names by which the environment calls it, and its standard library."""
    yield Path(sys.prefix) / "pyvenv.cfg"
    yield Path(sys.executable)
    yield Path(os.path.realpath(sys.executable))
    yield Path(sys.prefix) / "bin" / "pagexchange"
    stdlib = Path(sysconfig.get_path("stdlib"))
    for child in sorted(stdlib.iterdir()):
        if child.name not in _LEFT_OUT and not child.name.startswith("config-"):
            yield from (file for file in _below(child) if not file.name.startswith("_tkinter"))


def _below(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def _below_editable() -> list[Path]:
    """What makes Python find a checkout that is installed as editable."""
    return sorted(Path(sysconfig.get_path("purelib")).glob("__editable__*pagexchange*"))


def _location(package: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"{package} is not installed for {sys.executable}")
    return next(iter(spec.submodule_search_locations))


def _needed(name: str) -> list[Distribution]:
    """A distribution and those that it needs, without extras."""
    found: dict[str, Distribution] = {}
    left = [name]
    while left:
        one = left.pop()
        there = _installed(one)
        if one not in found and there is not None:
            found[one] = there
            needs = [need for need in there.requires or [] if "extra ==" not in need]
            left += [match[0] for need in needs if (match := re.match(r"[\w.-]+", need))]
    return list(found.values())


def _installed(name: str) -> Distribution | None:
    """A distribution in this environment, and not what a build has left in the folder that we are started in.

    None: it is for another system, or another version of Python.
    """
    return next(
        iter(distributions(name=name, path=[sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])), None
    )


def _libraries(files: set[Path]) -> set[Path]:
    """The shared libraries that these files are linked with, by the names under which they are looked for."""
    binaries = sorted(str(file) for file in files if file.suffix == ".so" or os.access(file, os.X_OK))
    listed = subprocess.run(["ldd", *binaries], capture_output=True, text=True).stdout
    return {Path(os.path.normpath(name)) for name in re.findall(r"(/\S+) \(0x", listed)}
