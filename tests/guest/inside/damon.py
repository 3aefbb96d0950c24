"""DAMON as what sets `idle` and `young`: it marks a page as idle, and as young when it was accessed before."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.guest.inside.calls import PAGE

ADMIN = Path("/sys/kernel/mm/damon/admin/kdamonds")
_SECONDS = 60  # a kdamond of a slow guest takes its time to start


def watch(pages: list[int], until: Callable[[], bool]) -> None:
    """Let DAMON watch each of these pages of this process, until what it does to them can be seen."""
    if not ADMIN.exists():
        raise OSError("this kernel has no DAMON with an interface in sysfs")
    files: dict[str, object] = {
        "nr_kdamonds": 1, "0/contexts/nr_contexts": 1, "0/contexts/0/operations": "vaddr",
        "0/contexts/0/targets/nr_targets": 1, "0/contexts/0/targets/0/pid_target": os.getpid(),
        "0/contexts/0/targets/0/regions/nr_regions": len(pages),
    }  # fmt: skip
    for row, page in enumerate(pages):
        files[f"0/contexts/0/targets/0/regions/{row}/start"] = page
        files[f"0/contexts/0/targets/0/regions/{row}/end"] = page + PAGE
    for name, value in files.items():
        (ADMIN / name).write_text(str(value))
    (ADMIN / "0/state").write_text("on")
    try:
        deadline = time.monotonic() + _SECONDS
        while not until():
            if time.monotonic() > deadline:
                raise OSError("DAMON has not looked at these pages")
            time.sleep(0.1)
    finally:
        (ADMIN / "0/state").write_text("off")
