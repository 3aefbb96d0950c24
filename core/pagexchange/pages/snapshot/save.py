"""Saves what a snapshot is taken from, /proc and /sys, as a tree of files that another machine can read.

    ROOT/pagexchange.json           day, size of a page, processes that could not be read, what else is missing
    ROOT/proc/kpageflags            words of all frames; sparse, as kpagecount and pagemap
    ROOT/proc/kpagecount
    ROOT/proc/zoneinfo, meminfo, sys/kernel/osrelease, sys/kernel/arch
    ROOT/proc/PID/maps, statm, pagemap, comm
    ROOT/sys/...                    what `TEXTS` names

Of a pagemap only the pages that are there are saved. Names of files and processes are saved where they are asked for.
"""

from __future__ import annotations

import datetime
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot.heat import LRU_GEN, refresh
from pagexchange.pages.snapshot.proc import reader
from pagexchange.pages.snapshot.proc.tree import ABOUT, PROC, SMALLEST, UNKNOWN, WORDS, Tree

TEXTS: Final = ("devices/system/node/node*/cpulist", "devices/virtual/memory_tiering/memory_tier*/nodelist", LRU_GEN)
"""Patterns of files below /sys that a snapshot reads."""
STEP: Final = 1 << 18
"""Words that are copied at once."""
BLOCK: Final = 512
"""Words that are left out together where they are zeros: a block of most file systems."""


@dataclass
class Saved:
    """What was saved."""

    processes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("saved", "denied", "vanished"), 0))
    """How many were saved or left out, by reason."""
    missing: list[str] = field(default_factory=list)
    """Files of the tree that could not be read, each with the reason."""
    bytes: int = 0
    """That the tree takes on disk."""

    @property
    def notes(self) -> list[str]:
        """What the tree lacks, in sentences."""
        notes = [f"{what}; the tree goes without it." for what in self.missing]
        if self.processes["denied"]:
            notes.append(f"processes that may not be read, and are not in the tree: {self.processes['denied']}.")
        return notes


def save(
    root: str | os.PathLike[str],
    *,
    pids: Iterable[int] | None = None,
    names: bool = False,
    proc: str | os.PathLike[str] = PROC,
) -> Saved:
    """Save /proc and /sys, as far as a snapshot needs them, below a folder that is made for it.

    Only its owner may read the tree: it tells where in their address spaces processes have their memory. Without root
    it has this process alone, without frame numbers.

    Parameters
    ----------
    root : path
        Must not be there yet. It is there in the end as a whole, or not at all.
    pids : iterable of int, optional
        Only these processes, and all frames. By default every process that may be read.
    names : bool
        Also the names of files and processes.
    proc : path
        Where /proc is, or another tree.

    Raises
    ------
    SnapshotError
        `root` exists or cannot be written, /proc cannot be read, or a process of `pids` cannot be.
    """
    place = Path(root)
    if os.path.lexists(place):
        raise SnapshotError(f"{place}: exists, and is not replaced")
    tree = Tree.at(proc)
    tree.check()
    beside = place.parent / f".pagexchange-{secrets.token_hex(8)}"
    try:
        beside.mkdir(0o700)
        try:
            saved = _Saving(tree, beside, names).save(None if pids is None else sorted(set(pids)))
            if os.path.lexists(place):  # Linux would replace an empty folder
                raise SnapshotError(f"{place}: exists, and is not replaced")
            beside.rename(place)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    except OSError as error:
        raise SnapshotError(f"{error.filename or place}: {error.strerror or error}") from error
    return saved


