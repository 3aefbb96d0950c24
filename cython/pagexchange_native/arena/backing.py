"""The file behind an arena: a sealed memfd or a path; and what the machine says of itself."""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final

from pagexchange_native import procfs
from pagexchange_native.arena import limits
from pagexchange_native.errors import ArenaAccessError, ArenaFullError

HUGE: Final = 2 << 20
"""Bytes of a huge page."""
_RESERVE: Final = 1 << 20
METADATA: Final = 96
"""Bytes that an arena takes for each frame besides the frame, at most."""
_OFD_GETLK: Final = 36
OWN: Final = 64 << 20
"""Bytes that a process with an arena takes besides it: modules, lists, what it counts with."""
_OFD_SETLK: Final = 37
_MAGIC: Final = b"PGXARENA"
_PID: Final = struct.Struct("<156xI")
"""The process that made an arena, as its header has it."""
_LOCK_BASE: Final = 1 << 40
_POOLS: Final = Path("/sys/kernel/mm/hugepages")
_POOL: Final = _POOLS / "hugepages-2048kB"
# linux/memfd.h: huge pages of 2^21 bytes, whatever the machine's default size is.
_MFD_HUGETLB_2MB: Final = 0x4 | 21 << 26
_OF_MEMORY: Final = frozenset({b"tmpfs", b"ramfs", b"devtmpfs"})


class Backing:
    """An open file of its own for one arena. `path` is None for a memfd."""

    def __init__(self) -> None:
        self.fd = -1
        self.path: str | bytes | None = None
        self.kind = ""

    def open(self, path: str | bytes | PathLike[str] | None, hugetlb: bool) -> None:
        """Make the file, which must not exist: 0600. ArenaAccessError, ArenaFullError: it cannot be made."""
        if path is None:
            self._open_memfd(hugetlb)
        else:
            self._open_path(os.path.abspath(os.fspath(path)), hugetlb)  # noqa: PTH100 - it may be bytes; no link is followed
        self._keep_off_streams()
        self.lock_process(0)  # before anything is in it: an arena that nobody has locked was left behind
        self.kind = ("memfd" if path is None else "file") + (", hugetlb" if hugetlb else "")

    def _open_memfd(self, hugetlb: bool) -> None:
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | (_MFD_HUGETLB_2MB if hugetlb else 0)
        try:
            made = os.memfd_create("pagexchange", flags)
            try:
                # Reopened, so that locks belong to a file description that no other process can share by dup.
                self.fd = os.open(f"/proc/self/fd/{made}", os.O_RDWR | os.O_CLOEXEC)
            finally:
                os.close(made)
        except OSError as error:
            if hugetlb and not _POOL.is_dir():
                raise ArenaFullError(error.errno, _no_pool()) from None
            where = f": {error.filename}" if error.filename else ""
            raise ArenaFullError(error.errno, f"cannot make a memfd{where}: {error.strerror}") from None

    def _open_path(self, path: str | bytes, hugetlb: bool) -> None:
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _cannot_create(error, path) from None
        self.path = path
        if hugetlb and not _is_hugetlbfs(self.fd):
            raise _no_hugetlbfs(path)

    def _keep_off_streams(self) -> None:
        """Leave the descriptors 0 to 2 to what they are taken for: who prints to a closed stdout would write to us."""
        if self.fd <= 2:
            low = self.fd
            self.fd = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 3)
            os.close(low)

    def shape(self, total: int, taken: int, hugetlb: bool) -> None:
        """Give it `total` bytes, none of which is in memory yet; a memfd then keeps its size.

        ArenaFullError says how much is missing for the `taken` bytes that will be filled. The hugetlb pool is asked
        when the file is mapped.
        """
        # Said before it is taken: what is in memory has no limit but the out-of-memory killer, or SIGBUS.
        if hugetlb:
            allowed = limits.room("hugetlb")
            if allowed is not None and total > allowed.left:
                raise ArenaFullError(
                    errno.ENOMEM,
                    f"the arena needs {total // HUGE} huge pages of 2 MiB, {allowed.file} of {allowed.limit} bytes "
                    f"leaves {allowed.left // HUGE}; raise it or do not ask for hugetlb",
                )
        elif self.path is None or file_system(self.fd) in _OF_MEMORY:
            _refuse_at_once(taken, total, "the arena")
        _set_size(self.fd, total, taken, "the arena")
        if self.path is None:
            try:
                fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            except OSError as error:
                raise ArenaAccessError(error.errno, f"cannot seal the arena's memfd: {error.strerror}") from None

    def lock_process(self, byte: int) -> None:
        """Hold this process's byte: the lock lives as long as the mapping, and says who is alive."""
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _LOCK_BASE + byte, 1, 0)
        try:
            fcntl.fcntl(self.fd, _OFD_SETLK, lock)
        except OSError as error:
            raise ArenaAccessError(
                error.errno,
                f"cannot lock byte {byte} of the arena, by which others see this process alive: {error.strerror}",
                self.path,
            ) from None


