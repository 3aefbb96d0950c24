"""What the process is allowed: CPU time, CPUs and memory, by its control group or the nearest one above that says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pagexchange.runs.sysfs import read

_FILES: Final = {
    "cpu": "cpu.max",
    "cpus": "cpuset.cpus.effective",
    "memory": "memory.max",
    "memory_high": "memory.high",
}


def limits(root: Path) -> dict[str, str | None]:
    """Return the limits of the unified hierarchy (v2) as Linux writes them: `max` is none, None is not available."""
    match = re.search(r"^0::/(.*)$", read(root / "proc/self/cgroup") or "", re.M)
    place = Path(match.group(1)) if match else Path()
    mounts = (root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified")  # the latter beside v1
    groups = [mount / group for mount in mounts for group in (place, *place.parents)]
    return {name: _nearest(groups, file) for name, file in _FILES.items()}


def _nearest(groups: list[Path], file: str) -> str | None:
    said = [word for group in groups if (word := read(group / file))]
    return next((word for word in said if not word.startswith("max")), "max" if said else None)
