"""Linux's calls for memory on real nodes, as raw system calls: the C library has none, and libnuma may not be there."""

import ctypes
import errno
import os
import platform
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

# linux/mempolicy.h
DEFAULT: Final = 0
BIND: Final = 2
INTERLEAVE: Final = 3
WEIGHTED_INTERLEAVE: Final = 6
"""Since Linux 6.9."""
MOVE: Final = 2
"""MPOL_MF_MOVE: pages that this process alone maps."""

_NUMBERS: Final = {
    "x86_64": {"mbind": 237, "move_pages": 279},
    "aarch64": {"mbind": 235, "move_pages": 239},
}
_WORD: Final = 64

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


class Calls:
    """The calls; each raises OSError. ENOSYS: Linux, or this program for this processor, has it not."""

    def mbind(self, address: int, size: int, mode: int, nodes: Iterable[int]) -> None:
        """Say where pages of a range come from that it has none of yet. Of shared memory that goes with its file."""
        wanted = sorted(nodes)
        words = np.zeros(max(wanted, default=0) // _WORD + 1, np.uint64)
        for node in wanted:
            words[node // _WORD] |= np.uint64(1 << node % _WORD)
        # Linux takes one bit less than it is told.
        self._call("mbind", address, size, mode, words.ctypes.data, words.size * _WORD + 1, 0)

    def where(self, addresses: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the node of the page at each address, or -errno: -ENOENT where there is no page yet."""
        status = np.full(len(addresses), -errno.ENOENT, np.int32)
        if len(addresses):
            pages = np.ascontiguousarray(addresses, np.uint64)
            self._call("move_pages", 0, len(pages), pages.ctypes.data, 0, status.ctypes.data, 0)
        return status

    def move(self, addresses: NDArray[np.uint64], nodes: NDArray[np.int32]) -> tuple[int, NDArray[np.int32]]:
        """Move the page at each address to a node.

        Returns
        -------
        int
            0; above 0, how many were not moved; below, -errno. Unless it is 0 the statuses are not to be believed:
            Linux writes none of a batch in which a page stays. Ask `where`.
        int32[n]
            The node that each page is on now, or -errno.
        """
        status = np.full(len(addresses), -errno.ENOENT, np.int32)
        pages, targets = np.ascontiguousarray(addresses, np.uint64), np.ascontiguousarray(nodes, np.int32)
        try:
            left = self._call(
                "move_pages", 0, len(pages), pages.ctypes.data, targets.ctypes.data, status.ctypes.data, MOVE
            )
        except OSError as error:
            return -(error.errno or errno.EIO), status
        return left, status

    def _call(self, name: str, *arguments: int) -> int:
        number = _NUMBERS.get(platform.machine(), {}).get(name)
        if number is None:
            raise OSError(errno.ENOSYS, f"{name}: its number is not known for {platform.machine()}")
        done: int = _syscall(number, *map(ctypes.c_long, arguments))
        if done < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")
        return done
