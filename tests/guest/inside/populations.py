"""Pages of many kinds: each function makes some on node 0 and returns their addresses.

They live as long as this process: mappings, files and children are not given back.
"""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.guest.inside import calls, damon
from tests.guest.inside.calls import PAGE
from tests.guest.inside.pages import Linux

N = 16
HUGE = 2 << 20
_COLD, _PAGEOUT = 20, 21  # advice that the module mmap has no names for

Population = Callable[[], list[int]]
ALL: dict[str, Population] = {}


def population(make: Population) -> Population:
    """Register a function under its name."""
    ALL[make.__name__.replace("_", "-")] = make
    return make


def _pages(start: int, number: int = N, step: int = PAGE) -> list[int]:
    return [start + i * step for i in range(number)]


def _anonymous(**options: bool) -> list[int]:
    """New pages that were written to."""
    start = calls.mapped(N * PAGE, **options)
    calls.bind(start, N * PAGE, 0)
    calls.advise(start, N * PAGE, mmap.MADV_NOHUGEPAGE)
    pages = _pages(start)
    calls.write(pages)
    return pages


def settle() -> None:
    """Have Linux put pages that wait in per-CPU batches on their lists, as every migration does first."""
    own = _anonymous()
    calls.move(own[:1], 1)
    calls.unmap(own[0], N * PAGE)


def _accessed(pages: list[int], times: int) -> list[int]:
    for _ in range(times):
        settle()
        calls.look(pages)
    return pages


@population
def anon() -> list[int]:
    return _anonymous()


@population
def anon_referenced() -> list[int]:
    return _accessed(_anonymous(), 1)


@population
def anon_active() -> list[int]:
    return _accessed(_anonymous(), 2)


@population
def anon_active_referenced() -> list[int]:
    return _accessed(_anonymous(), 3)


@population
def anon_cold() -> list[int]:
    pages = _accessed(_anonymous(), 3)
    calls.advise(pages[0], N * PAGE, _COLD)
    return pages


@population
def anon_mlocked() -> list[int]:
    pages = _anonymous()
    calls.lock(pages[0], N * PAGE)
    return pages


@population
def anon_madv_free() -> list[int]:
    pages = _anonymous()
    settle()
    calls.advise(pages[0], N * PAGE, mmap.MADV_FREE)
    return pages


@population
def anon_prot_none() -> list[int]:
    pages = _anonymous()
    calls.protect(pages[0], N * PAGE, 0)
    return pages


@population
def anon_forked() -> list[int]:
    pages = _anonymous()
    _child()
    return pages


@population
def anon_idle_young() -> list[int]:
    linux, pages = Linux(), _anonymous()
    settle()
    damon.watch(pages, lambda: all(state and "IDLE" in state.shown for state in linux.states(pages)))
    return pages


