"""An initramfs: a cpio archive in the form that Linux unpacks (early-userspace/buffer-format.rst)."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or device of an archive."""

    name: str
    data: bytes = b""
    mode: int = stat.S_IFREG | 0o755
    device: tuple[int, int] = (0, 0)


def folder(name: str) -> Entry:
    """A folder; it must come before what lies in it."""
    return Entry(name, mode=stat.S_IFDIR | 0o755)


def newc(entries: Iterable[Entry]) -> bytes:
    """The archive, uncompressed: QEMU loads it faster than an emulated processor would unpack it."""
    out = bytearray()
    for inode, entry in enumerate([*entries, Entry("TRAILER!!!", mode=0)], 1):
        name = entry.name.encode() + b"\0"
        fields = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        out += bytes(-len(out) % 4) + entry.data
        out += bytes(-len(out) % 4)
    return bytes(out)
