"""Where /proc and /sys are, of this machine or of another one that was saved, and what they say about the machine.

Nothing that is asked of a saved tree is answered by the machine that reads it.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot.proc import reader, zoneinfo

PROC: Final = Path("/proc")
UNKNOWN: Final = "unknown"
SMALLEST: Final = 4096
"""Bytes of the smallest page that Linux has."""


WORDS: Final = ("kpageflags", "kpagecount")
"""Files of /proc with a word for each frame."""
ABOUT: Final = "pagexchange.json"
"""What a tree that was saved by `save` says of its saving: date, page_size, denied, vanished."""


@dataclass(frozen=True)
class Tree:
    """A /proc, and the /sys beside it."""

    proc: Path
    sys: Path | None
    """None where a /proc stands alone."""
    live: bool
    """Whether it is this machine's own, and not a saved one."""

    @classmethod
    def at(cls, root: str | os.PathLike[str]) -> Tree:
        """The tree at `root`: a folder that holds `proc` (and `sys`), or a /proc itself (with `sys` beside it).

        Raises
        ------
        SnapshotError
            There is no such folder.
        """
        path = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow a link, to where no `sys` is beside it
        if not path.is_dir():
            raise SnapshotError(f"{path}: no such folder; is it mounted?")
        if path != PROC and (path / "proc").is_dir() and not (path / "kpageflags").exists():
            path /= "proc"
        sys = path.parent / "sys"
        return cls(path, sys if path.name == "proc" and sys.is_dir() else None, _is_this_machines(path))

    def processes(self) -> list[int]:
        """The numbers of all processes, ascending.

        Raises
        ------
        SnapshotError
            The folder cannot be read.
        """
        try:
            return reader.processes(self.proc)
        except OSError as error:
            raise SnapshotError(f"{self.proc}: cannot be read: {error.strerror}; is it mounted?") from error

    def own_process(self) -> int:
        """The number of the process that asks, in a tree that is alive."""
        return int((self.proc / "self").readlink().name)

    def without_frames(self) -> OSError | None:
        """Why frames cannot be read, with the file's name; None where they can."""
        try:  # by reading a word: opening is allowed to more users than reading is
            for name in WORDS:
                with reader.Words(self.proc / name) as words:
                    words.read(0, 1)
        except OSError as error:
            return error
        return None

    def check(self) -> None:
        """Look at a saved tree's files: what was cut short would be taken for free frames, or for no memory.

        Raises
        ------
        SnapshotError
            A file of words is empty, has a part of a word, or fewer words than belong to it; a line of a process's maps
            is none; or there is nothing that a snapshot could be taken from.
        """
        if self.live:
            return
        sizes: dict[str, int] = {}
        tables = sorted(self.proc.glob("[0-9]*/pagemap"))
        if not tables and not (self.proc / WORDS[0]).exists():
            raise SnapshotError(f"{self.proc}: not a saved /proc: neither kpageflags nor a process's pagemap is in it")
        for path in [*(self.proc / name for name in WORDS), *tables]:
            if not path.is_file():
                continue
            sizes[path.name] = size = path.stat().st_size
            if size % reader.WORD or (not size and path.name != "pagemap"):
                what = f"{size} bytes are no whole number of 64-bit words: it is cut short" if size else "it is empty"
                raise SnapshotError(f"{path}: {what}")
        if 0 < sizes.get("kpagecount", 0) < sizes.get("kpageflags", 0):
            words = " and ".join(f"{name} {sizes[name] // reader.WORD}" for name in ("kpagecount", "kpageflags"))
            raise SnapshotError(f"{self.proc}/kpagecount: cut short: {words} words")
        for path in sorted(self.proc.glob("[0-9]*/maps")):
            number = reader.wrong_line(path)
            if number is not None:
                raise SnapshotError(f"{path}: line {number} is no area of memory; it is damaged or cut short")

    def about(self) -> dict[str, Any]:
        """What was said when the tree was saved; nothing in one that is alive or was made in another way.

        Raises
        ------
        SnapshotError
            The file is there, and is not what `save` writes.
        """
        path = self.proc.parent / ABOUT
        try:
            text = None if self.live or self.proc.name != "proc" else path.read_bytes()
        except OSError:
            text = None
        if text is None:
            return {}
        try:
            return msgspec.structs.asdict(msgspec.json.decode(text, type=_About))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SnapshotError(f"{path}: not what was saved there: {error}") from None

    def text(self, name: str) -> str | None:
        """A short file of /proc, or of /sys (`sys/...` means /proc/sys), without white space around it."""
        return _text(self.proc / name)

    def sys_text(self, name: str) -> str | None:
        """A short file of /sys."""
        return None if self.sys is None else _text(self.sys / name)

    def kernel(self) -> str:
        """Linux's version, without the builder's own suffix: it can identify the machine."""
        version = re.match(r"Linux version (\S+)", self.text("version") or "")
        release = self.text("sys/kernel/osrelease") or (version.group(1) if version else "")
        number = re.match(r"[0-9.]+", release)
        return number.group().rstrip(".") if number else UNKNOWN

    def machine(self) -> str:
        """As `uname -m` says it there."""
        if self.live:
            return platform.machine()
        return self.text("sys/kernel/arch") or _architecture(self.text("cpuinfo") or "")

    def page_size(self, given: int | None = None) -> int | None:
        """Bytes of a base page; None where nobody says it.

        Parameters
        ----------
        given : int, optional
            What the user says.

        Raises
        ------
        SnapshotError
            The user says otherwise than the tree.
        """
        told = self._told_page_size()
        if None not in (given, told) and given != told:
            raise SnapshotError(f"{self.proc}: its pages have {told} bytes, not {given}")
        return told or given

    def _told_page_size(self) -> int | None:
        if self.live:
            return os.sysconf("SC_PAGE_SIZE")
        size = self.about().get("page_size")
        if size is not None:
            return int(size)
        # MemTotal counts what the zones manage
        total = re.search(r"^MemTotal:\s+(\d+) kB", self.text("meminfo") or "", re.M)
        managed = zoneinfo.managed(self.text("zoneinfo") or "")
        for size in (SMALLEST << shift for shift in range(9)):
            if total and managed and abs(int(total.group(1)) * 1024 / managed - size) < size / 4:
                return size
        if self.machine() in ("x86_64", "i686", "i586", "i386"):
            return SMALLEST
        return SMALLEST if self._has_an_area_of_small_pages() else None

    def _has_an_area_of_small_pages(self) -> bool:
        """Whether some area begins or ends where only a page of 4 KiB can."""
        for pid in reader.processes(self.proc):
            for start, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) ", self.text(f"{pid}/maps") or "", re.M):
                if (int(start, 16) | int(end, 16)) >> 12 & 1:
                    return True
        return False


