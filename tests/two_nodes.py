"""A machine of two nodes that is made up: what /sys would say, and system calls that remember what they were asked."""

import errno
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange_native.arena import numa, real_nodes
from pagexchange_native.arena.real_nodes import Machine

MIB = 1 << 20


class TwoNodes(Machine):
    """Memory on nodes 0 and 2; node 1 has processors alone. Pages lie where `mbind` and `move_pages` have put them."""

    def __init__(
        self, root: Path, *, free: tuple[int, int] = (4096, 4096), allowed: str = "0-3", huge: int = 0
    ) -> None:
        super().__init__(root)
        self.bound: list[tuple[int, int, int, tuple[int, ...]]] = []
        """(address, bytes, mode, nodes) of each call."""
        self.moved: dict[int, int] = {}
        self.refuses: dict[str, int] = {}
        """Name of a call -> errno that it ends with."""
        self.stuck: set[int] = set()
        """Addresses of pages that cannot be moved."""
        self.calls: list[str] = []
        put(root / "sys/devices/system/node/has_memory", "0,2\n")
        put(root / "proc/self/status", f"Name:\tx\nMems_allowed_list:\t{allowed}\n")
        for node, mib in zip((0, 2), free, strict=True):
            folder = root / f"sys/devices/system/node/node{node}"
            lines = {"MemTotal": mib, "MemFree": mib // 2, "Inactive(file)": mib // 2}
            put(folder / "meminfo", "".join(f"Node {node} {key}:  {mib * 1024} kB\n" for key, mib in lines.items()))
            put(folder / "cpulist", "0-1\n" if node == 0 else "\n")
            put(folder / "hugepages/hugepages-2048kB/free_hugepages", f"{huge}\n")

    def mbind(self, address: int, size: int, mode: int, nodes: Iterable[int]) -> None:
        self._refuse("mbind")
        self.bound.append((address, size, mode, tuple(nodes)))

    def where(self, addresses: NDArray[np.uint64]) -> NDArray[np.int32]:
        self._refuse("where")
        there = super().where(addresses)  # a page that has no memory here has none there
        for row, address in enumerate(addresses.tolist()):
            if there[row] >= 0:
                there[row] = self._node(address)
        return there

    def move(self, addresses: NDArray[np.uint64], nodes: NDArray[np.int32]) -> tuple[int, NDArray[np.int32]]:
        if "move" in self.refuses:
            self.calls.append("move")
            return -self.refuses["move"], np.full(len(addresses), -errno.ENOENT, np.int32)
        self.calls.append("move")
        left = 0
        for address, node in zip(addresses.tolist(), nodes.tolist(), strict=True):
            if address in self.stuck:
                left += 1
            else:
                self.moved[address] = node
        # As Linux does: with a page left no status is written.
        return left, np.array([-errno.ENOENT if left else self._node(a) for a in addresses.tolist()], np.int32)

    def _node(self, address: int) -> int:
        if address in self.moved:
            return self.moved[address]
        for start, size, mode, nodes in reversed(self.bound):
            if nodes and start <= address < start + size:  # a policy that ends leaves pages where they are
                return nodes[(address >> 12) % len(nodes)] if mode != numa.BIND else nodes[0]
        return 0

    def _refuse(self, name: str) -> None:
        self.calls.append(name)
        if name in self.refuses:
            raise OSError(self.refuses[name], f"{name} is refused")


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def plant(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> Machine:
    """Put a machine in the place of this one."""
    monkeypatch.setattr(real_nodes, "HERE", machine)
    return machine
