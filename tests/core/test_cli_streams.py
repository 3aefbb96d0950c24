"""The streams that a command is given: closed, broken, full, in any encoding. The exit code is the answer."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pagexchange.pages.snapshot import format as file_format
from tests.core.command_line import SMALL

RUN = ("run", *SMALL, "--rounds=0", "--strategy", "word-swap")
UNEXPECTED = (*RUN, "--set", "strategy.word-swap.expect=loses")
COMMANDS = [
    (RUN, 0), (UNEXPECTED, 1), (("check",), 0), (("check", "--set", "run.sede=3"), 2), (("env", "--json"), 0),
    (("--version",), 0), (("list", "--help"), 0), (("completion", "bash"), 0), (("rnu",), 2),
]  # fmt: skip
SHELL = '"$0" -P -m pagexchange "$@"'


def sh(line, *args, **options):
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}", sys.executable, *args], capture_output=True, timeout=100, **options
    )


def named(value):
    return " ".join(value).replace("/", "")[-30:] if isinstance(value, tuple) else None


@pytest.mark.parametrize(
    ("args", "code", "streams"),
    [
        *((*command, streams) for command in COMMANDS for streams in ("<&- >&- 2>&-", "2>&1 | true")),
        *((UNEXPECTED, 1, streams) for streams in (">&-", "2>&-", "<&-", "2>/dev/full", "| true")),
    ],
    ids=named,
)
def test_a_stream_that_nobody_reads_changes_no_exit_code(args, code, streams):
    done = sh(f"{SHELL} {streams}", *args)
    assert (done.returncode, b"Traceback" in done.stderr, b"Exception" in done.stderr) == (code, False, False)


@pytest.mark.parametrize(("args", "code"), COMMANDS, ids=named)
def test_a_result_that_no_disk_has_room_for_is_an_error_of_its_own(args, code):
    done = sh(f"{SHELL} > /dev/full", *args)
    assert done.returncode == (code or 3)
    said = b"pagexchange: stdout: cannot be written: No space left on device\n"
    assert (said in done.stderr, b"Traceback" in done.stderr) == (done.returncode == 3, False)


def test_a_pipe_that_someone_made_non_blocking_gets_everything():
    theirs, ours = os.pipe()
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(ours, False)
    with subprocess.Popen([sys.executable, "-P", "-m", "pagexchange", "list", "--json"], stdout=ours) as process:
        os.close(ours)
        time.sleep(2)  # until the pipe is full: only then is there something to be seen
        with os.fdopen(theirs, "rb") as pipe:
            out = pipe.read()
    assert (process.returncode, json.loads(out)["schema"]) == (0, 1)
    assert len(out) > 4096


def test_no_arena_becomes_a_stream():
    """Who prints to a closed stdout must not write into an arena."""
    code = """if True:
        import os, pagexchange
        for number in range(3):
            os.close(number)
        arena = pagexchange.Arena.create(nodes={"fast": "1 MiB", "slow": "1 MiB"})
        for number in range(3):
            try:
                os.fstat(number)
            except OSError:
                continue
            os._exit(7)
        os._exit(0)
    """
    assert subprocess.run([sys.executable, "-P", "-c", code], timeout=60).returncode == 0


ENCODINGS = ["utf-8", "latin-1", "ascii"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("verb", ["run", "explain"])
def test_json_is_the_same_in_every_locale(verb, encoding, tmp_path):
    file = tmp_path / "s.toml"
    served = "flags = 'masked-word'\ndata = 'word-swap'\nmapping = 'xarray'"
    file.write_text(f"schema = 1\n[strategy.good]\nsummary = 'größer → 日'\n{served}\n", encoding="utf-8")
    args = ["good", str(file)] if verb == "explain" else [str(file), *RUN[1:-2]]
    for form in ("--json", ""):
        done = sh(SHELL, verb, *args, *filter(None, [form]), env=os.environ | {"PYTHONIOENCODING": encoding})
        assert (done.returncode, done.stderr) == (0, b"")
        out = done.stdout.decode(encoding)
        if form:
            data = json.loads(out)
            assert out.isascii()
            assert (data if verb == "explain" else data["strategies"][0])["summary"] == "größer → 日"
        elif verb == "explain":
            shown = {"latin-1": r"größer \u2192 \u65e5", "ascii": r"gr\xf6\xdfer \u2192 \u65e5"}
            assert shown.get(encoding, "größer → 日") in out


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_name_that_is_no_text_is_one_in_the_result(encoding, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/sn\xff\xe9ap")
    packaged = file_format.dumps(file_format.packaged())
    Path(name).write_bytes(packaged)
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    for form in ("--json", "--quiet", "--verify=once"):
        args = ("run", form, "--rounds=0", "--strategy", "word-swap", "--input", name)
        done = sh(SHELL, *args, env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        out = done.stdout.decode(encoding)
        if form == "--json":
            assert json.loads(out)["input"]["name"] == r"snapshot sn\xff\xe9ap"
        elif form != "--quiet":
            assert r"snapshot sn\xff\xe9ap" in out
    Path(name).write_bytes(packaged[:-1])
    done = sh(SHELL, "run", "--input", name, env=environment)
    assert (done.returncode, done.stdout) == (3, b"")
    assert rb"sn\xff\xe9ap: cut short in section" in done.stderr.decode(encoding).encode()
    Path(name).write_bytes(b"schema = 2")
    done = sh(SHELL, "check", name, env=environment)
    assert (done.returncode, done.stdout) == (2, b"")
    assert rb"sn\xff\xe9ap:1:10: schema: schema 2 is not known" in done.stderr.decode(encoding).encode()
