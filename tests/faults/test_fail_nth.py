"""The n-th system call or allocation fails, n = 1, 2, ... until a run makes none to fail: nothing crashes or leaks."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fail_nth_child import SCENARIOS

HERE = Path(__file__).parent
MEMORY = {
    "memfd_create",
    "open64",
    "close",
    "ftruncate64",
    "posix_fallocate64",
    "fcntl64",
    "mmap64",
    "madvise",
    "calloc",
}

# scenario: (calls that must be among those that failed, of how many calls one fails: not every one of thousands)
WANTED: dict[str, tuple[set[str], int]] = {
    "create": (MEMORY, 1),
    "create-reserved": (MEMORY, 1),
    "create-file": (MEMORY - {"memfd_create"}, 1),
    "build": ({"open64", "read"}, 1),
    "build-python": ({"open64", "read"}, 1),
    "exchange": ({"calloc", "pthread_create", "sigaction"}, 1),
    "exchange-folio": ({"pthread_create"}, 1),
    "record": ({"open64", "pread64", "write", "link", "unlink"}, 1),
    "load": ({"open64", "read"}, 1),
    "run": ({"read"}, 113),
}
HARMLESS = {
    "fallocate64",
    "fstat64",
    "lstat64",
    "stat64",
    "open64",
    "read",
    "close",
    "madvise",
    "fcntl64",
    "opendir",
    "readdir64",
    "readlink",
}
"""Calls whose failure may pass unseen, since something else serves as well (a buffer's size, a hint, free memory)."""
STANDS_IN = {"calloc", "pthread_create", "sigaction"}
"""Fewer workers, or the caller's own thread, do the same; the way back is tried again until it succeeds."""
OF_SCENARIO = {
    "exchange": STANDS_IN, "exchange-folio": STANDS_IN, "record": {"pread64"}, "run": {"sigaction"}
}  # fmt: skip
"""A part of /proc that cannot be read is a hole, and recorded as one; without a handler a signal does what it did."""
CASES = (
    *((scenario, "EIO") for scenario in WANTED),
    *((scenario, "ENOMEM") for scenario in WANTED if scenario.startswith(("create", "exchange"))),
    *((scenario, "EINTR") for scenario in ("create-file", "exchange", "record")),
)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])
    if compiler is None:
        pytest.skip("needs a C compiler")
    if not os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("needs the GNU C library, whose calls are wrapped")
    made = tmp_path_factory.mktemp("fail_nth") / "fail_nth.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(HERE / "fail_nth.c"), "-ldl", "-lpthread"]
    subprocess.run(command, check=True, capture_output=True)
    return made


def failures(library: Path, folder: Path, scenario: str, error: str, step: int) -> list[dict[str, Any]]:
    """Run a scenario in a process of its own until nothing is left to fail."""
    environment = os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(HERE / "fail_nth_child.py"), scenario, error, str(folder), str(step)],
        env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, ""), (lines[-1:], done.returncode, done.stderr)
    return lines


@pytest.mark.parametrize(("scenario", "error"), CASES)
def test_the_nth_call_fails(library: Path, tmp_path: Path, scenario: str, error: str) -> None:
    """Each failure is one clear error, or none where something else serves; nothing of it stays behind."""
    calls, step = WANTED[scenario]
    failed = failures(library, tmp_path, scenario, error, step)
    assert {one["call"] for one in failed} >= calls
    assert [one for one in failed if one["leaked"]] == []
    assert [one for one in failed if one["raised"] and not one["clear"]] == []
    unseen = {one["call"] for one in failed if not one["raised"]}
    if error != "EINTR":  # which Python repeats
        assert unseen <= HARMLESS | OF_SCENARIO.get(scenario, set())


def test_every_scenario_is_run() -> None:
    assert set(WANTED) == set(SCENARIOS)
