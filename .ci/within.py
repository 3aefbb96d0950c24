"""Runs a command that may hang."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def within(seconds: float, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> tuple[int | None, str]:
    """Return exit code and output of a command; None: its time was over, and it was killed with all that it started."""
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as run:  # fmt: skip
        try:
            output = run.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            return None, ""
        return run.returncode, output
