"""Transparent huge pages of an arena: how many blocks may take memory, and why some did not become one."""

import errno
import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from pagexchange_native.arena import backing
from pagexchange_native.arena.backing import HUGE

_SPARE: Final = 8
"""One in so many bytes that are available is left to what the process does with the arena: lists, copies of tables."""
SETTING: Final = "sys/kernel/mm/transparent_hugepage/shmem_enabled"


class Collapsed(NamedTuple):
    """What came of asking for transparent huge pages when an arena was made."""

    came: int
    """Bytes that were made huge pages then, metadata included."""
    asked: int
    """Bytes of the arena."""
    why: str
    """Why not all came, in words that go on after "because"; empty where they did."""


def affordable(blocks: int) -> int:
    """How many blocks without memory may get it: not more than the machine, and the containers around us, can give."""
    available = backing.memory_available()
    return min(blocks, (available - available // _SPARE) // HUGE)


def collapsed(came: int, blocks: int, refused: int, fd: int) -> Collapsed:
    """Put together what happened to the blocks of an arena's file.

    Parameters
    ----------
    came, blocks : int
        Blocks that became huge pages, and all of them.
    refused : int
        The errno of the last that did not; 0: no block was refused, but memory was short for the others.
    fd : int
        Of the file.
    """
    return Collapsed(came * HUGE, blocks * HUGE, "" if came == blocks else _why(refused, fd))


def _why(refused: int, fd: int) -> str:
    if refused == 0:
        return "the machine, or the container, has no memory for more"
    if refused == errno.ENOMEM:
        return "the machine has no more free blocks of 2 MiB"
    if refused == errno.EBUSY:
        return "the container's limit of memory was reached"
    if refused == errno.EINVAL:
        return refusal(os.fsdecode(backing.file_system(fd)))
    return f"Linux refused them: {os.strerror(refused)}"


def refusal(kind: str, root: Path = Path("/")) -> str:
    """Why Linux makes no huge page of a file's pages; `kind` is its file system."""
    if kind not in ("", "tmpfs"):
        return f"Linux makes none on demand for a file on {kind}; leave out the path, or take one on a tmpfs"
    if setting(root) == "deny":
        return f"/{SETTING} says deny; write never, advise or always there"
    return "Linux refused them; they may be off for this process (prctl PR_SET_THP_DISABLE)"


def setting(root: Path = Path("/")) -> str:
    """The word that is chosen in `shmem_enabled`; empty where it cannot be read."""
    try:
        chosen = re.search(rb"\[(\w+)\]", (root / SETTING).read_bytes())
    except OSError:
        return ""
    return chosen[1].decode("ascii", "replace") if chosen else ""
