"""Broken metadata of others are named and hide nothing else; ours may be missing, or be an older copy's."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from traceback import walk_tb

import pytest

import pagexchange_plugins
from pagexchange.errors import PluginError
from pagexchange.host.discovery import Registry
from pagexchange.host.installed import OWN, installed
from pagexchange.version import VERSION
from tests.core.command_line import pagexchange
from tests.rooms import ROOT

GOOD = "Metadata-Version: 2.1\nName: other\nVersion: 1.5\n"
OURS = "[pagexchange.plugins]\nz = other_plugins:Z\n"
CODE = (
    "import pagexchange\nclass Z:\n    'Swaps.'\n    @pagexchange.hookimpl\n    def exchange_data(self, arena): ...\n"
)


def write(folder: Path, entry_points: bytes | None, metadata: bytes | None = GOOD.encode(), kind="dist-info"):
    info = folder / f"other-1.5.{kind}"
    info.mkdir()
    if entry_points is not None:
        (info / "entry_points.txt").write_bytes(entry_points)
    if metadata is not None:
        (info / ("METADATA" if kind == "dist-info" else "PKG-INFO")).write_bytes(metadata)
    (folder / "other_plugins.py").write_text(CODE)
    return info


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def sentence(folder):
    (said,) = [wrong for wrong in installed().wrong if str(folder) in wrong]
    assert said.startswith(f"distribution other 1.5 ({folder / 'other-1.5.'}")
    return said


@pytest.mark.parametrize(
    ("entry_points", "said"),
    [
        (b"[console_scripts]\nfoo\n", "entry_points.txt line 2: want NAME = MODULE:ATTRIBUTE, got 'foo'"),
        (b"[pagexchange.plugins]\nz =\n", "line 2: want NAME = MODULE:ATTRIBUTE, got 'z ='"),
        (b"[x]\n\xff = b:c\n", "entry_points.txt cannot be read: UnicodeDecodeError"),
    ],
)
@pytest.mark.parametrize("kind", ["dist-info", "egg-info"])
def test_a_file_of_entry_points_that_is_broken_is_named(folder, entry_points, said, kind):
    write(folder, entry_points, kind=kind)
    assert said in sentence(folder)
    assert "word-swap" in Registry().names()


def test_what_is_sound_in_a_broken_file_serves(folder):
    write(folder, b"[console_scripts]\nfoo\n" + OURS.encode())
    assert "want NAME" in sentence(folder)
    assert Registry().load("z").version == "1.5"


@pytest.mark.parametrize("metadata", [b"Name: b\xff\nVersion: 1\n", None, b"", b"\0\0"])
def test_a_plug_in_whose_metadata_cannot_be_read_has_the_name_of_their_folder(folder, metadata):
    write(folder, OURS.encode(), metadata)
    assert Registry().origin("z") == ("other", "1.5")
    if metadata and b"\xff" in metadata:
        assert "name and version cannot be read: UnicodeDecodeError" in sentence(folder)


def test_a_folder_in_the_place_of_the_file_is_named(folder):
    (write(folder, None) / "entry_points.txt").mkdir()
    assert "entry_points.txt cannot be read: it is no file" in sentence(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(folder):
    (write(folder, OURS.encode()) / "entry_points.txt").chmod(0)
    assert "entry_points.txt cannot be read: permission denied" in sentence(folder)


def test_a_finder_that_raises_ends_the_search_with_a_sentence(folder, monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(*_):
            return None

        @staticmethod
        def find_distributions(context):
            raise SystemExit(0)

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert "word-swap" in Registry().names()
    assert installed().wrong == ["the installed distributions cannot be listed to the end: SystemExit: 0"]


@pytest.mark.parametrize("value", ["not valid:::", "os path", "a:b c"])
def test_a_value_that_is_no_place_in_a_module_is_said_so(folder, value):
    write(folder, f"[pagexchange.plugins]\nz = {value}\n".encode())
    info = next(info for info in Registry().list() if info.name == "z")
    assert info.state == "failed"
    assert info.reason == f"cannot be imported: ValueError: its entry point is {value!r}, want MODULE:ATTRIBUTE"


def test_every_verb_says_it_and_goes_on(folder):
    write(folder, b"[console_scripts]\nfoo\n")
    table = 'schema = 1\n[strategy.s]\nflags = "masked-word"\ndata = "word-swap"\nmapping = "xarray"\n'
    (folder / "s.toml").write_text(table)
    file = str(folder / "s.toml")
    for args in (("list",), ("check", file), ("explain", "s", file)):
        ran = pagexchange(*args)
        assert ran.code == 0
        assert ran.err.startswith("note: distribution other 1.5 (")
    assert "other 1.5" in json.loads(pagexchange("list", "--json").out)["warnings"][0]
    small = ("--set", "workload.source=synthetic", "--set", 'arena.nodes={fast="1 MiB", slow="1 MiB"}', "--rounds=0")
    ran = pagexchange("run", file, *small, "--json")
    assert ran.code == 0
    assert "other 1.5" in json.loads(ran.out)["warnings"][0]


def test_a_plug_in_that_a_broken_file_may_hold_is_unknown_with_that_reason(folder):
    write(folder, b"[pagexchange.plugins]\nz = \xff\n")
    (folder / "s.toml").write_text('schema = 1\n[strategy.s]\nflags = "masked-word"\ndata = "z"\nmapping = "xarray"\n')
    ran = pagexchange("check", str(folder / "s.toml"))
    assert ran.code == 2
    assert "unknown plug-in 'z'. It may be in what cannot be read: distribution other 1.5 (" in ran.err


# ---- ours ------------------------------------------------------------------------------------------------------------


def old(folder: Path) -> Path:
    info = folder / "pagexchange-0.0.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pagexchange\nVersion: 0.0.9\n")
    (info / "entry_points.txt").write_text("[pagexchange.plugins]\nold = gone:Old\n")
    return info


def test_an_older_copy_that_comes_first_is_left_out_and_said(folder):
    info = old(folder)
    registry = Registry()
    assert "old" not in registry.names()
    assert registry.origin("word-swap") == (OWN, VERSION)
    assert registry.wrong == [
        f"the metadata of pagexchange in {info} (version 0.0.9) are not those of this code, which is version "
        f"{VERSION}: "
        "they are left out. Cure: uninstall what is old, and install pagexchange again"
    ]


FROZEN = """
import importlib.metadata as m
m.Distribution.discover = classmethod(lambda cls, **k: iter([
    d for d in m.MetadataPathFinder.find_distributions(m.DistributionFinder.Context(**k)) if d.name != "pagexchange"]))
