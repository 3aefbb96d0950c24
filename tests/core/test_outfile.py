"""What a result is written to stays what it was: a file gets new bytes, a link stays a link, a node a node."""

import errno
import os
import socket
import stat
import threading
from functools import partial
from pathlib import Path

import pytest

from pagexchange.model import outfile
from pagexchange.pages.snapshot import format as file_format
from tests.core.command_line import pagexchange

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes")


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_new_file_has_the_mode_that_the_umask_gives_and_a_private_one_its_owner_only(tmp_path):
    before = os.umask(0o027)
    try:
        outfile.write(tmp_path / "any", b"one")
        outfile.write(tmp_path / "mine", b"two", private=True)
    finally:
        os.umask(before)
    assert [(p.read_bytes(), p.stat().st_mode & 0o777) for p in sorted(tmp_path.iterdir())] == [
        (b"one", 0o640),
        (b"two", 0o600),
    ]


@pytest.mark.parametrize(("private", "mode"), [(False, 0o664), (True, 0o600)])
def test_a_file_is_replaced_and_keeps_its_mode_unless_it_is_private(tmp_path, private, mode):
    path = tmp_path / "f"
    path.write_bytes(b"much longer than what follows")
    path.chmod(0o664)
    with path.open("rb") as reader:  # whoever reads the old one reads all of it
        outfile.write(path, b"new", private=private)
        assert reader.read() == b"much longer than what follows"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", mode)
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("target", ["beside", "other/far"])
def test_of_a_link_what_it_names_is_written_and_the_link_stays(tmp_path, target):
    (tmp_path / "other").mkdir()
    (tmp_path / target).write_bytes(b"old")
    (tmp_path / "second").symlink_to(target)
    (tmp_path / "first").symlink_to("second")
    outfile.write(tmp_path / "first", b"new")
    assert (tmp_path / "first").readlink() == Path("second")
    assert (tmp_path / "second").readlink() == Path(target)
    assert (tmp_path / target).read_bytes() == b"new"
    assert not [name for name in names(tmp_path) + names(tmp_path / "other") if name.startswith(".")]


def test_a_link_to_nothing_is_refused_and_stays(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    for act in (outfile.check, partial(outfile.write, data=b"new")):
        with pytest.raises(FileNotFoundError, match="is a link to nowhere, which is not there"):
            act(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path) == ["link"]


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing", "folder", "pipe"])
def test_nothing_is_replaced_where_nothing_may_be(tmp_path, kind):
    path = tmp_path / "there"
    {
        "file": lambda: path.write_bytes(b"old"),
        "link": lambda: path.symlink_to("/dev/null"),
        "link to nothing": lambda: path.symlink_to("nowhere"),
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
    }[kind]()
    before = path.lstat()
    for act in (outfile.check, partial(outfile.write, data=b"new")):
        with pytest.raises(FileExistsError):
            act(path, replace=False)
    assert (path.lstat().st_ino, path.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(tmp_path) == ["there"]


@pytest.mark.parametrize("links", [True, False])
def test_what_came_there_while_it_was_written_stays(tmp_path, monkeypatch, links):
    path, fsync = tmp_path / "f", os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (path.write_bytes(b"a stranger's"), fsync(handle)))
    if not links:
        monkeypatch.setattr(os, "link", refuses(errno.EPERM))
    with pytest.raises(FileExistsError):
        outfile.write(path, b"new", replace=False)
    assert path.read_bytes() == b"a stranger's"
    assert names(tmp_path) == ["f"]


def test_a_file_system_without_hard_links_gets_new_files_too(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", refuses(errno.EPERM))
    outfile.write(tmp_path / "f", b"new", replace=False)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("f", b"new")]


def refuses(code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    return refuse


def test_a_pipe_is_written_to_and_stays(tmp_path):
    path, got = tmp_path / "pipe", []
    os.mkfifo(path)
    data = bytes(range(256)) * 4096  # more than a pipe holds
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    outfile.check(path)
    outfile.write(path, data)
    reader.join()
    assert got == [data]
    assert stat.S_ISFIFO(path.lstat().st_mode)


@ROOT
def test_a_device_is_written_to_and_stays(tmp_path):
    path = tmp_path / "null"
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    path.chmod(0o666)
    (tmp_path / "link").symlink_to("null")
    for name in ("null", "link"):
        outfile.check(tmp_path / name)
        outfile.write(tmp_path / name, b"new", private=True)
    assert (stat.S_ISCHR(path.lstat().st_mode), path.stat().st_mode & 0o777) == (True, 0o666)
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path) == ["link", "null"]


@pytest.mark.parametrize("kind", ["folder", "socket", pytest.param("block device", marks=ROOT)])
def test_what_cannot_be_written_to_is_refused_by_what_it_is(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    if kind == "folder":
        Path("f").mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("f")
    else:
        os.mknod("f", 0o600 | stat.S_IFBLK, os.makedev(1, 0))
    before = os.lstat("f").st_ino
    for act in (outfile.check, partial(outfile.write, data=b"new")):
        with pytest.raises(OSError, match=f"is a {'directory' if kind == 'folder' else kind}"):
            act("f")
    assert (os.lstat("f").st_ino, names(tmp_path)) == (before, ["f"])


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EBUSY])
def test_a_file_in_a_folder_that_takes_no_other_is_overwritten(tmp_path, monkeypatch, code):
    path = tmp_path / "f"
    path.write_bytes(b"much longer than what follows")
    number = path.stat().st_ino
    if code == errno.EBUSY:
        monkeypatch.setattr(Path, "replace", refuses(code))
    else:
        opened = os.open
        monkeypatch.setattr(
            os, "open", lambda name, how, *mode: refuses(code)() if how & os.O_CREAT else opened(name, how, *mode)
        )
    outfile.write(path, b"new", private=True)
    assert (path.read_bytes(), path.stat().st_ino, path.stat().st_mode & 0o777) == (b"new", number, 0o600)
    assert names(tmp_path) == ["f"]


def test_what_fails_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", refuses(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        outfile.write(path, b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["f"])


def test_a_place_without_a_folder_is_refused_before_anything_is_done(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no folder {tmp_path}/none"):
        outfile.check(tmp_path / "none" / "f")


def test_a_name_as_long_as_a_name_can_be_is_no_longer_while_it_is_written(tmp_path):
    path = tmp_path / ("n" * 255)
    outfile.write(path, b"new")
    assert path.read_bytes() == b"new"


def test_snapshot_writes_to_what_a_link_names_and_refuses_before_it_records(tmp_path, monkeypatch):
    monkeypatch.setattr("pagexchange.cli.snapshot.take", lambda **_: file_format.packaged())
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "link").symlink_to("target")
    assert pagexchange("snapshot", str(tmp_path / "link")).code == 2
    assert pagexchange("snapshot", "--force", str(tmp_path / "link")).code == 0
    assert (tmp_path / "link").is_symlink()
    assert len(file_format.load(tmp_path / "target")) > 30_000
    assert pagexchange("snapshot", "--force", "/dev/null").code == 0
    monkeypatch.setattr("pagexchange.cli.snapshot.take", refuses(errno.EIO))
    (tmp_path / "nowhere").symlink_to("nothing")
    ran = pagexchange("snapshot", "--force", str(tmp_path / "nowhere"))
    assert (ran.code, "is a link to nothing, which is not there" in ran.err) == (3, True)
    ran = pagexchange("snapshot", str(tmp_path / "none" / "f"))
    assert (ran.code, "there is no folder" in ran.err) == (3, True)
