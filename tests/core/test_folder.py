"""A run folder is made once, is whole at any moment, and says all that is wrong with it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import msgspec
import pytest

from pagexchange.errors import FolderError
from pagexchange.samples.folder import Folder
from pagexchange.samples.naming import cell_id, new_path
from tests.core.folders import HOST, IDS, cell, finished, manifest, sample


def wrong(path, **options):
    with pytest.raises(FolderError) as caught:
        Folder.open(path, **options)
    assert caught.value.exit_code == 3
    return str(caught.value).replace(f"{path}", "RUN").splitlines()


def test_what_was_written_is_read(tmp_path):
    made = finished(tmp_path / "runs" / "night")
    read = Folder.open(made.path)
    assert read.manifest == made.manifest == manifest()
    assert read.hosts == made.hosts
    assert read.cells == made.cells == {(IDS[0], HOST): cell(0), (IDS[1], HOST): cell(1)}
    assert read.samples() == made.samples() == [sample(id_, turn) for id_ in IDS for turn in range(3)]
    assert (read.warnings, read.problems) == ((), ())


def test_it_can_be_read_at_any_moment(tmp_path):
    path = tmp_path / "night"
    folder = Folder.create(path, manifest())
    assert Folder.open(path).samples() == []
    folder.add_host(finished(tmp_path / "other").hosts[HOST])
    folder.append([sample()])
    read = Folder.open(path)
    assert (read.samples(), read.cells) == ([sample()], {})


def test_a_file_names_its_schema(tmp_path):
    folder = finished(tmp_path / "night")
    for file in (folder.path / "manifest.json", *folder.path.glob("*/*.json")):
        assert json.loads(file.read_text())["schema"] == 1


@pytest.mark.parametrize("there", ["a run", "a file", "other files", "a link", "a link to nothing"])
def test_nothing_is_overwritten(tmp_path, there):
    path = tmp_path / "night"
    if there == "a run":
        finished(path)
    elif there == "a file":
        path.write_text("mine")
    elif there == "other files":
        path.mkdir()
        (path / "notes").write_text("mine")
    else:
        path.symlink_to(tmp_path if there == "a link" else tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    for make in (Folder.check, lambda path: Folder.create(path, manifest())):
        with pytest.raises(FolderError, match=r"night: .*(is a file|is a link|nothing is overwritten)"):
            make(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_that_will_not_do_is_known_before(tmp_path, monkeypatch):
    Folder.check(tmp_path / "runs" / "night")
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=r"cannot be made: .*/file is no folder"):
        Folder.check(tmp_path / "file" / "runs" / "night")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(FolderError, match=f"cannot be made: {tmp_path} cannot be written"):
        Folder.check(tmp_path / "runs" / "night")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_an_empty_folder_is_filled(tmp_path):
    assert Folder.create(tmp_path, manifest()).path == tmp_path


def test_a_folder_that_could_not_be_made_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pagexchange.model.outfile.write", full)
    with pytest.raises(FolderError, match="cannot be written: No space left on device"):
        Folder.create(tmp_path / "night", manifest())
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_was_cut_off_is_said_and_those_before_it_are_used(tmp_path):
    path = finished(tmp_path / "night").path
    lines = (path / "samples.jsonl").read_bytes()
    for cut in (1, 2, 40, len(lines.splitlines(keepends=True)[-1]) - 1):
        (path / "samples.jsonl").write_bytes(lines[:-cut])
        read = Folder.open(path)
        assert len(read.samples()) == (6 if cut == 1 else 5)
        said = "" if cut == 1 else f"{path}/samples.jsonl:6: the last line was cut off and is left out"
        assert "".join(read.warnings).startswith(said)
        assert bool(read.warnings) == bool(said)


@pytest.mark.parametrize("cut", [1, 40])
def test_samples_go_on_after_a_line_that_was_cut_off(tmp_path, cut):
    path = finished(tmp_path / "night").path
    lines = (path / "samples.jsonl").read_bytes()
    (path / "samples.jsonl").write_bytes(lines[:-cut])
    folder = Folder.open(path)
    folder.append([sample(number=9)])
    assert Folder.open(path).samples() == folder.samples()
    assert [s.round for s in folder.samples()] == ([0, 1, 2, 0, 1, 2, 9] if cut == 1 else [0, 1, 2, 0, 1, 9])


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    path = finished(tmp_path / "night").path
    first, second = (path / "cells" / f"{id_}@{HOST}.json" for id_ in IDS)
    (path / "cells" / f"{'e' * 12}@{HOST}.json").write_text(second.read_text())
    (path / "cells" / f"{'f' * 12}@{HOST}.json").write_text(second.read_text().replace(IDS[1], "f" * 12))
    first.write_text(first.read_text()[:-20])
    second.write_text(second.read_text().replace('"schema": 1', '"schema": 2'))
    (path / "hosts" / "gone.json").symlink_to("/etc/hostname")
    lines = (path / "samples.jsonl").read_text().splitlines()
    lines[0] = lines[0].replace(IDS[0], "f" * 12)
    lines[1] = lines[1].replace('"round":1', '"round":-1')
    lines[2] = lines[2].replace(HOST, "vanished")
    lines[3] = "{}"
    lines[4] = "\x01\xff"
    lines[5] = lines[5][:50]
    (path / "samples.jsonl").write_text("\n".join(lines), encoding="latin-1")
    said = [
        "RUN/hosts/gone.json: is a link: a run folder has none",
        f"RUN/cells/{IDS[0]}@{HOST}.json: not a cell of a run: cut short: Input data was truncated",
        f"RUN/cells/{IDS[1]}@{HOST}.json: not a cell of a run: schema 2, and this version reads schema 1",
        f"RUN/cells/eeeeeeeeeeee@{HOST}.json: says that it is {IDS[1]}@{HOST}.json: was it renamed?",
        f"RUN/cells/ffffffffffff@{HOST}.json: is of cell 'ffffffffffff', which manifest.json does not plan",
        "RUN/samples.jsonl:1:1: is of cell 'ffffffffffff', which manifest.json does not plan",
        "RUN/samples.jsonl:2:1: not a sample: Expected `int` >= 0 - at `$.round`",
        "RUN/samples.jsonl:3:1: is of host 'vanished', which has no file in hosts/ that can be read",
        "RUN/samples.jsonl:4:1: not a sample: Object missing required field `cell`",
        "RUN/samples.jsonl:5:1: not a sample: JSON is malformed: invalid character (byte 0)",
    ]
    assert wrong(path) == said
    read = Folder.open(path, strict=False)
    assert [str(problem).replace(str(path), "RUN") for problem in read.problems] == said
    assert len(read.warnings) == 1
    assert (read.samples(), read.cells) == ([], {})


def test_a_folder_that_is_none_says_what_it_is(tmp_path):
    assert wrong(tmp_path / "no") == ["RUN: no such folder"]
    (tmp_path / "file").touch()
    assert wrong(tmp_path / "file") == ["RUN: is a file, not a run folder"]
    assert wrong(tmp_path) == ["RUN: has no manifest.json: not a run folder"]
    finished(tmp_path / "a")
    finished(tmp_path / "b")
    assert wrong(tmp_path, strict=False) == [
        "RUN: has no manifest.json: not a run folder; runs are in it: RUN/b and 1 more"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cut short: Input data was truncated"),
        ("{", "cut short: Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "schema 0, and this version reads schema 1"),
        (
            '{"schema": 2, "versions": {"pagexchange": "9.1"}}',
            "schema 2, and this version reads schema 1: pagexchange 9.1 wrote it",
        ),
        ('{"schema": 1}', "Object missing required field `verb`"),
    ],
)
def test_a_manifest_that_cannot_be_read_ends_it(tmp_path, text, said):
    path = finished(tmp_path / "night").path
    (path / "manifest.json").write_text(text)
    assert wrong(path, strict=False) == [f"RUN/manifest.json: not a manifest of a run: {said}"]


@pytest.mark.parametrize("name", ["manifest.json", "samples.jsonl"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path, name):
    path = finished(tmp_path / "night").path
    (path / name).unlink()
    os.mkfifo(path / name)
    assert wrong(path) == [f"RUN/{name}: is neither a file nor a folder"]


@pytest.mark.parametrize("name", ["samples.jsonl", "cells", f"cells/{IDS[0]}@{HOST}.json"])
def test_nothing_is_written_through_a_link(tmp_path, name):
    folder = finished(tmp_path / "night")
    elsewhere = tmp_path / "elsewhere"
    (folder.path / name).rename(elsewhere)
    (folder.path / name).symlink_to(elsewhere)
    before = [file.read_bytes() for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    with pytest.raises(FolderError, match=f"{name}: is a link"):
        folder.append([sample()]) if name == "samples.jsonl" else folder.add_cell(cell())
    assert [file.read_bytes() for file in sorted(tmp_path.rglob("*")) if file.is_file()] == before


def full_disk(monkeypatch, room):
    """Let descriptors take `room` bytes, and no more."""
    write = os.write

    def short(handle, data):
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = write(handle, bytes(data)[:room])
        room -= taken
        return taken

    monkeypatch.setattr(os, "write", short)


@pytest.mark.parametrize("room", [0, 30, 300])
def test_a_full_disk_takes_all_samples_of_a_turn_or_none(tmp_path, monkeypatch, room):
    folder = finished(tmp_path / "night")
    full_disk(monkeypatch, room)
    said = "samples.jsonl: cannot be written: No space left on device; what was finished before is kept"
    with pytest.raises(FolderError, match=said) as caught:
        folder.append([sample(number=8), sample(number=9)])
    assert caught.value.exit_code == 3
    read = Folder.open(folder.path)
    assert read.samples() == folder.samples()
    assert len(read.samples()) == 6
    assert read.warnings == ()


CHILD = """
import resource, signal, sys
from pagexchange.samples.folder import Folder
from tests.core.folders import cell, sample
folder = Folder.open(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
long = cell(details={"long": "x" * 9999})
for write in (lambda: folder.append([sample(number=8)] * 9), lambda: folder.add_cell(long)):
    try:
        write()
    except Exception as error:
        print(error)
"""


def test_a_write_that_linux_cuts_short_is_taken_back(tmp_path):
    folder = finished(tmp_path / "night")
    room = (folder.path / "samples.jsonl").stat().st_size + 100
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD, folder.path, str(room)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},  # the helpers of tests are found as here
        check=True,
        text=True,
        capture_output=True,
    )
    assert done.stdout.splitlines() == [
        f"{folder.path}/{name}: cannot be written: File too large; what was finished before is kept"
        for name in ("samples.jsonl", f"cells/{IDS[0]}@{HOST}.json")
    ]
    read = Folder.open(folder.path)
    assert (read.samples(), read.cells, read.warnings) == (folder.samples(), folder.cells, ())


def test_a_folder_that_may_only_be_read_is_read(tmp_path, monkeypatch):
    folder = finished(tmp_path / "night")

    def refuse(*args, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)  # root may write what has no permission
        for write in (lambda: folder.append([sample()]), lambda: folder.add_cell(cell(1))):
            with pytest.raises(FolderError, match="cannot be written: Read-only file system; what was finished"):
                write()
    assert Folder.open(folder.path).samples() == folder.samples()


def test_what_the_manifest_does_not_plan_is_not_written(tmp_path):
    folder = finished(tmp_path / "night")
    for write in (
        lambda: folder.append([sample("f" * 12)]),
        lambda: folder.append([sample(host="other")]),
        lambda: folder.add_cell(cell(id="f" * 12)),
    ):
        with pytest.raises(ValueError, match=r"plans no cell|was not added"):
            write()
    for write in (
        lambda: folder.append([sample(wall_ns=-1)]),
        lambda: folder.append([sample(), sample(parts={"data": float("nan")})]),
        lambda: folder.add_cell(cell(seconds="long")),
    ):
        with pytest.raises(msgspec.ValidationError, match="Expected"):
            write()
    assert Folder.open(folder.path).samples() == folder.samples()


def test_the_latest_run_is_the_one_that_began_last(tmp_path):
    with pytest.raises(FolderError, match="no run folder is in it"):
        Folder.latest(tmp_path / "runs")
    for name, started in (("z", "2026-11-29T04:24:16Z"), ("a", "2026-11-30T00:00:00Z"), ("m", "2025-12-31T23:59:59Z")):
        Folder.create(tmp_path / "runs" / name, manifest(name=name, started=started))
    (tmp_path / "runs" / "notes").mkdir()
    assert Folder.latest(tmp_path / "runs").manifest.name == "a"
    (tmp_path / "runs" / "m" / "manifest.json").write_text("{")  # written last, by the clock of this machine
    os.utime(tmp_path / "runs" / "m" / "manifest.json", (2e9, 2e9))
    with pytest.raises(FolderError, match=r"m/manifest.json: not a manifest of a run: cut short"):
        Folder.latest(tmp_path / "runs")


def test_a_run_without_a_name_gets_one_that_nobody_has(tmp_path):
    first = new_path("bench", "2026-11-29T04:24:16Z", ["pagexchange", "bench"], tmp_path)
    assert first == tmp_path / "bench-20261129-042416-38bde0"
    first.mkdir()
    assert new_path("bench", "2026-11-29T04:24:16Z", ["pagexchange", "bench"], tmp_path).name == f"{first.name}-2"
    assert (
        new_path("bench", "2026-11-29T04:24:16Z", ["pagexchange", "bench", "-q"], tmp_path).name[:-7] == first.name[:-7]
    )


def test_the_id_of_a_cell_is_what_it_was():
    """Folders of earlier versions are compared by it."""
    resolved = {"strategy": {"name": "word-swap", "threads": 1, "timeout": 1.0}, "arena": {"page_size": 4096}}
    same = cell_id(resolved, digest="0f", distributions={"pagexchange": "0.1.0"})
    assert same == "fd2fe567f150"
    turned = dict(reversed(resolved.items()))
    assert cell_id(turned, digest="0f", distributions={"pagexchange": "0.1.0"}, point={}) == same
    unset = resolved | {"strategy": {"name": "word-swap", "threads": 1, "timeout": 1.0, "of_later": None}}
    assert cell_id(unset, digest="0f", distributions={"pagexchange": "0.1.0"}) == same
    others = [
        cell_id(resolved | {"arena": {}}, digest="0f", distributions={"pagexchange": "0.1.0"}),
        cell_id(resolved, digest="0e", distributions={"pagexchange": "0.1.0"}),
        cell_id(resolved, digest="0f", distributions={"pagexchange": "0.1.1"}),
        cell_id(resolved, digest="0f", distributions={"pagexchange": "0.1.0"}, point={"threads": 2}),
    ]
    assert len({same, *others}) == 5