class _About(msgspec.Struct, forbid_unknown_fields=False):
    """Of `ABOUT`."""

    date: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    page_size: Annotated[int, msgspec.Meta(ge=512, le=1 << 21)] | None = None
    denied: Annotated[int, msgspec.Meta(ge=0, lt=1 << 52)] = 0
    vanished: Annotated[int, msgspec.Meta(ge=0, lt=1 << 52)] = 0


def _is_this_machines(proc: Path) -> bool:
    """Whether it is a /proc that Linux makes, here or where another one is mounted (a container has its host's)."""
    try:
        device = proc.stat().st_dev
        if device == PROC.stat().st_dev:
            return True
        number = f"{os.major(device)}:{os.minor(device)}".encode()
        mounts = (line.partition(b" - ") for line in (PROC / "self/mountinfo").read_bytes().split(b"\n"))
        return any(where.split()[2:3] == [number] and what.startswith(b"proc ") for where, _, what in mounts)
    except OSError:
        return False


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode(errors="backslashreplace").strip()
    except OSError:
        return None


def _architecture(cpuinfo: str) -> str:
    """The machine's name by what only its kind has in /proc/cpuinfo."""
    for name, pattern in (
        ("x86_64", r"^flags\s*:.*\blm\b"), ("i686", r"^flags\s*:.*\bfpu\b"), ("aarch64", r"^CPU architecture\s*: 8"),
        ("riscv64", r"^isa\s*: rv64"), ("s390x", r"^vendor_id\s*: IBM/S390"), ("ppc64le", r"^cpu\s*: POWER"),
        ("loongarch64", r"^Model Name\s*: Loongson"),
    ):  # fmt: skip
        if re.search(pattern, cpuinfo, re.M):
            return name
    return UNKNOWN
