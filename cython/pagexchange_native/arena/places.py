"""Where the frames of an arena's nodes lie: on real nodes of memory, or in a device or a file system of their own."""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pagexchange_native.arena import backing, numa, real_nodes
from pagexchange_native.arena.backing import HUGE
from pagexchange_native.arena.real_nodes import several
from pagexchange_native.errors import ArenaAccessError, ArenaError, ArenaFullError
from pagexchange_native.integers import as_number

_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where the frames of one node lie. Nothing given: wherever Linux puts them, as it does for any memory."""

    numa: tuple[int, ...] = ()
    """Real nodes; of several, page by page in turns (MPOL_INTERLEAVE)."""
    weighted: bool = False
    """In turns by the weights that the machine has for its nodes (MPOL_WEIGHTED_INTERLEAVE)."""
    path: str | bytes | None = None
    """A DAX device, or a folder: the frames are a file there that has no name, so that nothing is left of it."""

    def __bool__(self) -> bool:
        return bool(self.numa or self.path)

    def __str__(self) -> str:
        if self.path:
            return os.fsdecode(self.path)
        if len(self.numa) < 2:
            return several(self.numa) if self.numa else "anywhere"
        return f"{several(self.numa)} interleaved{' by weight' if self.weighted else ''}"

    def problems(self) -> Iterator[str]:
        """Say what is wrong with it on any machine."""
        if any(node < 0 or node >= 1 << 10 for node in self.numa):
            yield "numa: want numbers of nodes, from 0 to 1023"
        if len(set(self.numa)) != len(self.numa):
            yield "numa: a node is named twice"
        if self.weighted and len(self.numa) < 2:
            yield "interleave: want two nodes or more in numa, or leave it out"
        if self.path and self.numa:
            yield "numa and path: want one of them; what a device or a file system is made of is its own affair"


def as_place(given: Mapping[str, Any]) -> Place:
    """Make a place of what a user gives: `numa` (a number, or several), `interleave` and `path`.

    Raises
    ------
    TypeError, ValueError
        Another key, or a value of another kind; what is wrong with values together says `Place.problems`.
    """
    if unknown := given.keys() - {"numa", "interleave", "path"}:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}; choose of size, frames, numa, interleave and path")
    numa, interleave, path = given.get("numa"), given.get("interleave", "even"), given.get("path")
    if interleave not in ("even", "weighted"):
        raise ValueError(f"interleave {interleave!r}: choose 'even' or 'weighted'")
    several_given = () if numa is None else numa if isinstance(numa, Sequence) else (numa,)
    return Place(
        numa=tuple(as_number(node, "numa") for node in several_given),
        weighted=interleave == "weighted",
        path=None if path is None else os.fspath(path),
    )


def border(places: Sequence[Place], page_size: int, *, huge: bool) -> int:
    """Return what each node's frames begin at a multiple of: bytes that Linux maps or binds as a whole."""
    if any(places) and (huge or any(place.path for place in places)):  # a DAX device is mapped in blocks of 2 MiB
        return HUGE
    return max(page_size, os.sysconf("SC_PAGESIZE")) if any(places) else page_size


class Span(NamedTuple):
    """The frames of one node in the region."""

    name: str
    offset: int
    size: int
    """Bytes, both."""
    place: Place


def refuse(spans: Sequence[Span], path: str | bytes | None, *, hugetlb: bool, thp: bool) -> None:
    """Raise for what this machine has not: nodes, the right to use them, memory. All at once, and nothing is done.

    Raises
    ------
    ArenaError
        A node is not there, has no memory, or is not for this process; a kind of memory cannot be bound.
    ArenaFullError
        Only memory is missing: with none left on a node that pages are bound to, Linux kills.
    """
    bound = [span for span in spans if span.place.numa]
    wrong = [problem for span in bound for problem in _unusable(span, thp)]
    if bound and path is not None and (kind := _bindless(path)):
        wrong.append(
            f"numa: Linux puts pages of a file on {kind} where it likes; leave out path, or take one on a tmpfs"
        )
    if hugetlb and any(span.place.path for span in spans):
        wrong.append("hugetlb: a node with a path has pages of its own; leave out one of the two")
    if wrong:
        raise ArenaError("; ".join(wrong))
    short = list(_short(bound, hugetlb))
    if short:
        raise ArenaFullError(errno.ENOMEM, "; ".join(short))


def _unusable(span: Span, thp: bool) -> Iterator[str]:
    place, machine = span.place, real_nodes.HERE
    there, allowed = machine.with_memory(), machine.allowed()
    first, *others = place.numa
    given = f"node {span.name!r}: numa = {list(place.numa) if others else first}"
    if missing := [node for node in place.numa if node not in there]:
        verb = "has" if len(missing) == 1 else "have"
        yield (
            f"{given}: {several(missing)} {verb} no memory here; this machine has memory on {several(there)}"
            f"{' only: one memory, and one speed' if len(there) == 1 else ''}"
        )
    elif forbidden := [node for node in place.numa if node not in allowed]:
        yield (
            f"{given}: {several(forbidden)} is not for this process: its cpuset allows {several(allowed)} "
            "(Mems_allowed_list in /proc/self/status)"
        )
    if len(place.numa) > 1 and thp:
        yield f"{given}: a huge page lies on one node, that of its first base page; leave out huge, or name one node"
    if place.weighted and machine.weights() is None:
        yield f"{given}: interleaving by weight needs Linux 6.9; leave out interleave"


