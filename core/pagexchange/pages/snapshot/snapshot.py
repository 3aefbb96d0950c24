"""A snapshot: a machine's page frames and their mappings at one time, as arrays. It knows of no file and no /proc."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.model.equality import same_fields
from pagexchange.pages.snapshot import facts as fact_table
from pagexchange.pages.snapshot.facts import Facts
from pagexchange.pages.snapshot.proc import kpageflags

MAX_FRAMES: Final = 1 << 26
"""Most frames that one snapshot holds: 256 GiB in 4 KiB pages."""
MAX_MAPPINGS: Final = 1 << 27
MAX_INDEX: Final = 1 << 52
"""Positions in files and virtual page numbers lie below this."""

ARRAYS: Final[dict[str, str]] = {
    "pfn": "<u8", "flags": "<u8", "count": "<u4", "file": "<i4", "index": "<u8",
    "map_space": "<u4", "map_vpn": "<u8", "map_frame": "<u4", "map_bits": "|u1",
    "given_heat": "|u1", "content_known": "|b1", "content": "|u1",
}  # fmt: skip
"""Every array of a snapshot and its dtype; the last three only where they were asked for."""


@dataclass(eq=False, repr=False)
class Snapshot:
    """A recording of a machine: frames, the processes' mappings of them, and the facts around.

    The arrays of frames have n rows in ascending frame number; those of mappings have m rows, by space and position.
    """

    pfn: NDArray[np.uint64]
    """uint64[n]: frame number; made up where `partial`."""
    flags: NDArray[np.uint64]
    """uint64[n]: the word of /proc/kpageflags."""
    count: NDArray[np.uint32]
    """uint32[n]: /proc/kpagecount: how often Linux says that the frame is mapped, recorded process or not."""
    file: NDArray[np.int32]
    """int32[n]: number of the file (device, inode) that the page belongs to; -1 anonymous or not known."""
    index: NDArray[np.uint64]
    """uint64[n]: position in the file, in pages; 0 where `file` is -1."""
    map_space: NDArray[np.uint32]
    """uint32[m]: number of the address space."""
    map_vpn: NDArray[np.uint64]
    """uint64[m]: virtual page number. Gaps between areas are closed up, so that no process's real layout is shown:
    the order of areas, their sizes, their place within 512 pages and equal places in forked processes stay."""
    map_frame: NDArray[np.uint32]
    """uint32[m]: row of the frame that is mapped there."""
    map_bits: NDArray[np.uint8]
    """uint8[m]: EXCLUSIVE, FILE, WRITABLE, SHARED of `proc.mappings`."""
    facts: Facts = field(default_factory=Facts)
    """About the machine and the recording."""
    content: NDArray[np.uint8] | None = None
    """uint8[n, page_size], or None."""
    content_known: NDArray[np.bool_] | None = None
    """bool[n]: which rows of `content` were read."""
    given_heat: NDArray[np.uint8] | None = None
    """uint8[n]: 0 to 7, as a user's file says it, or None."""

    def __post_init__(self) -> None:
        fact_table.sound(self.facts)

    def __len__(self) -> int:
        return len(self.pfn)

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, Snapshot) else NotImplemented

    def __repr__(self) -> str:
        contents = "" if self.content is None else ", with contents"
        return f"<Snapshot {len(self)} frames, {len(self.map_frame)} mappings, {self.nspaces} spaces{contents}>"

    @property
    def page_size(self) -> int:
        """Bytes of a base page on the machine."""
        return self.facts.get("page_size", 4096)

    @property
    def partial(self) -> bool:
        """Whether only this process could be seen, with frame numbers made up."""
        return self.facts.get("partial", False)

    @property
    def notes(self) -> list[str]:
        """What could not be recorded, in sentences."""
        return list(self.facts.get("notes", []))

    @property
    def unsaid(self) -> str:
        """A sentence on what the machine did not say of itself, or nothing."""
        words = {"page_size": f"how large a page is (taken as {self.page_size} bytes)", "nodes": "where its nodes are"}
        unknown = [words.get(name, f"its {name}") for name in self.facts.get("unknown", [])]
        return f"the machine does not say {', '.join(unknown)}." if unknown else ""

    @property
    def nfiles(self) -> int:
        """Number of files known by number."""
        return int(self.file.max(initial=-1)) + 1

    @property
    def nspaces(self) -> int:
        """Number of address spaces."""
        return int(self.map_space.max()) + 1 if len(self.map_space) else 0

    def heat(self) -> NDArray[np.uint8]:
        """uint8[n]: how hot each page looks, 0 to 7: as it was given, else by `kpageflags.heat`."""
        if self.given_heat is not None:
            return self.given_heat
        return kpageflags.heat(self.flags, by_idle=self.facts.get("heat") == "idle")

    @property
    def blind(self) -> bool:
        """Whether flags, by which heat is known, say hardly anything of it: see `pagexchange.pages.snapshot.heat`."""
        return self.facts.get("lru_gen", False) and self.facts.get("heat", "flags") == "flags"

    def is_page(self) -> NDArray[np.bool_]:
        """bool[n]: which rows are pages that an exchange is about."""
        return kpageflags.is_page(self.flags)

    def mapcount(self) -> NDArray[np.int64]:
        """int64[n]: how often the recorded processes map each frame. Compare `count`, which knows all processes."""
        return np.bincount(self.map_frame, minlength=len(self)).astype(np.int64)

    def check(self) -> None:
        """Raise SnapshotError where the arrays do not fit each other, or a fact is of another type than declared."""
        fact_table.sound(self.facts)
        n, m = len(self.pfn), len(self.map_frame)
        for name in ("flags", "count", "file", "index"):
            _require(getattr(self, name).shape == (n,), f"{name}: {getattr(self, name).shape} values for {n} frames")
        for name in ("map_space", "map_vpn", "map_bits"):
            _require(getattr(self, name).shape == (m,), f"{name}: {getattr(self, name).shape} values for {m} mappings")
        _require(n <= MAX_FRAMES, f"{n} frames; at most {MAX_FRAMES}")
        _require(m <= MAX_MAPPINGS, f"{m} mappings; at most {MAX_MAPPINGS}")
        _require(bool(np.all(self.pfn[1:] > self.pfn[:-1])), "pfn: not ascending")
        _require(not n or int(self.pfn[-1]) < MAX_INDEX, "pfn: a frame number is out of range")
        _require(not m or int(self.map_frame.max()) < n, "map_frame: a mapping of a frame that is not there")
        _require(not m or int(self.map_space.max()) < max(m, 1), "map_space: more spaces than mappings")
        _require(not n or -1 <= int(self.file.min()) <= int(self.file.max()) < n, "file: more files than frames")
        _require(not n or int(self.index.max()) < MAX_INDEX, "index: a position is out of range")
        _require(not m or int(self.map_vpn.max()) < MAX_INDEX, "map_vpn: a page number is out of range")
        for what, names, number in (
            ("file_names", self.facts.get("file_names"), self.nfiles),
            ("space_names", self.facts.get("space_names"), self.nspaces),
        ):
            _require(names is None or len(names) >= number, f"facts.{what}: fewer than the {number} that are numbered")
        size = self.page_size
        _require(512 <= size <= 1 << 21 and size & (size - 1) == 0, f"page_size: {size}; a power of two is expected")
        if self.given_heat is not None:
            sound = self.given_heat.shape == (n,) and int(self.given_heat.max(initial=0)) <= 7
            _require(sound, f"given_heat: {n} numbers from 0 to 7 are expected")
        if self.content is not None:
            _require(self.content.shape == (n, size), f"content: {self.content.shape}; ({n}, {size}) is expected")
            _require(self.content_known is not None and self.content_known.shape == (n,), "content_known: missing")

    def summary(self) -> dict[str, Any]:
        """Counts for a person or for JSON: frames by kind, sharing, folios, the commonest flag words, the notes."""
        page = self.is_page()
        anon = page & ((self.flags & kpageflags.ANON) != 0)
        shmem = page & ~anon & ((self.flags & kpageflags.SWAPBACKED) != 0)
        mapped = self.mapcount()
        first = kpageflags.folios(self.pfn, self.flags) == np.arange(len(self))
        words, often = np.unique(self.flags, return_counts=True)
        top = np.argsort(-often, kind="stable")[:10]
        return {
            "frames": len(self), "pages": int(page.sum()), "anonymous": int(anon.sum()),
            "shared_memory": int(shmem.sum()), "file": int((page & ~anon & ~shmem).sum()),
            "identified": int((page & (self.file >= 0)).sum()),
            "mapped": int((mapped > 0).sum()), "mapped_more_than_once": int((mapped > 1).sum()),
            "mapped_elsewhere": int((self.count > mapped).sum()), "mappings": len(self.map_frame),
            "large_folios": int((first & ((self.flags & kpageflags.HEAD) != 0)).sum()),
            "in_large_folios": int((page & ((self.flags & (kpageflags.HEAD | kpageflags.TAIL)) != 0)).sum()),
            "hot": None if self.blind else int((self.heat() >= 4)[page].sum()),
            "files": self.nfiles, "spaces": self.nspaces,
            "flag_words": len(words), "commonest": {kpageflags.describe(int(words[i])): int(often[i]) for i in top},
            "facts": dict(self.facts),
        }  # fmt: skip

    def leads_to(self, rows: NDArray[np.int64], spaces: Iterable[int] | None = None) -> NDArray[np.bool_]:
        """bool[m]: which mappings lead to these rows (and belong to these spaces)."""
        wanted = np.zeros(len(self), dtype=bool)
        wanted[rows] = True
        keep = wanted[self.map_frame]
        if spaces is not None:
            keep &= np.isin(self.map_space, np.fromiter(spaces, dtype=np.int64))
        return keep

    def select(self, rows: NDArray[np.int64], spaces: Iterable[int] | None = None) -> Snapshot:
        """A snapshot of these rows (ascending) and of the mappings that lead to them, numbered anew.

        Parameters
        ----------
        rows : int64[k], ascending
        spaces : iterable of int, optional
            Keep the mappings of these spaces only; all of them by default.
        """
        keep = self.leads_to(rows, spaces)
        where = np.zeros(len(self), dtype=np.int64)
        where[rows] = np.arange(len(rows))
        # np.unique sorts -1, "no file", in front, if there is one: less 1, the inverse counts files from 0 again.
        files = self.file[rows]
        known, number = np.unique(files, return_inverse=True)
        file = (number - int(len(known) > 0 and known[0] < 0)).astype(np.int32)
        facts = self.facts.copy()
        if "file_names" in facts:
            facts["file_names"] = [facts["file_names"][int(number)] for number in known if number >= 0]
        old, space = np.unique(self.map_space[keep], return_inverse=True)
        if "space_names" in facts:
            facts["space_names"] = [facts["space_names"][int(number)] for number in old]
        return Snapshot(
            pfn=self.pfn[rows], flags=self.flags[rows], count=self.count[rows], file=file, index=self.index[rows],
            map_space=space.astype(np.uint32), map_vpn=self.map_vpn[keep],
            map_frame=where[self.map_frame[keep]].astype(np.uint32), map_bits=self.map_bits[keep], facts=facts,
            given_heat=None if self.given_heat is None else self.given_heat[rows],
            content=None if self.content is None else self.content[rows],
            content_known=None if self.content_known is None else self.content_known[rows],
        )  # fmt: skip


def _require(sound: bool, fault: str) -> None:
    if not sound:
        raise SnapshotError(f"not a sound snapshot: {fault}")
