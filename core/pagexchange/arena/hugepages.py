"""How much of an arena Linux has really put in huge pages: transparent ones are asked for, never promised."""

import re
from pathlib import Path

from pagexchange.arena.arena import Arena
from pagexchange.model.sizes import format_size
from pagexchange_native import procfs

_SETTING = "sys/kernel/mm/transparent_hugepage/shmem_enabled"
_HUGE = re.compile(rb"(?:AnonHugePages|ShmemPmdMapped|FilePmdMapped|Shared_Hugetlb|Private_Hugetlb):\s+(\d+) kB")
_AREA = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) ")


def mapped(arena: Arena, root: Path = Path("/")) -> int | None:
    """Bytes of the arena's frames that this process sees through entries of a huge page, as /proc/self/smaps has them.

    None where it cannot be read. A frame counts from its first use on.
    """
    try:
        lines = procfs.lines(root / "proc/self/smaps")
    except OSError:
        return None
    frames = arena.frames
    first = frames.__array_interface__["data"][0]
    end = first + frames.nbytes
    huge_bytes, inside = 0, False
    for line in lines:
        area = _AREA.match(line)
        if area:
            inside = int(area[1], 16) < end and first < int(area[2], 16)
        elif inside and (huge := _HUGE.match(line)):
            huge_bytes += int(huge[1]) << 10
    return huge_bytes


def missing(arena: Arena, root: Path = Path("/")) -> list[str]:
    """A sentence if transparent huge pages were asked for and less than half of the frames' bytes came."""
    if arena.huge != "thp" or arena.closed:
        return []
    got = mapped(arena, root)
    size = arena.nframes * arena.page_size
    if got is None or 2 * got >= size:
        return []
    try:
        setting = re.search(rb"\[(\w+)\]", (root / _SETTING).read_bytes())
    except OSError:
        setting = None
    why = f" (/{_SETTING} says {procfs.text(setting[1])}; write advise there)" if setting else ""
    return [
        f"Huge pages were asked for, and {format_size(got) if got else 'none'} of {format_size(size)} came{why}; "
        "huge = 'hugetlb' takes them from the pool."
    ]
