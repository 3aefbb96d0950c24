"""The metadata of distributions are read once, and again only when they have changed: counted, not timed."""

import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pagexchange.arena.arena import Arena
from pagexchange.arena.strategy import strategy
from pagexchange.host.discovery import Registry


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each file of a distribution's metadata that is read."""
    real, read = metadata.PathDistribution.read_text, []

    def counted(self: Any, filename: Any) -> Any:
        read.append(f"{self._path.name}/{filename}")
        return real(self, filename)

    monkeypatch.setattr(metadata.PathDistribution, "read_text", counted)
    return read


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


def install(site: Path, name: str, plugin: str) -> Path:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pagexchange.plugins]\n{plugin} = nowhere:X\n")
    return info


def test_binding_a_strategy_again_reads_no_metadata(reads: list[str]) -> None:
    with Arena.create({"fast": "1 MiB", "slow": "1 MiB"}) as one, Arena.create({"fast": "1 MiB"}) as other:
        strategy("list-exchange", one)
        reads.clear()
        strategy("list-exchange", one)
        strategy("word-swap", other)
    assert reads == []


def test_what_is_installed_changed_or_removed_later_is_seen(site: Path) -> None:
    assert "late" not in Registry().names()
    info = install(site, "late-one", "late")
    assert "late" in Registry().names()
    assert Registry().origin("late") == ("late-one", "1.0")
    (info / "entry_points.txt").write_text("[pagexchange.plugins]\nlater = nowhere:X\n")
    assert {"late", "later"} & set(Registry().names()) == {"later"}
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late-one\nVersion: 2.0\n")
    assert Registry().origin("later") == ("late-one", "2.0")
    for file in info.iterdir():
        file.unlink()
    info.rmdir()
    assert not {"late", "later"} & set(Registry().names())


def test_a_folder_that_joins_or_leaves_the_search_path_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "elsewhere", "there")
    before = list(sys.path)
    assert "there" not in Registry().names()
    monkeypatch.setattr(sys, "path", [*before, str(tmp_path)])
    assert "there" in Registry().names()
    monkeypatch.setattr(sys, "path", before)
    assert "there" not in Registry().names()


def test_a_file_that_becomes_unreadable_or_is_of_the_same_size_and_time_is_read_again(site: Path) -> None:
    info = install(site, "sly", "first")
    file = info / "entry_points.txt"
    assert "first" in Registry().names()
    status = file.stat()
    new = info / "new"
    new.write_text(file.read_text().replace("first", "other"))
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(file)  # another file: pip replaces, it does not write over
    assert {"first", "other"} & set(Registry().names()) == {"other"}


def test_who_gets_the_lists_cannot_spoil_them_for_the_next(site: Path) -> None:
    Registry().entries.clear()
    assert "list-exchange" in Registry().names()
