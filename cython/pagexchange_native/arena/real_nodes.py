"""The real nodes of this machine: which have memory, which this process may use, and how much is free on each."""

import re
from pathlib import Path
from typing import Final

from pagexchange_native import procfs
from pagexchange_native.arena.numa import Calls

_SYSFS: Final = "sys/devices/system/node"
_WEIGHTS: Final = "sys/kernel/mm/mempolicy/weighted_interleave"
_SPARE: Final = 64
"""One in so many bytes of a node is left to Linux: below its watermarks it reclaims, and then kills."""


class Machine(Calls):
    """What Linux says of nodes, and does with them. Tests put a made-up one in the place of `HERE`.

    Parameters
    ----------
    root
        Where /proc and /sys are.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def with_memory(self) -> list[int]:
        """Return the nodes that have memory; [0] where Linux knows of none."""
        return numbers(_read(self.root / _SYSFS / "has_memory")) or [0]

    def allowed(self) -> list[int]:
        """Return those of them that the cpuset of this process allows."""
        given = re.search(rb"^Mems_allowed_list:[ \t]*(\S*)$", _read(self.root / "proc/self/status"), re.M)
        mine = numbers(given[1]) if given else []
        there = self.with_memory()
        return [node for node in there if node in mine] or there

    def has_cpus(self, node: int) -> bool:
        """Whether a node has processors; one of memory alone is CXL, or persistent."""
        path = self.root / _SYSFS / f"node{node}/cpulist"
        return not path.exists() or bool(_read(path).strip())

    def available(self, node: int) -> int:
        """Return the bytes that can be taken from a node: what is free, and what a file could be read again into."""
        sizes = {key: int(kib) << 10 for key, kib in self._meminfo(node)}
        if b"MemFree" not in sizes:
            return 1 << 62
        spare = sizes.get(b"MemTotal", 0) // _SPARE
        return max(sizes[b"MemFree"] + sizes.get(b"Inactive(file)", 0) - spare, 0)

    def _meminfo(self, node: int) -> list[tuple[bytes, bytes]]:
        return re.findall(rb"^Node \d+ ([^:]+):\s+(\d+) kB$", _read(self.root / _SYSFS / f"node{node}/meminfo"), re.M)

    def huge_free(self, node: int) -> int:
        """Return how many pages of 2 MiB the hugetlb pool has free on a node."""
        text = _read(self.root / _SYSFS / f"node{node}/hugepages/hugepages-2048kB/free_hugepages").strip()
        return int(text) if text.isdigit() else 0

    def weights(self) -> dict[int, int] | None:
        """Return the weight of each node in a weighted interleave; None: this Linux has none (it is older than 6.9)."""
        folder = self.root / _WEIGHTS
        if not folder.is_dir():
            return None
        found = {node: _read(folder / f"node{node}").strip() for node in self.with_memory()}
        return {node: int(text) if text.isdigit() and int(text) else 1 for node, text in found.items()}

    def dax(self, major: int, minor: int) -> dict[str, int] | None:
        """Return size, align and target_node of a DAX device, as far as they are known; None: it is no such device."""
        folder = self.root / f"sys/dev/char/{major}:{minor}"
        texts = {name: _read(folder / name).strip() for name in ("size", "align", "target_node")}
        found = {name: int(text) for name, text in texts.items() if text.isdigit()}
        return found if "size" in found else None


HERE: Machine = Machine()
"""This one. Whoever uses it asks for it anew each time."""


def numbers(text: bytes) -> list[int]:
    """Return the numbers of a list as Linux writes it: `0-3,8`."""
    found: list[int] = []
    for part in text.strip().split(b","):
        first, _, last = part.partition(b"-")
        if first.isdigit():
            found += range(int(first), int(last or first) + 1)
    return found


def several(nodes: list[int] | tuple[int, ...]) -> str:
    """Return `node 0`, or `nodes 0, 1 and 4`."""
    names = list(map(str, nodes))
    if len(names) < 2:
        return f"node {names[0]}" if names else "no node"
    return f"nodes {', '.join(names[:-1])} and {names[-1]}"


def _read(path: Path) -> bytes:
    try:
        return b"\n".join(procfs.lines(path))
    except OSError:
        return b""
