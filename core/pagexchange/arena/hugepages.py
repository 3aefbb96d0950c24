"""How much of an arena Linux has really put in huge pages: transparent ones are asked for, never promised."""

import re
from pathlib import Path

from pagexchange.arena.frame import LaidOutRegion
from pagexchange.model.sizes import format_size
from pagexchange_native import procfs
from pagexchange_native.arena.huge_pages import SETTING, setting

_HUGE = re.compile(rb"(?:AnonHugePages|ShmemPmdMapped|FilePmdMapped|Shared_Hugetlb|Private_Hugetlb):\s+(\d+) kB")
_AREA = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) ")


def mapped(arena: LaidOutRegion, root: Path = Path("/")) -> int | None:
    """Bytes of the arena that this process sees through entries of a huge page, as /proc/self/smaps has them.

    Metadata count, too. None where it cannot be read. Memory that has no page yet does not count.
    """
    try:
        lines = procfs.lines(root / "proc/self/smaps")
    except OSError:
        return None
    memory = arena.memory
    first = memory.__array_interface__["data"][0]
    end = first + memory.nbytes
    huge_bytes, inside = 0, False
    for line in lines:
        area = _AREA.match(line)
        if area:
            inside = int(area[1], 16) < end and first < int(area[2], 16)
        elif inside and (huge := _HUGE.match(line)):
            huge_bytes += int(huge[1]) << 10
    return huge_bytes


def of_all(got: int | None, size: int) -> str:
    """How many of the arena's bytes are in huge pages, for a line that says what the arena is."""
    came = "not known how much" if got is None else format_size(got) if got else "none"
    return f"huge pages: {came} of {format_size(size)}"


def missing(arena: LaidOutRegion, root: Path = Path("/")) -> list[str]:
    """A sentence if transparent huge pages were asked for and less than half of the arena's bytes came."""
    if arena.huge != "thp" or arena.closed:
        return []
    got = mapped(arena, root)
    size = arena.total_bytes
    if got is None or 2 * got >= size:
        return []
    came = f"Huge pages were asked for, and {format_size(got) if got else 'none'} of {format_size(size)} came"
    return [f"{came}{_why(arena, root)}. huge = 'hugetlb' takes them from the pool."]


def _why(arena: LaidOutRegion, root: Path) -> str:
    if arena.collapsed is None:
        said = setting(root)
        return f": /{SETTING} says {said}; write advise there" if said else ""
    if arena.collapsed.why:
        return f": {arena.collapsed.why}"
    return ": Linux has split what came"
