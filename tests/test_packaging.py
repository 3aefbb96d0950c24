"""What the sdist and the wheel hold. Nothing is compiled here: the lists are setuptools' own."""

import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import pagexchange

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = {"pagexchange": "core", "pagexchange_native": "cython", "pagexchange_plugins": "plugins"}
WANTED = ("*.py", "*.pyi", "*.pxd", "*.h", "*.toml", "*.css", "*.md", "*.pgxsnap", "*.pgxtrace", "py.typed")
INSTALLED = not Path(str(pagexchange.__file__)).is_relative_to(ROOT / "core")


def setuptools(folder: Path, *command: str) -> None:
    code = "from setuptools import setup; setup()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, "-q", *command], cwd=folder, check=True, timeout=120)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The files of the sdist, as they would be unpacked."""
    listed = tmp_path_factory.mktemp("list")
    setuptools(ROOT, "egg_info", "--egg-base", str(listed))
    lines = (listed / "pagexchange.egg-info" / "SOURCES.txt").read_text(encoding="utf-8").splitlines()
    unpacked = tmp_path_factory.mktemp("sdist")
    for name in (line for line in lines if ".egg-info/" not in line):
        (unpacked / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, unpacked / name)
    return unpacked


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The files of the wheel that is built from that sdist, without the compiled ones."""
    built = tmp_path_factory.mktemp("wheel")
    setuptools(sdist, "build_py", "--build-lib", str(built))
    return built


def files(folder: Path, *patterns: str) -> set[str]:
    return {
        str(path.relative_to(folder))
        for pattern in patterns or ("*",)
        for path in folder.rglob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


def expected() -> set[str]:
    """What a user of the wheel needs: read from the source roots themselves."""
    return {
        name
        for package, root in SOURCES.items()
        for name in files(ROOT / root, *WANTED)
        if name.startswith(f"{package}/")
    }


def compiled() -> set[str]:
    """The compiled modules, as paths without a suffix."""
    return {name.removesuffix(".pyx") for name in files(ROOT / "cython", "*.pyx")}


def test_pyproject_is_the_only_declaration_of_the_build():
    assert not [name for name in ("setup.py", "setup.cfg", "meson.build") if (ROOT / name).exists()]


def test_the_sdist_has_all_that_git_has(sdist):
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    known = {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    assert {name for name in known - files(sdist) if not name.startswith(".git")} == set()


def test_the_sdist_has_nothing_that_was_made(sdist):
    assert not [name for name in files(sdist) if name.endswith((".so", ".pyc", ".html"))]
    assert {name.removeprefix("cython/").removesuffix(".c") for name in files(sdist, "*.c")}.isdisjoint(compiled())


def test_the_strategies_of_the_sdist_are_files_and_equal(sdist):
    top, inner = sdist / "strategies.toml", sdist / "core" / "pagexchange" / "data" / "strategies.toml"
    assert top.read_bytes() == inner.read_bytes() == (ROOT / "strategies.toml").read_bytes()


def test_a_wheel_from_the_sdist_has_what_its_user_needs_and_nothing_else(wheel):
    assert files(wheel) == expected()


def test_the_strategies_of_the_wheel_are_a_file_equal_to_the_one_at_the_top(wheel):
    inner = wheel / "pagexchange" / "data" / "strategies.toml"
    assert not inner.is_symlink()
    assert inner.read_bytes() == (ROOT / "strategies.toml").read_bytes()


def test_the_manual_is_in_the_wheel(wheel):
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert "write-a-plugin.md" in pages
    assert {path.name for path in (wheel / "pagexchange" / "docs").iterdir()} == pages
    for name in pages:
        page = wheel / "pagexchange" / "docs" / name
        assert not page.is_symlink()
        assert page.read_bytes() == (ROOT / "docs" / name).read_bytes()


def test_what_strangers_build_on_is_in_the_wheel(wheel):
    wanted = {
        "pagexchange/model/layouts/linux-6.18.toml",
        "pagexchange/data/machine.pgxsnap",
        "pagexchange/data/moving-hot-set.pgxtrace",
        "pagexchange/cli/run.py",
        "pagexchange_native/include/pagexchange/plugin.h",
        "pagexchange_native/__init__.pxd",
        "pagexchange_native/plugin.pxd",
        "pagexchange_native/arena/region.pyi",
        *(f"{package}/py.typed" for package in SOURCES),
    }
    assert wanted <= files(wheel)


def test_every_cython_file_is_compiled_and_every_extension_is_listed_once():
    modules = [module["name"] for module in PROJECT["tool"]["setuptools"]["ext-modules"]]
    assert sorted(modules) == sorted(name.replace("/", ".") for name in compiled())


@pytest.mark.skipif(not INSTALLED, reason="the tests run in place, not on an installed wheel")
def test_the_installed_distribution_is_that_wheel():
    where = str(Path(str(pagexchange.__file__)).parents[1])  # not the .egg-info that a build leaves beside the sources
    (installed,) = metadata.distributions(name="pagexchange", path=[where])
    found = {str(file) for file in installed.files or () if "__pycache__" not in str(file)}
    inside = {name for name in found if name.split("/")[0] in SOURCES}
    libraries = {name for name in inside if name.endswith(".so")}
    assert inside - libraries == expected()
    assert {name.partition(".")[0] for name in libraries} == compiled()
    others = {name.split("/")[0] for name in found - inside}
    assert others <= {"..", f"pagexchange-{installed.version}.dist-info"}
