"""A fresh environment with nothing of this checkout but the wheel, and the page for plug-in authors followed in it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.third_party.page import PAGE, Follower, Step
from tests.third_party.wheel import build

VARIABLE = "PAGEXCHANGE_STRANGERS"


@dataclass(frozen=True)
class Environment:
    """A virtual environment, as if activated."""

    folder: Path
    variables: dict[str, str]

    def run(self, *command: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it; the caller looks at its code."""
        return subprocess.run(
            command, cwd=cwd, env=self.variables | more, capture_output=True, text=True, timeout=1200
        )  # fmt: skip


@pytest.fixture(scope="session")
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Built only when the variable is set, on one Python: `make test-strangers`."""
    if not os.environ.get(VARIABLE):
        pytest.skip("builds a wheel and installs it in a fresh environment: `make test-strangers` does it")
    wheel = build(request.config.cache.mkdir("wheel"))
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    links = " ".join([str(wheel.parent), *os.environ.get("PIP_FIND_LINKS", "").split()])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PAGEXCHANGE"))}
    variables = kept | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(folder),
        "PIP_FIND_LINKS": links,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "COLUMNS": "200",
        "PAGEXCHANGE_OFF_CPU": "1",  # a busy machine is no fault of the page
    }
    made = Environment(folder, variables)
    done = made.run(
        folder / "bin" / "pip", "install", "-q", f"{wheel}[testing]", "setuptools>=80", "Cython>=3.1,<4", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="session")
def followed(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step]]:
    """The folder in which every file of the page was written and every command given, and what came of it."""
    folder = tmp_path_factory.mktemp("followed")
    # As for most people: no index and no folder that pip looks into has pagexchange, only the environment.
    variables = environment.variables | {"PIP_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", "")}
    return folder, Follower(folder, variables).follow(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def python() -> str:
    """This Python's version, as in the names of compiled modules."""
    return f"{sys.version_info[0]}{sys.version_info[1]}"
