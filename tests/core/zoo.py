"""The two recorded machines of tests/data: laid out as trees, and read without anything of the package."""

import gzip
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).parent.parent / "data"
VERSIONS = ("6.1", "6.12")


def lay_out(version: str, root: Path) -> Path:
    """Make ROOT/proc and ROOT/sys of a recorded machine; page tables are sparse files."""
    with gzip.open(DATA / f"zoo-{version}.raw.gz") as stream:
        for line in iter(stream.readline, b"END\n"):
            _, path, offset, length = line.split()
            target = root / path.decode().lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("r+b" if target.exists() else "wb") as file:
                file.seek(int(offset))
                file.write(stream.read(int(length)))
    return root


@dataclass
class Zoo:
    """What the tree says, read in the plainest way."""

    root: Path

    @cached_property
    def words(self) -> NDArray[np.uint64]:
        """Of every frame, as /proc/kpageflags shows it."""
        return np.fromfile(self.root / "proc/kpageflags", "<u8")

    @cached_property
    def counts(self) -> NDArray[np.uint64]:
        """Of every frame, as /proc/kpagecount shows it."""
        return np.fromfile(self.root / "proc/kpagecount", "<u8")

    def bit(self, number: int) -> NDArray[np.bool_]:
        """Which frames have this bit."""
        has: NDArray[np.bool_] = (self.words >> np.uint64(number) & np.uint64(1)) == 1
        return has

    @cached_property
    def head(self) -> NDArray[np.int64]:
        """Of every frame: the number of its folio's first one."""
        tail = self.bit(16).tolist()
        head = [0] * len(tail)
        for pfn in range(1, len(tail)):
            head[pfn] = head[pfn - 1] if tail[pfn] else pfn
        return np.array(head)

    @cached_property
    def user(self) -> NDArray[np.bool_]:
        """Frames of users' pages: on an LRU list, itself or its head, or anonymous and no slab."""
        own = self.bit(5) | (self.bit(12) & ~self.bit(7))
        return own[self.head]

    @cached_property
    def mapped(self) -> list[tuple[int, int, int]]:
        """(pid, virtual page number, frame) of every page that a process has."""
        found: list[tuple[int, int, int]] = []
        for folder in sorted((self.root / "proc").iterdir(), key=lambda path: path.name.zfill(8)):
            if not (folder / "pagemap").exists():
                continue
            table = (folder / "pagemap").stat().st_size // 8
            for first, last in re.findall(r"^(\w+)-(\w+) ", (folder / "maps").read_text(), re.M):
                start, end = int(first, 16) // 4096, min(int(last, 16) // 4096, table)
                if start < end:
                    words = np.fromfile(folder / "pagemap", "<u8", end - start, offset=start * 8)
                    there = np.flatnonzero(words >> np.uint64(63))
                    frames = words[there] & np.uint64((1 << 55) - 1)
                    found += zip(
                        [int(folder.name)] * len(there), (there + start).tolist(), frames.tolist(), strict=True
                    )
        return found

    def orders(self, *, kind: str) -> dict[int, int]:
        """Order -> number of folios of a kind."""
        anon, backed = self.bit(12), self.bit(14)
        which = {"anon": anon, "shmem": ~anon & backed, "file": ~anon & ~backed}[kind]
        heads, size = np.unique(self.head[self.user], return_counts=True)
        orders: dict[Any, int] = {}
        for pfn, pages in zip(heads.tolist(), size.tolist(), strict=True):
            if which[pfn]:
                orders[pages.bit_length() - 1] = orders.get(pages.bit_length() - 1, 0) + 1
        return orders
