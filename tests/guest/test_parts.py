"""What a guest is made of, as far as that can be seen without one."""

import runpy
import stat

import pytest

from tests.guest.archive import Entry, folder, newc
from tests.guest.errors import SkippedError
from tests.guest.packages import Packages

LISTED = """\
linux-image-6.1.0-57-cloud-amd64 - Linux 6.1 for x86-64 cloud (signed)
linux-image-6.1.0-9-cloud-amd64 - Linux 6.1 for x86-64 cloud (signed)
linux-image-6.12-cloud-amd64 - Linux for x86-64 cloud (meta-package)
linux-image-6.12.100+deb12-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)
linux-image-6.12.9+deb12-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)
linux-image-6.12.117+deb12-cloud-amd64-unsigned - Linux 6.12 for x86-64 cloud
"""


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Packages of a registry that is made up."""
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(Packages, "_apt", lambda self, *arguments: LISTED)
    return Packages(tmp_path)


def test_the_newest_kernel_of_a_series_is_taken_by_number_and_no_package_that_only_names_one(listed):
    assert listed.newest_kernel("6.12") == "linux-image-6.12.100+deb12-cloud-amd64"
    assert listed.newest_kernel("6.1") == "linux-image-6.1.0-57-cloud-amd64"
    with pytest.raises(SkippedError, match=r"no package of a kernel 6\.18; there are linux-image-6\.1\.0-57"):
        listed.newest_kernel("6.18")


def test_without_a_registry_it_says_skipped_and_ends_with_a_code_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["guest", "--linux", "6.99"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("tests.guest", run_name="__main__")
    assert ended.value.code == 75
    assert "SKIPPED: no guest: no apt-get here" in capsys.readouterr().err


def test_what_apt_says_when_it_fails_is_passed_on(tmp_path, monkeypatch):
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: nobody answers' >&2; exit 100\n")
    apt.chmod(0o755)
    for name in ("apt-cache", "dpkg-deb"):
        (tmp_path / name).symlink_to(apt)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(SkippedError, match=r"apt-get update failed:\nE: nobody answers"):
        Packages(tmp_path / "apt").refresh()


def test_an_unpacked_package_is_kept_and_half_of_one_is_not(tmp_path, monkeypatch, listed):
    (tmp_path / "qemu").mkdir()
    assert listed.unpack(["a"], tmp_path / "qemu") == tmp_path / "qemu"

    def fails(*arguments, **options):
        raise SkippedError("no")

    monkeypatch.setattr(Packages, "_apt", fails)
    with pytest.raises(SkippedError):
        listed.unpack(["a"], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_archive_has_each_entry_where_linux_looks_for_it():
    made = newc(
        [folder("dev"), Entry("dev/console", mode=stat.S_IFCHR | 0o600, device=(5, 1)), Entry("init", b"hello")]
    )
    at, found = 0, []
    while at < len(made):
        assert made[at : at + 6] == b"070701"
        fields = [int(made[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, device, length = fields[1], fields[6], fields[9:11], fields[11]
        name = made[at + 110 : at + 110 + length - 1].decode()
        start = -(-(at + 110 + length) // 4) * 4
        found.append((name, mode, device, made[start : start + size]))
        at = -(-(start + size) // 4) * 4
    assert found == [
        ("dev", stat.S_IFDIR | 0o755, [0, 0], b""), ("dev/console", stat.S_IFCHR | 0o600, [5, 1], b""),
        ("init", stat.S_IFREG | 0o755, [0, 0], b"hello"), ("TRAILER!!!", 0, [0, 0], b""),
    ]  # fmt: skip
