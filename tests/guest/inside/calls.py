"""System calls about memory that Python's library does not have."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

PAGE = 4096
_MOVE_PAGES, _MBIND, _PROCESS_VM_READV = 279, 237, 310  # x86-64
_PROT_RW, _SHARED, _PRIVATE, _ANONYMOUS, _HUGETLB = 3, 0x1, 0x2, 0x20, 0x40000
_BIND, _MOVE_ALL = 2, 4

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
for _name in ("munmap", "mlock"):
    getattr(_libc, _name).argtypes = [ctypes.c_void_p, ctypes.c_size_t]
for _name in ("madvise", "mprotect"):
    getattr(_libc, _name).argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.shmat.restype = ctypes.c_void_p


def _checked(result: int, what: str) -> int:
    if result == -1 or result == ctypes.c_void_p(-1).value:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def mapped(size: int, *, fd: int = -1, shared: bool = False, hugetlb: bool = False) -> int:
    """Address of a new mapping of `size` bytes, writable, on a boundary of 2 MiB; of a file, or anonymous."""
    flags = (_SHARED if shared else _PRIVATE) | (_ANONYMOUS if fd < 0 else 0) | (_HUGETLB if hugetlb else 0)
    room = _checked(_libc.mmap(None, size + (2 << 20), 0, _PRIVATE | _ANONYMOUS, -1, 0), "mmap")
    place = (room + (2 << 20) - 1) & -(2 << 20)
    return _checked(_libc.mmap(place, size, _PROT_RW, flags | 0x10, fd, 0), "mmap")  # MAP_FIXED


def unmap(address: int, size: int) -> None:
    """munmap(2)."""
    _checked(_libc.munmap(address, size), "munmap")


def lock(address: int, size: int) -> None:
    """mlock(2)."""
    _checked(_libc.mlock(address, size), "mlock")


def advise(address: int, size: int, advice: int) -> None:
    """madvise(2)."""
    _checked(_libc.madvise(address, size, advice), f"madvise {advice}")


def protect(address: int, size: int, protection: int) -> None:
    """mprotect(2)."""
    _checked(_libc.mprotect(address, size, protection), "mprotect")


def bind(address: int, size: int, node: int) -> None:
    """Pages of this range that do not exist yet will come from this node."""
    mask = ctypes.c_ulong(1 << node)
    _checked(
        _libc.syscall(_MBIND, ctypes.c_void_p(address), ctypes.c_size_t(size), _BIND, ctypes.byref(mask), 64, 0),
        "mbind",
    )


def locked_segment(size: int) -> int:
    """Address of a System V shared-memory segment that was locked with SHM_LOCK; it goes when we do."""
    segment = _checked(_libc.shmget(0, ctypes.c_size_t(size), 0o600), "shmget")
    address = _checked(_libc.shmat(segment, None, 0), "shmat")
    _checked(_libc.shmctl(segment, 0, None), "shmctl IPC_RMID")
    _checked(_libc.shmctl(segment, 11, None), "shmctl SHM_LOCK")
    return address


def touch(addresses: Sequence[int]) -> None:
    """Read a byte of each page through this process."""
    for address in addresses:
        ctypes.string_at(address, 1)


def write(addresses: Sequence[int], text: bytes = b"pagexchange") -> None:
    """Write into each page through this process."""
    for address in addresses:
        ctypes.memmove(address, text, len(text))


def look(addresses: Sequence[int]) -> None:
    """Have Linux look each page up for us, which marks it as accessed (`mark_page_accessed`)."""

    class Span(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    into = ctypes.create_string_buffer(8)
    for address in addresses:
        here, there = Span(ctypes.addressof(into), 8), Span(address, 8)
        _checked(
            _libc.syscall(
                _PROCESS_VM_READV, os.getpid(), ctypes.byref(here), ctypes.c_ulong(1), ctypes.byref(there),
                ctypes.c_ulong(1), ctypes.c_ulong(0),
            ),
            "process_vm_readv",
        )  # fmt: skip


def nodes(addresses: Sequence[int]) -> list[int]:
    """Node of each page, or -errno; nothing is moved."""
    return _move_pages(addresses, None)


def move(addresses: Sequence[int], node: int) -> list[int]:
    """Move these pages to a node, and return where each lies afterwards, or -errno.

    Where a page of a call cannot be moved, the call's own statuses are not to be believed: so they are asked for again.
    """
    _move_pages(addresses, node)
    return nodes(addresses)


def _move_pages(addresses: Sequence[int], node: int | None) -> list[int]:
    n = len(addresses)
    places = (ctypes.c_void_p * n)(*addresses)
    wanted = None if node is None else (ctypes.c_int * n)(*[node] * n)
    status = (ctypes.c_int * n)(*[-1] * n)
    result = _libc.syscall(
        _MOVE_PAGES, 0, ctypes.c_ulong(n), places, wanted, status, _MOVE_ALL if node is not None else 0
    )
    if wanted is None:
        _checked(result, "move_pages")
    return list(status)