def fill(fd: int, total: int, parts: Iterable[tuple[int, int]], *, what: str = "the arena") -> None:
    """Put memory, or blocks of the file system, under parts of a file of `total` bytes: (offset, bytes) of each.

    A file that is empty gets its size. ArenaFullError: there is not so much.
    """
    parts = list(parts)
    taken = sum(size for _, size in parts)
    try:
        size = os.fstat(fd).st_size
    except OSError as error:
        raise _cannot_take(error, taken, total, what) from None
    if size != total:
        if file_system(fd) in _OF_MEMORY:
            _refuse_at_once(taken, total, what)
        _set_size(fd, total, taken, what)
    try:
        # In pieces: older Linux undoes in shared memory what a signal interrupts, and a frequent one for ever.
        for offset, size in parts:
            for at in range(offset, offset + size, _RESERVE):
                os.posix_fallocate(fd, at, min(_RESERVE, offset + size - at))
    except OSError as error:
        raise _cannot_take(error, taken, total, what) from None


def _set_size(fd: int, total: int, taken: int, what: str) -> None:
    try:
        os.ftruncate(fd, total)
    except OSError as error:
        raise _cannot_take(error, taken, total, what) from None


def _cannot_take(error: OSError, taken: int, total: int, what: str) -> ArenaFullError:
    return ArenaFullError(error.errno, f"cannot take {taken} bytes of {total} for {what}: {error.strerror}")


def _refuse_at_once(taken: int, total: int, what: str) -> None:
    available = memory_available()
    if taken > available:
        raise ArenaFullError(
            errno.ENOMEM,
            f"{what} takes {taken} bytes of {total} at once, the machine has {available} available"
            f"{_to_whom(available)}",
        )


def refuse_path(path: str | bytes | PathLike[str], hugetlb: bool) -> None:
    """Raise what `Backing.open` would raise for a path, as far as that can be seen; make nothing."""
    path = os.path.abspath(os.fspath(path))  # noqa: PTH100 - as there
    folder = os.path.dirname(path)  # noqa: PTH120 - it may be bytes
    try:
        with suppress(FileNotFoundError):
            os.lstat(path)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        system = os.statvfs(folder)  # it may not be there, either
        if not os.access(folder, os.W_OK | os.X_OK):
            code = errno.EROFS if system.f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(code, os.strerror(code), path)
    except OSError as error:
        raise _cannot_create(error, path) from None
    if hugetlb and not _is_hugetlbfs(folder):
        raise _no_hugetlbfs(path)


def _is_hugetlbfs(file: int | str | bytes) -> bool:
    return file_system(file) in (b"hugetlbfs", b"") and os.statvfs(file).f_bsize == HUGE


def _cannot_create(error: OSError, path: str | bytes) -> ArenaAccessError:
    what = f"cannot create the arena's file: {error.strerror}; "
    want = "want a path that does not exist, in a folder that may be written"
    return ArenaAccessError(error.errno, what + (_what_is_there(path) if error.errno == errno.EEXIST else want), path)