import pagexchange
arena = pagexchange.Arena.create()
(a,), (b,) = arena.alloc("fast", 1), arena.alloc("slow", 1)
assert arena.exchange([[a, b]]).ok
from pagexchange.cli import main
main(["list"])
"""


def test_a_program_that_was_frozen_without_metadata_works_and_says_so():
    done = subprocess.run([sys.executable, "-P", "-c", FROZEN], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "note: pagexchange has no metadata here, as in a program frozen without them: its built-in plug-ins are taken "
        "from the package pagexchange_plugins\n"
    )
    assert f"built in {VERSION}" in done.stdout


def test_the_package_says_of_itself_what_its_metadata_say():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pagexchange.plugins"] == pagexchange_plugins.BUILT_IN


def test_a_failure_that_is_kept_does_not_grow(folder):
    write(folder, b"[pagexchange.plugins]\nz = no_such_module:Z\n")
    registry = Registry()
    errors = []
    for _ in range(3):
        with pytest.raises(PluginError) as caught:
            registry.load("z")
        errors.append(caught.value)
    depths = [sum(1 for _ in walk_tb(error.__traceback__)) for error in errors]
    assert depths[0] == depths[1] == depths[2]
    assert len({id(error) for error in errors}) == 3
    assert len({str(error) for error in errors}) == 1
