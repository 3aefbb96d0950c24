"""What Linux says in files under /proc and /sys: bytes, in lines that end at a newline and nowhere else.

Lines hold names that anybody may choose (of files, processes, cgroups, mounts), in no encoding. Linux escapes the
newline in them, and not what else `str.splitlines`, `str.split` or a file opened as text takes for the end of a line or
of a field.
"""

import re
from os import PathLike
from pathlib import Path
from typing import NamedTuple


def lines(path: str | PathLike[str]) -> list[bytes]:
    """The lines of a file, without their newlines. OSError: it cannot be read."""
    data = Path(path).read_bytes()
    return data.removesuffix(b"\n").split(b"\n") if data else []


def text(data: bytes) -> str:
    r"""A name for people: what is no UTF-8 stands as `\xff`."""
    return data.decode(errors="backslashreplace")


def unescaped(field: bytes) -> bytes:
    r"""A field of /proc/self/mountinfo without its escapes: a space is `\040` there, a backslash `\134`."""
    return re.sub(rb"\\([0-3][0-7]{2})", lambda match: bytes([int(match[1], 8)]), field)


class Mount(NamedTuple):
    """One line of /proc/self/mountinfo."""

    device: bytes
    """major:minor, as `stat` of what is on it gives them."""
    root: bytes
    """What of the file system is mounted."""
    point: bytes
    kind: bytes
    """The file system, as `mount -t` takes it."""
    options: list[bytes]
    """Of the file system, not of the mount."""


def mounts(root: str | PathLike[str] = "/") -> list[Mount]:
    """What this process sees mounted, the uppermost last; empty where Linux does not say."""
    result = []
    try:
        found = lines(Path(root) / "proc/self/mountinfo")
    except OSError:
        return []
    for line in found:
        fields = line.split(b" ")
        # a varying number of optional fields ends with a dash
        if len(fields) < 10 or b"-" not in fields[6:-3]:
            continue
        kind, _, options = fields[fields.index(b"-", 6) + 1 :][:3]
        result.append(Mount(fields[2], unescaped(fields[3]), unescaped(fields[4]), kind, options.split(b",")))
    return result
