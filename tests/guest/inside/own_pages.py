"""Pages of the process's own that Linux exchanges between two nodes by two calls of move_pages: the peer of `bench`.

Beside it, frames of arenas in a folder that is a file system bound to a node, and in huge pages.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
from pathlib import Path
from typing import Literal

import numpy as np

import pagexchange
from pagexchange.arena.given_nodes import NodeTable
from pagexchange.arena.lying import lie, words
from pagexchange.linux.move_pages import MovePages, migrated
from pagexchange.linux.own_pages import HUGE, OwnPages, two_nodes
from pagexchange_native.arena import real_nodes

Huge = Literal["", "thp", "hugetlb"]

POOL = Path("/sys/devices/system/node/node0")
SLOW = Path("/guest/slow")
"""A tmpfs with `mpol=bind:2`."""


class Span(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def main() -> int:
    """Return how many things are not as they should be."""
    return sum(
        (
            _exchanged(4096, 256),
            _exchanged(HUGE, 4),
            _pinned(),
            _in_a_folder(),
            _in_huge_pages(),
            _by_weight(),
            _touched_by_others(),
        )
    )


def _exchanged(size: int, count: int) -> int:
    """All pages of both halves, there and back: on the other node, with their contents, each counted by Linux."""
    fast, slow = two_nodes()
    pages = OwnPages(count, size=size, nodes=(fast, slow))
    first, second = np.arange(count), np.arange(count, 2 * count)
    pages.words()[:, 5] = np.arange(2 * count)
    moves, seen, before = MovePages(pages), [], migrated()
    for ways in ((first, second), (second, first)):
        done = moves.exchange(*ways)
        seen.append((done.pairs, done.failed, set(pages.where(first).tolist()), set(pages.where(second).tolist())))
    counted = migrated() - before
    whole = bool((pages.words()[:, 5] == np.arange(2 * count)).all())
    good = seen == [(count, 0, {slow}, {fast}), (count, 0, {fast}, {slow})]
    good = good and whole and counted == 4 * count * (size // 4096)
    return _said(
        f"{count} pairs of {size} bytes, nodes {fast}, {slow}, there and back: {seen}, {counted} counted",
        good,
    )


def _pinned() -> int:
    """A page that a pipe holds stays, the others of its call are moved, and that is found out by asking again."""
    fast, slow = two_nodes()
    pages = OwnPages(8, nodes=(fast, slow))
    read, write = os.pipe()
    span = Span(int(pages.addresses[3]), 4096)
    if ctypes.CDLL(None, use_errno=True).vmsplice(write, ctypes.byref(span), ctypes.c_ulong(1), 0) != 4096:
        return _said(f"a page cannot be pinned: {os.strerror(ctypes.get_errno())}", False)
    done = MovePages(pages).exchange(np.arange(8), np.arange(8, 16))
    for end in (read, write):
        os.close(end)
    status = [0] * 3 + [-errno.EBUSY] + [0] * 4
    good = done.failed == 1 and done.status[:, 0].tolist() == status and not done.status[:, 1].any()
    return _said(f"one of 8 pages is pinned: {done.pairs} pairs exchanged, {done.status[:, 0].tolist()}", good)


def _in_a_folder() -> int:
    """Frames of a file without a name, on the node that its file system is bound to."""
    nodes: dict[str, NodeTable] = {"fast": {"size": "4 MiB", "numa": 0}, "slow": {"size": "4 MiB", "path": SLOW}}
    return _lies("in a folder", [{0: 1024}, {2: 1024}], nodes)


def _in_huge_pages() -> int:
    """Transparent ones, and those of the pools of two nodes; what a pool has not is refused, and not a SIGBUS."""
    nodes: dict[str, NodeTable] = {"fast": {"size": "4 MiB", "numa": 0}, "slow": {"size": "4 MiB", "numa": 1}}
    wrong = _lies("in transparent huge pages", [{0: 1024}, {1: 1024}], nodes, huge="thp")
    for node in (0, 1):
        POOL.with_name(f"node{node}").joinpath("hugepages/hugepages-2048kB/nr_hugepages").write_text("12")
    wrong += _lies("in the hugetlb pools", [{0: 1024}, {1: 1024}], nodes, huge="hugetlb")
    try:
        pagexchange.Arena.create({"fast": nodes["fast"], "slow": {"size": "64 MiB", "numa": 1}}, huge="hugetlb").close()
    except pagexchange.PagexchangeError as error:
        return wrong + _said(str(error), "'slow' on node 1: 32 huge pages of 2 MiB are needed" in str(error))
    return wrong + _said("an arena that the pool has no pages for", False)


def _by_weight() -> int:
    """Three pages of four on the node that the machine gives three times the weight."""
    weight = Path("/sys/kernel/mm/mempolicy/weighted_interleave/node0")
    if not weight.exists():
        return _said("this Linux has no weights", True)
    weight.write_text("3")
    node: NodeTable = {"size": "4 MiB", "numa": [0, 1], "interleave": "weighted"}
    return _lies("interleaved by weight", [{0: 768, 1: 256}], {"both": node})


def _touched_by_others() -> int:
    """A policy of shared memory lies in the file: pages come from the same node whoever touches them first."""
    with pagexchange.Arena.create({"slow": {"size": "4 MiB", "numa": 1}}) as arena:
        (fd,) = [int(fd.name) for fd in Path("/proc/self/fd").iterdir() if "memfd:pagexchange" in _target(fd)]
        other = np.frombuffer(mmap.mmap(fd, arena.total_bytes), np.uint8)[-(4 << 20) :]
        other[::4096] = 1
        pages = np.uint64(other.ctypes.data) + np.arange(1024, dtype=np.uint64) * np.uint64(4096)
        there = set(real_nodes.HERE.where(pages).tolist())
        return _said(f"frames that another mapping touched first are on nodes {there}", there == {1})


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:  # the one that the folder was read by
        return ""


def _lies(what: str, where: list[dict[int, int]], nodes: dict[str, NodeTable], huge: Huge = "") -> int:
    with pagexchange.Arena.create(nodes, huge=huge) as arena:
        arena.frames[:] = 1
        lying = lie(arena)
        return _said(f"an arena {what}: {words(lying)}; {arena!r}", [one.on for one in lying] == where)


def _said(what: str, good: bool) -> int:
    print(f"{'good' if good else 'WRONG'}: {what}", flush=True)
    return not good


if __name__ == "__main__":
    sys.exit(main())