class _Saving:
    """A tree, and the folder that its files are copied to."""

    def __init__(self, tree: Tree, root: Path, names: bool) -> None:
        self.tree, self.root, self.names = tree, root, names
        self.told = tree.page_size()
        self.page_size = self.told or SMALLEST
        self.saved = Saved()

    def save(self, wanted: list[int] | None) -> Saved:
        tree, saved = self.tree, self.saved
        error = tree.without_frames()
        if error is not None:
            saved.missing.append(f"{error.filename}: {error.strerror}")
        readable = tree.processes() if error is None or not tree.live else [tree.own_process()]
        # page tables before frames, as `take` reads them
        for pid in readable if wanted is None else wanted:
            self.process(pid, must=wanted is not None)
        refresh(tree)
        for name in WORDS if error is None else ():
            self.words(name)
        texts: dict[str, str | None] = {
            "proc/zoneinfo": tree.text("zoneinfo"), "proc/meminfo": tree.text("meminfo"),
            "proc/sys/kernel/osrelease": tree.kernel(), "proc/sys/kernel/arch": tree.machine(),
        }  # fmt: skip
        if tree.sys is not None:
            found = (str(path.relative_to(tree.sys)) for pattern in TEXTS for path in sorted(tree.sys.glob(pattern)))
            texts |= {f"sys/{name}": tree.sys_text(name) for name in found}
        for name, text in texts.items():
            if text is None:
                saved.missing.append(f"{name}: not there")
            elif text != UNKNOWN:
                self.file(name, f"{text}\n".encode())
        earlier = tree.about()
        about = {
            "schema": 1, "date": datetime.date.today().isoformat() if tree.live else earlier.get("date"),
            "page_size": self.told,
            **{why: int(earlier.get(why, 0)) + saved.processes[why] for why in ("denied", "vanished")},
        }  # fmt: skip
        self.file(ABOUT, json.dumps(about).encode() + b"\n")
        saved.bytes = sum(path.stat().st_blocks * 512 for path in self.root.rglob("*"))
        return saved

    def process(self, pid: int, *, must: bool) -> None:
        """Save a process; count it if it cannot be read, or fail if it must be."""
        target = self.root / "proc" / str(pid)
        count = self.saved.processes
        try:
            areas = reader.areas(self.tree.proc, pid, self.page_size)
            if areas:
                with reader.Words(self.tree.proc / str(pid) / "pagemap") as pagemap:
                    self.pagemap(pagemap, areas, target / "pagemap")
        except OSError as error:
            # a file of ours is no process's fault
            if str(error.filename or "").startswith(str(self.root)) or not (
                must or error.errno in reader.DENIED | reader.GONE
            ):
                raise
            if must:
                raise SnapshotError(f"process {pid} cannot be read: {error.strerror}") from error
            count["denied" if error.errno in reader.DENIED else "vanished"] += 1
            shutil.rmtree(target, ignore_errors=True)
            return
        count["saved"] += 1
        self.file(f"proc/{pid}/maps", "".join(self.line(area) for area in areas).encode(errors="backslashreplace"))
        pages = reader.resident(self.tree.proc, pid)
        if pages is not None:
            self.file(f"proc/{pid}/statm", f"{pages} {pages} 0 0 0 0 0\n".encode())
        if self.names:
            name = reader.name(self.tree.proc, pid)
            self.file(f"proc/{pid}/comm", f"{name}\n".encode(errors="backslashreplace"))

    def line(self, area: reader.Area) -> str:
        """A line of /proc/PID/maps."""
        start, end, offset = (number * self.page_size for number in (area.start, area.end, area.offset))
        name = area.name if self.names or area.name.startswith("[") else ""
        return f"{start:08x}-{end:08x} {area.perms} {offset:08x} {area.device} {area.inode} {name}".rstrip(" ") + "\n"

    def pagemap(self, words: reader.Words, areas: list[reader.Area], target: Path) -> None:
        """Save the words of the pages that are there."""
        with self.made(target) as stream:
            for area in areas:
                for vpn, entries in reader.present(words, area, reader.MOST):
                    for run in np.split(np.arange(len(vpn)), np.flatnonzero(np.diff(vpn) != 1) + 1):
                        stream.seek(int(vpn[run[0]]) * reader.WORD)
                        stream.write(entries[run].astype("<u8").tobytes())

    def words(self, name: str) -> None:
        """Save a file of words, all of them; where there are zeros only, nothing is written."""
        with reader.Words(self.tree.proc / name) as words, self.made(self.root / "proc" / name) as stream:
            total = words.length()
            for first in range(0, total, STEP):
                part = words.read(first, min(STEP, total - first))
                for block in range(0, len(part), BLOCK):
                    if part[block : block + BLOCK].any():
                        stream.seek((first + block) * reader.WORD)
                        stream.write(part[block : block + BLOCK].astype("<u8").tobytes())
            stream.truncate(total * reader.WORD)

    def file(self, name: str, data: bytes) -> None:
        with self.made(self.root / name) as stream:
            stream.write(data)

    @contextmanager
    def made(self, path: Path) -> Iterator[BinaryIO]:
        """A new file that only its owner may read, with the folders above it."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
            yield stream