@population
def swap_cache() -> list[int]:
    pages = _anonymous()
    settle()
    if "/swap" not in Path("/proc/swaps").read_text():
        with Path("/swap").open("wb") as file:
            file.write(bytes(16 << 20))
            os.fsync(file.fileno())
        for command in (["mkswap", "/swap"], ["swapon", "/swap"]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    calls.advise(pages[0], N * PAGE, _PAGEOUT)
    calls.touch(pages)
    return pages


def _thp(number: int = 2) -> int:
    start = calls.mapped(number * HUGE)
    calls.bind(start, number * HUGE, 0)
    calls.advise(start, number * HUGE, mmap.MADV_HUGEPAGE)
    calls.write(_pages(start, number * HUGE // PAGE))  # Linux frees what is all zeros when it splits a folio
    return start


@population
def thp() -> list[int]:
    return _pages(_thp(), 2, HUGE)


@population
def thp_mlocked() -> list[int]:
    start = _thp()
    calls.lock(start, 2 * HUGE)
    return _pages(start, 2, HUGE)


@population
def thp_forked() -> list[int]:
    start = _thp()
    _child()
    return _pages(start, 2, HUGE)


@population
def thp_by_base_pages() -> list[int]:
    """Its mapping is split, the folio is not."""
    start = _thp()
    for address in _pages(start, 2, HUGE):
        calls.protect(address + PAGE, PAGE, mmap.PROT_READ)
    return _pages(start, 2, HUGE)


@population
def thp_partly_mapped() -> list[int]:
    start = _thp()
    for address in _pages(start, 2, HUGE):
        calls.unmap(address + HUGE // 2, HUGE // 2)
    return _pages(start, 2, HUGE)


@population
def mthp_64k() -> list[int]:
    switch = Path("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled")
    if not switch.exists():
        raise OSError("this kernel has no folios of 64 KiB for anonymous memory")
    switch.write_text("madvise")
    start = calls.mapped(4 * (64 << 10))
    calls.bind(start, 4 * (64 << 10), 0)
    calls.advise(start, 4 * (64 << 10), mmap.MADV_HUGEPAGE)
    calls.write(_pages(start, 64))
    switch.write_text("never")
    return _pages(start, 4, 64 << 10)


@population
def hugetlb() -> list[int]:
    for node in (0, 1):
        Path(f"/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages").write_text("4")
    start = calls.mapped(2 * HUGE, hugetlb=True)
    calls.bind(start, 2 * HUGE, 0)
    calls.write(_pages(start, 2, HUGE))
    return _pages(start, 2, HUGE)


@population
def shmem() -> list[int]:
    return _anonymous(shared=True)


@population
def shmem_read() -> list[int]:
    start = calls.mapped(N * PAGE, shared=True)
    calls.bind(start, N * PAGE, 0)
    calls.touch(_pages(start))
    return _pages(start)


@population
def shmem_mlocked() -> list[int]:
    pages = _anonymous(shared=True)
    calls.lock(pages[0], N * PAGE)
    return pages


@population
def shmem_forked() -> list[int]:
    pages = _anonymous(shared=True)
    _child(pages)
    return pages


@population
def shm_lock() -> list[int]:
    start = calls.locked_segment(N * PAGE)
    calls.bind(start, N * PAGE, 0)
    calls.write(_pages(start))
    return _pages(start)


@population
def shmem_huge() -> list[int]:
    Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled").write_text("advise")
    start = calls.mapped(2 * HUGE, shared=True)
    calls.bind(start, 2 * HUGE, 0)
    calls.advise(start, 2 * HUGE, mmap.MADV_HUGEPAGE)
    calls.write(_pages(start, 2, HUGE))
    return _pages(start, 2, HUGE)


def _file(path: str, *, sync: bool, shared: bool = True) -> list[int]:
    """Pages of a new file, read or written through a mapping; they come to the node that the processor writes from."""
    os.sched_setaffinity(0, {0})
    Path(path).unlink(missing_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(fd, bytes(N * PAGE))
    if sync:
        os.fsync(fd)
    start = calls.mapped(N * PAGE, fd=fd, shared=shared)
    os.sched_setaffinity(0, {0, 1})
    return _pages(start)


@population
def tmpfs() -> list[int]:
    pages = _file("/guest/tmpfs-file", sync=False)
    calls.touch(pages)
    return pages


@population
def ext4_clean() -> list[int]:
    pages = _file("/ext4-clean", sync=True)
    calls.touch(pages)
    return pages


@population
def ext4_dirty() -> list[int]:
    pages = _file("/ext4-dirty", sync=True)
    calls.write(pages)
    return pages


@population
def ext4_active() -> list[int]:
    pages = _file("/ext4-active", sync=True)
    calls.touch(pages)
    return _accessed(pages, 3)


@population
def ext4_mlocked() -> list[int]:
    pages = _file("/ext4-mlocked", sync=True)
    calls.lock(pages[0], N * PAGE)
    return pages


@population
def ext4_private() -> list[int]:
    """Copies of a file's pages, made when they were written to."""
    pages = _file("/ext4-private", sync=True, shared=False)
    calls.bind(pages[0], N * PAGE, 0)
    calls.write(pages)
    return pages


def _child(touched: list[int] | None = None) -> None:
    """Fork a child that shares our pages until we end; shared mappings it has to touch to map them."""
    ready, done = os.pipe()
    if os.fork() == 0:
        calls.touch(touched or [])
        os.write(done, b"!")
        signal.pause()
    os.read(ready, 1)
