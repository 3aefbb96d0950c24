"""Which frames have no memory yet: holes of the arena's file, found out without reading one of them."""

import errno
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pagexchange.oracle.format import Bools, HasMemory, Raw


def holes_of(arena: HasMemory, raw: Raw) -> Bools:
    """Which frames have no memory yet; none where that cannot be found out."""
    nframes, size = raw.nframes, raw.frames.shape[1] * 8
    holes = np.zeros(nframes, bool)
    fd, start = _file_of(arena.memory)
    if fd < 0:
        return holes
    first = start + raw.offset["frames"]
    end, at, data = first + nframes * size, first, []
    try:
        while at < end:
            at = os.lseek(fd, at, os.SEEK_DATA)
            to = os.lseek(fd, at, os.SEEK_HOLE)
            data.append((at, to))
            at = to
    except OSError as error:
        if error.errno != errno.ENXIO:  # that one says: no data from here on
            return holes
    holes[:] = True
    for at, to in data:
        holes[max(at - first, 0) // size : max(-(-(to - first) // size), 0)] = False
    return holes


def _file_of(memory: NDArray[np.uint8]) -> tuple[int, int]:
    """A descriptor of the file that the region is a mapping of, and where in it the region begins; (-1, 0) for none."""
    address = memory.ctypes.data
    try:
        permissions, offset, device, inode, low = _mapping_of(address)
        # A private mapping holds what its file does not.
        if permissions[3:] != b"s":
            return -1, 0
        major, minor = (int(x, 16) for x in device.split(b":"))
        for entry in Path("/proc/self/fd").iterdir():
            try:
                found = os.fstat(int(entry.name))
            except OSError:  # the one that the folder was read with
                continue
            if (found.st_ino, os.major(found.st_dev), os.minor(found.st_dev)) == (int(inode), major, minor):
                return int(entry.name), int(offset, 16) + address - low
    except (OSError, ValueError):  # no /proc, or no mapping of a file
        pass
    return -1, 0


def _mapping_of(address: int) -> tuple[bytes, bytes, bytes, bytes, int]:
    """Permissions, offset, device and inode of the mapping that an address lies in, and where it begins."""
    for line in Path("/proc/self/maps").read_bytes().split(b"\n")[:-1]:
        bounds, permissions, offset, device, inode = line.split(None, 5)[:5]
        low, high = (int(x, 16) for x in bounds.split(b"-"))
        if low <= address < high:
            return permissions, offset, device, inode, low
    raise ValueError(f"no mapping has the address {address:#x}")