def _bindless(path: str | bytes) -> str:
    """The file system that an arena's file would be on, if Linux does not bind its pages; else nothing."""
    folder = os.path.dirname(os.path.abspath(os.fspath(path)))  # noqa: PTH100, PTH120 - it may be bytes
    kind = backing.file_system(folder) if os.path.isdir(folder) else b""  # noqa: PTH112
    return "" if kind in (b"", b"tmpfs", b"hugetlbfs") else os.fsdecode(kind)


def _short(spans: Sequence[Span], hugetlb: bool) -> Iterator[str]:
    """Say of each real node that has too little for all that is bound to it."""
    machine = real_nodes.HERE
    needed: dict[int, int] = {}
    for span in spans:
        weights = (machine.weights() or {}) if span.place.weighted else {}
        parts = {node: weights.get(node, 1) for node in span.place.numa}
        for node, weight in parts.items():
            needed[node] = needed.get(node, 0) + span.size * weight // sum(parts.values())
    for node, size in needed.items():
        names = " and ".join(repr(span.name) for span in spans if node in span.place.numa)
        if hugetlb:
            if (free := machine.huge_free(node)) < -(-size // HUGE):
                yield (
                    f"{names} on node {node}: {-(-size // HUGE)} huge pages of 2 MiB are needed, {free} are free there"
                )
        elif (available := machine.available(node)) < size:
            yield f"{names} on node {node}: {size // _MIB:,} MiB are needed, {available // _MIB:,} MiB are available"


def bind(address: int, span: Span) -> None:
    """Bind a node's frames, which have no memory yet, and lie at an address; nothing where no real node is named.

    Raises
    ------
    ArenaAccessError
        Linux, or the container, does not let this process bind memory.
    ArenaError
        Linux refuses for another reason.
    """
    place, machine = span.place, real_nodes.HERE
    if not place.numa:
        return
    mode = numa.WEIGHTED_INTERLEAVE if place.weighted else numa.INTERLEAVE if len(place.numa) > 1 else numa.BIND
    try:
        machine.mbind(address, span.size, mode, place.numa)
    except OSError as error:
        if list(place.numa) == machine.with_memory():  # there is no other place for it
            return
        what = f"node {span.name!r}: cannot be bound to {several(place.numa)}: {error.strerror}"
        if error.errno == errno.EPERM:
            raise ArenaAccessError(
                errno.EPERM, f"{what}; containers forbid mbind, unless they are given CAP_SYS_NICE"
            ) from None
        if error.errno == errno.ENOSYS:
            raise ArenaError(f"{what}; this Linux knows of no nodes (CONFIG_NUMA)") from None
        raise ArenaError(what) from None


def open_own(span: Span, page_size: int) -> int:
    """Open the device of a node, or make its file; the descriptor, to map `span.size` bytes from its start.

    Raises
    ------
    ArenaAccessError
        It is not there, is neither a DAX device nor a folder, or may not be used.
    ArenaFullError
        It is too small, or the file system has not so much left.
    """
    assert span.place.path is not None
    path = os.path.abspath(os.fspath(span.place.path))  # noqa: PTH100 - it may be bytes
    try:
        if os.path.isdir(path):  # noqa: PTH112
            return _nameless_file(span, path, page_size)
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if isinstance(error, ArenaError):
            raise
        raise ArenaAccessError(
            error.errno, f"node {span.name!r}: cannot have memory there: {error.strerror}", path
        ) from None
    try:
        _check_device(span, path, os.fstat(fd).st_rdev)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _nameless_file(span: Span, folder: str | bytes, page_size: int) -> int:
    block = os.statvfs(folder).f_bsize if backing.file_system(folder) == b"hugetlbfs" else 0
    if block > HUGE or (block and span.size % block):
        raise ArenaError(
            f"node {span.name!r}: want whole huge pages of {block} bytes, of at most 2 MiB, on this hugetlbfs"
        )
    fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC | os.O_EXCL, 0o600)
    try:
        backing.fill(fd, span.size, [(0, span.size)], what=f"node {span.name!r}")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_device(span: Span, path: str | bytes, device: int) -> None:
    found = real_nodes.HERE.dax(os.major(device), os.minor(device)) if device else None
    if found is None:
        raise ArenaAccessError(
            errno.EINVAL, f"node {span.name!r}: want a DAX device (/dev/dax0.0), or a folder to make a file in", path
        )
    align = found.get("align", HUGE)
    if align > HUGE or HUGE % align:
        raise ArenaAccessError(
            errno.EINVAL, f"node {span.name!r}: the device has an alignment of {align} bytes; want 2 MiB", path
        )
    if span.size > found["size"]:
        raise ArenaFullError(
            errno.ENOSPC, f"node {span.name!r}: {span.size} bytes are needed, the device has {found['size']}", path
        )