def maker(path: str | bytes) -> int | None:
    """Return the number of the process that made the arena in a file; None if none is there that can be read."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return _maker(fd)
        finally:
            os.close(fd)
    return None


def _maker(fd: int) -> int | None:
    head = os.pread(fd, _PID.size, 0) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    return int(_PID.unpack(head)[0]) if head[: len(_MAGIC)] == _MAGIC and len(head) == _PID.size else None


def _what_is_there(path: str | bytes) -> str:
    """Say what the file at a path is that should not exist, and what to do about it. It is looked at, and left."""
    other = "want a path that does not exist"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # a link, or not ours to read
        return other
    try:
        pid = _maker(fd)
        range_ = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _LOCK_BASE, 0, 0)
        locked = struct.unpack("hhqqi4x", fcntl.fcntl(fd, _OFD_GETLK, range_))[0] != fcntl.F_UNLCK
    except OSError:
        return other
    finally:
        os.close(fd)
    if pid is None:
        return f"it is an arena that is being made; {other}" if locked else f"it is no arena; {other}"
    # The lock decides, and not whether there is such a process: numbers are used again, and differ in containers.
    if locked:
        return f"it is the arena of process {pid}, which uses it now; {other}, or wait until that one ends"
    return f"it is an arena that process {pid} left behind when it was killed, and nobody uses it: remove it"


def _no_hugetlbfs(path: str | bytes) -> ArenaAccessError:
    return ArenaAccessError(
        errno.EINVAL,
        "hugetlb: the folder is not on a hugetlbfs with pages of 2 MiB; mount one there, or leave out the path",
        path,
    )


def pool_too_small(code: int, total: int) -> ArenaFullError:
    """Return the error for an arena of `total` bytes that the pool of huge pages of 2 MiB could not give."""
    try:
        free, reserved, pool = (
            int((_POOL / name).read_bytes()) for name in ("free_hugepages", "resv_hugepages", "nr_hugepages")
        )
    except (OSError, ValueError):
        return ArenaFullError(code, _no_pool())
    return ArenaFullError(
        code,
        f"the hugetlb pool is too small: the arena needs {total // HUGE} pages of 2 MiB, "
        f"{free - reserved} of {pool} are free; raise {_POOL}/nr_hugepages "
        "(where 2 MiB is the default size, that is /proc/sys/vm/nr_hugepages) or do not ask for hugetlb",
    )


def _no_pool() -> str:
    sizes = ", ".join(sorted(folder.name.removeprefix("hugepages-") for folder in _POOLS.glob("hugepages-*")))
    return (
        f"this machine has no hugetlb pool of 2 MiB pages ({_POOL} is not there; "
        f"it has {sizes or 'none of any size'}); do not ask for hugetlb"
    )


def file_system(file: int | str | bytes) -> bytes:
    """The kind of file system that a file is on, as `mount -t` takes it; empty where Linux does not say."""
    device = os.stat(file).st_dev  # noqa: PTH116 - it may be a descriptor
    name = b"%d:%d" % (os.major(device), os.minor(device))
    return next((mount.kind for mount in procfs.mounts() if mount.device == name), b"")


def memory_available(root: Path = Path("/")) -> int:
    """Bytes that may be taken: what the machine, and every container around this process, can give.

    Without what this process takes by and by for itself (`OWN`), and without pushing others out.
    """
    return max(_given(root) - OWN, 0)


def _given(root: Path) -> int:
    try:
        lines = procfs.lines(root / "proc/meminfo")
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith(b"MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        free = 1 << 62
    allowed = limits.room("memory", root)
    return free if allowed is None else min(free, allowed.left)


def _to_whom(available: int) -> str:
    """Whose limit it is that so many bytes are available, if it is not the machine's memory."""
    allowed = limits.room()
    if allowed is None or allowed.left - OWN > available:
        return ""
    return f" to this container ({allowed.file} is {allowed.limit >> 20:,} MiB)"


def shortage(needed: int) -> str:
    """A sentence if the machine, or the container, has not so many bytes; else nothing."""
    available = memory_available()
    if needed <= available:
        return ""
    return (
        f"this takes about {needed >> 20:,} MiB of memory, the machine has {available >> 20:,} MiB available"
        f"{_to_whom(available)}"
    )


def refuse_more_than_available(needed: int) -> None:
    """ArenaFullError when there is no memory for so many bytes: said before the out-of-memory killer says it."""
    said = shortage(needed)
    if said:
        raise ArenaFullError(
            errno.ENOMEM,
            f"{said}; want fewer or smaller frames, fewer pairs, or a smaller snapshot (snapshot --limit)",
        )


def boot_id() -> bytes:
    """16 bytes that are new at each boot; zeros where the system does not say."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)
