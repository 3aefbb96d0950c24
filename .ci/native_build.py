"""Builds everything apart from what `make test` uses, with arguments of its own for the C compiler."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CC = str(ROOT / ".ci/sanitizing-cc")
SETUP = [sys.executable, "-W", "ignore", "-c", "from setuptools import setup; setup()", "-q"]


def build(base: Path, flags: str, *options: str) -> Path:
    """Build under `base`, from scratch when `flags` are others than last time; the folder to import from.

    Parameters
    ----------
    base : Path
    flags : str
        For the C compiler, after those of pyproject.toml.
    options : str
        For setuptools' build_ext.
    """
    noted = base / "flags"
    if not noted.exists() or noted.read_text(encoding="utf-8") != flags:
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir(parents=True)
        noted.write_text(flags, encoding="utf-8")
    command = [*SETUP, "build", "-b", str(base), "-j", str(os.cpu_count()), "build_ext", *options]
    environment = os.environ | {"CC": CC, "SANITIZE": flags}
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if made.returncode:
        sys.exit(f"the build failed:\n{made.stderr}")
    (lib,) = base.glob("lib.*")
    subprocess.run([*SETUP, "egg_info", "-e", str(lib)], cwd=ROOT, check=True, capture_output=True)  # entry points
    return lib
