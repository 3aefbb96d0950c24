"""Runs the suite as its users do: pytest in a process and a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = ("--pyargs", "pagexchange.testing")
SITE = "site"
"""Folder with somebody's installed distribution, two levels above the one that pytest runs in."""


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest in a folder; its exit code and all that it wrote."""
    path = os.pathsep.join([str(folder.parents[1] / SITE), *sys.path])
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=1200
    )
    return done.returncode, done.stdout + done.stderr
