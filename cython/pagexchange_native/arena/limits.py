"""What the containers around this process still allow: its cgroups and all above them, of version 1 and of version 2.

Past the limit of memory.max (version 1: memory.limit_in_bytes) Linux kills, as it does when the machine has no more.
Past memory.high it slows a process down until it hardly goes on, when nothing can be given back: shared memory cannot.
So both count. Swap does not: /proc/meminfo's MemAvailable leaves it out as well.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pagexchange_native import procfs

_FILES: Final = {
    ("memory", 1): [("memory.limit_in_bytes", "memory.usage_in_bytes")],
    ("memory", 2): [("memory.max", "memory.current"), ("memory.high", "memory.current")],
    ("hugetlb", 1): [
        ("hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.usage_in_bytes"),
        ("hugetlb.2MB.rsvd.limit_in_bytes", "hugetlb.2MB.rsvd.usage_in_bytes"),
    ],
    ("hugetlb", 2): [
        ("hugetlb.2MB.max", "hugetlb.2MB.current"),
        ("hugetlb.2MB.rsvd.max", "hugetlb.2MB.rsvd.current"),
    ],
}
"""Limit and use, by controller and version of cgroups."""
_GIVES_BACK: Final = {
    1: (b"total_inactive_file", b"total_active_file"),
    2: (b"inactive_file", b"active_file", b"slab_reclaimable"),
}
"""Lines of memory.stat: what is in use and would be given back for the asking, as MemAvailable counts it."""
_NO_LIMIT: Final = 1 << 62


class Room(NamedTuple):
    """What the narrowest limit leaves."""

    left: int
    """Bytes."""
    limit: int
    """Bytes."""
    file: str
    """Where the limit stands."""


def room(controller: str = "memory", root: Path = Path("/")) -> Room | None:
    """What the narrowest of the limits around this process leaves; None without a limit that can be seen.

    Parameters
    ----------
    controller : "memory" or "hugetlb"
        The latter: of pages of 2 MiB.
    root : Path
        Where /proc and /sys are.
    """
    rooms = [
        found
        for folder, version in _folders(controller.encode(), root)
        for names in _FILES[controller, version]
        if (found := _room(folder, *names, _GIVES_BACK[version] if controller == "memory" else ()))
    ]
    return min(rooms, default=None)


def _folders(controller: bytes, root: Path) -> Iterator[tuple[Path, int]]:
    """The cgroups around this process that can be seen from here, with their version; each before the one above it."""
    try:
        lines = procfs.lines(root / "proc/self/cgroup")
    except OSError:
        return
    member: dict[int, bytes] = {}
    for line in lines:
        number, _, rest = line.partition(b":")
        controllers, _, path = rest.partition(b":")
        if number == b"0" and not controllers:
            member[2] = path
        elif controller in controllers.split(b","):
            member[1] = path
    for mount in procfs.mounts(root):
        version = {b"cgroup": 1, b"cgroup2": 2}.get(mount.kind, 0)
        if version not in member or (version == 1 and controller not in mount.options):
            continue
        # A container may see its own cgroup as the root, or a part of the tree mounted; what it cannot see is left out.
        inside = member[version].split(b"/")[1:]
        seen = [part for part in mount.root.split(b"/") if part]
        below = inside[len(seen) :] if inside[: len(seen)] == seen and b".." not in inside else []
        top = root / os.fsdecode(mount.point.lstrip(b"/"))
        for depth in range(len(below), -1, -1):
            yield top.joinpath(*map(os.fsdecode, below[:depth])), version


def _room(folder: Path, limit_file: str, use_file: str, gives_back: tuple[bytes, ...]) -> Room | None:
    try:
        limit = int((folder / limit_file).read_bytes())  # "max" is no number
        used = int((folder / use_file).read_bytes())
    except (OSError, ValueError):
        return None
    if limit >= _NO_LIMIT:
        return None
    back = 0
    if gives_back:
        try:
            numbers = dict(line.split(b" ", 1) for line in procfs.lines(folder / "memory.stat"))
            back = sum(int(numbers.get(name, 0)) for name in gives_back)
        except (OSError, ValueError):
            back = 0
    return Room(max(limit - max(used - back, 0), 0), limit, str(folder / limit_file))
