"""The command as a user has it, in this process or in one of its own; and a stranger's plug-ins."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagexchange.cli import main

SMALL = ("--set", "workload.source=synthetic", "--set", 'arena.nodes={fast="1 MiB", slow="1 MiB"}')
"""For `run`: made-up pages in a small arena."""

START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell's `&` would ignore it
    "from pagexchange.cli import main; main(sys.argv[1:])"
)


@dataclass
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str


def pagexchange(*args: str) -> Ran:
    """Run a command line in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code: Any = None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(args)
        except SystemExit as stop:
            code = stop.code
    assert isinstance(code, int)
    return Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def start(*args: str, **options: Any) -> subprocess.Popen[str]:
    """Start a command line in a process of its own."""
    return subprocess.Popen([sys.executable, "-P", "-c", START, *args], text=True, **options)


def stranger(folder: Path, code: str, dist: str = "stranger", **plugins: str) -> None:
    """Write a distribution `stranger 2.5` with one module, and the plug-ins that it declares: name=attribute."""
    info = folder / f"{dist}-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 2.5\n")
    lines = [f"{name.replace('_', '-')} = {value}" for name, value in plugins.items()]
    (info / "entry_points.txt").write_text("\n".join(["[pagexchange.plugins]", *lines, ""]))
    (folder / f"{dist}_plugins.py").write_text(code)
    sys.modules.pop(f"{dist}_plugins", None)  # another test's, in another folder
